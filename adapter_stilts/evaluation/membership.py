"""Which tasks, languages and groups make up XTREME and XTREME-R.

Source: the task and language tables of google-research/xtreme `evaluate.py`; the languages of LAReQA, for
which that table is empty, are those of XQuAD-R in the XTREME-R paper (Ruder et al. 2021, arXiv 2104.07412).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Benchmark:
    """A set of tasks whose scores are averaged.

    Args:
        name: as on the command line.
        languages: task -> its languages; a task's score is the plain mean over all of them, English included.
        groups: group -> its tasks; a task may be in several groups, or in none.
    """

    name: str
    languages: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, tuple[str, ...]]


def is_constructed(language: str) -> bool:
    """Whether a code is one that ISO 639-3 leaves to local use: no benchmark has it, constructed languages do."""
    return re.fullmatch("q[a-t][a-z]", language) is not None


def _codes(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_XNLI = _codes("ar bg de el en es fr hi ru sw th tr ur vi zh")
_UDPOS = _codes(
    "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi yo zh"
)
_PANX = _codes(
    "af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te th "
    "tl tr ur vi yo zh"
)
_TATOEBA = _codes(
    "af ar bg bn de el es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr nl pt ru sw ta te th tl tr "
    "ur vi zh"
)
_XQUAD = _codes("ar de el en es hi ru th tr vi zh")
_MLQA = _codes("ar de en es hi vi zh")
_TYDIQA = _codes("ar bn en fi id ko ru sw te")

XTREME = Benchmark(
    name="xtreme",
    languages={
        "xnli": _XNLI,
        "pawsx": _codes("de en es fr ja ko zh"),
        "udpos": _UDPOS,
        "panx": _PANX,
        "xquad": _XQUAD,
        "mlqa": _MLQA,
        "tydiqa": _TYDIQA,
        "bucc2018": _codes("de fr ru zh"),
        "tatoeba": _TATOEBA,
    },
    groups={
        "classification": ("pawsx", "xnli"),
        "tagging": ("udpos", "panx"),
        "qa": ("xquad", "mlqa", "tydiqa"),
        "retrieval": ("bucc2018", "tatoeba"),
    },
)

XTREME_R = Benchmark(
    name="xtreme-r",
    languages={
        "xnli": _XNLI,
        "xcopa": _codes("et ht id it qu sw ta th tr vi zh"),
        "udpos": (*_UDPOS, *_codes("lt pl ro uk wo")),
        "panx": (*_PANX, *_codes("az gu lt pa pl qu ro uk")),
        "xquad": (*_XQUAD, "ro"),
        "mlqa": _MLQA,
        "tydiqa": _TYDIQA,
        "tatoeba": (*_TATOEBA, *_codes("az lt pl ro uk")),
        "mewslix": _codes("ar de en es fa ja pl ro ta tr uk"),
        "lareqa": _XQUAD,
    },
    # As in the official scorer: XCOPA is in two groups, LAReQA in none.
    groups={
        "classification": ("xnli", "xcopa"),
        "tagging": ("udpos", "panx"),
        "qa": ("xquad", "mlqa", "tydiqa"),
        "retrieval": ("tatoeba", "mewslix"),
        "multi_choice": ("xcopa",),
    },
)

BENCHMARKS: Mapping[str, Benchmark] = {benchmark.name: benchmark for benchmark in (XTREME, XTREME_R)}


def languages_of(task: str) -> tuple[str, ...]:
    """The task's languages in either benchmark (XTREME-R's lists contain XTREME's); empty for other tasks."""
    return XTREME_R.languages.get(task) or XTREME.languages.get(task, ())
