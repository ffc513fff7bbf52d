"""Training curve: how soon the loss falls on the target's train set, from where the source left the encoder.

The area under the curve, over the steps whose examples had not been trained on before: their losses are those of an
online code, so that the sum is the length of the labels' description by a learner that begins at the source (Blier and
Ollivier 2018, arXiv 1802.07044; of states of encoders Voita and Titov 2020, arXiv 2003.12298). What comes after the
first pass tells how well examples are remembered, and does not count. It needs no dev split.
"""

from __future__ import annotations

from adapter_stilts.select.short_runs.short_run import ShortRun

WHAT = "training curve: less the mean loss of the short training's steps, each before its examples were seen"
NEEDS_DEV = False


def score(run: ShortRun) -> float:
    """Less the mean loss, in nats an example, or a unit of its format (a word, a window's start and end)."""
    return -float(run.losses[: run.unseen].mean())
