"""TaskEmb: how alike the weights are that matter to source and target.

Vu et al. 2020 (arXiv 2005.00770): the diagonal of the empirical Fisher information (`select/fisher.py`) of a model that
is trained on the task, and the cosine of two tasks' in each component; theirs are the layers of BERT and their parts.

Ours is that of a low-rank update (LoRA) after a short training of the untouched encoder under a new head, of A and B
alone: a component is an updated layer. It is so whatever is trained later: the whole encoder would have as many numbers
for each task as it has weights, and that the factors tell tasks apart as well is known (Zhou et al. 2022, arXiv
2210.11705). All tasks begin at the same factors. Components are put together by the mean of their cosines, where Vu et
al. fuse ranks.
"""

from __future__ import annotations

from statistics import fmean

from adapter_stilts.select.train_set import TrainSet, cosine

WHAT = "TaskEmb: cosine of the squared gradients of low-rank updates, after a short training"
NEEDS_ENCODER = True


def score(source: TrainSet, target: TrainSet) -> float:
    """0 to 1: squared gradients have no direction that is opposite."""
    assert source.fisher is not None
    assert target.fisher is not None
    return fmean(cosine(source.fisher[layer], target.fisher[layer]) for layer in target.fisher)
