"""Text files: by language, a document a line; parallel, two a line. What is malformed is told with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter_stilts.errors import DataError
from adapter_stilts.tasks.text import TextFolder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "sw").mkdir()
    (tmp_path / "de.txt").write_bytes("\ufeffEins.\r\n\r\nZwei\u2028drei.\n".encode())
    (tmp_path / "sw" / "b.txt").write_text("Nne.\n")
    (tmp_path / "sw" / "a.txt").write_text("Moja.\nMbili.\n")
    (tmp_path / "sw" / "notes.md").write_text("not text")
    (tmp_path / "empty").mkdir()
    (tmp_path / "de-en.tsv").write_text("Eins.\tOne.\nZwei.\tTwo.\n")
    return tmp_path


def test_text(root: Path) -> None:
    text = TextFolder(root, parallel=False)
    assert text.languages() == ("de", "sw")
    assert [example.text for example in text.examples("de", None)] == ["Eins.", "Zwei\u2028drei."]
    assert [(e.id, e.text) for e in text.examples("sw", 2)] == [("a.txt:1", "Moja."), ("a.txt:2", "Mbili.")]
    assert len(text.examples("sw", None)) == 3
    assert all(example.translation is None for example in text.examples("de", None))


def test_parallel_text(root: Path) -> None:
    text = TextFolder(root, parallel=True)
    assert text.languages() == ("de-en",)
    assert [(e.text, e.translation) for e in text.examples("de-en", None)] == [
        ("Eins.", "One."),
        ("Zwei.", "Two."),
    ]


def test_a_fingerprint_is_of_the_content(root: Path) -> None:
    text = TextFolder(root, parallel=False)
    before = {language: text.fingerprint(language) for language in text.languages()}
    (root / "sw" / "b.txt").write_text("Tano.\n")
    assert text.fingerprint("sw") != before["sw"]
    assert text.fingerprint("de") == before["de"]


@pytest.mark.parametrize(("line", "columns"), [("alone", 1), ("a\tb\tc", 3), ("\tb", 2), ("a\t ", 2)])
def test_a_pair_that_is_none(root: Path, line: str, columns: int) -> None:
    (root / "de-en.tsv").write_text(f"Eins.\tOne.\n{line}\n")
    with pytest.raises(DataError, match=rf"de-en\.tsv:2: holds {columns} columns; should hold two texts"):
        TextFolder(root, parallel=True).examples("de-en", None)


def test_what_is_missing_is_told(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder of text"):
        TextFolder(tmp_path / "nowhere", parallel=False).languages()
    with pytest.raises(DataError, match=r"holds no text: needs files <pair>\.tsv"):
        TextFolder(root / "sw", parallel=True).languages()
    (root / "de.txt").write_text("\n \n")
    with pytest.raises(DataError, match="holds no line of text"):
        TextFolder(root, parallel=False).examples("de", None)
    (root / "de.txt").write_bytes(b"gut\n\xff\n")
    with pytest.raises(DataError, match=r"de\.txt:2: .*UTF-8"):
        TextFolder(root, parallel=False).examples("de", None)
