"""Readers: what is text stays text, and whatever is wrong is a DataError with file and line."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapter_stilts.errors import DataError
from adapter_stilts.tasks.readers import READERS, read_jsonl, read_parallel, read_squad_json, read_tsv

BOM = b"\xef\xbb\xbf"


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "data"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", BOM])
def test_line_ends_and_a_byte_order_mark(file: Callable[[bytes], Path], end: bytes, mark: bytes) -> None:
    path = file(mark + b'{"a": "x"}' + end + b'{"a": "y"}')
    assert list(read_jsonl(path)) == [(1, {"a": "x"}), (2, {"a": "y"})]
    path = file(mark + b"a\tb" + end + '"x\u2028\r y\t\ufeffz'.encode() + end)
    assert list(read_tsv(path)) == [(2, {"a": '"x\u2028\r y', "b": "\ufeffz"})]


def test_columns_left_out_at_a_rows_end(file: Callable[[bytes], Path]) -> None:
    path = file(b"a\tb\tc\n1\t2\n1\t2\t3\n")
    assert [row for _, row in read_tsv(path, optional=("c",))] == [
        {"a": "1", "b": "2"},
        {"a": "1", "b": "2", "c": "3"},
    ]
    with pytest.raises(DataError, match=r"data:2: holds 2 columns, should hold 3; the file may be truncated"):
        list(read_tsv(path))
    with pytest.raises(DataError, match=r"data:1: holds 3 columns, should hold 2$"):
        list(read_tsv(path, columns=("x", "y")))


MALFORMED = {
    "not json": (read_jsonl, b'{"a": 1}\n{"a": \n', 2, "truncated"),
    "not an object": (read_jsonl, b"[1]\n", 1, "JSON object, not list"),
    "not utf-8": (read_jsonl, b'{"a": 1}\n{"a": "\xff"}\n', 2, "not UTF-8"),
    "too deep": (read_jsonl, b"[" * 100_000, 1, "JSON"),
    "too long a number": (read_jsonl, b'{"a": ' + b"9" * 10_000 + b"}", 1, "JSON"),
    "squad truncated": (read_squad_json, b'{"data": [\n{"paragraphs": [', 2, "truncated"),
    "squad not utf-8": (read_squad_json, b'{"data":\n "\xff"}', 2, "not UTF-8"),
    "squad without data": (read_squad_json, b'{"version": 1}', None, "the file has no list 'data'"),
    "squad without questions": (
        read_squad_json,
        b'{"data": [{"paragraphs": [{"context": "c"}]}]}',
        None,
        r"data\[0\]\.paragraphs\[0\] has no list 'qas'",
    ),
    "squad without context": (
        read_squad_json,
        b'{"data": [{"paragraphs": [{"qas": []}]}]}',
        None,
        r"data\[0\]\.paragraphs\[0\] has no 'context'",
    ),
    "squad with a stray value": (read_squad_json, b'{"data": [7]}', None, r"data\[0\] is not an object"),
}


@pytest.mark.parametrize(("reader", "content", "line", "why"), MALFORMED.values(), ids=MALFORMED)
def test_malformed(
    file: Callable[[bytes], Path], reader: Callable[..., Any], content: bytes, line: int | None, why: str
) -> None:
    path = file(content)
    with pytest.raises(DataError, match=why) as caught:
        list(reader(path))
    assert caught.value.path == str(path)
    assert caught.value.line == line


def test_squad_rows_are_numbered_and_located(file: Callable[[bytes], Path]) -> None:
    questions = [{"id": "1", "question": "?", "answers": []}, {"id": "2", "question": "?", "answers": []}]
    paragraph = {"context": "\ufeff text \r\n", "qas": questions}
    path = file(
        json.dumps(
            {"data": [{"paragraphs": [paragraph]}, {"title": "T", "paragraphs": [paragraph]}]}
        ).encode()
    )
    rows = list(read_squad_json(path))
    assert [number for number, _ in rows] == [1, 2, 3, 4]
    assert [row["title"] for _, row in rows] == [None, None, "T", "T"]
    assert {row["context"] for _, row in rows} == {"\ufeff text \r\n"}
    assert rows[3][1]["@"] == "data[1].paragraphs[0].qas[1]"


def test_parallel_files_have_to_agree(tmp_path: Path) -> None:
    foreign, english = tmp_path / "x.deu", tmp_path / "x.eng"
    foreign.write_text("eins\nzwei\n")
    english.write_text("one\n")
    with pytest.raises(DataError, match=r"x\.deu:2: has no counterpart: x\.eng ends before it"):
        list(read_parallel(foreign, english))
    english.write_text("one\ntwo\nthree\n")
    with pytest.raises(DataError, match=r"x\.eng:3: has no counterpart: x\.deu ends before it"):
        list(read_parallel(foreign, english))
    english.write_text("one\n \n")
    with pytest.raises(DataError, match=r"x\.eng:2: is blank"):
        list(read_parallel(foreign, english))
    with pytest.raises(DataError, match=r"x\.gone: cannot be read"):
        list(read_parallel(foreign, tmp_path / "x.gone"))


PIECES = [
    b"\n",
    b"\r\n",
    b"\t",
    BOM,
    b"{",
    b"}",
    b'"',
    b":",
    b"[",
    b"]",
    b"data",
    b"1-2",
    b"_",
    b"#",
    b"\xc3",
    b"NOUN",
    b"(<L N NN NN x N>)",
    b"de-1\ten-1\n",
    b'""',
]
CONTENT = st.binary(max_size=200) | st.lists(st.sampled_from(PIECES) | st.binary(max_size=3)).map(b"".join)


BESIDE = {"parallel", "labelled_jsonl", "mining", "mentions"}
OPTIONS: dict[str, dict[str, Any]] = {
    "conllu": {"words": "fused"},
    "mentions": {"languages": ["de"]},
}


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=150)
@given(content=CONTENT, other=CONTENT)
@example(content=b"", other=b"")
def test_any_bytes_are_read_or_refused(tmp_path: Path, name: str, content: bytes, other: bytes) -> None:
    paths = [tmp_path / "first", tmp_path / "second"][: 2 if name in BESIDE else 1]
    for path, written in zip(paths, (content, other), strict=False):
        path.write_bytes(written)
    options = OPTIONS.get(name, {})
    # Anything but a DataError fails the test.
    with contextlib.suppress(DataError):
        assert all(isinstance(row, dict) for _, row in READERS[name](*paths, **options))
