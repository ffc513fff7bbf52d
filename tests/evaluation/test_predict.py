from __future__ import annotations

import numpy as np
import pytest
import torch

from adapter_stilts.evaluation.predict import predict, rows_of
from adapter_stilts.formats import retrieval
from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.model.layout import PADDED


class Lengths:
    """Stands where a model would: its state is the sequence's own ids, so the right result is known."""

    device = torch.device("cpu")
    layout = PADDED

    def __init__(self, room: int | None = None, error: type[Exception] = torch.OutOfMemoryError) -> None:
        self.room = room
        self.error = error
        self.batches: list[int] = []

    def eval(self) -> None:
        pass

    def predict(self, features: Features, rows: np.ndarray) -> torch.Tensor:
        ids = torch.as_tensor(features.input_ids.padded(rows, 0)).float()
        if self.room is not None and ids.numel() > self.room:
            raise self.error("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        self.batches.append(ids.numel())
        return ids[..., None]


def features(lengths: list[int]) -> Features:
    flat = np.concatenate([np.full(length, row, dtype=np.int32) for row, length in enumerate(lengths)])
    return Features(Ragged.from_lengths(flat, lengths), np.arange(len(lengths) + 1))


def test_results_come_back_in_the_order_of_the_sequences() -> None:
    lengths = [3, 9, 1, 4, 4, 7]
    heard: list[tuple[int, int]] = []
    reduced = predict(
        Lengths(),
        retrieval,
        features(lengths),
        None,
        10,
        progress=lambda done, total: heard.append((done, total)),
    )
    assert reduced["vector"][:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert heard[-1] == (sum(lengths), sum(lengths))
    assert rows_of(reduced, 2, 4)["vector"][:, 0].tolist() == [2, 3]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_a_batch_beyond_the_memory_runs_in_halves(error) -> None:
    model = Lengths(room=8, error=error)
    reduced = predict(model, retrieval, features([4] * 6), None, 100)
    assert reduced["vector"][:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert max(model.batches) <= 8
