"""Tatoeba: find a sentence's translation in a pool of up to 1,000; nothing is trained.

Data set   Tatoeba as cut for LASER, https://github.com/facebookresearch/LASER/tree/main/data/tatoeba/v1
           (hub: google/xtreme, config tatoeba.<code>)
Paper      Artetxe and Schwenk 2019, https://arxiv.org/abs/1812.10464
Licence    CC BY 2.0 FR
Languages  36, each paired with English; in XTREME-R also az lt pl ro uk

Two files a language, aligned by line: line 3 of tatoeba.deu-eng.deu and of tatoeba.deu-eng.eng translate
each other. Both become examples, ids ``foreign-2`` and ``english-2``, of the pair ``2`` (lines from 0):

    Das Wasser ist kalt.        The water is cold.
"""

from __future__ import annotations

from dataclasses import replace

from adapter_stilts.formats.examples import RetrievalExample
from adapter_stilts.tasks.base import INDEX, Files, Hub, Membership, Row, Task
from adapter_stilts.tasks.columns import text

CODES = {
    "af": "afr",
    "ar": "ara",
    "bg": "bul",
    "bn": "ben",
    "de": "deu",
    "el": "ell",
    "es": "spa",
    "et": "est",
    "eu": "eus",
    "fa": "pes",
    "fi": "fin",
    "fr": "fra",
    "he": "heb",
    "hi": "hin",
    "hu": "hun",
    "id": "ind",
    "it": "ita",
    "ja": "jpn",
    "jv": "jav",
    "ka": "kat",
    "kk": "kaz",
    "ko": "kor",
    "ml": "mal",
    "mr": "mar",
    "nl": "nld",
    "pt": "por",
    "ru": "rus",
    "sw": "swh",
    "ta": "tam",
    "te": "tel",
    "th": "tha",
    "tl": "tgl",
    "tr": "tur",
    "ur": "urd",
    "vi": "vie",
    "zh": "cmn",
}
SMALLER = {"jv": 205, "te": 234, "ta": 307, "sw": 390, "th": 548, "kk": 575, "ml": 687, "ka": 746}
ADDED = {"az": "aze", "lt": "lit", "pl": "pol", "ro": "ron", "uk": "ukr"}


def release_row(row: Row) -> tuple[RetrievalExample, RetrievalExample]:
    pair = str(row[INDEX])
    return (
        RetrievalExample(f"foreign-{pair}", text(row, "foreign"), "foreign", pair),
        RetrievalExample(f"english-{pair}", text(row, "english"), "english", pair),
    )


def sorted_row(row: Row) -> tuple[RetrievalExample, ...]:
    """XTREME's own files sort the English side, so that lines no longer tell which translate each other."""
    return tuple(replace(example, pair=None) for example in release_row(row))


def hub_row(row: Row) -> tuple[RetrievalExample, RetrievalExample]:
    # The hub's rows were made from lines and keep their ends.
    foreign, english = (text(row, f"{side}_sentence").rstrip("\r\n") for side in ("source", "target"))
    return release_row({INDEX: row[INDEX], "foreign": foreign, "english": english})


TASK = Task(
    name="tatoeba",
    role="target",
    format="retrieval",
    metric=("accuracy",),
    languages=tuple(CODES),
    train_task=None,
    dataset="Tatoeba (LASER v1)",
    address="https://github.com/facebookresearch/LASER/tree/main/data/tatoeba/v1",
    paper="https://arxiv.org/abs/1812.10464",
    licence="CC BY 2.0 FR",
    codes={**CODES, **ADDED},
    benchmarks={
        "xtreme": Membership(9, ("retrieval",)),
        "xtreme-r": Membership(8, ("retrieval",), more=tuple(ADDED)),
    },
    test_sizes={**dict.fromkeys(CODES, 1000), **SMALLER},
    files={
        "test": (
            Files(
                ("tatoeba.{code}-eng.{code}",), "parallel", release_row, beside=("tatoeba.{code}-eng.eng",)
            ),
            Files(("{language}-en.{language}",), "parallel", sorted_row, beside=("{language}-en.en",)),
        ),
    },
    hub={"test": Hub("google/xtreme", "tatoeba.{code}", "validation", hub_row)},
)
