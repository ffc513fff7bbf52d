"""Predictions for any number of splits in one pass: all sequences together, sorted by length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from adapter_stilts.formats.base import Format
from adapter_stilts.formats.features import Column, Features, Indices, Ragged, concatenate_columns
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
        budget: tokens of one forward pass, padding included.
        accelerator: shares the batches among its processes, which all get the whole result.
        progress: called with the tokens done by this process and its total.
    """
    model.eval()
    batches = model.layout.batches(features.input_ids.lengths, budget)
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
    return _in_order(results)


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


def _in_order(results: list[tuple[Indices, dict[str, Column]]]) -> dict[str, Column]:
    """The columns of all batches, a row a sequence, in the order of the sequences; empties `results`.

    Columns of fixed width are laid out batch by batch, each of which goes at once: the vectors of a million
    sentences take 4 GB, and a copy of them would take that again.
    """
    order = np.concatenate([rows for rows, _ in results])
    gathered: dict[str, Column] = {}
    for name in list(results[0][1]):
        parts = [columns.pop(name) for _, columns in results]
        if isinstance(parts[0], Ragged):
            joined = concatenate_columns(parts)
            assert isinstance(joined, Ragged)
            gathered[name] = joined.take(np.argsort(order))
            continue
        column: Any = np.empty((len(order), *parts[0].shape[1:]), dtype=parts[0].dtype)
        start = len(order)
        while parts:
            part = parts.pop()
            start -= len(part)
            column[order[start : start + len(part)]] = part
        gathered[name] = column
    return gathered


def rows_of(reduced: Mapping[str, Column], start: int, stop: int) -> dict[str, Column]:
    """The reduced columns of a range of sequences (one split of several that ran together)."""
    rows = np.arange(start, stop)
    return {
        name: column.take(rows) if isinstance(column, Ragged) else column[start:stop]
        for name, column in reduced.items()
    }
