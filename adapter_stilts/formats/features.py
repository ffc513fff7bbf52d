"""Encoded examples as flat arrays: ragged columns, selected, padded and joined without per-example Python."""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from adapter_stilts.io import sha256_file

MANIFEST = "manifest.json"
ARRAYS = "arrays.bin"
ALIGNMENT = 64

Array: TypeAlias = npt.NDArray[Any]
Indices: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ragged:
    """Rows of unequal length: row i is ``values[offsets[i] : offsets[i + 1]]``."""

    values: Array
    offsets: Indices

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Indices:
        return np.diff(self.offsets)

    def __getitem__(self, row: int) -> Array:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @staticmethod
    def from_lengths(values: Array, lengths: npt.ArrayLike) -> Ragged:
        return Ragged(values, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64))

    def take(self, rows: Indices) -> Ragged:
        """The given rows, in the given order."""
        lengths = self.lengths[rows]
        return Ragged.from_lengths(self.values[slice_indices(self.offsets[:-1][rows], lengths)], lengths)

    def padded(self, rows: Indices, fill: int) -> Array:
        """The given rows as a matrix (rows, longest row), padded on the right with `fill`."""
        taken = self.take(rows)
        lengths = taken.lengths
        matrix = np.full((len(rows), int(lengths.max(initial=0))), fill, dtype=self.values.dtype)
        matrix[np.arange(matrix.shape[1]) < lengths[:, None]] = taken.values
        return matrix


Column: TypeAlias = Array | Ragged


def slice_indices(starts: Indices, lengths: Indices) -> Indices:
    """Indices of the slices ``[start, start + length)``, one after another."""
    ends = np.cumsum(lengths)
    indices: Indices = np.arange(ends[-1] if len(ends) else 0, dtype=np.int64)
    indices += np.repeat(starts - (ends - lengths), lengths)
    return indices


@dataclass(frozen=True)
class Features:
    """The examples of one split as the encoder sees them.

    Args:
        input_ids: one row a sequence (a window, or one choice of a multiple-choice row).
        sequences: example i owns sequences ``[sequences[i], sequences[i + 1])``.
        token_types: segment ids beside `input_ids`, for encoders that have them.
        per_sequence: columns with a row a sequence.
        per_example: columns with a row an example.
    """

    input_ids: Ragged
    sequences: Indices
    token_types: Ragged | None = None
    per_sequence: Mapping[str, Column] = field(default_factory=dict)
    per_example: Mapping[str, Array] = field(default_factory=dict)

    @property
    def num_examples(self) -> int:
        return len(self.sequences) - 1

    @property
    def num_sequences(self) -> int:
        return len(self.input_ids)

    def select(self, examples: Indices) -> Features:
        """The given examples, in the given order, with all their sequences."""
        counts = np.diff(self.sequences)[examples]
        rows = slice_indices(self.sequences[:-1][examples], counts)
        return Features(
            self.input_ids.take(rows),
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            self.token_types.take(rows) if self.token_types else None,
            {name: _take(column, rows) for name, column in self.per_sequence.items()},
            {name: column[examples] for name, column in self.per_example.items()},
        )

    def save(self, directory: Path) -> None:
        """Write one file of arrays, and a JSON manifest that says where each begins, into an existing directory."""
        columns: dict[str, Column] = {"input_ids": self.input_ids, "sequences": self.sequences}
        if self.token_types is not None:
            columns["token_types"] = self.token_types
        columns |= {f"per_sequence.{name}": column for name, column in self.per_sequence.items()}
        columns |= {f"per_example.{name}": column for name, column in self.per_example.items()}
        places: dict[str, list[list[Any]]] = {}
        with (directory / ARRAYS).open("wb") as file:
            for name, column in columns.items():
                arrays = (column.values, column.offsets) if isinstance(column, Ragged) else (column,)
                places[name] = []
                for array in arrays:
                    assert array.ndim == 1, name
                    file.write(bytes(-file.tell() % ALIGNMENT))
                    places[name].append([array.dtype.str, len(array), file.tell()])
                    file.write(np.ascontiguousarray(array).data)
            file.write(bytes(1))  # an empty file cannot be mapped
        manifest = {"digest": sha256_file(directory / ARRAYS), "arrays": places}
        (directory / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")

    @staticmethod
    def load(directory: Path) -> Features:
        """Read what `save` wrote, memory-mapped. Its arrays cannot be written to.

        Raises:
            ValueError: the arrays are not those that were written, or the manifest is none.
            OSError: a file cannot be read.
        """
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(manifest, dict) or manifest.get("digest") != sha256_file(directory / ARRAYS):
            raise ValueError(f"{ARRAYS} is not what its digest says")
        # One map for all: opening a file an array costs more than reading a small split.
        with (directory / ARRAYS).open("rb") as file:
            held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        columns: dict[str, Column] = {}
        for name, arrays in manifest["arrays"].items():
            found = [np.frombuffer(held, kind, count, start) for kind, count, start in arrays]
            columns[name] = Ragged(*found) if len(found) > 1 else found[0]

        def group(prefix: str) -> dict[str, Any]:
            return {n.removeprefix(prefix): c for n, c in columns.items() if n.startswith(prefix)}

        input_ids, sequences, token_types = (
            columns.get(name) for name in ("input_ids", "sequences", "token_types")
        )
        assert isinstance(input_ids, Ragged)
        assert isinstance(sequences, np.ndarray)
        assert token_types is None or isinstance(token_types, Ragged)
        return Features(input_ids, sequences, token_types, group("per_sequence."), group("per_example."))


def sequences_of(features: Features, items: Indices, kind: str) -> tuple[Indices, Indices]:
    """Sequences of the items, one after another, and the number of each.

    Args:
        kind: the format's ITEMS.
    """
    if kind == "sequences":
        return items, np.ones(len(items), dtype=np.int64)
    counts = np.diff(features.sequences)[items]
    return slice_indices(features.sequences[:-1][items], counts), counts


def item_lengths(features: Features, kind: str) -> Indices:
    """Tokens of each item: all its sequences together."""
    if kind == "sequences":
        return features.input_ids.lengths
    return np.diff(features.input_ids.offsets[features.sequences])


def concatenate(parts: Sequence[Features]) -> Features:
    """Several splits one after another (all languages of a target, in one pass)."""
    first = parts[0]
    bases = np.cumsum([0] + [part.num_sequences for part in parts])
    sequences = [part.sequences[:-1] + base for part, base in zip(parts, bases, strict=False)]
    return Features(
        concatenate_columns([part.input_ids for part in parts]),  # type: ignore[arg-type]
        np.concatenate([*sequences, bases[-1:]]).astype(np.int64),
        None
        if first.token_types is None
        else concatenate_columns([p.token_types for p in parts if p.token_types]),  # type: ignore[arg-type]
        {
            name: concatenate_columns([part.per_sequence[name] for part in parts])
            for name in first.per_sequence
        },
        {name: np.concatenate([part.per_example[name] for part in parts]) for name in first.per_example},
    )


def _take(column: Column, rows: Indices) -> Column:
    return column.take(rows) if isinstance(column, Ragged) else column[rows]


def concatenate_columns(columns: Sequence[Column]) -> Column:
    """Columns of one kind, one after another."""
    if isinstance(columns[0], Ragged):
        ragged = [column for column in columns if isinstance(column, Ragged)]
        return Ragged.from_lengths(
            np.concatenate([column.values for column in ragged]),
            np.concatenate([column.lengths for column in ragged]),
        )
    return np.concatenate([column for column in columns if isinstance(column, np.ndarray)])
