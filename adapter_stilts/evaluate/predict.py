"""Predictions for any number of splits in one pass: all sequences together, sorted by length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from adapter_stilts.formats.base import Format
from adapter_stilts.formats.features import Column, Features, Indices, Ragged
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.runtime import is_out_of_memory


def predict(
    model: TaskModel,
    format: Format,
    features: Features,
    settings: Any,
    budget: int,
    accelerator: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Column]:
    """Run every sequence once; returns the format's reduced columns in the order of the sequences.

    Args:
        budget: padded tokens of one forward pass.
        accelerator: shares the batches among its processes, which all get the whole result.
        progress: called with the tokens done by this process and its total.
    """
    model.eval()
    batches = length_batches(features.input_ids.lengths, budget)
    process, processes = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    own = batches[process::processes]
    total = sum(int(features.input_ids.lengths[rows].sum()) for rows in own)
    done, results = 0, []
    for rows in own:
        results += _run(model, format, features, rows, settings)
        done += int(features.input_ids.lengths[rows].sum())
        if progress is not None:
            progress(done, total)
    if processes > 1:
        from accelerate.utils import gather_object

        results = gather_object(results)
    order = np.concatenate([rows for rows, _ in results])
    place = np.argsort(order)
    return {name: _gather([columns[name] for _, columns in results], place) for name in results[0][1]}


def _run(
    model: TaskModel, format: Format, features: Features, rows: Indices, settings: Any
) -> list[tuple[Indices, dict[str, Column]]]:
    """One batch, in halves where it does not fit the memory."""
    try:
        return [(rows, format.reduce(model.predict(features, rows), features, rows, settings))]
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error) or len(rows) == 1:
            raise
    if model.device.type == "cuda":
        torch.cuda.empty_cache()
    half = len(rows) // 2
    return [
        result
        for part in (rows[:half], rows[half:])
        for result in _run(model, format, features, part, settings)
    ]


def length_batches(lengths: Indices, budget: int) -> list[Indices]:
    """Sequences sorted longest first, cut into batches of at most `budget` padded tokens (one sequence at least)."""
    order = np.argsort(-lengths, kind="stable")
    batches = []
    start = 0
    while start < len(order):
        count = max(1, budget // max(1, int(lengths[order[start]])))
        batches.append(order[start : start + count])
        start += count
    return batches


def _gather(columns: list[Column], place: Indices) -> Column:
    first = columns[0]
    if isinstance(first, Ragged):
        ragged = [column for column in columns if isinstance(column, Ragged)]
        joined = Ragged.from_lengths(
            np.concatenate([column.values for column in ragged]),
            np.concatenate([column.lengths for column in ragged]),
        )
        return joined.take(place)
    return np.concatenate([column for column in columns if isinstance(column, np.ndarray)])[place]


def rows_of(reduced: Mapping[str, Column], start: int, stop: int) -> dict[str, Column]:
    """The reduced columns of a range of sequences (one split of several that ran together)."""
    rows = np.arange(start, stop)
    return {
        name: column.take(rows) if isinstance(column, Ragged) else column[start:stop]
        for name, column in reduced.items()
    }
