from __future__ import annotations

import numpy as np
import pytest

from adapter_stilts.evaluation.scoring import score
from adapter_stilts.formats.examples import (
    Answer,
    MultipleChoiceExample,
    PairClassificationExample,
    RetrievalExample,
    SpanQAExample,
    TaggingExample,
)
from adapter_stilts.formats.span_qa import no_answer_margins
from adapter_stilts.tasks import get_task


def test_accuracy_counts_labelled_examples_only() -> None:
    examples = [
        PairClassificationExample(str(i), "a", "b", gold) for i, gold in enumerate(["x", "y", None, "x"])
    ]
    scored = score(get_task("xnli"), examples, ["x", "x", "y", "x"])
    assert scored.metrics == {"accuracy": pytest.approx(200 / 3)}
    assert [row["accuracy"] for row in scored.rows] == [100, 0, 100]
    assert scored.submission == ["x", "x", "y", "x"]


def test_choices() -> None:
    examples = [MultipleChoiceExample(str(i), "p", ("a", "b"), gold) for i, gold in enumerate([1, 0])]
    assert score(get_task("hellaswag"), examples, [1, 1]).metrics == {"accuracy": 50.0}


def test_answers_are_scored_by_english_rules_and_submitted_by_id() -> None:
    examples = [
        SpanQAExample("one", "?", "The cat sat.", (Answer("The cat", 0), Answer("cat sat", 4))),
        SpanQAExample("two", "?", "a dog", (Answer("dog", 2),)),
    ]
    scored = score(get_task("xquad"), examples, ["cat", "a dog here"])
    assert scored.metrics == {"exact_match": 50.0, "f1": pytest.approx((100 + 200 / 3) / 2)}
    assert scored.submission == {"one": "cat", "two": "a dog here"}


def test_tags_keep_counts_from_which_the_corpus_score_follows() -> None:
    # Adjacent equal tags are one span, so the second sentence has two gold spans, not three.
    examples = [
        TaggingExample("a", ("x", "y"), ("NOUN", "VERB")),
        TaggingExample("b", ("x", "y", "z"), ("NOUN", "NOUN", "VERB")),
    ]
    scored = score(get_task("udpos"), examples, [("NOUN", "VERB"), ("NOUN", "VERB", "VERB")])
    gold, predicted, correct = (
        sum(row[name] for row in scored.rows) for name in ("gold", "predicted", "correct")
    )
    assert (gold, predicted, correct) == (4, 4, 2)
    precision, recall = correct / predicted, correct / gold
    assert scored.metrics["f1"] == pytest.approx(100 * 2 * precision * recall / (precision + recall))


def test_retrieval_asks_for_each_english_sentence_and_reports_the_other_way() -> None:
    examples = [
        RetrievalExample("foreign-0", "a", "foreign", "0"),
        RetrievalExample("english-0", "b", "english", "0"),
        RetrievalExample("foreign-1", "c", "foreign", "1"),
        RetrievalExample("english-1", "d", "english", "1"),
    ]
    # Predictions stand beside their sentences: foreign 0 → English 1, English 0 → foreign 0, ...
    scored = score(get_task("tatoeba"), examples, [1, 0, 1, 1])
    assert scored.metrics == {"accuracy": 100.0}
    assert scored.beside == {"accuracy_foreign_to_english": 50.0}
    assert scored.submission == [0, 1]


def test_categories_are_counted_word_by_word() -> None:
    examples = [
        TaggingExample("one", ("Ada", "sings"), ("NP", "S[dcl]\\NP")),
        TaggingExample("two", ("Stop",), ("S[b]",)),
        TaggingExample("unlabelled", ("Go",), None),
    ]
    scored = score(get_task("ccg"), examples, [("NP", "NP"), ("S[b]",), ("N",)])
    assert scored.metrics == {"accuracy": pytest.approx(200 / 3)}
    assert [row["correct"] for row in scored.rows] == [1, 1]


def test_mlqa_has_rules_of_its_own_for_each_language() -> None:
    examples = [SpanQAExample("one", "?", "der Hund", (Answer("der Hund", 0),))]
    mlqa = get_task("mlqa")
    assert score(mlqa, examples, ["Hund"], "de").metrics == {"exact_match": 100.0, "f1": 100.0}
    assert score(mlqa, examples, ["Hund"], "es").metrics["exact_match"] == 0.0
    # XQuAD knows English articles only, whatever the language.
    assert score(get_task("xquad"), examples, ["Hund"], "de").metrics["exact_match"] == 0.0


def test_questions_without_an_answer_are_scored_under_their_best_threshold() -> None:
    """Silence below is right for c and d, an answer for a; b is wrong either way. Margins 1 and 3 tie b with c."""
    answers = {"a": ("Riga",), "b": ("Lagos",), "c": (), "d": ()}
    examples = [
        SpanQAExample(name, "?", "", tuple(Answer(text, 0) for text in gold))
        for name, gold in answers.items()
    ]
    predicted = ["Riga", "Quito", "Perth", "Hanoi"]
    found = score(get_task("squad_v2"), examples, predicted, margins=[-2.0, 1.0, 1.0, 3.0])
    assert found.metrics == {"exact_match": 75.0, "f1": 75.0}
    assert found.beside == {"no_answer_threshold": -2.0}
    assert found.submission == {"a": "Riga", "b": "", "c": "", "d": ""}
    # Where all answers are right, none is withheld.
    every = score(get_task("squad_v2"), examples[:1], predicted[:1], margins=[5.0])
    assert (every.metrics["f1"], every.submission) == (100.0, {"a": "Riga"})


def test_no_answer_needs_every_window_to_like_it() -> None:
    features = type("Windows", (), {"sequences": np.array([0, 2, 3])})()
    reduced = {"score": np.array([1.0, 4.0, 2.0]), "null": np.array([6.0, 3.0, 2.5])}
    assert no_answer_margins(features, reduced).tolist() == [-1.0, 0.5]
