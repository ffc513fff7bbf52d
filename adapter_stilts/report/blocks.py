"""What tables are made of: the systems of one setting, on the languages that all of them have, with their gains."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from adapter_stilts.errors import UnknownNameError
from adapter_stilts.io import digest_of
from adapter_stilts.report.chains import Chains, differing, told
from adapter_stilts.report.collect import Collection, Evaluated, System
from adapter_stilts.report.intervals import Basis, Estimate
from adapter_stilts.report.languages import BY, By
from adapter_stilts.report.measuring import Asked, Estimates, Seeds, levels_of, measure, shared_languages
from adapter_stilts.report.resampling import RESAMPLES
from adapter_stilts.report.scores import BASELINE, FULL, Setting, Spread, spread


@cache
def cell_id(system: System, setting: Setting) -> str:
    """An id of a system in a setting."""
    told_of = asdict(setting)
    if setting.averaged_steps is None:
        del told_of["averaged_steps"]  # as ids were before there were means
    return f"cell-{digest_of([asdict(system), told_of])[:8]}"


@dataclass(frozen=True)
class Gain:
    """A system's difference to the baseline, over the seeds that both have.

    Args:
        value: points, the mean over these seeds.
        estimate: the same with its interval; None where there are no rows to take one of.
    """

    value: float
    seeds: tuple[int | None, ...]
    estimate: Estimate | None


@dataclass(frozen=True, eq=False)
class Block:
    """The systems of one setting.

    Args:
        systems: of the finished cells, the baseline first.
        runs: by system and seed.
        languages: that all runs have and that are averaged.
        left_out: languages that some run has and that are not averaged, with the stage that lacks them.
        estimates: of gains, of the systems whose rows could be read.
        compared: systems whose target was trained and evaluated as the baseline's.
        planned: how many cells plans name.
    """

    setting: Setting
    baseline: System | None
    systems: tuple[System, ...]
    runs: Mapping[System, Seeds]
    languages: tuple[str, ...]
    left_out: Mapping[str, str]
    estimates: Estimates
    compared: frozenset[System]
    planned: int

    def name(self, system: System) -> str:
        """Its name in tables: what tells it from the others."""
        inters = [one for one in self.systems if one.inter == system.inter]
        parts = [system.inter]
        if system.combine != "continue":
            parts.append(system.combine)
        if len({one.limit for one in inters}) > 1:
            parts.append("all examples" if system.limit is None else f"first {system.limit}")
        return ", ".join(parts)

    def names(self, system: System) -> dict[str, str | int | None]:
        """What a row of numbers says that it is of."""
        setting = self.setting
        return {
            "base": setting.base,
            "mode": setting.mode,
            "precision": setting.precision,
            "inter": system.inter,
            "combine": system.combine,
            "inter_limit": system.limit,
            "target": setting.target,
        }

    def cell(self, system: System) -> str:
        """An id of it, the same in every report."""
        return cell_id(system, self.setting)

    def spread(self, system: System, languages: Sequence[str] | None = None) -> Spread:
        """Mean over languages, then mean and deviation over seeds."""
        chosen = self.languages if languages is None else languages
        return spread(
            {
                seed: math.fsum(run.score(language) for language in chosen) / len(chosen)
                for seed, run in self.runs[system].items()
            }
        )

    def gain(
        self, system: System, languages: Sequence[str] | None = None, basis: Basis = "seeds and examples"
    ) -> Gain | None:
        """The gain over the baseline; None of the baseline, and where the two have no seed in common.

        Args:
            basis: what its interval is over; of one seed it is over examples alone.
        """
        if self.baseline is None or system == self.baseline or system not in self.compared:
            return None
        ours, theirs = self.runs[system], self.runs[self.baseline]
        seeds = tuple(seed for seed in ours if seed in theirs)
        chosen = self.languages if languages is None else tuple(languages)
        if not seeds or not chosen:
            return None
        differences = [
            ours[seed].score(language) - theirs[seed].score(language) for seed in seeds for language in chosen
        ]
        value = math.fsum(differences) / len(differences)
        over = basis if len(seeds) > 1 else "examples"
        return Gain(value, seeds, self.estimates.get((system, chosen, over)))

    def examples(self, languages: Sequence[str] | None = None) -> int:
        """Examples of the test sets of some languages, added up."""
        some = next(iter(self.runs[self.systems[0]].values()))
        counted = some.metrics["counts"]
        return sum(int(counted.get(one, 0)) for one in (self.languages if languages is None else languages))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Of which the score is the mean."""
        some = next(iter(self.runs[self.systems[0]].values()))
        return tuple(some.metrics["languages"][self.languages[0]])

    @property
    def finished(self) -> int:
        return sum(len(seeds) for seeds in self.runs.values())

    @property
    def levels(self) -> Mapping[str, str]:
        """Resource levels that the evaluations themselves tell, by language."""
        return levels_of(self.runs)


def blocks(
    collection: Collection,
    *,
    baseline: str = BASELINE,
    by: Sequence[By] = BY,
    resamples: int = RESAMPLES,
    seed: int = 0,
    cache: Path | None = None,
) -> tuple[tuple[Block, ...], tuple[str, ...]]:
    """The blocks of a store, and what is told of them and of those that there are not.

    Those of full fine-tuning come first, then as plans have them.

    Args:
        baseline: the intermediate entry that gains are over.
        by: groupings of languages that gains have an interval in.
        resamples, seed: of the intervals.
        cache: folder of intervals that were computed before; None computes them.

    Raises:
        UnknownNameError: no cell has the baseline's name.
        DataError, UsageError: see `score_counts`.
    """
    inters = list(dict.fromkeys(cell.system.inter for cell in collection.planned))
    if baseline != BASELINE and baseline not in inters:
        raise UnknownNameError("intermediate entry", baseline, inters, "--baseline takes one of the store's.")
    of_setting: dict[Setting, list[Evaluated]] = defaultdict(list)
    for one in collection.found:
        of_setting[one.cell.setting].append(one)
    planned = Counter(cell.setting for cell in collection.planned)
    asked = Asked(tuple(by), resamples, seed)
    built = [
        _block(setting, of_setting[setting], count, collection.chains, baseline, asked, cache)
        for setting, count in sorted(planned.items(), key=lambda item: item[0].mode != FULL)
        if setting in of_setting
    ]
    notes = dict.fromkeys(note for _, told_ in built for note in told_)
    return tuple(block for block, _ in built if block is not None), tuple(notes)


def _block(
    setting: Setting,
    found: Sequence[Evaluated],
    planned: int,
    chains: Chains,
    baseline: str,
    asked: Asked,
    cache: Path | None,
) -> tuple[Block | None, list[str]]:
    notes: list[str] = []
    runs: dict[System, Seeds] = {}
    for one in found:
        runs.setdefault(one.cell.system, {})[one.cell.seed] = one
    base = _baseline(baseline, runs, notes)
    systems = tuple(sorted(runs, key=lambda system: system != base))
    runs = {system: runs[system] for system in systems}
    measured = measure(runs, base, asked, cache)
    notes += measured.notes
    runs = {
        system: kept
        for system in systems
        if (
            kept := {
                seed: run for seed, run in runs[system].items() if run.cell.stage not in measured.refused
            }
        )
    }
    if not runs:
        return None, notes
    systems = tuple(runs)
    base = base if base in runs else None
    languages, left_out = shared_languages(runs)
    if not languages:
        notes.append(f"{setting.target}: no language that all cells have; none is shown")
        return None, notes
    compared = _compared(base, runs, chains, notes) if measured.alike else frozenset()
    block = Block(setting, base, systems, runs, languages, left_out, measured.estimates, compared, planned)
    return block, notes


def _baseline(name: str, runs: Mapping[System, Seeds], notes: list[str]) -> System | None:
    found = [system for system in runs if system.inter == name]
    if len(found) > 1:
        told_ = ", ".join(f"{one.combine}, limit {one.limit}" for one in found)
        notes.append(f"several cells are {name!r} ({told_}): no gain over any of them")
        return None
    return found[0] if found else None


def _compared(
    base: System | None, runs: Mapping[System, Seeds], chains: Chains, notes: list[str]
) -> frozenset[System]:
    """The systems whose target was trained and evaluated as the baseline's was."""
    if base is None:
        return frozenset()
    known = next(iter(runs[base].values())).cell.stage
    compared = set()
    for system, seeds in runs.items():
        stage = next(iter(seeds.values())).cell.stage
        unlike = _target_differences(chains, known, stage)
        if unlike:
            notes.append(
                f"{stage} and its baseline {known} are of unlike settings ({told(unlike)}): no gain; name one plan "
                "with --plan"
            )
        else:
            compared.add(system)
    return frozenset(compared)


def _target_differences(chains: Chains, one: str, other: str) -> dict[str, tuple[object, object]]:
    return differing(chains.target_settings(one), chains.target_settings(other))
