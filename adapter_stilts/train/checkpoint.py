"""Checkpoints of an interrupted stage: trained tensors, optimizer state, and where the loop stood.

    <work>/checkpoint-00001200/  model.safetensors  optimizer.safetensors  state.json  SHA256SUMS
    <work>/best-00001000/        model.safetensors  SHA256SUMS

Written whole or not at all, digests checked on reading, the last two kept. Random state is not among it: every
step seeds its own (see `loop.py`), so a step's number says all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapter_stilts.errors import CheckpointError
from adapter_stilts.io import sha256_file, whole_directory, write_json, write_text

KEPT = 2
_DIGESTS = "SHA256SUMS"


@dataclass(frozen=True)
class Checkpoint:
    """What a loop goes on from."""

    step: int
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    loop: dict[str, Any]


def write_checkpoint(
    work: Path,
    step: int,
    model: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    loop: Mapping[str, Any],
) -> None:
    """Write one, then drop all but the last two and the best weights that none of those names."""
    tensors, rest = _pack(optimizer.state_dict())
    with whole_directory(work / f"checkpoint-{step:08d}") as directory:
        save_file(
            {name: tensor.cpu().contiguous() for name, tensor in model.items()},
            directory / "model.safetensors",
        )
        save_file(tensors, directory / "optimizer.safetensors")
        write_json(directory / "state.json", {"step": step, "optimizer": rest, "loop": dict(loop)})
        _seal(directory)
    kept = _checkpoints(work)[-KEPT:]
    for path in _checkpoints(work)[:-KEPT]:
        shutil.rmtree(path)
    named = {best_directory(work, _best_step(path)).name for path in kept}
    for path in work.glob("best-*"):
        if path.name not in named:
            shutil.rmtree(path)


def read_checkpoint(work: Path, say: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that is whole; damaged ones are removed, and said to be. None where there is none."""
    paths = _checkpoints(work)
    for path in reversed(paths):
        try:
            _verify(path)
            state = json.loads((path / "state.json").read_text(encoding="utf-8"))
            best = state["loop"].get("best_step")
            if best is not None:
                _verify(best_directory(work, best))
            return Checkpoint(
                state["step"],
                load_file(path / "model.safetensors"),
                _unpack(load_file(path / "optimizer.safetensors"), state["optimizer"]),
                state["loop"],
            )
        except (CheckpointError, OSError, ValueError, KeyError) as error:
            before = "falling back to the one before" if path != paths[0] else "starting over"
            say(f"checkpoint {path.name} cannot be used ({error}); {before}")
            shutil.rmtree(path)
    return None


def write_best(work: Path, step: int, model: Mapping[str, Tensor]) -> None:
    """Keep the weights of the best evaluation so far."""
    with whole_directory(best_directory(work, step)) as directory:
        save_file(
            {name: tensor.cpu().contiguous() for name, tensor in model.items()},
            directory / "model.safetensors",
        )
        _seal(directory)


def read_best(work: Path, step: int) -> dict[str, Tensor]:
    """The weights `write_best` kept. Raises CheckpointError where they are damaged."""
    _verify(best_directory(work, step))
    weights: dict[str, Tensor] = load_file(best_directory(work, step) / "model.safetensors")
    return weights


def best_directory(work: Path, step: int | None) -> Path:
    return work / ("best-none" if step is None else f"best-{step:08d}")


def _checkpoints(work: Path) -> list[Path]:
    return sorted(path for path in work.glob("checkpoint-????????") if path.is_dir())


def _best_step(path: Path) -> int | None:
    step: int | None = json.loads((path / "state.json").read_text(encoding="utf-8"))["loop"].get("best_step")
    return step


def _seal(directory: Path) -> None:
    lines = [f"{sha256_file(path)}  {path.name}\n" for path in sorted(directory.iterdir())]
    write_text(directory / _DIGESTS, "".join(lines))


def _verify(directory: Path) -> None:
    listing = directory / _DIGESTS
    if not listing.is_file():
        raise CheckpointError(f"{directory.name} has no {_DIGESTS}")
    for line in listing.read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        if not (directory / name).is_file() or sha256_file(directory / name) != digest:
            raise CheckpointError(f"{name} is missing or damaged")


def _pack(state: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state as named tensors and JSON."""
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, Any] = {}
    for path, value in _leaves(state["state"]):
        if isinstance(value, Tensor):
            # Tensors that share memory (8-bit code tables) are saved once each: safetensors refuses aliases.
            tensors[path] = value.detach().cpu().clone().contiguous()
        else:
            scalars[path] = value
    return tensors, {"groups": state["param_groups"], "scalars": scalars}


def _unpack(tensors: dict[str, Tensor], rest: dict[str, Any]) -> dict[str, Any]:
    state: dict[int, dict[str, Any]] = {}
    for path, value in {**tensors, **rest["scalars"]}.items():
        parameter, *parents, name = path.split("/")
        place = state.setdefault(int(parameter), {})
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    return {"state": state, "param_groups": rest["groups"]}


def _leaves(state: Mapping[Any, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Values by their path; bitsandbytes keeps its 8-bit tensors one level deeper than torch does."""
    for name, value in state.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{name}/")
        else:
            yield f"{above}{name}", value
