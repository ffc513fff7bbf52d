"""Learning curves as tables: dev scores and loss of the targets' train stages, and of those before them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev

from adapter_stilts.io import digest_of
from adapter_stilts.report.blocks import Block
from adapter_stilts.report.chains import Chains
from adapter_stilts.report.collect import System
from adapter_stilts.report.learning import LOG, POINTS, Curve, read_curve
from adapter_stilts.report.tables import UNKNOWN, Shown, Table, Value, text
from adapter_stilts.report.ways import by_way, target_names

Read = Callable[[str], Curve]

_COLUMNS = ("seeds", "steps", "kept step", "dev, kept", "dev, last", "loss, first", "loss, last")
_KEPT = "Kept: the step whose dev score was the best, and whose weights were evaluated or trained further."
_LOSS = (
    f"Loss: means over parts of a run, at most {POINTS}; first and last are those of its first and last part."
)
_NO_DEV = "No dev scores but the kept one's: stages that an older version trained have no others."
_NO_LOSS = f"Loss where there is {LOG}, which an exported store lacks."


@dataclass
class _Panel:
    """What one row and one panel are of.

    Args:
        about: what each of its records says of it.
        stages: by seed.
    """

    name: str
    cell: str
    about: Mapping[str, Value]
    stages: dict[int | None, str] = field(default_factory=dict)


def curves(
    blocks: Sequence[Block], chains: Chains, store: Path, cache: Path | None
) -> tuple[list[Table], list[str]]:
    """A table for each target, and of what comes before them one for each mode, precision and encoder; and notes.

    Args:
        cache: folder that points of large logs are kept in; None keeps none.
    """
    known: dict[str, Curve] = {}  # of stages that cells share

    def read(stage: str) -> Curve:
        if stage not in known:
            known[stage] = read_curve(store, stage, chains.record(stage) or {}, cache)
        return known[stage]

    found: list[Table | None] = []
    for number, (way, members) in enumerate(by_way(blocks).items(), start=1):
        for block, target in zip(members, target_names(members), strict=True):
            name = f"curves-{number}-{target.replace(', ', '_').replace(' ', '-')}"
            title = f"Learning curves of {target} ({way.told})"
            found.append(_table(name, title, "intermediate", _of_target(block, chains), read))
    # Once for all ways of evaluating.
    trained: dict[tuple[str, str, str], list[Block]] = defaultdict(list)
    for block in blocks:
        trained[block.setting.mode, block.setting.precision, block.setting.base].append(block)
    for number, (how, members) in enumerate(trained.items(), start=1):
        title = f"Learning curves of what comes before targets ({', '.join(how)})"
        found.append(_table(f"curves-before-{number}", title, "trained on", _before(members, chains), read))
    without = sum(not curve.dev and not curve.loss for curve in known.values())
    stages = f"{without} train stage{'' if without == 1 else 's'}"
    notes = [
        f"no learning curves of {stages}: there is neither {LOG} nor a dev evaluation, as of text alone, or where an "
        "older version trained, and results were exported"
    ] * bool(without)
    return [table for table in found if table is not None], notes


def _of_target(block: Block, chains: Chains) -> list[_Panel]:
    """The stages that trained the target: those that were evaluated."""
    found = []
    for system in block.systems if block.setting.train_languages else ():
        about = {**block.names(system), "baseline": system == block.baseline}
        panel = _Panel(block.name(system), block.cell(system), about)
        for seed, run in block.runs[system].items():
            last = _trained(run.cell.stage, chains)[:1]
            if last:
                panel.stages[seed] = last[0]
        found.append(panel)
    return found


def _before(blocks: Sequence[Block], chains: Chains) -> list[_Panel]:
    """The other train stages of all chains, each once: seeds of the same settings beside one another."""
    found: dict[str, _Panel] = {}
    for block in blocks:
        own = 1 if block.setting.train_languages else 0
        for system in block.systems:
            for seed, run in block.runs[system].items():
                for stage in _trained(run.cell.stage, chains)[own:]:
                    panel = found.setdefault(
                        digest_of(chains.settings(stage)), _named(stage, block, system, chains)
                    )
                    panel.stages.setdefault(seed, stage)
    return list(found.values())


def _named(stage: str, block: Block, system: System, chains: Chains) -> _Panel:
    tasks = [str((chains.record(one) or {})["task"]) for one in (stage, *_trained(stage, chains))]
    named = block.names(system)
    about: dict[str, Value] = {name: named[name] for name in ("base", "mode", "precision")}
    return _Panel(" after ".join(tasks), block.cell(system), {**about, "baseline": False})


def _trained(stage: str, chains: Chains) -> list[str]:
    """The train stages before a stage, the last one first."""
    return [
        name
        for name, record in reversed(chains.history(stage))
        if record["kind"] == "train" and name != stage
    ]


def _table(name: str, title: str, first: str, panels: Sequence[_Panel], read: Read) -> Table | None:
    """None where no stage left a curve."""
    rows: list[tuple[Shown, ...]] = []
    records: list[dict[str, Value]] = []
    every: list[Curve] = []
    for panel in panels:
        known = {seed: read(stage) for seed, stage in panel.stages.items()}
        known = {seed: curve for seed, curve in known.items() if curve.dev or curve.loss}
        if not known:
            continue
        every += known.values()
        rows.append((text(panel.name), *(text(value, panel.cell) for value in _told(list(known.values())))))
        for seed, curve in known.items():
            records += _records(panel, seed, curve)
    if not rows:
        return None
    told = [_KEPT, *([_LOSS] if any(curve.loss for curve in every) else [])]
    told += [_NO_DEV] if any(not curve.dev and curve.kept is not None for curve in every) else []
    told += [_NO_LOSS] if any(not curve.loss for curve in every) else []
    return Table(name, "curves", title, (first, *_COLUMNS), tuple(rows), tuple(told), tuple(records))


def _told(curves: Sequence[Curve]) -> tuple[str, ...]:
    kept = [score for curve in curves for step, score in curve.dev if step == curve.kept]
    return (
        str(len(curves)),
        _each([curve.steps or None for curve in curves]),
        _each([curve.kept for curve in curves]),
        _mean(kept, 2),
        _mean([curve.dev[-1][1] for curve in curves if curve.dev], 2),
        _mean([curve.loss[0][1] for curve in curves if curve.loss], 3),
        _mean([curve.loss[-1][1] for curve in curves if curve.loss], 3),
    )


def _each(numbers: Sequence[int | None]) -> str:
    """Of each seed where they differ."""
    told = [UNKNOWN if one is None else str(one) for one in numbers]
    return told[0] if len(set(told)) == 1 else ", ".join(told)


def _mean(values: Sequence[float], digits: int) -> str:
    if not values:
        return UNKNOWN
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{spread}"


def _records(panel: _Panel, seed: int | None, curve: Curve) -> list[dict[str, Value]]:
    """A row a point."""
    return [
        {
            "of": panel.name,
            **panel.about,
            "cell": panel.cell,
            "seed": seed,
            "stage": curve.stage,
            "curve": kind,
            "step": step,
            "value": value,
            "kept": kind == "dev" and step == curve.kept,
        }
        for kind, points in (("dev", curve.dev), ("loss", curve.loss))
        for step, value in points
    ]
