"""Both readings of CoNLL-U, by hand-written cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter_stilts.errors import DataError
from adapter_stilts.tasks import udpos
from adapter_stilts.tasks.base import INDEX
from adapter_stilts.tasks.conllu import read_conllu


def rows(*tokens: str) -> str:
    """One sentence; a token is id:form:UPOS:head[:enhanced edges], ~ a blank."""
    lines = []
    for token in tokens:
        id_, form, tag, head, *enhanced = token.split(":", 4)
        edges = enhanced[0] if enhanced else "_"
        lines.append("\t".join((id_, form.replace("~", " "), "_", tag, "_", "_", head, "dep", edges, "_")))
    return "\n".join(lines) + "\n\n"


def read(path: Path, text: str, words: str = "syntactic", language: str = "") -> list[tuple[str, str]]:
    path = path / "x.conllu"
    path.write_text(text)
    ((_, row),) = read_conllu(path, words=words, language=language)
    return list(zip(row["words"], row["tags"], strict=True))


VOM = ("1:Licht:NOUN:0", "2-3:vom:_:_", "2:von:ADP:4", "3:dem:DET:4", "4:Turm:NOUN:1")


def test_syntactic_words(tmp_path: Path) -> None:
    assert read(tmp_path, rows(*VOM)) == [("Licht", "NOUN"), ("von", "ADP"), ("dem", "DET"), ("Turm", "NOUN")]


def test_fused_forms(tmp_path: Path) -> None:
    assert read(tmp_path, rows(*VOM), "fused") == [("Licht", "NOUN"), ("vom", "ADP"), ("Turm", "NOUN")]


def test_empty_nodes_and_comments_are_skipped(tmp_path: Path) -> None:
    text = "# text = a\n" + rows("0.1:x:VERB:_", "1:a:DET:2", "1.1:y:VERB:_", "2:b:NOUN:0")
    for words in ("syntactic", "fused"):
        assert read(tmp_path, text, words) == [("a", "DET"), ("b", "NOUN")]


FUSED = {
    # The word nearest to the root gives the tag, whatever the list says: here PRON comes before ADJ in it.
    "nearest to the root": ("", ("1-2:x:_:_", "1:a:ADJ:0", "2:b:PRON:1"), "ADJ"),
    "list among equals": ("", ("1-2:don't:_:_", "1:do:AUX:3", "2:n't:PART:3", "3:go:VERB:0"), "AUX"),
    "first among equal tags": ("", ("1-2:x:_:_", "1:a:ADP:3", "2:b:ADP:3", "3:c:VERB:0"), "ADP"),
    "default list": ("de", ("1-2:x:_:_", "1:a:NOUN:3", "2:b:AUX:3", "3:c:VERB:0"), "NOUN"),
    "spanish list": ("es", ("1-2:x:_:_", "1:a:PRON:3", "2:b:AUX:3", "3:c:VERB:0"), "AUX"),
    "italian list": ("it", ("1-2:x:_:_", "1:a:PRON:3", "2:b:ADV:3", "3:c:VERB:0"), "ADV"),
    "french list": ("fr", ("1-2:x:_:_", "1:a:ADJ:3", "2:b:ADV:3", "3:c:VERB:0"), "ADJ"),
    "not in a short list": ("es", ("1-2:x:_:_", "1:a:NOUN:3", "2:b:DET:3", "3:c:VERB:0"), "DET"),
    "in no list of XTREME's": ("", ("1-2:x:_:_", "1:a:SYM:3", "2:b:PUNCT:3", "3:c:VERB:0"), "PUNCT"),
    # The enhanced edge 4 -> 1 makes the first word as deep as three ancestors, the second has two.
    "enhanced edges count": (
        "",
        ("1-2:x:_:_", "1:a:VERB:3:3:obj|4:obj", "2:b:DET:3", "3:c:VERB:0", "4:d:NOUN:3"),
        "DET",
    ),
    "a cycle": ("", ("1-2:x:_:_", "1:a:VERB:2", "2:b:DET:1", "3:c:VERB:0"), "VERB"),
}


@pytest.mark.parametrize(("language", "tokens", "tag"), FUSED.values(), ids=FUSED)
def test_which_tag_a_fused_form_has(tmp_path: Path, language: str, tokens: tuple[str, ...], tag: str) -> None:
    assert read(tmp_path, rows(*tokens), "fused", language)[0][1] == tag


def test_fused_words_lose_blanks_and_joiners(tmp_path: Path) -> None:
    text = rows("1:Việt~Nam:PROPN:2", "2:می\u200cروم:VERB:0")
    assert read(tmp_path, text) == [("Việt Nam", "PROPN"), ("می\u200cروم", "VERB")]
    assert read(tmp_path, text, "fused") == [("ViệtNam", "PROPN"), ("میروم", "VERB")]


def test_sentences_whose_text_is_withheld_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "x.conllu"
    path.write_text(
        rows("1:_:NOUN:0", "2:_:VERB:1", "3:.:PUNCT:1") + rows("1:a:NOUN:0", "2:_:SYM:1", "3:b:X:1")
    )
    assert [row.get("words") for _, row in read_conllu(path)] == [None, ["a", "_", "b"]]
    assert udpos.release_row({INDEX: 0}) is None


def test_a_missing_last_blank_line_and_crlf(tmp_path: Path) -> None:
    text = rows("1:a:DET:2", "2:b:NOUN:0").rstrip("\n")
    assert read(tmp_path, text.replace("\n", "\r\n")) == [("a", "DET"), ("b", "NOUN")]


MALFORMED = {
    "unknown tag": (rows("1:a:DET:0", "2:b:NOUNN:1"), 2, "tag 'NOUNN' of word 'b'"),
    "truncated": ("# x\n" + rows("1:a:DET:0") + "1\ta\t_\tDE", 4, "4 columns, CoNLL-U has 10"),
    "a word left out": (rows("1:a:DET:0", "3:b:NOUN:1"), 2, "word 3 stands where word 2"),
    "range too late": (rows("1:a:DET:0", "1-2:b:_:_"), 2, "range 1-2 cannot stand before word 2"),
    "range beyond": (rows("1:a:DET:0", "2-3:b:_:_", "2:b:NOUN:1"), 1, "range 2-3 ends after"),
    "overlapping ranges": (rows("1-2:a:_:_", "1:a:DET:0", "2-3:b:_:_"), 3, "range 2-3"),
    "no id": (rows("x:a:DET:0"), 1, "'x' is not a CoNLL-U id"),
    "no words": (rows("1-2:a:_:_"), 1, "without words"),
}


@pytest.mark.parametrize("words", ["syntactic", "fused"])
@pytest.mark.parametrize(("text", "line", "why"), MALFORMED.values(), ids=MALFORMED)
def test_malformed(tmp_path: Path, text: str, line: int, why: str, words: str) -> None:
    path = tmp_path / "x.conllu"
    path.write_text(text)
    with pytest.raises(DataError, match=why) as caught:
        list(read_conllu(path, words=words))
    assert caught.value.line == line
