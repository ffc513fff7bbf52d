"""Perturbations stay in their ball, make the loss worse, and leave the weights' gradients alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adapter_stilts.model.robust import Adversarial, Smoothing


@pytest.fixture
def words() -> list[Tensor]:
    torch.manual_seed(0)
    table = torch.randn(20, 8, requires_grad=True)
    return [table[:6] * 3, table[6:]]


def shares(words: list[Tensor], perturbed: list[Tensor]) -> Tensor:
    """Length of each token's perturbation as a share of its embedding's."""
    return torch.cat(
        [(after - before).norm(dim=-1) / before.norm(dim=-1) for before, after in zip(words, perturbed, strict=True)]
    ).detach()  # fmt: skip


def test_ascent_finds_the_worst_of_a_linear_loss(words: list[Tensor]) -> None:
    weight = torch.randn(8, requires_grad=True)
    seen: list[float] = []

    def loss(embedded: list[Tensor]) -> Tensor:
        value = sum((part @ weight).sum() for part in embedded)
        seen.append(float(value.detach()))  # type: ignore[union-attr]
        return value  # type: ignore[return-value]

    clean = float(loss(words).detach())
    perturbed = Adversarial(norm=0.2, step_size=0.5, steps=10)(words, loss)
    assert shares(words, perturbed) == pytest.approx(torch.full((20,), 0.2), rel=1e-4)
    worst = clean + 0.2 * float(sum((part.norm(dim=-1) * weight.norm()).sum() for part in words).detach())
    assert float(loss(perturbed).detach()) == pytest.approx(worst, rel=1e-4)
    assert len(seen) == 12
    assert weight.grad is None


def test_ascent_stays_inside(words: list[Tensor]) -> None:
    perturbed = Adversarial(0.1, 0.02, 1)(words, lambda parts: sum(part.pow(2).sum() for part in parts))  # type: ignore[arg-type,return-value]
    found = shares(words, perturbed)
    assert float(found.max()) <= 0.1 + 1e-6
    assert float(found.min()) > 0


def test_noise_has_its_deviation(words: list[Tensor]) -> None:
    torch.manual_seed(1)
    many = [part.repeat(500, 1) for part in words]
    noised = Smoothing(0.3)(many, lambda parts: pytest.fail("needs no loss"))
    assert float(shares(many, noised).pow(2).mean().sqrt()) == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("perturb", [Adversarial(0.1, 0.05, 2), Smoothing(0.1)])
def test_gradients_reach_the_embeddings(perturb: Adversarial | Smoothing) -> None:
    table = torch.randn(5, 4, requires_grad=True)
    (found,) = perturb([table * 1.0], lambda parts: parts[0].sum())
    found.sum().backward()
    assert torch.equal(table.grad, torch.ones(5, 4))  # type: ignore[arg-type]


def test_the_seed_decides(words: list[Tensor]) -> None:
    def run(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return torch.cat(Adversarial(0.1, 0.05, 1)(words, lambda parts: parts[0].sum() + parts[1].sum() ** 2))

    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))


def test_padding_with_no_length_is_no_danger() -> None:
    for perturb in (Adversarial(0.1, 0.05, 2), Smoothing(0.1)):
        (found,) = perturb([torch.zeros(3, 4, requires_grad=True)], lambda parts: parts[0].sum())
        assert torch.equal(found, torch.zeros(3, 4))
