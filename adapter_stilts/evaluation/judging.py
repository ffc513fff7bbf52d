"""From what a model left of each split to each language's result: which splits are judged together, and how.

Most tasks are judged language by language, on the test split alone. Two scorers of retrieval look beyond it:

- *mined* (metric ``f1``) chooses its threshold on a language's dev pairs and applies it unchanged to test;
- *ranked* (``map@20``) ranks the candidates of all languages for each query, whichever languages are evaluated, but not
  those of a language that the task does not list for queries in others.

What is looked at beside the test splits is part of an evaluate stage's key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from adapter_stilts.errors import DataError
from adapter_stilts.evaluation import mining
from adapter_stilts.evaluation.aggregation import Row
from adapter_stilts.evaluation.membership import is_constructed
from adapter_stilts.evaluation.metrics import (
    RANKED_DEPTH,
    average_precision_at_20,
    bucc_scores,
)
from adapter_stilts.evaluation.scoring import Scored, score
from adapter_stilts.formats import get_format
from adapter_stilts.formats.examples import RetrievalExample
from adapter_stilts.formats.features import Column, Features
from adapter_stilts.formats.span_qa import no_answer_margins
from adapter_stilts.tasks.base import Split, Task, judged_of

Part: TypeAlias = tuple[Split, str]
"""A split and a language."""


@dataclass(frozen=True)
class Predicted:
    """The examples of one part, and the columns its format reduced the model's outputs to."""

    examples: Sequence[Any]
    features: Features
    reduced: Mapping[str, Column]


Parts: TypeAlias = Mapping[Part, Predicted]


@dataclass(frozen=True)
class _Way:
    """How a kind of task is judged.

    Args:
        beside: (languages evaluated, languages at hand, split) -> the parts that are looked at beside its own.
        passes: (languages evaluated, parts beside, split) -> the parts that have to be judged together.
        judge: (task, those parts, languages evaluated, the format's settings, device) -> language -> result.
    """

    beside: Callable[[Sequence[str], Sequence[str], Split], tuple[Part, ...]]
    passes: Callable[[Sequence[str], Sequence[Part], Split], list[list[Part]]]
    judge: Callable[[Task, Parts, Sequence[str], Any, str], dict[str, Scored]]


def beside(
    task: Task, languages: Sequence[str], held: Sequence[str], split: Split = "test"
) -> tuple[Part, ...]:
    """The parts that an evaluation in `languages` looks at beside their own, where the data hold `held`."""
    return _way(task).beside(languages, held, split)


def passes(
    task: Task, languages: Sequence[str], others: Sequence[Part], split: Split = "test"
) -> list[list[Part]]:
    """All parts, in groups that `judge` wants together; mining frees each language's vectors before the next."""
    return _way(task).passes(languages, others, split)


def judge(
    task: Task, parts: Parts, languages: Sequence[str], settings: Any, device: str = "cpu"
) -> dict[str, Scored]:
    """The results of one group of `passes`, by language.

    Raises:
        DataError: the dev pairs of a mining task hold no gold pair, so that no threshold can be chosen.
    """
    return _way(task).judge(task, parts, languages, settings, device)


def _each(
    task: Task, parts: Parts, languages: Sequence[str], settings: Any, device: str
) -> dict[str, Scored]:
    return {language: scored(task, part, settings, language) for (_, language), part in parts.items()}


def scored(task: Task, part: Predicted, settings: Any, language: str = "en") -> Scored:
    """The result of one part alone."""
    predictions = get_format(task.format).decode(
        part.examples, part.features, part.reduced, settings, task.labels
    )
    margins = no_answer_margins(part.features, part.reduced).tolist() if task.unanswerable else None
    return score(task, part.examples, predictions, language, margins)


def _mined(
    task: Task, parts: Parts, languages: Sequence[str], settings: Any, device: str
) -> dict[str, Scored]:
    results = {}
    # Of dev itself the scores are those of the threshold that is best there, as BUCC's are told on dev.
    evaluated: Split = "test" if any(split == "test" for split, _ in parts) else "dev"
    for language in (language for split, language in parts if split == evaluated):
        dev = _candidates(parts["dev", language], settings, device)
        if not dev.gold:
            raise DataError(
                f"{task.name} dev ({language})",
                None,
                "no gold pair among its sentences, and the threshold of mining is chosen on them; "
                "a limit on evaluation takes the first sentences of each side: raise or drop it",
            )
        threshold = mining.choose_threshold(
            list(dev.scores.values()), [pair in dev.gold for pair in dev.scores], len(dev.gold)
        )
        test = _candidates(parts[evaluated, language], settings, device)
        found = [pair for pair, value in test.scores.items() if value >= threshold.value]
        results[language] = _scored_pairs(test.gold, found, threshold)
    return results


IdPair: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class _Candidates:
    """Mined pairs of (foreign, English) ids with their scores, best first, and the true pairs."""

    scores: dict[IdPair, float]
    gold: set[IdPair]


def _candidates(part: Predicted, settings: Any, device: str) -> _Candidates:
    """Sentences that read the same are mined once; a pair of texts stands for all pairs of their ids."""
    vectors = np.asarray(part.reduced["vector"])
    sides: list[tuple[mining.Vectors, list[list[str]]]] = []
    for side in ("foreign", "english"):
        rows = [row for row, example in enumerate(part.examples) if example.side == side]
        ids: dict[str, list[str]] = {}
        first = []
        for row in rows:
            text = part.examples[row].text.strip()
            if text not in ids:
                first.append(row)
            ids.setdefault(text, []).append(part.examples[row].id)
        chosen = mining.Chosen(vectors, np.asarray(first, dtype=np.int64))
        sides.append((chosen, list(ids.values())))
    (foreign, foreign_ids), (english, english_ids) = sides
    scores: dict[IdPair, float] = {}
    if foreign_ids and english_ids:
        mined = mining.mine(foreign, english, settings.pairs, settings.neighbours, device)
        for i, j, value in zip(*(x.tolist() for x in (mined.first, mined.second, mined.scores)), strict=True):
            for pair in ((left, right) for left in foreign_ids[i] for right in english_ids[j]):
                scores[pair] = max(value, scores.get(pair, value))
    return _Candidates(scores, gold_pairs(part.examples))


def gold_pairs(examples: Sequence[RetrievalExample]) -> set[IdPair]:
    """The (foreign, English) ids that stand for translations, as far as both sides are there.

    A sentence with several counterparts names each pair it is in, separated by blanks.
    """
    english: dict[str, list[str]] = {}
    for example in examples:
        if example.side == "english":
            for name in _names(example):
                english.setdefault(name, []).append(example.id)
    return {
        (example.id, other)
        for example in examples
        if example.side == "foreign"
        for name in _names(example)
        for other in english.get(name, ())
    }


def _names(example: RetrievalExample) -> list[str]:
    return [] if example.pair is None else example.pair.split()


def _scored_pairs(gold: set[IdPair], found: list[IdPair], threshold: mining.Threshold) -> Scored:
    predicted = set(found)
    rows: list[Row] = [
        {
            "id": " ".join(pair),
            "gold": int(pair in gold),
            "predicted": int(pair in predicted),
            "correct": int(pair in gold and pair in predicted),
        }
        for pair in sorted(gold | predicted)
    ]
    told = {"threshold": threshold.value, "dev_f1": threshold.f1}
    if not gold:  # a test set whose gold pairs are not published
        return Scored([], found, told)
    scores = bucc_scores(gold, predicted)
    return Scored(rows, found, {name: scores[name] for name in ("precision", "recall")} | told)


@dataclass(frozen=True)
class _Pool:
    """The candidates that are ranked: each once, in whichever part it stands first.

    Args:
        topics: what they are about -> their names.
    """

    vectors: Any
    names: list[str]
    topics: dict[str, list[str]]


def _pool(task: Task, parts: Iterable[Predicted]) -> _Pool:
    """Raises DataError where there is no candidate."""
    ids: dict[str, None] = {}
    topics: dict[str, list[str]] = {}
    blocks = []
    for part in parts:
        new = []
        for row, example in enumerate(part.examples):
            if example.side == "candidate" and example.id not in ids:
                ids[example.id] = None
                new.append(row)
                for topic in example.topics:
                    topics.setdefault(topic, []).append(example.id)
        blocks.append(np.asarray(part.reduced["vector"])[new])
    if not ids:
        raise DataError(task.name, None, "no candidate to rank: the data hold queries only")
    return _Pool(np.concatenate(blocks), list(ids), topics)


def _ranked(
    task: Task, parts: Parts, languages: Sequence[str], settings: Any, device: str
) -> dict[str, Scored]:
    """Candidates in a language that the task does not list are ranked for queries in it, and for no others."""
    own = [part for key, part in parts.items() if not _is_further(task, key[1])]
    common = _pool(task, own) if own else None
    results = {}
    by_language = {language: part for (_, language), part in parts.items()}
    for language in languages:
        part = by_language[language]
        pool = _pool(task, [*own, part]) if _is_further(task, language) or common is None else common
        rows = [row for row, example in enumerate(part.examples) if example.side == "query"]
        found = mining.nearest(np.asarray(part.reduced["vector"])[rows], pool.vectors, RANKED_DEPTH, device)
        ranked = {
            part.examples[row].id: [pool.names[index] for index in best]
            for row, best in zip(rows, found.indices.tolist(), strict=True)
        }
        gold = {
            query.id: sorted({name for topic in query.topics for name in pool.topics.get(topic, ())})
            for query in (part.examples[row] for row in rows)
        }
        results[language] = _scored_rankings({key: found for key, found in gold.items() if found}, ranked)
    return results


def _is_further(task: Task, language: str) -> bool:
    """Whether a language is one that the task does not list; constructed ones are the miniature's own."""
    return language not in task.all_languages and not is_constructed(language)


def _scored_rankings(gold: Mapping[str, list[str]], ranked: dict[str, list[str]]) -> Scored:
    rows: list[Row] = [
        {"id": query, "map@20": 100.0 * average_precision_at_20(relevant, ranked[query])}
        for query, relevant in gold.items()
    ]
    return Scored(rows, ranked)


def _own(languages: Sequence[str], split: Split) -> list[Part]:
    return [(split, language) for language in languages]


def _thresholds(languages: Sequence[str], split: Split) -> list[Part]:
    """The dev pairs of each language, beside an evaluation of its test split."""
    return _own(languages, "dev") if split == "test" else []


_EACH = _Way(
    lambda languages, held, split: (),
    lambda languages, others, split: [_own(languages, split)],
    _each,
)
_MINED = _Way(
    lambda languages, held, split: tuple(_thresholds(languages, split)),
    lambda languages, others, split: [
        [*_thresholds([language], split), (split, language)] for language in languages
    ],
    _mined,
)
_RANKED = _Way(
    lambda languages, held, split: tuple(part for part in _own(held, split) if part[1] not in languages),
    lambda languages, others, split: [[*_own(languages, split), *others]],
    _ranked,
)

# By scorer; all others judge language by language.
_WAYS: Mapping[str, _Way] = {"mined": _MINED, "ranked": _RANKED}


def _way(task: Task) -> _Way:
    scorer = judged_of(task).scorer
    return _WAYS.get(scorer, _EACH) if isinstance(scorer, str) else _EACH
