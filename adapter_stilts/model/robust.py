"""Perturbations of the input embeddings for robust training (Huang et al. 2021, arXiv 2104.08645).

Each takes the embeddings of a micro-batch and the loss as a function of them, and returns the embeddings to train
on. Radii are shares of each token's own norm. Random numbers are torch's, which every step seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

Embeddings: TypeAlias = Sequence[Tensor]
Loss: TypeAlias = Callable[[Embeddings], Tensor]


@dataclass(frozen=True)
class Smoothing:
    """Gaussian noise: the model learns the neighbourhood of each input, not the input alone.

    Args:
        deviation: of each component, as a share of the embedding's root mean square.
    """

    deviation: float

    def __call__(self, embedded: Embeddings, loss: Loss) -> list[Tensor]:
        noised = []
        for words in embedded:
            scale = words.detach().pow(2).mean(dim=-1, keepdim=True).sqrt()
            noised.append(words + self.deviation * scale * torch.randn_like(words))
        return noised


@dataclass(frozen=True)
class Adversarial:
    """Projected gradient ascent (Madry et al. 2018): the worst inputs found in a ball around each token's embedding.

    Args:
        norm: the ball's radius, as a share of the embedding's L2 norm.
        step_size: length of one ascent, in the same unit.
        steps: ascents; the first starts at a random place in the ball.
    """

    norm: float
    step_size: float
    steps: int

    def __call__(self, embedded: Embeddings, loss: Loss) -> list[Tensor]:
        clean = [words.detach() for words in embedded]
        radii = [words.norm(dim=-1, keepdim=True) for words in clean]
        shifts = [self._start(words, radius) for words, radius in zip(clean, radii, strict=True)]
        for _ in range(self.steps):
            for shift in shifts:
                shift.requires_grad_(True)
            # Gradients with respect to the shifts alone: those of the weights stay untouched, under DDP as well.
            harm = loss([words + shift for words, shift in zip(clean, shifts, strict=True)])
            slopes = torch.autograd.grad(harm, shifts)
            shifts = [
                self._within(shift.detach() + self.step_size * radius * _unit(slope), radius)
                for shift, slope, radius in zip(shifts, slopes, radii, strict=True)
            ]
        return [words + shift for words, shift in zip(embedded, shifts, strict=True)]

    def _start(self, words: Tensor, radius: Tensor) -> Tensor:
        length = torch.rand(*words.shape[:-1], 1, device=words.device)
        start: Tensor = self.norm * radius * length * _unit(torch.randn_like(words))
        return start

    def _within(self, shift: Tensor, radius: Tensor) -> Tensor:
        length = shift.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        inside: Tensor = shift * (self.norm * radius / length).clamp_max(1.0)
        return inside


Perturbation: TypeAlias = Smoothing | Adversarial


def _unit(vectors: Tensor) -> Tensor:
    unit: Tensor = vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    return unit
