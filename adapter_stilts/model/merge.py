"""Merging: several changes of one base as one change. Methods work on what was changed, not on factors of it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import BundleError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

METHODS = ("linear", "soup", "svd", "ties", "dare_ties", "dare_linear", "magnitude_prune")


@dataclass(frozen=True)
class Merge:
    """How changes become one.

    Args:
        method: ``linear`` (the weighted sum, exact), ``soup`` (the plain mean of runs of one task, exact), ``svd`` (the
            sum at a chosen rank), ``ties`` (Yadav et al. 2023, arXiv 2306.01708), ``dare_linear`` and ``dare_ties`` (Yu
            et al. 2024, arXiv 2311.03099), ``magnitude_prune`` (the weighted sum of each one's largest entries).
        weights: one an input; negative ones take away.
        density: share of entries that pruning keeps.
        rank: of the result, for low-rank updates; None takes the sum of the inputs' for sums, else the largest.
        seed: of DARE's choice of entries.

    Raises:
        UsageError: an unknown method, a density outside (0, 1], a rank given to a sum, or a soup with weights.
    """

    method: str
    weights: tuple[float, ...]
    density: float = 0.5
    rank: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UnknownNameError("merge method", self.method, METHODS)
        if not 0 < self.density <= 1:
            raise UsageError(f"density = {self.density:g}: should be above 0 and at most 1")
        if self.rank is not None and (self.rank < 1 or self.is_sum):
            exact = self.method if self.is_sum else "linear"
            raise UsageError(
                f"rank = {self.rank}: `{exact}` is exact at the sum of the inputs' ranks; svd takes a rank of 1 or more"
            )
        if self.method in ("ties", "dare_ties") and len(self.weights) < 2:
            raise UsageError(
                f"{self.method} settles which sign several inputs agree on; with one input there is nothing to settle. "
                "Choices for one: linear, svd, dare_linear, magnitude_prune"
            )
        if self.method == "soup" and len(self.weights) < 2:
            raise UsageError("soup is the plain mean of two or more runs of a task; got one: name others too")
        if self.method == "soup" and any(
            abs(weight * len(self.weights) - 1) > 1e-6 for weight in self.weights
        ):
            raise UsageError(
                f"soup is the plain mean of several runs of a task; got the weights "
                f"{', '.join(f'{weight:g}' for weight in self.weights)}: leave them out, or take linear"
            )

    @property
    def is_sum(self) -> bool:
        """Whether it is a sum with weights, which low-rank updates have exactly."""
        return self.method in ("linear", "soup")

    @property
    def has_mean(self) -> bool:
        """Whether heads of such a merge can be one: weights that sum to 0 have no mean."""
        return abs(sum(self.weights)) >= 1e-6

    def averaged(self) -> Merge:
        """How the heads of such a merge become one: by their weighted mean, as they have no base to differ from."""
        assert self.has_mean
        total = sum(self.weights)
        return Merge("linear", tuple(weight / total for weight in self.weights))

    def settings(self) -> dict[str, Any]:
        """The settings that a stage's key and a bundle record."""
        return {
            "method": self.method,
            "weights": list(self.weights),
            "density": self.density,
            "rank": self.rank,
            "seed": self.seed,
        }


def equal_weights(count: int) -> tuple[float, ...]:
    """The weights of inputs unless told otherwise: their mean."""
    return (1.0 / count,) * count


def merged(changes: Sequence[Tensor], how: Merge, name: str) -> Tensor:
    """One change of the same shape.

    Args:
        name: of the tensor; with the seed it decides what DARE drops.

    Raises BundleError where they are of several shapes.
    """
    import torch

    shapes = {tuple(change.shape) for change in changes}
    if len(shapes) > 1:
        raise BundleError(f"{name} has the shapes {', '.join(map(str, sorted(shapes)))}: they do not merge")
    weights = how.weights
    if how.method in ("ties", "magnitude_prune"):
        changes = [_largest(change, how.density) for change in changes]
    elif how.method.startswith("dare"):
        changes = [
            _dropped(change, how.density, zlib.crc32(f"{how.seed} {row} {name}".encode()))
            for row, change in enumerate(changes)
        ]
    weighted = torch.stack([weight * change for weight, change in zip(weights, changes, strict=True)])
    if not how.method.endswith("ties"):
        return weighted.sum(0)
    # The sign with the larger sum is elected; the mean is of those that agree with it.
    agreeing = (weighted.sign() == weighted.sum(0).sign()) & (weighted != 0)
    sizes = torch.tensor([abs(weight) for weight in weights]).view(-1, *[1] * (weighted.dim() - 1))
    return (weighted * agreeing).sum(0) / (sizes * agreeing).sum(0).clamp_min(1e-12)


def low_rank(change: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The nearest matrix of a rank, as factors (rank, in) and (out, rank)."""
    import torch

    left, sizes, right = torch.linalg.svd(change, full_matrices=False)
    return _factors(left, sizes, right, rank)


def low_rank_product(first: Tensor, second: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The same for ``second @ first``, without forming it: (R, in) and (out, R) to (rank, in) and (out, rank)."""
    import torch

    left_base, left_rest = torch.linalg.qr(second)
    right_base, right_rest = torch.linalg.qr(first.T)
    left, sizes, right = torch.linalg.svd(left_rest @ right_rest.T)
    return _factors(left_base @ left, sizes, right @ right_base.T, rank)


def _factors(left: Tensor, sizes: Tensor, right: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    import torch

    rank_here = min(rank, len(sizes))
    roots = sizes[:rank_here].sqrt()
    first, second = roots[:, None] * right[:rank_here], left[:, :rank_here] * roots
    short = rank - rank_here
    if short:
        first = torch.cat([first, first.new_zeros(short, first.shape[1])])
        second = torch.cat([second, second.new_zeros(second.shape[0], short)], dim=1)
    return first.contiguous(), second.contiguous()


def _largest(change: Tensor, density: float) -> Tensor:
    """A change with only its largest entries."""
    import torch

    flat = change.flatten()
    chosen = flat.abs().topk(max(1, int(density * flat.numel()))).indices
    return torch.zeros_like(flat).index_copy(0, chosen, flat[chosen]).view_as(change)


def _dropped(change: Tensor, density: float, seed: int) -> Tensor:
    """A change with entries dropped at random, the others larger by as much."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    kept = torch.rand(change.shape, generator=generator) < density
    return change * kept / density
