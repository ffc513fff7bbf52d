"""Scores worked out by hand, among them the traps where reimplementations differ from the official ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_stilts.errors import UnknownNameError
from adapter_stilts.evaluation import metrics


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Cat, a dog!", "cat dog"),
        ("another theatre", "another theatre"),
        ("U.S.-based", "usbased"),
        ("the", ""),
        # Only ASCII punctuation and English articles go, whatever the language.
        ("«der Hund»。", "«der hund»。"),
        ("กรุงเทพ (เมืองหลวง)", "กรุงเทพ เมืองหลวง"),
        ("北京 大學", "北京 大學"),
    ],
)
def test_squad_normalisation(text: str, normal: str) -> None:
    assert metrics.squad_normalize(text) == normal


@pytest.mark.parametrize(
    ("prediction", "answers", "exact", "f1"),
    [
        ("the Cat.", ["cat"], 1.0, 1.0),
        ("a big dog", ["dog"], 0.0, 2 / 3),
        ("big dog", ["small cat"], 0.0, 0.0),
        # The best gold answer counts, for each of the two scores by itself.
        ("big dog", ["dog", "big dog", "cat"], 1.0, 1.0),
        ("red big dog", ["red", "big dog here"], 0.0, 2 / 3),
        # Tokens count as often as they occur in both: 1 shared, precision 1/2, recall 1/3.
        ("dog dog", ["dog cat bird"], 0.0, 2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3)),
        # Nothing against nothing matches exactly and yet shares no token.
        ("the", ["a"], 1.0, 0.0),
        # Thai is one token where it has no blanks, so a part of the answer earns nothing.
        ("กรุงเทพ", ["กรุงเทพมหานคร"], 0.0, 0.0),
        # German articles are words to the English normalisation.
        ("der Hund", ["Hund"], 0.0, 2 / 3),
    ],
)
def test_squad_scores_of_one_answer(prediction: str, answers: list[str], exact: float, f1: float) -> None:
    assert metrics.squad_exact_match(prediction, answers) == exact
    assert metrics.squad_f1(prediction, answers) == pytest.approx(f1, abs=1e-12)


@pytest.mark.parametrize(
    ("language", "text", "normal"),
    [
        ("en", "The “Cat” — a dog!", "cat dog"),
        ("de", "Der Hund eines Mannes", "hund mannes"),
        ("de", "the Hund", "the hund"),
        ("es", "¿La casa de los Reyes?", "casa de reyes"),
        ("vi", "Của những người", "người"),
        ("hi", "एक आदमी।", "एक आदमी"),
        # "al-" goes from inside words too, and leaves a blank: the pattern's quirk.
        ("ar", "المدينة", "مدينة"),
        ("ar", "بالمدينة", "ب مدينة"),
        ("ar", "قال", "ق"),
        # Each Chinese character is a token, runs of anything else are split at blanks.
        ("zh", "北京2008年 Olympic Games。", "北 京 2008 年 olympic games"),
        # Outside U+4E00..U+9FA5 nothing is split, extension A and kana included.
        ("zh", "㐀㐁かな", "㐀㐁かな"),
        ("en", "$5 + 3", "5 3"),
        ("en", "5€", "5€"),
    ],
)
def test_mlqa_normalisation(language: str, text: str, normal: str) -> None:
    assert metrics.mlqa_normalize(text, language) == normal


def test_mlqa_scores_of_one_answer() -> None:
    # Two of three characters shared: precision 1, recall 2/3.
    assert metrics.mlqa_f1("北京", ["北京市"], "zh") == pytest.approx(0.8)
    assert metrics.mlqa_exact_match("北京", ["北京市"], "zh") == 0.0
    assert metrics.mlqa_exact_match("「北京市」", ["上海", "北京市"], "zh") == 1.0
    # XQuAD's normalisation sees one token each, so the same answer earns nothing there.
    assert metrics.squad_f1("北京", ["北京市"]) == 0.0
    assert metrics.mlqa_exact_match("der Hund", ["Hund"], "de") == 1.0
    assert metrics.mlqa_exact_match("الكتاب", ["كتاب"], "ar") == 1.0


def test_mlqa_knows_its_seven_languages() -> None:
    with pytest.raises(UnknownNameError, match="'th'"):
        metrics.mlqa_normalize("ข", "th")


def test_unanswered_questions_score_zero() -> None:
    questions = [("1", ["cat"]), ("2", ["dog"]), ("3", ["big dog"]), ("4", [])]
    predictions = {"1": "the cat", "3": "dog", "unknown": "x"}
    assert metrics.squad_scores(questions, predictions) == pytest.approx(
        {"exact_match": 25.0, "f1": 100 * (1 + 2 / 3) / 4}
    )
    assert metrics.mlqa_scores(questions, predictions, "en") == pytest.approx(
        {"exact_match": 25.0, "f1": 100 * (1 + 2 / 3) / 4}
    )
    assert metrics.mlqa_scores(questions, predictions, "de")["exact_match"] == 0.0


def test_accuracy() -> None:
    assert metrics.accuracy(["a", "b", "c", "d"], ["a", "b", "c", "x"]) == 75.0
    assert metrics.accuracy(["1"], [1]) == 0.0
    for predictions, labels in (([], []), (["a"], ["a", "b"]), (["a", "b"], ["a"])):
        with pytest.raises(ValueError, match="predictions for"):
            metrics.accuracy(predictions, labels)


@pytest.mark.parametrize(
    ("gold", "predicted", "precision", "recall"),
    [
        # PAN-X: a span counts when its ends and its type are right.
        (["B-PER I-PER O B-LOC"], ["B-PER I-PER O O"], 1 / 1, 1 / 2),
        (["B-PER I-PER O B-LOC"], ["B-PER O O B-LOC"], 1 / 2, 1 / 2),
        (["B-PER I-PER"], ["B-LOC I-LOC"], 0, 0),
        (["B-PER B-PER"], ["B-PER I-PER"], 0, 0),
        # An I- without its B- opens a span.
        (["B-PER I-PER"], ["I-PER I-PER"], 1, 1),
        (["O O"], ["O O"], 0, 0),
        # UDPOS: NOUN NOUN is one span, so one wrong word loses both.
        (["NOUN NOUN VERB"], ["NOUN NOUN VERB"], 1, 1),
        (["NOUN NOUN VERB"], ["NOUN ADJ VERB"], 1 / 3, 1 / 2),
        # A longer run of right words does not weigh more.
        (["NOUN NOUN NOUN NOUN ADP"], ["NOUN NOUN NOUN NOUN DET"], 1 / 2, 1 / 2),
        # Spans end with the sentence.
        (["NOUN", "NOUN"], ["NOUN", "VERB"], 1 / 2, 1 / 2),
        # SYM SYM is two spans, as S marks a chunk of one word.
        (["SYM SYM NOUN"], ["SYM ADJ NOUN"], 2 / 3, 2 / 3),
        (["SCONJ SCONJ"], ["SCONJ ADJ"], 1 / 2, 1 / 2),
        # A tag without a hyphen is its own type.
        (["SCONJ NOUN"], ["CCONJ NOUN"], 1 / 2, 1 / 2),
        (["SCONJ NOUN"], ["PART NOUN"], 1 / 2, 1 / 2),
        (["X X PUNCT"], ["X X SYM"], 1 / 2, 1 / 2),
        (["NOUN X"], ["NOUN ADJ"], 1 / 2, 1 / 2),
    ],
)
def test_tagging(gold: list[str], predicted: list[str], precision: float, recall: float) -> None:
    scores = metrics.tagging_scores([tags.split() for tags in gold], [tags.split() for tags in predicted])
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0
    scores = {name: scores[name] for name in ("f1", "precision", "recall")}
    assert scores == pytest.approx({"f1": 100 * f1, "precision": 100 * precision, "recall": 100 * recall})


SEQEVAL = {
    "upos": (
        ["DET NOUN VERB SCONJ CCONJ NOUN PUNCT", "NOUN NOUN NOUN PUNCT PUNCT", "X X",
         "CCONJ SCONJ PRON VERB SYM SYM X", "NUM NUM NOUN ADP DET ADJ ADJ NOUN PUNCT"],
        ["DET NOUN VERB CCONJ CCONJ NOUN PUNCT", "NOUN PROPN NOUN PUNCT PUNCT", "X NOUN",
         "SCONJ SCONJ PRON AUX SYM SYM X", "NUM NOUN NOUN ADP DET ADJ NOUN NOUN PUNCT"],
        (56.0, 53.8461538462, 58.3333333333),
        (60.8695652174, 56.0, 66.6666666667),
    ),
    "iob2": (
        ["B-PER I-PER O B-LOC", "O B-ORG I-ORG I-ORG O B-PER", "B-LOC B-LOC O"],
        ["B-PER I-PER O B-ORG", "O B-ORG I-ORG O O B-PER", "B-LOC I-LOC O"],
        (36.3636363636, 40.0, 33.3333333333),
        (36.3636363636, 40.0, 33.3333333333),
    ),
    "ill-formed": (
        ["I-PER I-PER I-LOC O", "O I-LOC B-LOC I-PER"],
        ["I-PER B-PER I-LOC O", "O I-LOC I-LOC I-PER"],
        (40.0, 40.0, 40.0),
        (40.0, 40.0, 40.0),
    ),
    "ends and singles": (
        ["B-PER I-PER E-PER S-LOC S-LOC O", "E-PER E-PER I-PER . O"],
        ["B-PER I-PER E-PER S-LOC O O", "E-PER I-PER I-PER . O"],
        (60.0, 75.0, 50.0),
        (60.0, 75.0, 50.0),
    ),
    "two hyphens": (
        ["B-A-B I-A-B B-C-B I-C-B O", "I-C-B I-A-B"],
        ["B-A-B I-C-B B-C-B I-C-B O", "I-A-B I-A-B"],
        (100.0, 100.0, 100.0),
        (25.0, 25.0, 25.0),
    ),
    "nothing found": (["O B-PER"], ["O O"], (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
}  # fmt: skip
"""What f1_score, precision_score and recall_score of seqeval 0.0.12, and of 1.2.2, gave for these sentences."""


@pytest.mark.parametrize(("gold", "predicted", "before", "newer"), SEQEVAL.values(), ids=SEQEVAL)
def test_tagging_scores_are_those_of_both_seqevals(
    gold: list[str], predicted: list[str], before: tuple[float, ...], newer: tuple[float, ...]
) -> None:
    scores = metrics.tagging_scores([tags.split() for tags in gold], [tags.split() for tags in predicted])
    names = ("f1", "precision", "recall")
    assert [scores[name] for name in names] == pytest.approx(before)
    assert [scores[f"{name}_seqeval1"] for name in names] == pytest.approx(newer)


def test_tagging_is_not_word_accuracy() -> None:
    gold = [["DET", "NOUN", "NOUN", "NOUN"]]
    predicted = [["DET", "NOUN", "NOUN", "VERB"]]
    assert metrics.accuracy(predicted[0], gold[0]) == 75.0
    # Gold spans: DET, NOUN x 3. Predicted: DET, NOUN x 2, VERB. One is right.
    scores = metrics.tagging_scores(gold, predicted)
    assert (scores["f1"], scores["precision"], scores["recall"]) == pytest.approx((40.0, 100 / 3, 50.0))


@pytest.mark.parametrize(
    ("gold", "predicted"), [([], []), ([["O"]], []), ([["O"]], [["O", "O"]]), ([["O"], []], [[], ["O"]])]
)
def test_tagging_wants_equal_shapes(gold: list[list[str]], predicted: list[list[str]]) -> None:
    with pytest.raises(ValueError, match="equally many"):
        metrics.tagging_scores(gold, predicted)


def test_bucc() -> None:
    gold = [("de-1", "en-1"), ("de-2", "en-2"), ("de-3", "en-3"), ("de-4", "en-4")]
    # One of two distinct pairs is right, one of four found; the repeated pair counts once.
    predicted = [("de-1", "en-1"), ("de-2", "en-9"), ("de-1", "en-1")]
    assert metrics.bucc_scores(gold, predicted) == pytest.approx(
        {"f1": 100 / 3, "precision": 50.0, "recall": 25.0}
    )
    nothing = {"f1": 0.0, "precision": 0.0, "recall": 0.0}
    assert metrics.bucc_scores(gold, []) == nothing
    assert metrics.bucc_scores(gold, [("en-1", "de-1")]) == nothing


@pytest.mark.parametrize(
    ("relevant", "candidates", "average_precision"),
    [
        (["a"], ["a", "b"], 1.0),
        (["a"], ["b", "c", "a"], 1 / 3),
        (["a"], ["x"] * 19 + ["a"], 1 / 20),
        (["a"], ["x"] * 20 + ["a"], 0.0),
        (["a"], [], 0.0),
        # Hits at ranks 1 and 3, of two relevant ones.
        (["a", "b"], ["a", "x", "b"], (1 / 1 + 2 / 3) / 2),
        (["a", "b", "c"], ["a"], 1 / 3),
        # The repeated candidate is no second hit, but takes up a rank.
        (["a", "b"], ["a", "a", "b"], (1 / 1 + 2 / 3) / 2),
        # No more than twenty can be found, so no more are asked for.
        ([f"r{i}" for i in range(30)], [f"r{i}" for i in range(30)], 1.0),
    ],
)
def test_average_precision(relevant: list[str], candidates: list[str], average_precision: float) -> None:
    score = metrics.mean_average_precision_at_20({"q": relevant}, {"q": candidates})
    assert score == pytest.approx(100 * average_precision)


def test_mean_average_precision_counts_queries_without_candidates() -> None:
    gold = {"1": ["a"], "2": ["a"], "3": ["a"], "4": ["a"]}
    ranked = {"1": ["a"], "2": ["b", "a"], "4": ["b"], "5": ["a"]}
    assert metrics.mean_average_precision_at_20(gold, ranked) == 37.5
    for empty in ({}, {"1": []}):
        with pytest.raises(ValueError, match="relevant"):
            metrics.mean_average_precision_at_20(empty, ranked)


ANSCOMBE = [10.0, 8.0, 13.0, 9.0, 11.0, 14.0, 6.0, 4.0, 12.0, 7.0, 5.0]


@pytest.mark.parametrize(
    ("gold", "predicted", "pearson", "spearman"),
    [
        # The first two of Anscombe's quartet (1973), whose published correlation is 0.816.
        (ANSCOMBE, [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68], 81.642, None),
        (ANSCOMBE, [9.14, 8.14, 8.74, 8.77, 9.26, 8.1, 6.13, 3.1, 9.13, 7.26, 4.74], 81.624, None),
        # Ranks that differ by 194 in squares: 1 - 6 * 194 / (10 * 99) = -29 / 165.
        (
            [106, 100, 86, 101, 99, 103, 97, 113, 112, 110],
            [7, 27, 2, 50, 28, 29, 20, 12, 6, 17],
            None,
            -2900 / 165,
        ),
        # Equal numbers: the ranks are (1, 2.5, 2.5, 4), deviations (-1.5, 0, 0, 1.5) and (-1.5, -0.5, 0.5, 1.5).
        ([1, 2, 2, 3], [1, 2, 3, 40], None, 450 / 22.5**0.5),
        ([1, 2, 3], [3, 2, 1], -100.0, -100.0),
        # No square overflows or vanishes, and no mean hides a difference in the last bit.
        ([0, 5, 1], [-1e200, 9e200, 1e200], 100.0, 100.0),
        ([1.0, 1.0 + 2**-52, 1.0], [2**-1074, 2**-1073, 2**-1074], 100.0, 100.0),
    ],
)
def test_correlations(
    gold: list[float], predicted: list[float], pearson: float | None, spearman: float | None
) -> None:
    found = metrics.correlations(gold, predicted)
    if pearson is not None:
        assert found["pearson"] == pytest.approx(pearson, abs=1e-3)
    if spearman is not None:
        assert found["spearman"] == pytest.approx(spearman, rel=1e-12)
    assert metrics.correlations(predicted, gold) == pytest.approx(found), "it has no direction"


@pytest.mark.parametrize("alike", [[2.0, 2.0, 2.0], [0.1 + 0.2] * 3, [1.0, float("nan"), 2.0]])
def test_what_does_not_vary_has_no_correlation(alike: list[float]) -> None:
    none = {"pearson": 0.0, "spearman": 0.0}
    assert metrics.correlations([1, 2, 3], alike) == metrics.correlations(alike, [1, 2, 3]) == none
    for gold, predicted in (([], []), ([1.0], [1.0, 2.0])):
        with pytest.raises(ValueError, match=f"{len(predicted)} predictions for {len(gold)} numbers"):
            metrics.correlations(gold, predicted)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-40, 40)), min_size=2, max_size=20))
def test_correlations_as_scipy_has_them(pairs: list[tuple[int, int]]) -> None:
    stats = pytest.importorskip("scipy.stats")
    gold, predicted = [float(a) for a, _ in pairs], [b / 4 for _, b in pairs]
    if len(set(gold)) == 1 or len(set(predicted)) == 1:
        return  # SciPy warns, and has NaN
    found = metrics.correlations(gold, predicted)
    assert found["pearson"] == pytest.approx(100 * stats.pearsonr(gold, predicted)[0], abs=1e-9)
    assert found["spearman"] == pytest.approx(100 * stats.spearmanr(gold, predicted)[0], abs=1e-9)
