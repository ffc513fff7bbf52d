"""TextEmb: how near source and target lie in the untouched encoder's last states.

Vu et al. 2020 (arXiv 2005.00770); as a way to choose intermediate tasks Poth et al. 2021 (arXiv 2104.08247).
"""

from __future__ import annotations

from adapter_stilts.select.train_set import TrainSet, cosine

WHAT = "TextEmb: cosine of the mean last states of the untouched encoder"
NEEDS_ENCODER = True


def score(source: TrainSet, target: TrainSet) -> float:
    """Cosine, -1 to 1."""
    assert source.embedding is not None
    assert target.embedding is not None
    return cosine(source.embedding, target.embedding)
