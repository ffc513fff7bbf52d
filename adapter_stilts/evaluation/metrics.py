"""The metrics of XTREME and XTREME-R, as their official scorers compute them, and the correlations of GLUE's STS-B.

Helpers for one example return a fraction in [0, 1]; functions over a whole test set return percent (0..100)
under the official metric names. Sources: google-research/xtreme `evaluate.py` for what is computed for which
task; it takes `evaluate_squad.py` from the SQuAD v1.1 evaluation and `evaluate_mlqa.py` from
facebookresearch/MLQA (`mlqa_evaluation_v1.py`), and the two ranked retrieval metrics from its own
`utils_mewslix.py` and `utils_lareqa.py`.
"""

from __future__ import annotations

import re
import string
import unicodedata
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from adapter_stilts.errors import UnknownNameError
from adapter_stilts.evaluation.spans import spans

# What MLQA drops as articles; Hindi and Chinese have none. In the Arabic pattern the first branch asks for
# the start of the text after a character, so it never matches, and the second takes every "al-" out of any
# word: odd, but what published MLQA scores were computed with.
MLQA_ARTICLES: Mapping[str, str | None] = {
    "ar": r"\sال^|ال",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "hi": None,
    "vi": r"\b(của|là|cái|chiếc|những)\b",
    "zh": None,
}

# How many of the ranked candidates count in Mewsli-X and LAReQA.
RANKED_DEPTH = 20


def squad_normalize(text: str) -> str:
    """Lower case, without ASCII punctuation and English articles, blanks collapsed.

    Source: `normalize_answer` of the SQuAD v1.1 evaluation. XQuAD and TyDiQA use it in every language.
    """
    bare = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def squad_exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1.0 where the normalised prediction equals one of the gold answers, else 0.0.

    Source: `exact_match_score` of the SQuAD v1.1 evaluation, best over the gold answers.
    """
    predicted = squad_normalize(prediction)
    return max(float(predicted == squad_normalize(answer)) for answer in answers)


def squad_f1(prediction: str, answers: Sequence[str]) -> float:
    """Token overlap F1 in [0, 1], best over the gold answers.

    Two texts that normalise to nothing share no token and score 0, though they match exactly.
    Source: `f1_score` of the SQuAD v1.1 evaluation.
    """
    predicted = squad_normalize(prediction).split()
    return max(_overlap_f1(predicted, squad_normalize(answer).split()) for answer in answers)


def mlqa_normalize(text: str, language: str) -> str:
    """Lower case, without Unicode punctuation and the language's articles; Chinese split by character.

    Source: `normalize_answer` and `mixed_segmentation` of the MLQA evaluation.

    Raises:
        UnknownNameError: the language is not one of MLQA's seven.
    """
    if language not in MLQA_ARTICLES:
        raise UnknownNameError("MLQA language", language, MLQA_ARTICLES)
    bare = "".join(character for character in text.lower() if not _is_mlqa_punctuation(character))
    articles = MLQA_ARTICLES[language]
    if articles:
        bare = re.sub(articles, " ", bare)
    if language == "zh":
        bare = re.sub("([\u4e00-\u9fa5])", r" \1 ", bare)
    return " ".join(bare.split())


def mlqa_exact_match(prediction: str, answers: Sequence[str], language: str) -> float:
    """1.0 where the prediction equals one of the gold answers under `mlqa_normalize`, else 0.0.

    Source: `exact_match_score` of the MLQA evaluation.
    """
    predicted = mlqa_normalize(prediction, language)
    return max(float(predicted == mlqa_normalize(answer, language)) for answer in answers)


def mlqa_f1(prediction: str, answers: Sequence[str], language: str) -> float:
    """Token overlap F1 in [0, 1] under `mlqa_normalize`, best over the gold answers.

    Source: `f1_score` of the MLQA evaluation.
    """
    predicted = mlqa_normalize(prediction, language).split()
    return max(_overlap_f1(predicted, mlqa_normalize(answer, language).split()) for answer in answers)


def squad_scores(
    questions: Sequence[tuple[str, Sequence[str]]], predictions: Mapping[str, str]
) -> dict[str, float]:
    """`exact_match` and `f1` in percent over all (id, gold answers); a question without prediction scores 0.

    Source: `evaluate` of the SQuAD v1.1 evaluation.
    """
    answered = [(predictions[key], answers) for key, answers in questions if key in predictions]
    return {
        "exact_match": 100.0 * sum(squad_exact_match(*pair) for pair in answered) / len(questions),
        "f1": 100.0 * sum(squad_f1(*pair) for pair in answered) / len(questions),
    }


def mlqa_scores(
    questions: Sequence[tuple[str, Sequence[str]]], predictions: Mapping[str, str], language: str
) -> dict[str, float]:
    """`exact_match` and `f1` in percent over all (id, gold answers); a question without prediction scores 0.

    `language` is the language of the context and so of the answer. Source: `evaluate` of the MLQA evaluation.
    """
    answered = [(predictions[key], answers) for key, answers in questions if key in predictions]
    return {
        "exact_match": 100.0 * sum(mlqa_exact_match(*pair, language) for pair in answered) / len(questions),
        "f1": 100.0 * sum(mlqa_f1(*pair, language) for pair in answered) / len(questions),
    }


def accuracy(predictions: Sequence[object], labels: Sequence[object]) -> float:
    """Percent of predictions that equal their label. Source: `accuracy` of XTREME's `evaluate.py`.

    Raises:
        ValueError: nothing to score, or two different lengths.
    """
    if len(predictions) != len(labels) or not labels:
        raise ValueError(f"{len(predictions)} predictions for {len(labels)} labels")
    return (
        100.0
        * sum(predicted == gold for predicted, gold in zip(predictions, labels, strict=True))
        / len(labels)
    )


def tagging_scores(
    gold_tags: Sequence[Sequence[str]], predicted_tags: Sequence[Sequence[str]]
) -> dict[str, float]:
    """`f1`, `precision`, `recall` of spans in percent, micro-averaged, over raw tags; and as seqeval 1.x reads them.

    Source: `f1` of XTREME's `evaluate.py`, which hands the tags of PAN-X (IOB2) and of UDPOS (bare UPOS) alike to
    seqeval, by the reading that published rows were made with: that before seqeval 1.0 (`spans.py`). Of UPOS every run
    of one tag is a span of it, and tags in S (SCONJ, SYM) stay single. ``f1_seqeval1`` and so on are what seqeval 1.x
    makes of the same tags; on IOB2 the two agree.

    Raises:
        ValueError: numbers of sentences or of words differ, or there is no sentence.
    """
    if [len(tags) for tags in gold_tags] != [len(tags) for tags in predicted_tags] or not gold_tags:
        raise ValueError("gold and predicted tags must be equally many sentences of equally many words")
    from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

    # Sentences in one row with an O behind each, as seqeval has them.
    gold, predicted = (
        spans([tag for tags in of for tag in (*tags, "O")]) for of in (gold_tags, predicted_tags)
    )
    correct = len(gold & predicted)
    precision, recall = _share(correct, len(predicted)), _share(correct, len(gold))
    f1 = _share(2 * precision * recall, precision + recall)
    with warnings.catch_warnings():
        # seqeval warns at every tag without B- or I-, and where no span is found.
        warnings.simplefilter("ignore")
        newer = precision_recall_fscore_support(
            [list(tags) for tags in gold_tags], [list(tags) for tags in predicted_tags], average="micro"
        )
    return {
        "f1": 100 * f1,
        "precision": 100 * precision,
        "recall": 100 * recall,
        "f1_seqeval1": 100 * float(newer[2]),
        "precision_seqeval1": 100 * float(newer[0]),
        "recall_seqeval1": 100 * float(newer[1]),
    }


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def bucc_scores(
    gold_pairs: Iterable[tuple[str, ...]], predicted_pairs: Iterable[tuple[str, ...]]
) -> dict[str, float]:
    """`f1`, `precision`, `recall` of mined id pairs in percent; a pair given twice counts once.

    Source: `bucc_f1` of XTREME's `evaluate.py`. All three are 0 where no pair is right.
    """
    gold, predicted = set(gold_pairs), set(predicted_pairs)
    correct = len(gold & predicted)
    if not correct:
        return {"f1": 0.0, "precision": 0.0, "recall": 0.0}
    precision, recall = correct / len(predicted), correct / len(gold)
    f1 = 2 * precision * recall / (precision + recall)
    return {"f1": f1 * 100, "precision": precision * 100, "recall": recall * 100}


def average_precision_at_20(relevant: Collection[str], candidates: Sequence[str]) -> float:
    """The average precision of one query, in [0, 1]. Source: `average_precision_at_k` of XTREME's `utils_lareqa.py`."""
    wanted = set(relevant)
    hits: set[str] = set()
    total = 0.0
    for rank, candidate in enumerate(candidates[:RANKED_DEPTH], start=1):
        if candidate in wanted and candidate not in hits:
            hits.add(candidate)
            total += len(hits) / rank
    return total / min(len(wanted), RANKED_DEPTH)


def mean_average_precision_at_20(
    gold: Mapping[str, Sequence[str]], ranked: Mapping[str, Sequence[str]]
) -> float:
    """mAP@20 in percent: `gold` maps a query to its relevant ids, `ranked` to its candidates, best first.

    A query without candidates scores 0; queries that are not in `gold` are ignored; a candidate repeated
    further down counts once. Source: `average_precision_at_k` of XTREME's `utils_lareqa.py` (LAReQA). With a
    single relevant id it is the reciprocal rank of `utils_mewslix.py` (Mewsli-X).

    Raises:
        ValueError: there is no query, or one without any relevant id.
    """
    if not gold or not all(gold.values()):
        raise ValueError("every query needs a relevant id")
    total = sum(average_precision_at_20(relevant, ranked.get(query, ())) for query, relevant in gold.items())
    return 100.0 * total / len(gold)


def correlations(gold: Sequence[float], predicted: Sequence[float]) -> dict[str, float]:
    """`pearson` and `spearman` in percent (-100..100), as GLUE reports them of STS-B (https://arxiv.org/abs/1804.07461).

    Spearman's is Pearson's of the ranks, of which equal numbers have the mean, as in SciPy's `spearmanr`. Where one
    side varies not at all no correlation is defined, and both are 0: such predictions tell nothing apart
    (`correlates`).

    Raises:
        ValueError: nothing to score, or two different lengths.
    """
    if len(gold) != len(predicted) or not gold:
        raise ValueError(f"{len(predicted)} predictions for {len(gold)} numbers")
    if not (correlates(gold) and correlates(predicted)):
        return {"pearson": 0.0, "spearman": 0.0}
    sides = [np.asarray(side, dtype=np.float64) for side in (gold, predicted)]
    return {
        "pearson": 100.0 * _pearson(*sides),
        "spearman": 100.0 * _pearson(*map(_average_ranks, sides)),
    }


def correlates(numbers: Sequence[float]) -> bool:
    """Whether a correlation with these is defined: they are finite, and not all the same."""
    held = np.asarray(numbers, dtype=np.float64)
    return bool(np.isfinite(held).all()) and len(set(held.tolist())) > 1


def _pearson(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    units = []
    for side in (first, second):
        # By a power of two, which rounds nothing, so that neither sum nor squares overflow or vanish; centred twice, as
        # the mean of numbers that lie close together is rounded.
        scaled = side
        for _ in range(2):
            scaled = np.ldexp(scaled, -int(np.frexp(np.abs(scaled).max())[1]))
            scaled = scaled - scaled.mean()
        units.append(scaled / np.sqrt(scaled @ scaled))
    return min(1.0, max(-1.0, float(units[0] @ units[1])))


def _average_ranks(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks from 1; equal numbers share the mean of theirs."""
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    ranks: npt.NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def _overlap_f1(predicted: Sequence[str], gold: Sequence[str]) -> float:
    shared = sum((Counter(predicted) & Counter(gold)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(gold)
    return 2 * precision * recall / (precision + recall)


def _is_mlqa_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")
