"""Readers of release files: each yields (line number, row), and raises DataError on what is malformed."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from adapter_stilts.errors import DataError
from adapter_stilts.tasks.base import LEFT_OUT
from adapter_stilts.tasks.conllu import read_conllu
from adapter_stilts.tasks.json_layouts import read_jsonl, read_labelled_jsonl, read_squad_json
from adapter_stilts.tasks.lines import read_lines
from adapter_stilts.tasks.pools import read_answer_sentences, read_mentions, read_mining
from adapter_stilts.tasks.tagged import read_auto, read_iob2, read_tagged, read_tagged_sentences

Rows: TypeAlias = Iterator[tuple[int, dict[str, Any]]]


def read_tsv(
    path: Path, *, columns: Sequence[str] = (), optional: Sequence[str] = (), broken: bool = False
) -> Rows:
    """Tab-separated fields without quoting: a ``"`` is text.

    Args:
        path: the file.
        columns: their names; taken from the first line where empty.
        optional: names of columns at a row's end that the release leaves out here and there.
        broken: whether the release has rows that a line end broke in two; such rows, too short, are `LEFT_OUT`.
    """
    lines = read_lines(path)
    if not columns:
        columns = next(lines, (1, ""))[1].split("\t")
    fewest = len(columns)
    while fewest and columns[fewest - 1] in optional:
        fewest -= 1
    for number, line in lines:
        fields = line.split("\t")
        if broken and len(fields) < fewest:
            yield number, {LEFT_OUT: "a line end broke it in two"}
            continue
        if not fewest <= len(fields) <= len(columns):
            expected = f"{len(columns)}" if fewest == len(columns) else f"{fewest} to {len(columns)}"
            hint = "; the file may be truncated" if len(fields) < fewest else ""
            raise DataError(path, number, f"holds {len(fields)} columns, should hold {expected}{hint}")
        yield number, dict(zip(columns, fields, strict=False))


def read_csv(path: Path, *, columns: Sequence[str] = (), delimiter: str = ",") -> Rows:
    """Fields of which those with a delimiter, a quote or a line end stand in quotes, a quote inside doubled.

    Args:
        path: the file.
        columns: their names; taken from the first line where empty.
        delimiter: between fields.
    """
    rows = csv.reader(_lines_with_ends(path), delimiter=delimiter, strict=True)
    before = 0
    try:
        for fields in rows:
            # A row begins where the one before it ended: quoted fields may hold line ends.
            number, before = before + 1, rows.line_num
            if not columns:
                columns = fields
            elif len(fields) == len(columns):
                yield number, dict(zip(columns, fields, strict=True))
            elif fields:
                raise DataError(
                    path,
                    number,
                    f"holds {len(fields)} columns, should hold {len(columns)}; a field with {delimiter!r} in it stands "
                    "in quotes",
                )
    except csv.Error as error:
        raise DataError(path, before + 1, f"is not CSV with {delimiter!r} between fields: {error}") from None


def _lines_with_ends(path: Path) -> Iterator[str]:
    for _, line in read_lines(path):
        yield line + "\n"


def read_parallel(path: Path, english: Path) -> Rows:
    """Two files aligned by line, one row a pair: ``foreign``, ``english``."""
    missing = (0, None)
    pairs = itertools.zip_longest(read_lines(path), read_lines(english), fillvalue=missing)
    for (number, foreign_line), (english_number, english_line) in pairs:
        if foreign_line is None or english_line is None:
            longer, other = (path, english) if english_line is None else (english, path)
            line = number or english_number
            raise DataError(longer, line, f"has no counterpart: {other.name} ends before it")
        for file, line_text in ((path, foreign_line), (english, english_line)):
            if not line_text.strip():
                raise DataError(file, number, "is blank; each line should hold a sentence")
        yield number, {"foreign": foreign_line, "english": english_line}


def read_parquet(path: Path) -> Rows:
    """Rows of a Parquet file, numbered from 1; lists and structs as Python has them."""
    import pyarrow
    from pyarrow import parquet

    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1000):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pyarrow.ArrowException, OSError) as error:
        why = (str(error).strip().splitlines() or ["damaged"])[0]
        raise DataError(
            path, number or None, f"is not Parquet, or damaged: {why}; fetch the file again"
        ) from None


READERS: Mapping[str, Callable[..., Rows]] = {
    "jsonl": read_jsonl,
    "labelled_jsonl": read_labelled_jsonl,
    "squad_json": read_squad_json,
    "tsv": read_tsv,
    "csv": read_csv,
    "parquet": read_parquet,
    "parallel": read_parallel,
    "conllu": read_conllu,
    "tagged": read_tagged,
    "iob2": read_iob2,
    "tagged_sentences": read_tagged_sentences,
    "auto": read_auto,
    "mining": read_mining,
    "answer_sentences": read_answer_sentences,
    "mentions": read_mentions,
}
