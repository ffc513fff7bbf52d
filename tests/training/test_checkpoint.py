"""Checkpoints: whole, checked on reading, the last two kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from adapter_stilts.errors import CheckpointError
from adapter_stilts.training.checkpoint import read_best, read_checkpoint, write_best, write_checkpoint


@pytest.fixture
def parts() -> tuple[dict[str, torch.Tensor], torch.optim.Optimizer]:
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(3, 2))
    optimizer = torch.optim.AdamW([weight], lr=0.1)
    weight.sum().backward()
    optimizer.step()
    return {"weight": weight.detach()}, optimizer


Parts = tuple[dict[str, torch.Tensor], torch.optim.Optimizer]


def fill(work: Path, parts: Parts, *steps: int, best: int | None = None) -> None:
    for step in steps:
        if best is not None:
            write_best(work, best, parts[0])
        write_checkpoint(work, step, *parts, {"best_step": best, "note": f"of {step}"})


def entries(work: Path) -> list[str]:
    return sorted(path.name for path in work.iterdir())


def test_round_trip(tmp_path: Path, parts: Parts) -> None:
    model, optimizer = parts
    fill(tmp_path, parts, 7)
    found = read_checkpoint(tmp_path, pytest.fail)
    assert found is not None
    assert (found.step, found.loop["note"]) == (7, "of 7")
    assert torch.equal(found.model["weight"], model["weight"])
    saved = optimizer.state_dict()
    assert found.optimizer["param_groups"][0]["lr"] == 0.1
    for name, value in saved["state"][0].items():
        assert torch.equal(found.optimizer["state"][0][name], value), name
    fresh = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(3, 2))], lr=0.5)
    fresh.load_state_dict(found.optimizer)
    assert fresh.param_groups[0]["lr"] == 0.1


def test_the_last_two_and_their_best_weights_are_kept(tmp_path: Path, parts: Parts) -> None:
    fill(tmp_path, parts, 1, 2, best=1)
    fill(tmp_path, parts, 3, best=2)
    assert entries(tmp_path) == [
        "best-00000001",
        "best-00000002",
        "checkpoint-00000002",
        "checkpoint-00000003",
    ]
    fill(tmp_path, parts, 4, best=2)
    assert entries(tmp_path) == ["best-00000002", "checkpoint-00000003", "checkpoint-00000004"]


def test_none_there(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path / "nowhere", pytest.fail) is None


DAMAGE = {
    "cut": lambda folder: (folder / "model.safetensors").write_bytes(b"\x08"),
    "flipped": lambda folder: _flip(folder / "optimizer.safetensors"),
    "gone": lambda folder: (folder / "state.json").unlink(),
    "no digests": lambda folder: (folder / "SHA256SUMS").unlink(),
    "digests of nothing": lambda folder: (folder / "SHA256SUMS").write_text(""),
    "digests of some": lambda folder: (folder / "SHA256SUMS").write_text(
        (folder / "SHA256SUMS").read_text().splitlines(keepends=True)[0]
    ),
    "empty": lambda folder: [shutil.rmtree(folder), folder.mkdir()],
}


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_one_falls_back_to_the_one_before(tmp_path: Path, parts: Parts, damage: str) -> None:
    fill(tmp_path, parts, 1, 2)
    DAMAGE[damage](tmp_path / "checkpoint-00000002")
    said: list[str] = []
    found = read_checkpoint(tmp_path, said.append)
    assert found is not None
    assert found.step == 1
    assert len(said) == 1
    assert said[0].startswith("checkpoint checkpoint-00000002 cannot be used (")
    assert said[0].endswith("; falling back to the one before")
    assert entries(tmp_path) == ["checkpoint-00000001"]


def test_damaged_best_weights_make_a_checkpoint_useless(tmp_path: Path, parts: Parts) -> None:
    fill(tmp_path, parts, 1)
    fill(tmp_path, parts, 2, best=2)
    _flip(tmp_path / "best-00000002" / "model.safetensors")
    found = read_checkpoint(tmp_path, lambda message: None)
    assert found is not None
    assert found.step == 1
    with pytest.raises(CheckpointError, match=r"best-00000002: model\.safetensors is damaged; the same"):
        read_best(tmp_path, 2)


def test_all_damaged(tmp_path: Path, parts: Parts) -> None:
    fill(tmp_path, parts, 1, 2)
    for step in (1, 2):
        DAMAGE["cut"](tmp_path / f"checkpoint-0000000{step}")
    said: list[str] = []
    assert read_checkpoint(tmp_path, said.append) is None
    assert [message.rsplit("; ")[1] for message in said] == [
        "falling back to the one before",
        "starting over",
    ]
    assert entries(tmp_path) == []


def test_half_written_ones_are_not_seen(tmp_path: Path, parts: Parts) -> None:
    fill(tmp_path, parts, 1)
    shutil.copytree(tmp_path / "checkpoint-00000001", tmp_path / "checkpoint-00000002.partial-0123abcd")
    found = read_checkpoint(tmp_path, pytest.fail)
    assert found is not None
    assert found.step == 1


def test_a_damaged_one_before_does_not_stop_the_next(tmp_path: Path, parts: Parts) -> None:
    fill(tmp_path, parts, 1, best=1)
    (tmp_path / "checkpoint-00000001" / "state.json").write_text("{")
    fill(tmp_path, parts, 2, best=2)
    found = read_checkpoint(tmp_path, pytest.fail)
    assert found is not None
    assert found.step == 2
