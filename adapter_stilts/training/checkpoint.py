"""Checkpoints of an interrupted stage: trained tensors, optimizer state, and where the loop stood.

    <work>/checkpoint-00001200/  model.safetensors  optimizer.safetensors  state.json  SHA256SUMS
    <work>/best-00001000/        model.safetensors  SHA256SUMS
    <work>/kept-00000400/        the same, of a step whose weights are asked for when the run is over
    <work>/evaluations/step-00000500/   what is kept of an evaluation, by whoever asked for it; with SHA256SUMS

Written whole or not at all, digests checked on reading, the last two kept. Random state is not among it: every
step seeds its own (see `loop.py`), so a step's number says all.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapter_stilts.errors import CheckpointError
from adapter_stilts.io import INSTEAD, broken_seal, seal, whole_directory, write_json
from adapter_stilts.model.bundle_info import EVALUATIONS

KEPT = 2
# Checkpoints take at most this share of the time, however slow the disk.
CHECKPOINT_SHARE = 0.05
_WEIGHTS = "model.safetensors"
_FILES = (_WEIGHTS, "optimizer.safetensors", "state.json")


@dataclass(frozen=True)
class Checkpoint:
    """The state that a loop goes on from."""

    step: int
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    loop: dict[str, Any]


class CheckpointClock:
    """Tells when the next checkpoint is due: not too soon, and not at too large a share of the time.

    Args:
        seconds: least time between two.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._cost = seconds, 0.0
        self._last = time.perf_counter()

    def due(self) -> bool:
        return time.perf_counter() - self._last >= max(self._seconds, self._cost / CHECKPOINT_SHARE)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Time the writing of one."""
        began = time.perf_counter()
        yield
        self._last = time.perf_counter()
        self._cost = self._last - began


def write_checkpoint(
    work: Path,
    step: int,
    model: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    loop: Mapping[str, Any],
) -> None:
    """Write one, then drop all but the last two and the best weights that none of those names."""
    tensors, rest = _pack(optimizer.state_dict())
    with whole_directory(work / f"checkpoint-{step:08d}", INSTEAD) as directory:
        save_file(
            {name: tensor.cpu().contiguous() for name, tensor in model.items()},
            directory / "model.safetensors",
        )
        save_file(tensors, directory / "optimizer.safetensors")
        write_json(directory / "state.json", {"step": step, "optimizer": rest, "loop": dict(loop)}, INSTEAD)
        seal(directory)
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
            _verify(path, _FILES)
            state = json.loads((path / "state.json").read_text(encoding="utf-8"))
            best = state["loop"].get("best_step")
            if best is not None:
                _verify(best_directory(work, best), (_WEIGHTS,))
            for step in state["loop"].get("kept", ()):
                _verify(kept_directory(work, step), (_WEIGHTS,))
            for step in state["loop"].get("kept_evaluations", ()):
                _verify(evaluation_directory(work, step), ())
            return Checkpoint(
                state["step"],
                load_file(path / "model.safetensors"),
                _unpack(load_file(path / "optimizer.safetensors"), state["optimizer"]),
                state["loop"],
            )
        except (
            CheckpointError,
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            SafetensorError,
        ) as error:
            before = "falling back to the one before" if path != paths[0] else "starting over"
            say(f"checkpoint {path.name} cannot be used ({error}); {before}")
            shutil.rmtree(path)
    return None


def write_best(work: Path, step: int, model: Mapping[str, Tensor]) -> None:
    """Keep the weights of the best evaluation so far."""
    _write_weights(best_directory(work, step), model)


def write_kept(work: Path, step: int, model: Mapping[str, Tensor]) -> None:
    """Keep the weights of a step until the run is over; a checkpoint that names it can only be used with them."""
    _write_weights(kept_directory(work, step), model)


def read_best(work: Path, step: int) -> dict[str, Tensor]:
    """The weights `write_best` kept. Raises CheckpointError where they are damaged."""
    return _read_weights(best_directory(work, step))


def read_kept(work: Path, step: int) -> dict[str, Tensor]:
    """The weights `write_kept` kept. Raises CheckpointError where they are damaged."""
    return _read_weights(kept_directory(work, step))


def best_directory(work: Path, step: int | None) -> Path:
    return work / ("best-none" if step is None else f"best-{step:08d}")


def kept_directory(work: Path, step: int) -> Path:
    return work / f"kept-{step:08d}"


def evaluation_directory(work: Path, step: int) -> Path:
    return work / EVALUATIONS / f"step-{step:08d}"


def _write_weights(target: Path, model: Mapping[str, Tensor]) -> None:
    with whole_directory(target, INSTEAD) as directory:
        save_file({name: tensor.cpu().contiguous() for name, tensor in model.items()}, directory / _WEIGHTS)
        seal(directory)


def _read_weights(directory: Path) -> dict[str, Tensor]:
    try:
        _verify(directory, (_WEIGHTS,))
    except CheckpointError as error:
        raise CheckpointError(
            f"{directory}: {error}; the same command goes on from the last checkpoint that is whole"
        ) from None
    weights: dict[str, Tensor] = load_file(directory / _WEIGHTS)
    return weights


def _checkpoints(work: Path) -> list[Path]:
    return sorted(path for path in work.glob("checkpoint-????????") if path.is_dir())


def _best_step(path: Path) -> int | None:
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        step: int | None = state["loop"].get("best_step")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # damaged, as reading it will tell: it names no weights that could be used
    return step


def _verify(directory: Path, names: tuple[str, ...]) -> None:
    damage = broken_seal(directory, names)
    if damage is not None:
        raise CheckpointError(damage)


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
