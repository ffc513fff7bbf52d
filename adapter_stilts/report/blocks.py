"""What tables are made of: the systems of one setting, on the languages that all of them have, with their gains."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TypeAlias

from adapter_stilts.errors import DataError, UnknownNameError, UsageError
from adapter_stilts.io import digest_of
from adapter_stilts.report.chains import Chains, differing, told
from adapter_stilts.report.collect import Collection, Evaluated, Planned, System
from adapter_stilts.report.comparison import Resampled, Runs, resample
from adapter_stilts.report.counts import Counts
from adapter_stilts.report.intervals import Basis, Estimate
from adapter_stilts.report.matching import match
from adapter_stilts.report.resampling import RESAMPLES
from adapter_stilts.report.rows import NoRowsError, one_answer, score_counts
from adapter_stilts.report.scores import BASELINE, Setting, Spread, spread

Seeds: TypeAlias = dict["int | None", Evaluated]


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
        resampled: by system, of those whose rows could be read.
        notes: what is told of single stages.
    """

    setting: Setting
    baseline: System | None
    systems: tuple[System, ...]
    runs: Mapping[System, Seeds]
    languages: tuple[str, ...]
    left_out: Mapping[str, str]
    resampled: Mapping[System, Resampled]
    compared: frozenset[System]
    planned: int
    notes: tuple[str, ...] = field(default=())

    def name(self, system: System) -> str:
        """Its name in tables: what tells it from the others."""
        inters = [one for one in self.systems if one.inter == system.inter]
        parts = [system.inter]
        if system.combine != "continue":
            parts.append(system.combine)
        if len({one.limit for one in inters}) > 1:
            parts.append("all examples" if system.limit is None else f"first {system.limit}")
        return ", ".join(parts)

    def cell(self, system: System) -> str:
        """An id of it, the same in every report."""
        return f"cell-{digest_of([asdict(system), asdict(self.setting)])[:8]}"

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
        return Gain(value, seeds, self._estimate(system, seeds, chosen, basis))

    def _estimate(
        self, system: System, seeds: tuple[int | None, ...], languages: Sequence[str], basis: Basis
    ) -> Estimate | None:
        assert self.baseline is not None
        if system not in self.resampled or self.baseline not in self.resampled:
            return None
        ours, theirs = (self.resampled[one].of_seeds(seeds) for one in (system, self.baseline))
        found = ours.over(theirs)
        if basis == "seeds and examples" and len(seeds) > 1:
            return found.by_seeds(languages)
        return found.by_examples(languages)

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
        found: dict[str, str] = {}
        for seeds in self.runs.values():
            for run in seeds.values():
                found |= run.metrics.get("levels", {})
        return found


def blocks(
    collection: Collection, *, baseline: str = BASELINE, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Block, ...]:
    """The blocks of a store, in the order of its plans.

    Args:
        baseline: the intermediate entry that gains are over.
        resamples, seed: of the intervals.

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
    planned: dict[Setting, list[Planned]] = defaultdict(list)
    for cell in collection.planned:
        planned[cell.setting].append(cell)
    built = [
        _block(
            setting, of_setting[setting], len(planned[setting]), collection.chains, baseline, resamples, seed
        )
        for setting in planned
        if setting in of_setting
    ]
    return tuple(block for block in built if block is not None)


def _block(
    setting: Setting,
    found: Sequence[Evaluated],
    planned: int,
    chains: Chains,
    baseline: str,
    resamples: int,
    seed: int,
) -> Block | None:
    notes: list[str] = []
    runs: dict[System, Seeds] = {}
    for one in found:
        runs.setdefault(one.cell.system, {})[one.cell.seed] = one
    base = _baseline(baseline, runs, notes)
    systems = tuple(sorted(runs, key=lambda system: system != base))
    counted, refused = _counted(found, notes)
    runs = {
        system: kept
        for system in systems
        if (kept := {seed: run for seed, run in runs[system].items() if run.cell.stage not in refused})
    }
    if not runs:
        return None
    systems = tuple(system for system in systems if system in runs)
    base = base if base in runs else None
    languages, left_out = _languages([run for seeds in runs.values() for run in seeds.values()])
    if not languages:
        notes.append(f"{setting.target}: no language that all cells have; none is shown")
        return None
    compared = _compared(base, runs, chains, notes)
    wanted = _with_rows(runs, languages, counted)
    if not _same_examples(setting, wanted, languages, notes):
        wanted, compared = {}, frozenset()
    resampled = _resampled(setting, wanted, notes, resamples, seed)
    for seeds in runs.values():
        for run in seeds.values():
            if same := one_answer(run):
                notes.append(f"{run.cell.stage}: one answer to every example in {', '.join(same)}")
    return Block(
        setting, base, systems, runs, languages, left_out, resampled, compared, planned, tuple(notes)
    )


def _baseline(name: str, runs: Mapping[System, Seeds], notes: list[str]) -> System | None:
    found = [system for system in runs if system.inter == name]
    if len(found) > 1:
        told_ = ", ".join(f"{one.combine}, limit {one.limit}" for one in found)
        notes.append(f"several cells are {name!r} ({told_}): no gain over any of them")
        return None
    return found[0] if found else None


def _counted(
    found: Sequence[Evaluated], notes: list[str]
) -> tuple[dict[str, dict[str, Counts] | None], set[str]]:
    """Counts by stage and language, None of a stage without rows; and the stages that cannot be used."""
    counted: dict[str, dict[str, Counts] | None] = {}
    refused = set()
    for one in found:
        try:
            counted[one.cell.stage] = {language: score_counts(one, language) for language in one.languages}
        except NoRowsError as error:
            counted[one.cell.stage] = None
            notes.append(str(error))
        except DataError as error:
            refused.add(one.cell.stage)
            notes.append(f"{error}; left out ({one.cell.stage})")
    return counted, refused


def _languages(runs: Sequence[Evaluated]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Those that every run has and averages, and those that some run lacks, with its stage."""
    every = dict.fromkeys(language for run in runs for language in run.averaged)
    lacking = {
        language: next((run.cell.stage for run in runs if language not in run.averaged), None)
        for language in every
    }
    kept = tuple(language for language, stage in lacking.items() if stage is None)
    return kept, {language: stage for language, stage in lacking.items() if stage is not None}


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


def _with_rows(
    runs: Mapping[System, Seeds],
    languages: Sequence[str],
    counted: Mapping[str, dict[str, Counts] | None],
) -> dict[System, Runs]:
    """The counts of the systems that have rows in all seeds."""
    found: dict[System, Runs] = {}
    for system, seeds in runs.items():
        of_seeds = {seed: counted[run.cell.stage] for seed, run in seeds.items()}
        known = {
            seed: {language: rows[language] for language in languages}
            for seed, rows in of_seeds.items()
            if rows is not None
        }
        if len(known) == len(seeds):
            found[system] = known
    return found


def _same_examples(
    setting: Setting, wanted: Mapping[System, Runs], languages: Sequence[str], notes: list[str]
) -> bool:
    """Whether all were evaluated on the same examples; where not, it is noted."""
    runs = [run for of_seeds in wanted.values() for run in of_seeds.values()]
    try:
        for language in languages if runs else ():
            match([run[language] for run in runs])
    except UsageError as error:
        notes.append(f"{setting.target}: no gain: {error}")
        return False
    return True


def _resampled(
    setting: Setting, wanted: Mapping[System, Runs], notes: list[str], resamples: int, seed: int
) -> dict[System, Resampled]:
    """By system; none where an interval cannot be taken, which is noted."""
    if not wanted:
        return {}
    names = {str(number): system for number, system in enumerate(wanted)}
    try:
        found = resample(
            {name: wanted[system] for name, system in names.items()}, resamples=resamples, seed=seed
        )
    except UsageError as error:
        notes.append(f"{setting.target}: no interval: {error}")
        return {}
    return {names[name]: one for name, one in found.items()}
