"""Two cells against each other on one target: language by language and in all, on the same examples."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapter_stilts.errors import DataError, UnknownNameError, UsageError
from adapter_stilts.report.chains import Chains, differing, told
from adapter_stilts.report.collect import REPAIR, Collection, Evaluated, System, collect, damage_of
from adapter_stilts.report.comparison import Resampled, Runs, resample
from adapter_stilts.report.counts import Counts
from adapter_stilts.report.intervals import Estimate
from adapter_stilts.report.multiplicity import holm
from adapter_stilts.report.resampling import RESAMPLES
from adapter_stilts.report.rows import score_counts
from adapter_stilts.report.scores import Setting
from adapter_stilts.report.tables import ALPHA, STAR, Shown, Table, Value, text

ALL, ANEW = "all", "all, trained anew"
_SEED = re.compile(r"seeds?[ =]*(\d+)")


@dataclass(frozen=True)
class Named:
    """A system in a setting, with its seeds."""

    system: System
    setting: Setting
    runs: Mapping[int | None, Evaluated]

    @property
    def told(self) -> str:
        """Its whole name, by which it can be asked for."""
        setting, some = self.setting, next(iter(self.runs.values()))
        parts = [some.cell.label, setting.mode, setting.precision, setting.base]
        if self.system.combine != "continue":
            parts.insert(1, self.system.combine)
        parts += [f"{of} limit {limit}" for of, limit in self.limits.items() if limit is not None]
        parts += [] if setting.averaged_steps is None else [f"average {setting.averaged_steps}"]
        parts += [self.dev] if setting.dev not in (None, ("en",)) else []
        return ", ".join([*parts, *([setting.split] if setting.split != "test" else [])])

    @property
    def dev(self) -> str:
        """Which dev split chose the checkpoint."""
        return f"dev {'+'.join(self.setting.dev or ()) or 'none'}"

    @property
    def parts(self) -> frozenset[str]:
        """The parts of its whole name."""
        return frozenset(part.strip().lower() for part in self.told.split(","))

    @property
    def limits(self) -> Mapping[str, int | None]:
        """First examples taken alone, by the section of a recipe that says so."""
        setting = self.setting
        return {
            "intermediate": self.system.limit,
            "target": setting.target_limit,
            "evaluation": setting.evaluation_limit,
        }

    @property
    def label(self) -> frozenset[str]:
        """The parts of its name among the cells of its target."""
        some = next(iter(self.runs.values()))
        return frozenset(part.strip().lower() for part in some.cell.label.split(","))

    @property
    def answers_to(self) -> frozenset[str]:
        """All parts of names that mean it."""
        plain = {"average none"} if self.setting.averaged_steps is None else set()
        plain |= {f"limit {limit}" for limit in self.limits.values() if limit is not None}
        plain |= {f"{of} limit none" for of, limit in self.limits.items() if limit is None}
        plain |= {"limit none"} if set(self.limits.values()) == {None} else set()
        return self.label | self.parts | plain | {self.dev, self.setting.split}


@dataclass(frozen=True)
class Compared:
    """What is known of a difference.

    Args:
        a, b: scores in percent, the means over the seeds of both.
        p_holm: adjusted over the languages; None of all languages together.
    """

    language: str
    a: float
    b: float
    estimate: Estimate
    p_holm: float | None

    @property
    def holds(self) -> bool:
        return (self.estimate.p_value if self.p_holm is None else self.p_holm) < ALPHA


def compare(
    store: str | Path,
    a: str,
    b: str,
    target: str,
    *,
    plans: Sequence[str | Path] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Table:
    """A cell less another on a target, as a table.

    Args:
        a, b: names in parts with commas between: the intermediate entry, and as much of mode, precision, encoder,
            combination, limit, ``average 10`` (or ``none``) and ``seed 0`` as tells it from the others.
        plans: files in the store's folder ``plans``, or the first digits of their names; all where none is named.
        resamples, seed: of the intervals.

    Raises:
        UnknownNameError: no cell has the name, or none has the target.
        UsageError: several have the name, or the two have no seed, language or example in common, or were evaluated on
            other data.
        DataError: rows are missing or damaged.
    """
    found = collect(store, plans)
    one, other = (_resolve(found, name, target) for name in (a, b))
    if (one.system, one.setting) == (other.system, other.setting):
        raise UsageError(f"{a!r} and {b!r} are the same cell: {one.told}")
    seeds = tuple(each for each in one.runs if each in other.runs)
    if not seeds:
        raise UsageError(
            f"{one.told} has seeds {_seeds(one)}, and {other.told} has seeds {_seeds(other)}: a difference is taken "
            "within each, run one that both have"
        )
    languages = _languages([named.runs[each] for named in (one, other) for each in seeds], target)
    _check_data(found.chains, one, other, seeds, languages)
    counted: dict[str, Runs] = {
        name: {each: _counts(named.runs[each], languages) for each in seeds}
        for name, named in (("a", one), ("b", other))
    }
    drawn = resample(counted, resamples=resamples, seed=seed)
    return _table(found, (one, other), languages, _all_compared(drawn, languages))


def _all_compared(drawn: Mapping[str, Resampled], languages: Sequence[str]) -> list[Compared]:
    """By language over examples, then in all: over examples, and where there are several seeds over these, too."""
    difference = drawn["a"].over(drawn["b"])

    def score(name: str, chosen: Sequence[str]) -> float:
        columns = [drawn[name].languages.index(language) for language in chosen]
        return float(drawn[name].observed[:, columns].mean())

    rows = {language: (language,) for language in languages} | {ALL: tuple(languages)}
    estimates = {name: difference.by_examples(chosen) for name, chosen in rows.items()}
    if len(difference.seeds) > 1:
        rows[ANEW] = tuple(languages)
        estimates[ANEW] = difference.by_seeds(languages)
    p_values = holm({name: estimates[name].p_value for name in languages})
    return [
        Compared(name, score("a", chosen), score("b", chosen), estimates[name], p_values.get(name))
        for name, chosen in rows.items()
    ]


def _counts(run: Evaluated, languages: Sequence[str]) -> dict[str, Counts]:
    if damage := damage_of(run.directory):
        raise DataError(run.directory, None, f"{damage}: {REPAIR}")
    return {language: score_counts(run, language) for language in languages}


def _check_data(
    chains: Chains, one: Named, other: Named, seeds: Sequence[int | None], languages: Sequence[str]
) -> None:
    """Raises UsageError where two were evaluated on other data: their rows may be numbered alike, and are no pairs."""
    for seed in seeds:
        stages = [named.runs[seed].cell.stage for named in (one, other)]
        ours, theirs = ((chains.record(stage) or {"part": {}})["part"].get("data", {}) for stage in stages)
        unlike = [each for each in languages if ours.get(each) != theirs.get(each)]
        if unlike or one.setting.split != other.setting.split:
            raise UsageError(
                f"{one.told} and {other.told} were evaluated on other data in {', '.join(unlike or languages)} "
                f"({' and '.join(stages)}): their examples are no pairs; compare evaluations of one split and test set"
            )


def _languages(runs: Sequence[Evaluated], target: str) -> tuple[str, ...]:
    """Those that all runs have a score in."""
    found = tuple(one for one in runs[0].averaged if all(one in run.averaged for run in runs))
    if not found:
        parts = "; ".join(f"{run.cell.stage} has {', '.join(run.averaged)}" for run in runs)
        raise UsageError(f"{target}: no language in common: {parts}")
    return found


def _resolve(found: Collection, name: str, target: str) -> Named:
    """The one system that a name means.

    Raises:
        UnknownNameError: none, or none of the target.
        UsageError: several.
    """
    targets = list(dict.fromkeys(one.cell.setting.target for one in found.found))
    if target not in targets:
        raise UnknownNameError("target of the store", target, targets)
    runs: dict[tuple[System, Setting], dict[int | None, Evaluated]] = {}
    for one in found.found:
        if one.cell.setting.target == target:
            runs.setdefault((one.cell.system, one.cell.setting), {})[one.cell.seed] = one
    named = [Named(system, setting, seeds) for (system, setting), seeds in runs.items()]
    parts = [part.strip().lower() for part in name.split(",") if part.strip()]
    seeds = [int(match[1]) for part in parts if (match := _SEED.fullmatch(part))]
    asked = {part for part in parts if not _SEED.fullmatch(part)}
    fitting = [one for one in named if asked <= one.answers_to]
    # A label that is named whole comes before one of which only a part is; so does the whole name of a cell.
    fitting = [one for one in fitting if one.label <= asked] or fitting
    fitting = [one for one in fitting if one.parts <= asked] or fitting
    if seeds and fitting:
        narrowed = [
            Named(one.system, one.setting, {each: one.runs[each] for each in one.runs if each in seeds})
            for one in fitting
        ]
        if not any(one.runs for one in narrowed):
            has = "; ".join(f"{one.told} has seeds {_seeds(one)}" for one in fitting)
            raise UsageError(f"no cell of {target} is {name!r}: {has}")
        fitting = [one for one in narrowed if one.runs]
    if not fitting:
        raise _unknown(name, asked, named, target, found.notes)
    if len(fitting) > 1:
        raise UsageError(
            f"{name!r} means {len(fitting)} cells of {target}; say more of one: "
            f"{'; '.join(one.told for one in fitting)}"
        )
    return fitting[0]


def _unknown(
    name: str, asked: set[str], named: Sequence[Named], target: str, notes: Sequence[str]
) -> UsageError:
    """Which part of a name nothing answers to; or that no cell answers to all of them.

    Args:
        notes: of the collection; what it left out of this target may be what was meant.
    """
    about = [note for note in notes if target in note]
    cells = f"Cells of {target}: {'; '.join(one.told for one in named)}."
    cells += f" Left out: {'; '.join(about)}." if about else ""
    parts = list(dict.fromkeys(part for one in named for part in one.told.lower().split(", ")))
    for part in sorted(asked):
        if not any(part in one.answers_to for one in named):
            return UnknownNameError(f"part of {name!r}", part, parts, cells)
    return UsageError(f"no cell of {target} is {name!r}. {cells}")


def _seeds(named: Named) -> str:
    return ", ".join(str(seed) for seed in named.runs)


def _table(
    found: Collection, sides: tuple[Named, Named], languages: Sequence[str], rows: Sequence[Compared]
) -> Table:
    one, other = sides
    whole = rows[-1].estimate
    differences = differing(*(found.chains.settings(_some(named).cell.stage) for named in sides))
    captions = [
        f"a: {one.told}.",
        f"b: {other.told}.",
        *_intervals(whole),
        f"Seeds in common: {whole.seeds}.",
        f"{STAR} Holds at {100 * ALPHA:g} %; of a language after Holm's adjustment over the {len(languages)}.",
    ]
    taught = [_some(named).cell.taught for named in sides]
    if taught[0] != taught[1]:
        ways = "; ".join(
            f"{name} {way or 'in English alone'}" for name, way in zip("ab", taught, strict=True)
        )
        captions.append(f"The target was taught in unlike ways, which the difference holds as well: {ways}.")
    if differences:
        captions.append(f"Where both have a setting, they differ in: {told(differences)}.")
    shown = [
        (
            text(row.language),
            text(f"{row.a:.2f}"),
            text(f"{row.b:.2f}"),
            _difference(row),
            text(_p_value(row.estimate.p_value)),
            text("" if row.p_holm is None else _p_value(row.p_holm)),
            text(str(row.estimate.examples)),
        )
        for row in rows
    ]
    target = one.setting.target
    return Table(
        "compare",
        "compare",
        f"{target}: a less b, in points",
        ("language", "a", "b", "difference", "p", "p, Holm", "examples"),
        tuple(shown),
        tuple(captions),
        tuple(_record(row, target) for row in rows),
    )


def _intervals(whole: Estimate) -> list[str]:
    percent = f"{100 * whole.interval.level:g} %"
    told = [f"The {percent} interval is over examples: these models, other examples."]
    if whole.seeds == 1:
        return [*told, "Of one seed, it makes no claim about others."]
    return [*told, f"In {ANEW!r} it is over seeds and examples: models trained anew, other examples."]


def _some(named: Named) -> Evaluated:
    return next(iter(named.runs.values()))


def _difference(row: Compared) -> Shown:
    interval = row.estimate.interval
    star = STAR if row.holds else ""
    told_ = f"{row.estimate.value:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]{star}"
    return Shown((told_,), (1 if row.estimate.value > 0 else -1) if row.holds else 0)


def _p_value(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _record(row: Compared, target: str) -> dict[str, Value]:
    interval = row.estimate.interval
    return {
        "target": target,
        "language": row.language,
        "a": row.a,
        "b": row.b,
        "difference": row.estimate.value,
        "low": interval.low,
        "high": interval.high,
        "level": interval.level,
        "interval": interval.basis,
        "p_value": row.estimate.p_value,
        "p_holm": row.p_holm,
        "holds": row.holds,
        "seeds": row.estimate.seeds,
        "examples": row.estimate.examples,
    }
