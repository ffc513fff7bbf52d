"""No label shows in words, length or place: what knows only those is near chance on every English train set."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from adapter_stilts.formats.examples import MultipleChoiceExample, PairClassificationExample, TaggingExample
from adapter_stilts.miniature.catalogue import COUNTERPARTS
from adapter_stilts.miniature.concepts import STEMS
from adapter_stilts.miniature.constructed import grammar
from adapter_stilts.miniature.meaning import Phrase, write
from adapter_stilts.miniature.questions import Question

pytestmark = pytest.mark.slow

MARGIN = 0.10
"""How far above chance a reader of words without order may come."""

PAIRS = ("mnli", "snli", "anli", "qqp", "pawsx")
CHOICES = ("hellaswag", "cosmosqa", "commonsenseqa", "siqa", "copa")
QUESTIONS = ("squad_v1", "squad_v2", "tydiqa")


def held_out_scores(texts: Sequence[str], labels: Sequence[object], groups: Sequence[int]) -> np.ndarray:
    """Scores of every label from unigram counts, by a logistic regression trained on the other half."""
    counts = CountVectorizer(token_pattern=r"\S+", lowercase=False).fit_transform(texts)
    half, truth = np.asarray(groups) % 2, np.asarray(labels)
    scores = np.zeros((len(texts), len(set(labels))))
    for side in (0, 1):
        # liblinear has a single criterion and converges on all of these in well under a second.
        model = LogisticRegression(C=0.3, solver="lbfgs", max_iter=500)
        model.fit(counts[half != side], truth[half != side])
        scores[half == side] = model.predict_proba(counts[half == side])
    return scores


def first_of(scores: np.ndarray, labels: Sequence[object]) -> float:
    names = np.unique(np.asarray(labels))
    return float(np.mean(names[scores.argmax(axis=1)] == np.asarray(labels)))


@pytest.mark.parametrize("name", PAIRS)
def test_pairs(name: str, examples: Callable[..., list[PairClassificationExample]]) -> None:
    found = examples(name, "train", "en")
    labels = [example.label for example in found]
    counts = Counter(labels)
    assert set(counts) == set(COUNTERPARTS[name].labels)
    assert max(counts.values()) - min(counts.values()) <= 1
    chance, groups = 1 / len(counts), range(len(found))
    both = held_out_scores([f"{e.premise} {e.hypothesis}" for e in found], labels, groups)
    alone = held_out_scores([e.hypothesis for e in found], labels, groups)
    assert first_of(both, labels) <= chance + MARGIN
    assert first_of(alone, labels) <= chance + MARGIN
    lengths: dict[object, list[int]] = defaultdict(list)
    for example in found:
        lengths[example.label].append(len(example.hypothesis.split()))
    means = [np.mean(values) for values in lengths.values()]
    assert max(means) - min(means) < 0.5, "words of the hypothesis"


@pytest.mark.parametrize("name", CHOICES)
def test_choices(name: str, examples: Callable[..., list[MultipleChoiceExample]]) -> None:
    found = examples(name, "train", "en")
    gold = np.array([example.label for example in found])
    size = len(found[0].choices)
    flat = [(number, choice) for number, example in enumerate(found) for choice in example.choices]
    right = [int(at == example.label) for example in found for at in range(size)]
    scores = held_out_scores([choice for _, choice in flat], right, [number for number, _ in flat])[:, 1]
    noise = np.random.default_rng(0).random((len(found), size)) * 1e-6

    def accuracy(values: np.ndarray) -> float:
        return float(np.mean((values + noise).argmax(axis=1) == gold))

    def each(measure: Callable[[MultipleChoiceExample, str], float]) -> np.ndarray:
        return np.array([[measure(example, choice) for choice in example.choices] for example in found])

    def likeness(example: MultipleChoiceExample, choice: str) -> float:
        return sum(len(set(choice.split()) & set(other.split())) for other in example.choices)

    def overlap(example: MultipleChoiceExample, choice: str) -> float:
        return len(set(choice.split()) & set(example.prompt.split())) / len(choice.split())

    length = each(lambda _, choice: len(choice.split()))
    readers = {
        "words": scores.reshape(-1, size),
        "longest": length,
        "shortest": -length,
        "most like the prompt": each(overlap),
        "least like the prompt": -each(overlap),
        "most like the others": each(likeness),
        **{f"place {at}": np.eye(size)[[at] * len(found)] for at in range(size)},
    }
    for reader, values in readers.items():
        assert accuracy(values) <= 1 / size + MARGIN, reader


def candidates(question: Question) -> list[Phrase]:
    """What the context names that the question could be about: phrases of the answer's kind, in order."""
    assert question.answer is not None
    index, role = question.answer
    answer = question.context[index].clause.phrase(role)
    assert answer is not None
    phrases = [phrase for sentence in question.context for _, phrase in sentence.clause.roles]
    return [phrase for phrase in dict.fromkeys(phrases) if phrase.kind == answer.kind]


@pytest.mark.parametrize("name", QUESTIONS)
def test_questions(name: str, items: Callable[..., list[Question]]) -> None:
    english = grammar("en")
    found = [item for item in items(name, "train") if item.answer is not None]
    texts, right, groups, chances = [], [], [], []
    for number, item in enumerate(found):
        assert item.answer is not None
        options = candidates(item)
        chances.append(1 / len(options))
        asked = write([english.realise(item.question)])
        answer = item.context[item.answer[0]].clause.phrase(item.answer[1])
        for option in options:
            texts.append(f"{asked} {write([english.name(option)])}")
            right.append(int(option == answer))
            groups.append(number)
    scores = held_out_scores(texts, right, groups)[:, 1]
    best: dict[int, tuple[float, int]] = {}
    firsts, lasts = {}, {}
    for score, label, group in zip(scores, right, groups, strict=True):
        best[group] = max(best.get(group, (-1.0, 0)), (float(score), label))
        firsts.setdefault(group, label)
        lasts[group] = label
    chance = float(np.mean(chances))
    assert chance < 0.75, "there is something to choose from"
    for reader, values in (
        ("words", [label for _, label in best.values()]),
        ("first", list(firsts.values())),
        ("last", list(lasts.values())),
    ):
        assert np.mean(values) <= chance + MARGIN, (reader, chance)
    starts = [e.answers[0].start / len(e.context) for item in found for e in item.render(english, "")]
    shares = np.histogram(starts, 4, (0, 1))[0] / len(starts)
    assert shares.min() > 0.15, "answers stand in every quarter of the context"
    assert shares.max() < 0.35


def test_unanswerable_questions_look_like_the_others(items: Callable[..., list[Question]]) -> None:
    english = grammar("en")
    found = items("squad_v2", "train")
    labels = [item.answer is not None for item in found]
    assert abs(np.mean(labels) - 0.5) < 0.01
    texts = [write(map(english.realise, (*item.context, item.question))) for item in found]
    alone = [write([english.realise(item.question)]) for item in found]
    assert first_of(held_out_scores(texts, labels, range(len(found))), labels) <= 0.5 + MARGIN
    assert first_of(held_out_scores(alone, labels, range(len(found))), labels) <= 0.5 + MARGIN


def test_the_kind_of_a_name_needs_its_sentence(
    examples: Callable[..., list[TaggingExample]],
) -> None:
    """People, places and groups share their names: the best guess by word alone is hardly better than one kind."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for example in examples("panx", "train", "en"):
        for word, tag in zip(example.words, example.tags or (), strict=True):
            if word in STEMS:
                counts[word][tag[2:]] += 1
    total = sum(map(Counter.total, counts.values()))
    by_word = sum(max(count.values()) for count in counts.values()) / total
    always = max(sum((count for count in counts.values()), Counter()).values()) / total
    assert by_word <= always + MARGIN
    assert always < 0.65


def test_a_word_has_several_categories(examples: Callable[..., list[TaggingExample]]) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for example in examples("ccg", "train", "en"):
        for word, tag in zip(example.words, example.tags or (), strict=True):
            counts[word][tag] += 1
    verbs_and_adpositions = [count for word, count in counts.items() if len(count) > 1 and count.total() > 20]
    assert len(verbs_and_adpositions) >= 30
