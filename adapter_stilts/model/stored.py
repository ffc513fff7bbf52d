"""Weights read from their file a piece at a time, each in the type it will have.

Transformers maps a checkpoint into memory and converts one tensor after another: the pages read stay resident until
the last one is done. Of XLM-R Large that is 2.2 GB beside the weights that are made of them, and far above what
training on integers or bf16 takes later. Here no more than one piece of the file is mapped at a time.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.model.tensor_files import check_tensors

if TYPE_CHECKING:
    from torch import Tensor, dtype

PIECE_BYTES = 2**24

BUFFERS = ("position_ids", "token_type_ids", "num_batches_tracked")
"""Whole numbers that older checkpoints hold beside their weights; no encoder reads them."""

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def stored_tensors(location: str, commit: str | None) -> dict[str, StoredTensor] | None:
    """All tensors of a checkpoint by name, unread; None where it is not safetensors.

    Args:
        location: a folder, or a hub id.

    Raises:
        OSError, SafetensorError: a file is damaged.
    """
    from safetensors import safe_open

    files = _files(location, commit)
    if files is None:
        return None
    found = {}
    for path in files:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("format", "pt") != "pt":  # another framework's layout of weights
                return None
            # Tensors of a mapping take no memory until they are read.
            found.update({n: StoredTensor(path, n, file.get_tensor(n)) for n in file.keys()})  # noqa: SIM118
    return found


def check_stored(location: str, commit: str | None) -> int | None:
    """How many numbers a checkpoint's safetensors hold; None where it has none.

    A file that was looked at once in this process is not read again.

    Raises:
        BundleError: a file holds something else than weights, or some that are not finite.
    """
    files = _files(location, commit)
    if files is None:
        return None
    total = 0
    for path in files:
        status = Path(path).stat()
        seen = (path, status.st_ino, status.st_size, status.st_mtime_ns)
        if seen not in _numbers:
            header = check_tensors(Path(path), BUFFERS)
            _numbers[seen] = sum(math.prod(entry.shape) for entry in header.values())
        total += _numbers[seen]
    return total


_numbers: dict[tuple[str, int, int, int], int] = {}
"""By file, as it was when it was looked at."""


class StoredTensor:
    """A tensor in its file, with as much of a tensor's interface as Transformers needs of a ``state_dict``.

    Transformers 4 asks for the device, for all elements, and then for the type or for contiguous memory: the last
    reads. Transformers 5 asks for all elements, and then for device and type by keyword, which reads.
    """

    def __init__(self, path: str, name: str, mapped: Tensor) -> None:
        self._path, self._name = path, name
        self.shape, self.dtype = mapped.shape, mapped.dtype
        self._device: Any = "cpu"

    def to(self, wanted: Any = None, *, device: Any = None, dtype: Any = None) -> Any:
        """The tensor in a type; or, of a device alone, this, to be read to there; by keyword, the tensor."""
        import torch

        if wanted is None:
            self._device = self._device if device is None else device
            return self._read(self.dtype if dtype is None else dtype)
        if isinstance(wanted, torch.dtype):
            return self._read(wanted)
        self._device = wanted
        return self

    def __getitem__(self, everything: Any) -> StoredTensor:
        return self

    def contiguous(self) -> Tensor:
        return self._read(self.dtype)

    def _read(self, wanted: dtype) -> Tensor:
        import torch
        from safetensors import safe_open

        made = torch.empty(self.shape, dtype=wanted, device=self._device)
        if made.ndim == 0 or made.numel() == 0:
            with safe_open(self._path, framework="pt") as file:
                return made.copy_(file.get_tensor(self._name))
        row = self.dtype.itemsize * (made.numel() // len(made))
        rows = max(1, PIECE_BYTES // row)
        for start in range(0, len(made), rows):
            # Opened anew, as the pages of a mapping are let go with it alone.
            with safe_open(self._path, framework="pt") as file:
                made[start : start + rows].copy_(file.get_slice(self._name)[start : start + rows])
        return made


def _files(location: str, commit: str | None) -> list[str] | None:
    """The safetensors files of a checkpoint; None where it has none, or they cannot be had: why, Transformers says."""
    from transformers.utils import cached_file

    def find(name: str) -> str | None:
        quiet = {
            f"_raise_exceptions_for_{what}": False
            for what in ("gated_repo", "missing_entries", "connection_errors")
        }
        found: str | None = cached_file(location, name, revision=commit or "main", **quiet)
        return found

    single = find(WEIGHTS)
    if single is not None:
        return [single]
    index = find(INDEX)
    if index is None:
        return None
    names = sorted(set(json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values()))
    parts = [find(name) for name in names]
    return None if None in parts else [part for part in parts if part is not None]
