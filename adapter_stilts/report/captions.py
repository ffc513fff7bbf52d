"""What stands below a table: which interval is shown and why, and all that limits what it says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from adapter_stilts.evaluation.membership import BENCHMARKS
from adapter_stilts.report.blocks import Block, Gain
from adapter_stilts.report.intervals import Estimate, least_p_value
from adapter_stilts.report.scores import Setting
from adapter_stilts.report.tables import ALPHA, FEW, STAR
from adapter_stilts.tasks.base import language_names

METRICS = {"exact_match+f1": "the mean of exact match and F1"}
SHOWN_LANGUAGES = 12
_SILENT = "It makes no claim about training with other seeds."


def interval(
    gains: Sequence[Gain | None],
    baseline: str,
    resamples: int,
    holding: int,
    together: int | None = None,
) -> list[str]:
    """Which interval stands behind the gains, and why.

    Args:
        holding: how many gains have a star.
        together: how many gains are adjusted together, where it is not all of them.
    """
    known = [gain for gain in gains if gain is not None]
    if not known:
        return [f"No gain: no cell stands here beside one of {baseline} in the same setting and seed."]
    over = f"Gains over {baseline} of the same seed, in points"
    estimates = [gain.estimate for gain in known if gain.estimate is not None]
    if not estimates:
        return [f"{over}; no interval, for want of rows."]
    percent = f"{100 * estimates[0].interval.level:g} %"
    examples = f"the {percent} interval is over examples: these models, other examples (paired bootstrap)"
    seeds = f"the {percent} interval is over seeds and examples: models trained anew, other examples (Student's t)"
    bases = {estimate.interval.basis for estimate in estimates}
    if len(bases) > 1:
        told = [f"{over}; where both have several seeds, {seeds}.", f"{FEW} One seed: {examples}. {_SILENT}"]
    elif "examples" not in bases:
        told = [f"{over}; {seeds}."]
    elif all(estimate.seeds == 1 for estimate in estimates):
        told = [f"{over}; of one seed, {examples}. {_SILENT}"]
    else:
        told = [f"{over}; {examples}. {_SILENT} The means over languages tell that."]
    if any(estimate.seeds == 2 and estimate.interval.basis != "examples" for estimate in estimates):
        told.append(
            "Two seeds tell little of others, so that such an interval is wide: more make it narrower."
        )
    if len(estimates) < len(known):
        told.append("A gain without brackets has no interval, for want of rows.")
    return [*told, *_starred(estimates, resamples, holding, together)]


def least_of(estimates: Sequence[Estimate], resamples: int) -> float | None:
    """The least p-value that one of them could have; None where one is over seeds, which has no such bound."""
    if any(estimate.interval.basis != "examples" for estimate in estimates):
        return None
    return min((least_p_value(resamples, estimate.examples) for estimate in estimates), default=None)


def _starred(estimates: Sequence[Estimate], resamples: int, holding: int, together: int | None) -> list[str]:
    """What a star says."""
    number = together or len(estimates)
    where = "of this table" if together is None else "of a column"
    adjusted = f"at {100 * ALPHA:g} %"
    if number > 1:
        adjusted += f" after Holm's adjustment over the {number} gains {where}"
    told = [f"{STAR} A gain that holds {adjusted}." if holding else f"No gain holds {adjusted}."]
    least = least_of(estimates, resamples)
    if least is not None and least * number >= ALPHA:
        told.append(
            f"With {resamples:,} resamples of these examples no p-value is below {least:.2g}, so that few or none of "
            f"{number} can have a star: raise --resamples."
        )
    return told


def seeds(blocks: Iterable[Block]) -> str:
    """The seeds in force; where cells have not the same ones, which have how many."""
    numbers: dict[tuple[int | None, ...], int] = {}
    for block in blocks:
        for runs in block.runs.values():
            key = tuple(sorted(runs, key=lambda seed: (seed is None, seed or 0)))
            numbers[key] = numbers.get(key, 0) + 1
    if len(numbers) == 1:
        (only,) = numbers
        return f"Seed{'s' if len(only) > 1 else ''} {_told(only)}."
    parts = [f"{_told(key)} in {count}" for key, count in sorted(numbers.items(), key=lambda item: -item[1])]
    return f"Unlike seeds, by number of cells: {'; '.join(parts)}. A gain is over the seeds that both have."


def scores(blocks: Sequence[Block]) -> str:
    """What the numbers are."""
    metrics: dict[str, list[str]] = {}
    for block in blocks:
        name = "+".join(sorted(block.metrics))
        metrics.setdefault(METRICS.get(name, name.replace("+", " and ")), []).append(block.setting.target)
    if len(metrics) == 1:
        return f"Score: {next(iter(metrics))} in percent, ± the deviation over seeds."
    parts = "; ".join(f"{name} of {', '.join(dict.fromkeys(targets))}" for name, targets in metrics.items())
    return f"Scores in percent, ± the deviation over seeds: {parts}."


def settings(found: Sequence[Setting]) -> list[str]:
    """Limits, splits and the dev language, so that no part of a test set passes for the whole."""
    told = []
    limits = sorted({one.target_limit for one in found if one.target_limit is not None})
    if limits:
        told.append(f"Targets trained on the first {' or '.join(map(str, limits))} examples.")
    limits = sorted({one.evaluation_limit for one in found if one.evaluation_limit is not None})
    if limits:
        told.append(f"Partial test sets: the first {' or '.join(map(str, limits))} examples of a language.")
    splits = dict.fromkeys(one.split for one in found)
    if list(splits) != ["test"]:
        told.append(f"Scores on {' and '.join(splits)}.")
    chosen: dict[str, list[str]] = {}
    for one in found:
        chosen.setdefault(_dev(one), []).append(one.target)
    parts = [
        name if len(chosen) == 1 else f"{name} ({', '.join(dict.fromkeys(targets))})"
        for name, targets in chosen.items()
    ]
    sentence = "; ".join(parts)
    return [*told, f"{sentence[0].upper()}{sentence[1:]}."]


def _dev(setting: Setting) -> str:
    if setting.averaged_steps is not None:
        return f"mean of the weights at {setting.averaged_steps} steps of each run, none chosen on dev"
    if setting.dev is None:
        return "no checkpoint chosen on the target"
    if not setting.dev:
        return "last checkpoint, for want of a dev split"
    return f"checkpoint chosen on {language_names(setting.dev)} dev"


def languages(block: Block) -> list[str]:
    """How many languages are averaged, and which are missing."""
    told = []
    runs = [run for of_seeds in block.runs.values() for run in of_seeds.values()]
    missing = dict.fromkeys(language for run in runs for language in run.missing)
    target = block.setting.target
    if missing:
        told.append(f"{target}: without {_some(list(missing))}, which were not evaluated.")
    if block.left_out:
        parts = [f"{language} (not in {stage})" for language, stage in block.left_out.items()]
        told.append(f"{target}: averaged over what all cells have, without {', '.join(parts)}.")
    for benchmark in BENCHMARKS.values():
        wanted = benchmark.languages.get(target, ())
        held = set(wanted) & set(block.languages)
        # A constructed world has an English of its own, and others beside it that no benchmark has.
        if wanted and len(held) == len(block.languages) < len(wanted):
            told.append(f"{target}: {len(held)} of the {len(wanted)} languages of {benchmark.name}.")
            break
    return told


def finished(blocks: Iterable[Block]) -> list[str]:
    """How many of the planned cells are finished, where not all are."""
    found = list(blocks)
    done, planned = sum(block.finished for block in found), sum(block.planned for block in found)
    return [f"{done} of {planned} planned cells stand here."] if done < planned else []


def limits_before(found: Iterable[int | None]) -> list[str]:
    """The limit on intermediate train sets."""
    limits = sorted({limit for limit in found if limit is not None})
    return (
        [f"Intermediate tasks trained on the first {' or '.join(map(str, limits))} examples."]
        if limits
        else []
    )


def whole(blocks: Sequence[Block]) -> list[str]:
    """All but the interval: scores, settings, seeds, languages, what is finished."""
    told = [
        scores(blocks),
        seeds(blocks),
        *settings([block.setting for block in blocks]),
        *limits_before(system.limit for block in blocks for system in block.systems),
        *(sentence for block in blocks for sentence in languages(block)),
        *finished(blocks),
    ]
    return list(dict.fromkeys(told))


def _told(found: Sequence[int | None]) -> str:
    return ", ".join("none" if seed is None else str(seed) for seed in found)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_LANGUAGES} more" if len(names) > SHOWN_LANGUAGES else ""
    return f"{', '.join(names[:SHOWN_LANGUAGES])}{more}"
