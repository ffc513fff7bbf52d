"""UDPOS: the universal part of speech of each word.

Data set   Universal Dependencies, https://universaldependencies.org
           (hub: google/xtreme, config udpos.<Language>)
Paper      Nivre et al. 2020, https://arxiv.org/abs/2004.10643
Licence    by treebank, most CC BY-SA 4.0
Languages  33 (af ... zh), in XTREME-R also lt pl ro uk wo; trained on English

All treebanks of a language are read, in the order of their names: ud/UD_German-*/*-ud-test.conllu. Two
words and the range row that fuses them:

    3-4  vom  _    _    _  _  _  _    _  _
    3    von  von  ADP  _  _  5  case _  _
    4    dem  der  DET  _  _  5  det  _  _

The option `words` chooses between the two words (``syntactic``, as on the hub) and ``vom`` (``fused``, as in
the official test files); see `conllu.py`. What XTREME's scripts leave (udpos/test-de.tsv, a word and its tag a
line) is read too; its words are fused ones.
"""

from __future__ import annotations

from adapter_stilts.formats.examples import TaggingExample
from adapter_stilts.tasks.base import Files, Hub, Membership, Row, Split, Task
from adapter_stilts.tasks.columns import sentence
from adapter_stilts.tasks.conllu import UPOS

TREEBANKS = {
    "af": "Afrikaans",
    "ar": "Arabic",
    "bg": "Bulgarian",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "kk": "Kazakh",
    "ko": "Korean",
    "mr": "Marathi",
    "nl": "Dutch",
    "pt": "Portuguese",
    "ru": "Russian",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "tl": "Tagalog",
    "tr": "Turkish",
    "ur": "Urdu",
    "vi": "Vietnamese",
    "yo": "Yoruba",
    "zh": "Chinese",
}
ADDED = {"lt": "Lithuanian", "pl": "Polish", "ro": "Romanian", "uk": "Ukrainian", "wo": "Wolof"}

# fmt: off
TEST_SIZES = {
    "af": 425, "ar": 1680, "bg": 1116, "de": 22458, "el": 2809, "en": 5440, "es": 3147, "et": 3760,
    "eu": 1799, "fa": 600, "fi": 4422, "fr": 9465, "he": 491, "hi": 2684, "hu": 449, "id": 1557,
    "it": 3518, "ja": 2372, "kk": 1047, "ko": 4276, "mr": 47, "nl": 1471, "pt": 2681, "ru": 11336,
    "ta": 120, "te": 146, "th": 1000, "tl": 55, "tr": 4785, "ur": 535, "vi": 800, "yo": 100,
    "zh": 5528,
}
# fmt: on


def release_row(row: Row) -> TaggingExample | None:
    """None where the licence withholds the sentence's text."""
    return sentence(row, "words", "tags", UPOS) if "words" in row else None


def hub_row(row: Row) -> TaggingExample:
    return sentence(row, "tokens", "pos_tags", UPOS)


def release(split: Split) -> tuple[Files, Files]:
    """The treebanks, and what XTREME's scripts make of them: fused words, in test without tags."""
    # By the language's name; of one that the benchmarks lack, by its code in the file's name.
    treebanks = (f"UD_{{code}}-*/*-ud-{split}.conllu", f"UD_*/{{language}}_*-ud-{split}.conllu")
    options = {"words": "{words}", "language": "{language}"}
    prepared = (f"udpos/{split}-{{language}}.tsv", f"{split}-{{language}}.tsv")
    return (
        Files(treebanks, "conllu", release_row, options=options),
        Files(prepared, "tagged", release_row, only={"words": ("fused",)}),
    )


UNTRAINED = ("th", "tl", "yo")
"""Languages whose treebanks are test sets alone; Kazakh has 31 sentences to train on, and no dev set."""


def hub(split: str) -> Hub:
    lacking = {"train": UNTRAINED, "validation": (*UNTRAINED, "kk"), "test": ()}[split]
    return Hub(
        "google/xtreme",
        "udpos.{code}",
        split,
        hub_row,
        only={"words": ("syntactic",)},
        languages=tuple(language for language in TREEBANKS if language not in lacking),
    )


TASK = Task(
    name="udpos",
    role="target",
    format="tagging",
    metric=("f1",),
    languages=tuple(TREEBANKS),
    train_task="udpos",
    dataset="Universal Dependencies",
    address="https://universaldependencies.org",
    paper="https://arxiv.org/abs/2004.10643",
    licence="by treebank, most CC BY-SA 4.0",
    labels=UPOS,
    folder="ud",
    codes={**TREEBANKS, **ADDED},
    benchmarks={
        "xtreme": Membership(3, ("tagging",)),
        "xtreme-r": Membership(3, ("tagging",), more=tuple(ADDED)),
    },
    test_sizes=TEST_SIZES,
    # The parts of a contraction are one word in the official files, with one tag.
    submitted_with={"words": "fused"},
    options={"words": ("syntactic", "fused")},
    files={"train": release("train"), "dev": release("dev"), "test": release("test")},
    hub={"train": hub("train"), "dev": hub("validation"), "test": hub("test")},
)
