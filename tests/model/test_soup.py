"""Soups: which bundles have a plain mean, and what is told of those that have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import BundleError, UsageError
from adapter_stilts.model.bundle_info import BundleInfo
from adapter_stilts.model.merge import Merge, equal_weights
from adapter_stilts.model.soup import check_soup, heads_began_alike

ONE, TWO = Path("one"), Path("two")


def info(mode: str = "lora", seed: int = 0, init: int | None = None, **more: Any) -> BundleInfo:
    training = {} if init is None else {"init_seed": init}
    values: dict[str, Any] = {"task": "xnli", "parents": (), **more}
    settings = values.pop("settings", {"seed": seed, "training": training, **values.pop("set", {})})
    return BundleInfo(
        tuning=mode, base="made", base_revision=None, base_fingerprint="b" * 64, format="pair_classification",
        labels=("a", "b"), settings=settings, metrics={}, versions={}, **values,
    )  # fmt: skip


ALIKE = {
    "one seed": (info(), info()),
    "one init_seed": (info(seed=0, init=3), info(seed=1, init=3)),
    "the seed that the other's init_seed is": (info(seed=3), info(seed=1, init=3)),
    "full after other parents": (info("full", parents=("p",)), info("full", parents=("q",))),
    "few examples after one stage": (
        info(seed=0, parents=("p",), set={"after": ["en"]}),
        info(seed=1, parents=("p",), set={"after": ["en"]}),
    ),
    "adapters after one stage": (info("adapter", parents=("p",)), info("adapter", parents=("p",))),
}


@pytest.mark.parametrize("infos", ALIKE.values(), ids=ALIKE)
def test_runs_that_began_alike_have_a_mean(infos: tuple[BundleInfo, BundleInfo]) -> None:
    check_soup((ONE, TWO), infos, with_head=True)
    assert heads_began_alike(infos)


UNLIKE = {
    "seeds": (
        (info(seed=0), info(seed=1)),
        r"the heads of one and two were drawn with seeds 0 and 1, .*target\.init_seed=0, or leave .*--no-head",
    ),
    "few examples after two stages": (
        (info(parents=("p",), set={"after": ["en"]}), info(parents=("q",), set={"after": ["en"]})),
        "the heads of one and two went on from other bundles",
    ),
    "a merge": ((info(settings={"merge": {}}), info()), "do not tell what they began as"),
    "other tasks": (
        (info(), info(task="pawsx")),
        "two was trained on 'pawsx', one on 'xnli'.*linear takes different tasks",
    ),
    "adapters after two stages": (
        (info("adapter", parents=("p",)), info("adapter", parents=("q",))),
        "the adapter modules of one and two went on from other bundles",
    ),
}


@pytest.mark.parametrize(("infos", "message"), UNLIKE.values(), ids=UNLIKE)
def test_what_has_no_mean_is_refused(infos: tuple[BundleInfo, BundleInfo], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        check_soup((ONE, TWO), infos, with_head=True)


def test_without_heads_updates_have_a_mean_and_adapters_have_none() -> None:
    """Weights and their changes mean the same in every run; a bottleneck's units do not."""
    check_soup((ONE, TWO), (info(seed=0), info(seed=1)), with_head=False)
    with pytest.raises(BundleError, match="the adapter modules of one and two were drawn with seeds 0 and 1"):
        check_soup((ONE, TWO), (info("adapter", 0), info("adapter", 1)), with_head=False)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ((0.7, 0.3), "several runs .* got the weights 0.7, 0.3: leave them out, or take linear"),
        ((1.0, 1.0), "several runs .* got the weights 1, 1: leave them out, or take linear"),
        ((1.0,), "two or more runs of a task; got one: name others too"),
    ],
)
def test_a_soup_has_no_weights(weights: tuple[float, ...], words: str) -> None:
    with pytest.raises(UsageError, match=f"soup is the plain mean of {words}"):
        Merge("soup", weights)
    assert Merge("soup", equal_weights(3)).has_mean


def test_a_soup_has_the_rank_of_its_bundles_together() -> None:
    with pytest.raises(UsageError, match="rank = 4: `soup` is exact at the sum of the inputs' ranks"):
        Merge("soup", (0.5, 0.5), rank=4)
