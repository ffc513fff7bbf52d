"""The soup of several runs of one task: the plain mean of what they trained (Wortsman et al. 2022, arXiv 2203.05482).

A mean of weights means something where each weight has the same part in every run. An encoder's own weights do, and
their changes: all runs began as one checkpoint. New heads and bottleneck adapters are drawn at random, and what one
unit learns in a run another learns in the next: they have a mean only where the runs drew them alike (`init_seed`).
Schmidt et al. 2023 (arXiv 2305.16834) average runs so, across seeds, with one head to begin with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adapter_stilts.errors import BundleError, UsageError
from adapter_stilts.model.bundle_info import BundleInfo
from adapter_stilts.model.tuning import get_tuning

_REMEDY = "train the runs with one init_seed, e.g. --set target.init_seed=0"


def check_soup(bundles: Sequence[Path], infos: Sequence[BundleInfo], with_head: bool) -> None:
    """Raises BundleError where the bundles are not runs of one task, or what they drew at random has no mean.

    Args:
        with_head: whether their heads are to be averaged.
    """
    for bundle, info in zip(bundles, infos, strict=True):
        if info.task != infos[0].task:
            raise BundleError(
                f"soup: {bundle} was trained on {info.task!r}, {bundles[0]} on {infos[0].task!r}: it is the mean of "
                "several runs of one task; linear takes different tasks"
            )
    if with_head and (apart := _apart(infos, _head)) is not None:
        raise BundleError(
            f"soup: the heads of {bundles[0]} and {bundles[apart]} {_differ(infos, apart, _head)}, so that they have "
            f"no mean: {_REMEDY}, or leave the heads out (--no-head)"
        )
    if not _changes_weights(infos[0].tuning) and (apart := _apart(infos, _modules)) is not None:
        raise BundleError(
            f"soup: the {infos[0].tuning} modules of {bundles[0]} and {bundles[apart]} "
            f"{_differ(infos, apart, _modules)}, so that they have no mean: {_REMEDY}"
        )


def heads_began_alike(infos: Sequence[BundleInfo]) -> bool:
    """Whether the bundles' heads were the same before they were trained."""
    return _apart(infos, _head) is None


def _apart(infos: Sequence[BundleInfo], began: Callable[[BundleInfo], Any]) -> int | None:
    """The first bundle that did not begin as the first, or of which it is not known; None where all did."""
    first = began(infos[0])
    return next((n for n, info in enumerate(infos) if first is None or began(info) != first), None)


def _differ(infos: Sequence[BundleInfo], apart: int, began: Callable[[BundleInfo], Any]) -> str:
    one, other = began(infos[0]), began(infos[apart])
    if one is None or other is None:
        return "do not tell what they began as (of a merge, or made elsewhere)"
    if isinstance(one, int) and isinstance(other, int):
        return f"were drawn with seeds {one} and {other}"
    return "went on from other bundles"


def _head(info: BundleInfo) -> int | tuple[str, ...] | None:
    """What a head began as: the seed that drew it, or the bundles that it went on from; None where it is not known."""
    return info.parents if info.settings.get("after") else _drawn_by(info)


def _modules(info: BundleInfo) -> int | tuple[str, ...] | None:
    """The same of modules."""
    return info.parents or _drawn_by(info)


def _drawn_by(info: BundleInfo) -> int | None:
    training = info.settings.get("training")
    if not isinstance(training, dict):
        return None
    found = training.get("init_seed", info.settings.get("seed"))
    return found if isinstance(found, int) else None


def _changes_weights(tuning: str) -> bool:
    """Whether what is trained is a change of the encoder's weights, which all runs share."""
    try:
        get_tuning(tuning).check_fold()
    except UsageError:
        return False
    return True
