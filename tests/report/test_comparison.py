"""Resampled scores and gains: against `aggregate` of resampled rows, scipy, and by hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.evaluation.aggregation import Row, aggregate
from adapter_stilts.report import comparison
from adapter_stilts.report.comparison import Resampled, Runs
from adapter_stilts.report.counts import counts, mined_counts
from adapter_stilts.report.intervals import Estimate

Make = Callable[[np.random.Generator, int], dict[str, float | str]]


def spans(gold: int, predicted: int, correct: int) -> dict[str, float | str]:
    return {"gold": gold, "predicted": predicted, "correct": min(gold, predicted, correct)}


KINDS: dict[str, tuple[str, Make]] = {
    "accuracy": ("accuracy", lambda g, n: {"accuracy": 100.0 * g.integers(2)}),
    "exact match": ("exact_match", lambda g, n: {"exact_match": 100.0 * g.integers(2), "f1": 50.0}),
    "answers": ("f1", lambda g, n: {"exact_match": 0.0, "f1": float(g.choice([0, 40, 57.1, 100]))}),
    "spans": ("f1", lambda g, n: spans(n % 3, int(g.integers(3)), int(g.integers(3)))),
    "words": ("accuracy", lambda g, n: {"words": 5 + n % 4, "correct": int(g.integers(5))}),
    "ranked": ("map@20", lambda g, n: {"map@20": 100 / float(g.integers(1, 20))}),
}


def rows_of(kind: str, examples: int, seed: int) -> list[Row]:
    generator = np.random.default_rng(seed)
    return [{"id": f"q{number}", **KINDS[kind][1](generator, number)} for number in range(examples)]


def runs_of(kind: str, examples: int = 40, seeds: int = 3, first: int = 0, languages: str = "de es") -> Runs:
    return {
        seed: {
            language: counts(rows_of(kind, examples, first + 10 * seed + place), KINDS[kind][0], language)
            for place, language in enumerate(languages.split())
        }
        for seed in range(seeds)
    }


def resample(system: Runs, baseline: Runs | None = None, **settings: int) -> Resampled:
    """A system's scores, or its gains over a baseline."""
    if baseline is None:
        return comparison.resample({"ours": system}, **settings)["ours"]
    found = comparison.resample({"ours": system, "theirs": baseline}, **settings)
    return found["ours"].over(found["theirs"])


@pytest.mark.parametrize("kind", KINDS)
def test_observed_is_the_difference_of_aggregates(kind: str) -> None:
    metric = KINDS[kind][0]
    found = resample(runs_of(kind), runs_of(kind, first=500), resamples=10)
    for (row, seed), (column, _) in product(enumerate(found.seeds), enumerate(found.languages)):
        assert seed is not None
        ours, theirs = (
            aggregate(rows_of(kind, 40, first + 10 * seed + column))[metric] for first in (0, 500)
        )
        assert found.observed[row, column] == pytest.approx(ours - theirs, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_resampled_is_what_aggregate_gives_of_all_possible_draws(kind: str) -> None:
    """Of four examples there are 256 resamples: quantiles and means of the whole distribution, by `aggregate`."""
    metric = KINDS[kind][0]
    ours, theirs = rows_of(kind, 4, 1), rows_of(kind, 4, 2)
    every = np.asarray([
        aggregate([ours[place] for place in places])[metric]
        - aggregate([theirs[place] for place in places])[metric]
        for places in product(range(4), repeat=4)
    ])  # fmt: skip
    system, baseline = ({0: {"de": counts(rows, metric, "de")}} for rows in (ours, theirs))
    found = resample(system, baseline, resamples=100_000).values[:, 0, 0]
    assert set(np.round(found, 6)) == set(np.round(every, 6))
    for value in set(np.round(every, 6)):
        share = (np.round(every, 6) == value).mean()
        # Five standard errors of a share of 100,000 draws.
        assert (np.round(found, 6) == value).mean() == pytest.approx(share, abs=5 * (share / 1e5) ** 0.5)


@pytest.mark.parametrize("mined", [False, True])
def test_many_examples_of_few_kinds_are_drawn_alike(mined: bool) -> None:
    """Of mining counts by kind are drawn instead of examples: mean and variance are those of a binomial either way."""
    rows: list[Row] = [{"id": str(n), "accuracy": 100.0 * (n < 300)} for n in range(1000)]
    pairs: list[Row] = [{"id": f"{n} e", "gold": 1, "predicted": 1, "correct": n < 300} for n in range(1000)]
    counted = mined_counts(pairs, "de") if mined else counts(rows, "accuracy", "de")
    values = resample({0: {"de": counted}}, resamples=50_000).values[:, 0, 0]
    assert values.mean() == pytest.approx(30.0, abs=0.03)
    assert values.std() == pytest.approx(100 * (0.3 * 0.7 / 1000) ** 0.5, rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_other_systems_change_no_draws(kind: str) -> None:
    ours, theirs, third = (runs_of(kind, first=first) for first in (0, 500, 900))
    more = comparison.resample({"third": third, "theirs": theirs, "ours": ours}, resamples=50)
    alone = comparison.resample({"ours": ours, "theirs": theirs}, resamples=50)
    np.testing.assert_allclose(
        more["ours"].over(more["theirs"]).values, alone["ours"].over(alone["theirs"]).values, atol=1e-8
    )


def test_of_mining_the_order_of_two_changes_no_draws() -> None:
    def mined(seed: int) -> Runs:
        generator = np.random.default_rng(seed)
        found: list[Row] = [
            {
                "id": f"d{n} e{n}",
                "gold": 1,
                "predicted": int(p),
                "correct": int(p) * int(generator.integers(2)),
            }
            for n, p in enumerate(generator.integers(2, size=200))
        ]
        return {0: {"de": mined_counts(found, "de")}}

    ours, theirs = mined(1), mined(2)
    there, back = resample(ours, theirs, resamples=50), resample(theirs, ours, resamples=50)
    assert there.values.std() > 0
    np.testing.assert_array_equal(there.values, -back.values)


@pytest.mark.parametrize("kind", ["accuracy", "answers"])
def test_intervals_as_scipys(kind: str) -> None:
    """scipy.stats.bootstrap, paired, at the level that ours is expanded to."""
    from adapter_stilts.report.intervals import expanded

    metric = KINDS[kind][0]
    ours, theirs = rows_of(kind, 80, 1), rows_of(kind, 80, 2)
    system, baseline = ({0: {"de": counts(rows, metric, "de")}} for rows in (ours, theirs))
    found = resample(system, baseline, resamples=40_000).by_examples()
    wanted = scipy.stats.bootstrap(
        ([float(row[metric]) for row in ours], [float(row[metric]) for row in theirs]),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        paired=True, n_resamples=40_000, method="percentile", confidence_level=expanded(0.95, 80),
        rng=np.random.default_rng(3),
    ).confidence_interval  # fmt: skip
    assert found.interval.low == pytest.approx(wanted.low, abs=0.4)
    assert found.interval.high == pytest.approx(wanted.high, abs=0.4)
    # Of a mean the interval is near Student's.
    differences = [float(a[metric]) - float(b[metric]) for a, b in zip(ours, theirs, strict=True)]
    t = scipy.stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert found.interval.low == pytest.approx(t.low, abs=1.0)
    assert found.interval.high == pytest.approx(t.high, abs=1.0)


def test_f1_of_spans_as_scipys() -> None:
    ours = rows_of("spans", 60, 1)
    table = np.asarray([[float(row[name]) for name in ("gold", "predicted", "correct")] for row in ours])
    wanted = scipy.stats.bootstrap(
        tuple(table.T), lambda g, p, c, axis: 200 * c.sum(axis) / (g.sum(axis) + p.sum(axis)),
        paired=True, n_resamples=40_000, method="percentile", rng=np.random.default_rng(3),
    )  # fmt: skip
    values = resample({0: {"de": counts(ours, "f1", "de")}}, resamples=40_000).values[:, 0, 0]
    assert values.std() == pytest.approx(wanted.standard_error, rel=0.02)
    assert np.quantile(values, 0.025) == pytest.approx(wanted.confidence_interval.low, abs=0.3)


def told(found: Resampled) -> list[Estimate]:
    return [found.by_examples(), found.by_seeds(), found.hierarchical(), found.by_examples(["es"])]


@pytest.mark.parametrize("kind", ["accuracy", "answers"])
def test_the_same_whatever_the_order_and_the_memory(kind: str) -> None:
    found = resample(runs_of(kind), runs_of(kind, first=500), resamples=200, seed=7)

    def shuffled(first: int) -> Runs:
        runs = {}
        for seed in (2, 0, 1):
            runs[seed] = {}
            for place, language in ((1, "es"), (0, "de")):
                rows = rows_of(kind, 40, first + 10 * seed + place)
                random.Random(seed).shuffle(rows)
                runs[seed][language] = counts(rows, KINDS[kind][0], language)
        return runs

    again = resample(shuffled(0), shuffled(500), resamples=200, seed=7, memory=50_000)
    assert (again.values == found.values).all()
    assert told(again) == told(found)
    other = resample(runs_of(kind), runs_of(kind, first=500), resamples=200, seed=8)
    assert (other.values != found.values).any()


@settings(max_examples=20)
@given(kind=st.sampled_from(sorted(KINDS)), examples=st.integers(2, 60), first=st.integers(0, 1000))
def test_equal_systems_gain_nothing(kind: str, examples: int, first: int) -> None:
    runs = runs_of(kind, examples, first=first)
    found = resample(runs, runs, resamples=50)
    assert not found.values.any()
    for estimate in told(found):
        assert (estimate.value, estimate.interval.low, estimate.interval.high) == (0, 0, 0)
        assert estimate.p_value == pytest.approx(1.0)


@settings(max_examples=20)
@given(kind=st.sampled_from(sorted(KINDS)), first=st.integers(0, 1000))
def test_turned_round_the_gain_is_the_opposite(kind: str, first: int) -> None:
    one, two = runs_of(kind, first=first), runs_of(kind, first=first + 2000)
    ahead, behind = resample(one, two, resamples=2_000), resample(two, one, resamples=2_000)
    assert ahead.observed == pytest.approx(-behind.observed)
    estimate, opposite = ahead.by_seeds(), behind.by_seeds()
    assert estimate.value == pytest.approx(-opposite.value)
    assert estimate.interval.low <= estimate.value <= estimate.interval.high
    for found in told(ahead):
        # Far from the rounding of quantiles, p and interval say the same.
        if abs(found.p_value - 0.05) > 0.003 and abs(found.interval.low * found.interval.high) > 1e-9:
            assert (found.p_value < 0.05) == (not found.interval.holds(0.0))


def test_a_language_is_known_alike_whichever_others_are_asked_for() -> None:
    """With examples of its own: ids that no other language has."""
    metric = "accuracy"
    apart = {
        language: counts(
            [{**row, "id": f"{language}-{row['id']}"} for row in rows_of("accuracy", 30, place)], metric, language
        )
        for place, language in enumerate(("de", "es"))
    }  # fmt: skip
    both, alone = resample({0: apart}, resamples=100), resample({0: {"es": apart["es"]}}, resamples=100)
    assert both.by_examples(["es"]) == alone.by_examples()
    assert [found.examples for found in (both.by_examples(), alone.by_examples())] == [60, 30]


def test_shared_examples_make_an_average_less_certain() -> None:
    """The same questions in two languages, answered alike: as little is known as of one language."""
    rows = rows_of("accuracy", 100, 1)
    shared = {language: counts(rows, "accuracy", language) for language in ("de", "es")}
    apart = {
        language: counts([{**row, "id": f"{language}-{row['id']}"} for row in rows], "accuracy", language)
        for language in ("de", "es")
    }
    deviations = [resample({0: runs}, resamples=20_000).values.mean(axis=2).std() for runs in (shared, apart)]
    assert deviations[0] == pytest.approx(deviations[1] * 2**0.5, rel=0.03)


def test_by_seeds_by_hand() -> None:
    """Seeds that differ and examples that do not: the t interval of the seeds' scores."""
    percents = (40.0, 50.0, 66.0)
    runs: Runs = {
        seed: {"de": counts([{"id": str(n), "f1": percent} for n in range(50)], "f1", "de")}
        for seed, percent in enumerate(percents)
    }
    found = resample(runs, resamples=100).by_seeds()
    low, high = scipy.stats.ttest_1samp(percents, 0).confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))
    assert found.p_value == pytest.approx(scipy.stats.ttest_1samp(percents, 0).pvalue, rel=1e-4)
    assert (found.interval.basis, found.interval.method, found.seeds) == ("seeds and examples", "t", 3)


def test_by_seeds_is_no_narrower_than_over_examples() -> None:
    """Seeds that happen to score alike do not make the examples certain."""
    rows = rows_of("accuracy", 60, 1)
    runs: Runs = {seed: {"de": counts(rows, "accuracy", "de")} for seed in range(3)}
    found = resample(runs, resamples=5_000)
    low, high = found.by_seeds().interval.low, found.by_seeds().interval.high
    t = scipy.stats.ttest_1samp([float(row["accuracy"]) for row in rows], 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((t.low, t.high), abs=0.6)


def test_hierarchical_draws_whole_seeds() -> None:
    """Without differences between examples, only means of drawn seeds are possible."""
    runs: Runs = {
        seed: {"de": counts([{"id": str(n), "f1": 10.0 * seed} for n in range(9)], "f1", "de")}
        for seed in range(2)
    }
    found = resample(runs, resamples=4_000)
    estimate = found.hierarchical()
    assert (estimate.interval.low, estimate.interval.high) == (0.0, 10.0)
    assert estimate.interval.method == "percentile"
    # Both seeds 1: one draw in four; one of each: two.
    assert found.hierarchical(level=0.4).interval.low == 5.0


def test_mined_pairs_are_compared_by_sentence() -> None:
    def mined(predicted: list[tuple[int, int]]) -> list[Row]:
        pairs = {(n, n) for n in range(6)} | set(predicted)
        return [
            {
                "id": f"d{one} e{two}",
                "gold": int(one == two),
                "predicted": int((one, two) in predicted),
                "correct": int(one == two and (one, two) in predicted),
            }
            for one, two in pairs
        ]

    ours, theirs = mined([(0, 0), (1, 1), (2, 3)]), mined([(0, 0), (8, 1)])
    found = resample({0: {"de": mined_counts(ours, "de")}}, {0: {"de": mined_counts(theirs, "de")}})
    assert found.observed.item() == pytest.approx(aggregate(ours)["f1"] - aggregate(theirs)["f1"])
    assert found.by_examples().examples == 7


@pytest.mark.parametrize(
    ("system", "baseline", "told"),
    [
        ({}, None, "no runs of ours"),
        ({0: {}}, None, "no languages of ours"),
        (runs_of("accuracy", seeds=2), runs_of("accuracy", seeds=3), "unlike seeds: ours has 0, 1 and theirs 0, 1, 2"),
        (runs_of("accuracy"), runs_of("accuracy", languages="de"), "ours has de, es and theirs, seed 0, de"),
        (runs_of("accuracy", examples=1), None, "one example in de, es"),
    ],
)  # fmt: skip
def test_refused(system: Runs, baseline: Runs | None, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        resample(system, baseline)


def test_many_systems_meet_the_same_draws() -> None:
    """With seeds of their own; what was drawn apart is not compared."""
    systems = {"one": runs_of("answers"), "same": runs_of("answers"), "fewer": runs_of("answers", seeds=2)}
    found = comparison.resample(systems, resamples=100)
    assert not found["one"].over(found["same"]).values.any()
    assert (found["one"].values[:, :2] == found["fewer"].values).all()
    with pytest.raises(UsageError, match="unlike seeds: one has 0, 1, 2 and fewer 0, 1"):
        found["one"].over(found["fewer"])
    with pytest.raises(UsageError, match="one and ours were resampled apart"):
        found["one"].over(resample(runs_of("answers"), resamples=100))
    with pytest.raises(UsageError, match="no systems"):
        comparison.resample({})


def test_what_is_asked_is_checked() -> None:
    found = resample(runs_of("accuracy", seeds=1), resamples=10)
    assert found.by_examples().seeds == 1
    for ask in (found.by_seeds, found.hierarchical):
        with pytest.raises(UsageError, match="one seed says nothing of others"):
            ask()
    with pytest.raises(UnknownNameError, match=r"unknown language 'ed'. Choices: de, es"):
        found.by_examples(["ed"])
    with pytest.raises(UsageError, match="no languages; choose some of de, es"):
        found.by_examples([])
    with pytest.raises(UsageError, match="level 95 is no share"):
        found.by_examples(level=95)
    with pytest.raises(UsageError, match="0 resamples"):
        resample(runs_of("accuracy"), resamples=0)
