from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adapter_stilts.errors import DataError
from adapter_stilts.evaluation.forms import form_of
from adapter_stilts.evaluation.metrics import correlations
from adapter_stilts.evaluation.scoring import score
from adapter_stilts.formats.examples import (
    Answer,
    MultipleChoiceExample,
    PairClassificationExample,
    RetrievalExample,
    SpanQAExample,
    TaggingExample,
    TextRegressionExample,
)
from adapter_stilts.formats.span_qa import no_answer_margins
from adapter_stilts.tasks import Task, get_task


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


def numbers() -> Task:
    return Task(
        name="ratings",
        role="target",
        format="text_regression",
        metric=("pearson", "spearman"),
        languages=("en",),
        train_task="ratings",
        dataset="ratings",
        paper="",
        licence="",
    )


def test_numbers_keep_both_sides(caplog: pytest.LogCaptureFixture) -> None:
    gold: list[float | None] = [0.5, 5, None, 2]
    examples = [TextRegressionExample(str(n), "a", number) for n, number in enumerate(gold)]
    scored = score(numbers(), examples, [1.0, 4.0, 9.0, 3.0], "de")
    assert scored.rows == [
        {"id": "0", "gold": 0.5, "predicted": 1.0},
        {"id": "1", "gold": 5.0, "predicted": 4.0},
        {"id": "3", "gold": 2.0, "predicted": 3.0},
    ]
    # Deviations (-2, 2.5, -0.5) and (-5/3, 4/3, 1/3).
    pearson = 100 * (10 / 3 + 10 / 3 - 1 / 6) / (10.5 * (25 + 16 + 1) / 9) ** 0.5
    assert scored.metrics == {"pearson": pytest.approx(pearson), "spearman": pytest.approx(100.0)}
    assert scored.submission == [1.0, 4.0, 9.0, 3.0]
    assert not caplog.records


def test_one_number_for_all_is_told_and_scores_nothing(caplog: pytest.LogCaptureFixture) -> None:
    examples = [TextRegressionExample(str(n), "a", float(n)) for n in range(3)]
    assert score(numbers(), examples, [2.5] * 3, "de").metrics == {"pearson": 0.0, "spearman": 0.0}
    assert caplog.messages == [
        "ratings (de): every prediction is 2.5: no correlation is defined, which counts as 0"
    ]
    caplog.clear()
    alike = [TextRegressionExample(str(n), "a", 4.0) for n in range(3)]
    assert score(numbers(), alike, [1.0, 2.0, 3.0]).metrics == {"pearson": 0.0, "spearman": 0.0}
    assert "every number in the data is 4: no correlation" in caplog.text
    caplog.clear()
    assert score(numbers(), examples, [1.0, float("nan"), 3.0]).metrics["spearman"] == 0.0
    assert "(en): some predictions are not finite: no correlation is defined" in caplog.text


def test_files_of_numbers(tmp_path: Path) -> None:
    form, told = form_of(numbers()), []
    predictions, gold = tmp_path / "predictions.tsv", tmp_path / "labels.tsv"
    predictions.write_text(form.render([1.0, 0.1 + 0.2, -2e-7]), encoding="utf-8")
    gold.write_text("5\n2.5\n0\n", encoding="utf-8")
    assert form.count(predictions) == 3
    wanted = correlations([5, 2.5, 0], [1.0, 0.1 + 0.2, -2e-7])
    assert form.score(predictions, gold, "en", told.append) == wanted
    assert not told
    predictions.write_text("2\n2\n2.0\n", encoding="utf-8")
    assert form.score(predictions, gold, "en", told.append) == {"pearson": 0.0, "spearman": 0.0}
    assert told == [f"{predictions}: every line is 2: no correlation is defined, which counts as 0"]
    predictions.write_text("1\n\nnan\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"predictions\.tsv:2: expected a finite number, found ''"):
        form.score(predictions, gold, "en", told.append)


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
