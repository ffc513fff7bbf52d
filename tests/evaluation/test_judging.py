"""Splits that are judged together: mining with its dev threshold, ranking over all languages' candidates."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from adapter_stilts.errors import DataError
from adapter_stilts.evaluation.judging import Predicted, beside, gold_pairs, judge, passes
from adapter_stilts.formats import retrieval
from adapter_stilts.formats.examples import RetrievalExample, first_examples
from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.tasks import get_task

TATOEBA = get_task("tatoeba")
MINING = dataclasses.replace(TATOEBA, name="bucc2018", metric=("f1",), languages=("de", "fr"))
RANKING = dataclasses.replace(TATOEBA, name="lareqa", metric=("map@20",), languages=("de", "sw"))
SETTINGS = retrieval.Settings()


def part(examples: list[RetrievalExample], vectors: list[Any]) -> Predicted:
    empty = Features(Ragged.from_lengths(np.zeros(0, np.int32), np.zeros(len(examples))), np.arange(1))
    return Predicted(examples, empty, {"vector": np.asarray(vectors, dtype=np.float32)})


def corpus(noise: float, seed: int, pairs: int = 30, others: int = 40, width: int = 24) -> Predicted:
    """Pairs of vectors that agree but for noise, and on each side others that agree with nothing."""
    random = np.random.default_rng(seed)
    examples, vectors = [], []
    for row in range(pairs):
        meaning = random.standard_normal(width)
        for side in ("foreign", "english"):
            examples.append(RetrievalExample(f"{side[:2]}-{row}", f"{side} text {row}", side, str(row)))
            vectors.append(meaning + noise * random.standard_normal(width) + 0.5)
    for row in range(pairs, pairs + others):
        for side in ("foreign", "english"):
            examples.append(RetrievalExample(f"{side[:2]}-{row}", f"{side} text {row}", side, None))
            vectors.append(random.standard_normal(width) + 0.5)
    return part(examples, vectors)


def test_what_is_looked_at_beside_the_test_splits() -> None:
    held = ("de", "fr", "sw")
    assert beside(TATOEBA, ("de",), held) == ()
    assert beside(MINING, ("de", "fr"), held) == (("dev", "de"), ("dev", "fr"))
    assert beside(RANKING, ("sw",), held) == (("test", "de"), ("test", "fr"))
    assert passes(get_task("xquad"), ("de", "sw"), ()) == [[("test", "de"), ("test", "sw")]]
    # A language's vectors are done with before the next one's are made.
    assert passes(MINING, ("de", "fr"), beside(MINING, ("de", "fr"), held)) == [
        [("dev", "de"), ("test", "de")],
        [("dev", "fr"), ("test", "fr")],
    ]
    assert passes(RANKING, ("sw",), beside(RANKING, ("sw",), held)) == [
        [("test", "sw"), ("test", "de"), ("test", "fr")]
    ]


def test_mining_applies_the_threshold_of_dev_to_test() -> None:
    parts = {("dev", "de"): corpus(0.2, 1), ("test", "de"): corpus(0.2, 2)}
    result = judge(MINING, parts, ("de",), SETTINGS)["de"]
    assert result.metrics["f1"] > 90
    assert result.beside["dev_f1"] > 90
    assert all(pair[0][:2] == "fo" and pair[1][:2] == "en" for pair in result.submission)
    # The same test split under another dev split: its threshold alone is different.
    noisy = judge(MINING, {**parts, ("dev", "de"): corpus(1.2, 1)}, ("de",), SETTINGS)["de"]
    assert noisy.beside["threshold"] < result.beside["threshold"]
    assert set(result.submission) < set(noisy.submission)
    # And another test split leaves the threshold alone.
    other = judge(MINING, {**parts, ("test", "de"): corpus(0.9, 5)}, ("de",), SETTINGS)["de"]
    assert other.beside["threshold"] == result.beside["threshold"]
    counts = {name: sum(row[name] for row in result.rows) for name in ("gold", "predicted", "correct")}
    assert counts["gold"] == 30
    assert counts["predicted"] == len(result.submission)
    assert result.metrics["f1"] == pytest.approx(
        200 * counts["correct"] / (counts["gold"] + counts["predicted"])
    )
    assert result.beside["precision"] == pytest.approx(100 * counts["correct"] / counts["predicted"])


def test_sentences_that_read_the_same_stand_for_all_their_ids() -> None:
    test = corpus(0.1, 2)
    double = dataclasses.replace(test.examples[0], id="fo-again", text=" foreign text 0 ", pair=None)
    again = part([*test.examples, double], [*test.reduced["vector"], test.reduced["vector"][0]])
    results = [
        judge(MINING, {("dev", "de"): corpus(0.1, 1), ("test", "de"): split}, ("de",), SETTINGS)["de"]
        for split in (test, again)
    ]
    assert set(results[1].submission) - set(results[0].submission) == {("fo-again", "en-0")}
    assert set(results[0].submission) < set(results[1].submission)


def test_gold_pairs_need_both_sides() -> None:
    def sentence(id: str, side: Any, pair: str | None) -> RetrievalExample:
        return RetrievalExample(id, id, side, pair)

    examples = [
        sentence("f1", "foreign", "1"),
        sentence("e1", "english", "1"),
        sentence("e2", "english", "1"),
        sentence("f2", "foreign", "2"),
        sentence("f3", "foreign", None),
        sentence("e3", "english", None),
    ]
    assert gold_pairs(examples) == {("f1", "e1"), ("f1", "e2")}
    # Several names: f1 and f2 share e2, and nothing makes a pair of f2 and e1.
    names = {"f1": "1 2", "e1": "1", "f2": "3", "e2": "2 3", "f3": None, "e3": "4"}
    renamed = [dataclasses.replace(example, pair=names[example.id]) for example in examples]
    assert gold_pairs(renamed) == {("f1", "e1"), ("f1", "e2"), ("f2", "e2")}


def test_mining_without_gold_pairs() -> None:
    unknown = corpus(0.2, 2)
    bare = [dataclasses.replace(example, pair=None) for example in unknown.examples]
    blind = part(bare, list(unknown.reduced["vector"]))
    result = judge(MINING, {("dev", "de"): corpus(0.2, 1), ("test", "de"): blind}, ("de",), SETTINGS)["de"]
    # A test set whose pairs are not published is mined for a submission, without a score.
    assert (result.metrics, result.rows) == ({}, [])
    assert len(result.submission) > 20
    with pytest.raises(DataError, match=r"bucc2018 dev \(de\): no gold pair .* raise or drop it"):
        judge(MINING, {("dev", "de"): blind, ("test", "de"): unknown}, ("de",), SETTINGS)


def ranking_parts() -> dict[Any, Predicted]:
    """Two questions in each of two languages; the German text answers both in one sentence."""
    eye = np.eye(5)
    german = [
        RetrievalExample("q1", "?", "query", None, ("q1",)),
        RetrievalExample("q2", "?", "query", None, ("q2",)),
        RetrievalExample("de-0", "both", "candidate", None, ("q1", "q2")),
        RetrievalExample("de-1", "none", "candidate", None),
    ]
    swahili = [
        RetrievalExample("q1", "?", "query", None, ("q1",)),
        RetrievalExample("sw-0", "first", "candidate", None, ("q1",)),
        RetrievalExample("sw-1", "second", "candidate", None, ("q2",)),
    ]
    return {
        # q1 lies at de-0, then sw-0; q2 at de-1, then sw-1, and de-0 last of all.
        ("test", "de"): part(german, [3 * eye[0] + eye[1], 3 * eye[2] + eye[3] - eye[0], eye[0], eye[2]]),
        ("test", "sw"): part(swahili, [eye[2], eye[1], eye[3]]),
    }


def test_candidates_of_all_languages_are_ranked() -> None:
    results = judge(RANKING, ranking_parts(), ("de", "sw"), SETTINGS)
    german = results["de"]
    assert german.submission["q1"][:2] == ["de-0", "sw-0"]
    assert german.submission["q2"][:2] == ["de-1", "sw-1"]
    assert german.submission["q2"][-1] == "de-0"
    # q1: both relevant ones first. q2: relevant at ranks 2 and 4.
    assert [row["map@20"] for row in german.rows] == pytest.approx([100.0, 100 * (1 / 2 + 2 / 4) / 2])
    assert german.metrics["map@20"] == pytest.approx(75.0)
    # Evaluating one language alone ranks the same pool.
    alone = judge(RANKING, ranking_parts(), ("de",), SETTINGS)
    assert list(alone) == ["de"]
    assert alone["de"].submission == german.submission


def test_a_language_that_the_task_does_not_list_is_in_no_others_pool() -> None:
    parts = ranking_parts()
    klingon = RetrievalExample("tlh-0", "both", "candidate", None, ("q1", "q2"))
    asked = RetrievalExample("q1", "?", "query", None, ("q1",))
    parts["test", "tlh"] = part([asked, klingon], [np.eye(5)[4], np.eye(5)[4]])
    alone = judge(RANKING, ranking_parts(), ("de", "sw"), SETTINGS)
    beside_it = judge(RANKING, parts, ("de", "sw", "tlh"), SETTINGS)
    assert {name: beside_it[name] for name in alone} == alone, "what the benchmark averages is what it was"
    assert beside_it["tlh"].submission["q1"][0] == "tlh-0"
    assert set(beside_it["tlh"].submission["q1"]) == {"tlh-0", "de-0", "de-1", "sw-0", "sw-1"}
    only = judge(RANKING, {("test", "tlh"): parts["test", "tlh"]}, ("tlh",), SETTINGS)
    assert only["tlh"].submission == {"q1": ["tlh-0"]}


def test_a_query_without_a_relevant_candidate_is_submitted_and_not_scored() -> None:
    parts = ranking_parts()
    lost = RetrievalExample("q9", "?", "query", None, ("q9",))
    vectors = [*parts["test", "sw"].reduced["vector"], np.ones(5)]
    parts["test", "sw"] = part([*parts["test", "sw"].examples, lost], vectors)
    result = judge(RANKING, parts, ("sw",), SETTINGS)["sw"]
    assert [row["id"] for row in result.rows] == ["q1"]
    assert set(result.submission) == {"q1", "q9"}
    with pytest.raises(DataError, match="no candidate to rank"):
        judge(RANKING, {("test", "sw"): part([lost], [np.ones(5)])}, ("sw",), SETTINGS)


def test_a_limit_leaves_the_pool_whole() -> None:
    examples = ranking_parts()["test", "de"].examples
    assert [example.id for example in first_examples(examples, 1)] == ["q1", "de-0", "de-1"]
