"""Few-shot transfer: the score on English dev after some steps on the target's train set.

Vu et al. 2020 (arXiv 2005.00770) and Poth et al. 2021 (arXiv 2104.08247, "FSFT") rank sources by what few examples, or
few steps, bring.
"""

from __future__ import annotations

from adapter_stilts.select.short_runs.short_run import ShortRun

WHAT = "few-shot transfer: score on English dev after the short training from the source"
NEEDS_DEV = True


def score(run: ShortRun) -> float:
    """The mean of the task's metrics, in percent."""
    assert run.dev is not None
    return run.dev
