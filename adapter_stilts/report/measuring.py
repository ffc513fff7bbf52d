"""What rows tell of the systems of one setting: which evaluations can be used, and the intervals of gains.

Rows are read, resampled and let go, setting after setting, so that a large store takes no more memory than its largest
setting. What came of them is kept in a folder by the digests of all that it was computed from.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from adapter_stilts.errors import AdapterStiltsError, DataError, UsageError
from adapter_stilts.io import DIGESTS, digest_of, sha256_file, write_json
from adapter_stilts.report.collect import REPAIR, Evaluated, System, damage_of
from adapter_stilts.report.comparison import Resampled, Runs, resample
from adapter_stilts.report.counts import Counts
from adapter_stilts.report.intervals import Basis, Estimate, Interval
from adapter_stilts.report.languages import By, groups_of
from adapter_stilts.report.matching import match
from adapter_stilts.report.rows import NoRowsError, one_answer, score_counts
from adapter_stilts.version import __version__

Seeds: TypeAlias = dict["int | None", Evaluated]
Estimates: TypeAlias = "Mapping[tuple[System, tuple[str, ...], Basis], Estimate]"
"""Of gains over the baseline, over the seeds that both have: by system, languages and what the interval is over."""

SCHEMA = 2
"""Of what is kept; another where other numbers come of the same rows."""
KEPT = 500
"""Files in the folder; the oldest go."""


@dataclass(frozen=True)
class Asked:
    """What intervals are asked for.

    Args:
        by: groupings of languages, beside the mean over all.
    """

    by: tuple[By, ...]
    resamples: int
    seed: int


@dataclass(frozen=True)
class Measured:
    """What came of the rows.

    Args:
        refused: stages that cannot be used.
        alike: whether all were evaluated on the same examples.
    """

    refused: frozenset[str]
    alike: bool
    notes: tuple[str, ...]
    estimates: Estimates


def measure(runs: Mapping[System, Seeds], base: System | None, asked: Asked, cache: Path | None) -> Measured:
    """Intervals of the gains over a baseline, read from the cache or computed.

    Args:
        runs: the baseline's first.
        base: the baseline; None where there is none.
        cache: folder of what was computed before; None computes.
    """
    key = None if cache is None else _key(runs, base, asked)
    if cache is None or key is None:
        return _computed(runs, base, asked)
    path = cache / f"{key}.json"
    found = _read(path, list(runs))
    if found is None:
        found = _computed(runs, base, asked)
        if not found.refused:  # whose notes tell paths
            _keep(path, found, list(runs))
    return found


def shared_languages(runs: Mapping[System, Seeds]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Languages that every run has and averages, and those that some run lacks, with its stage."""
    every = [run for seeds in runs.values() for run in seeds.values()]
    names = dict.fromkeys(language for run in every for language in run.averaged)
    lacking = {
        language: next((run.cell.stage for run in every if language not in run.averaged), None)
        for language in names
    }
    kept = tuple(language for language, stage in lacking.items() if stage is None)
    return kept, {language: stage for language, stage in lacking.items() if stage is not None}


def levels_of(runs: Mapping[System, Seeds]) -> dict[str, str]:
    """Resource levels that evaluations themselves tell, by language."""
    found: dict[str, str] = {}
    for seeds in runs.values():
        for run in seeds.values():
            found |= run.metrics.get("levels", {})
    return found


def _computed(runs: Mapping[System, Seeds], base: System | None, asked: Asked) -> Measured:
    counted, refused, notes = _counted([run for seeds in runs.values() for run in seeds.values()])
    usable = {
        system: {seed: run for seed, run in seeds.items() if run.cell.stage not in refused}
        for system, seeds in runs.items()
    }
    usable = {system: seeds for system, seeds in usable.items() if seeds}
    languages, _ = shared_languages(usable)
    wanted = _with_rows(usable, languages, counted)
    target = next(iter(next(iter(runs.values())).values())).cell.setting.target
    why = _unlike(wanted, languages)
    if why is not None:
        notes.append(f"{target}: no gain: {why}")
    estimates: dict[tuple[System, tuple[str, ...], Basis], Estimate] = {}
    if why is None and languages and base in wanted:
        try:
            estimates = _estimates(wanted, base, groups(languages, levels_of(usable), asked.by), asked)
        except UsageError as error:
            notes.append(f"{target}: no interval: {error}")
    for seeds in usable.values():
        for run in seeds.values():
            if same := one_answer(run):
                notes.append(f"{run.cell.stage}: one answer to every example in {', '.join(same)}")
    return Measured(frozenset(refused), why is None, tuple(notes), estimates)


def groups(languages: tuple[str, ...], levels: Mapping[str, str], by: Iterable[By]) -> list[tuple[str, ...]]:
    """All languages, then those of each group that is asked for, each once."""
    found = dict.fromkeys([languages])
    for kind in by:
        found |= dict.fromkeys(groups_of(kind, languages, levels).values())
    return list(found)


def _counted(
    found: Sequence[Evaluated],
) -> tuple[dict[str, dict[str, Counts] | None], set[str], list[str]]:
    """Counts by stage and language, None of a stage without rows; the stages that cannot be used; notes."""
    counted: dict[str, dict[str, Counts] | None] = {}
    refused = set()
    notes = []
    without: dict[str, list[str]] = {}
    for one in found:
        damage = damage_of(one.directory)
        if damage is not None:
            refused.add(one.cell.stage)
            notes.append(f"{one.cell.stage} ({one.cell.told}): {damage}; left out: {REPAIR}")
            continue
        try:
            counted[one.cell.stage] = {language: score_counts(one, language) for language in one.languages}
        except NoRowsError as error:
            counted[one.cell.stage] = None
            without.setdefault(error.why, []).append(one.cell.stage)
        except DataError as error:
            refused.add(one.cell.stage)
            notes.append(f"{error}; left out ({one.cell.stage})")
    for why, stages in without.items():
        more = f" and {len(stages) - 1} more of its target and mode" if len(stages) > 1 else ""
        notes.append(f"{stages[0]}{more}: {why}")
    return counted, refused, notes


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


def _unlike(wanted: Mapping[System, Runs], languages: Sequence[str]) -> str | None:
    """Why not all were evaluated on the same examples; None where they were."""
    runs = [run for of_seeds in wanted.values() for run in of_seeds.values()]
    try:
        for language in languages if runs else ():
            match([run[language] for run in runs])
    except UsageError as error:
        return str(error)
    return None


def _estimates(
    wanted: Mapping[System, Runs], base: System, chosen: Sequence[tuple[str, ...]], asked: Asked
) -> dict[tuple[System, tuple[str, ...], Basis], Estimate]:
    """Over examples of each group; of all languages, which come first, also over seeds where there are several.

    Raises:
        UsageError: no interval can be taken of these examples.
    """
    found: dict[tuple[System, tuple[str, ...], Basis], Estimate] = {}
    for system, difference in _differences(wanted, base, asked):
        for languages in chosen:
            found[system, languages, "examples"] = difference.by_examples(languages)
        if len(difference.seeds) > 1:
            found[system, chosen[0], "seeds and examples"] = difference.by_seeds(chosen[0])
    return found


def _differences(
    wanted: Mapping[System, Runs], base: System, asked: Asked
) -> Iterator[tuple[System, Resampled]]:
    """Each system less the baseline, over the seeds that both have; without those that have none in common.

    Drawing takes most of the time, and is done once for all where all have the same examples. Of mining each pair has
    its own: alone it has the interval that a comparison of the two tells.
    """
    others = [system for system in wanted if system != base]
    complete = all(
        counts.complete for runs in wanted.values() for run in runs.values() for counts in run.values()
    )
    groups = [others] if complete and others else [[system] for system in others]
    for group in groups:
        runs = {str(number): wanted[system] for number, system in enumerate((base, *group))}
        if not complete:
            seeds = [seed for seed in runs["0"] if seed in runs["1"]]
            runs = {name: {seed: of_seeds[seed] for seed in seeds} for name, of_seeds in runs.items()}
            if not seeds:
                continue
        resampled = resample(runs, resamples=asked.resamples, seed=asked.seed)
        for number, system in enumerate(group, start=1):
            difference = _difference(resampled[str(number)], resampled["0"])
            if difference is not None:
                yield system, difference


def _difference(ours: Resampled, theirs: Resampled) -> Resampled | None:
    """Over the seeds that both have; None where there is none."""
    seeds = [seed for seed in ours.seeds if seed in theirs.seeds]
    return ours.of_seeds(seeds).over(theirs.of_seeds(seeds)) if seeds else None


def _key(runs: Mapping[System, Seeds], base: System | None, asked: Asked) -> str | None:
    """The digest of all that intervals are computed from; None where an evaluation has no digests."""
    stages = []
    for seeds in runs.values():
        for seed, run in seeds.items():
            seal = run.directory / DIGESTS
            if not seal.is_file():
                return None
            stages.append([asdict(run.cell.system), seed, run.cell.stage, sha256_file(seal)])
    told = [SCHEMA, __version__, asdict(asked), None if base is None else asdict(base), stages]
    return digest_of(told)


def _read(path: Path, systems: Sequence[System]) -> Measured | None:
    """What is kept; None where there is nothing, or nothing that can be read."""
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        estimates: dict[tuple[System, tuple[str, ...], Basis], Estimate] = {}
        for place, languages, basis, estimate in told["estimates"]:
            interval = Interval(**estimate.pop("interval"))
            estimates[systems[place], tuple(languages), basis] = Estimate(interval=interval, **estimate)
        return Measured(frozenset(), bool(told["alike"]), tuple(told["notes"]), estimates)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None


def _keep(path: Path, found: Measured, systems: Sequence[System]) -> None:
    """Write it for the next time; where that cannot be, it is computed again."""
    rows = [
        [systems.index(system), languages, basis, asdict(estimate)]
        for (system, languages, basis), estimate in found.estimates.items()
    ]
    with contextlib.suppress(OSError, AdapterStiltsError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"alike": found.alike, "notes": list(found.notes), "estimates": rows})
        every = sorted(path.parent.glob("*.json"), key=lambda one: -one.stat().st_mtime)
        for old in every[KEPT:]:
            old.unlink(missing_ok=True)
