"""PAN-X (WikiAnn): the names of people, places and organisations in sentences of Wikipedia.

Data set   WikiAnn in balanced splits, https://github.com/afshinrahimi/mmner
           (hub: google/xtreme, config PAN-X.<language>)
Paper      Pan et al. 2017, https://aclanthology.org/P17-1178
Licence    not stated; the text is Wikipedia's, CC BY-SA
Languages  40 (af ... zh), in XTREME-R also az gu lt pa pl qu ro uk; trained on English

One sentence of de/test: a word with its language before it, a tab and the word's tag (IOB2). XTREME's scripts
leave panx/test-de.tsv, without the language and, in test, without the tag:

    de:Ada    B-PER
    de:wohnt  O
    de:in     O
    de:Riga   B-LOC
"""

from __future__ import annotations

from adapter_stilts.formats.examples import TaggingExample
from adapter_stilts.tasks.base import Files, Hub, Membership, Row, Split, Task
from adapter_stilts.tasks.columns import sentence, texts

LABELS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
"""In the order of the hub's class labels."""

# fmt: off
LANGUAGES = (
    "af", "ar", "bg", "bn", "de", "el", "en", "es", "et", "eu", "fa", "fi", "fr", "he",
    "hi", "hu", "id", "it", "ja", "jv", "ka", "kk", "ko", "ml", "mr", "ms", "my", "nl",
    "pt", "ru", "sw", "ta", "te", "th", "tl", "tr", "ur", "vi", "yo", "zh",
)
# fmt: on
THOUSAND = ("af", "bn", "hi", "kk", "ml", "mr", "ms", "sw", "ta", "te", "tl", "ur")
HUNDRED = ("jv", "my", "yo")
"""Languages with so many test sentences; the others have ten thousand."""


def language(row: Row) -> str:
    words = texts(row, "words")
    if not words or ":" not in words[0]:
        raise ValueError("should begin with a language and a colon, as in de:Berlin")
    return words[0].partition(":")[0]


def release_row(row: Row) -> TaggingExample:
    """The words without their language, which has to be the same throughout."""
    prefix = f"{language(row)}:"
    words = texts(row, "words")
    for word in words:
        if not word.startswith(prefix):
            raise ValueError(f"word {word!r} does not begin with {prefix!r} as the first one does")
    return sentence({**row, "words": [word.removeprefix(prefix) for word in words]}, "words", "tags", LABELS)


def prepared_row(row: Row) -> TaggingExample:
    return sentence(row, "words", "tags", LABELS)


def hub_row(row: Row) -> TaggingExample:
    return sentence(row, "tokens", "ner_tags", LABELS)


def release(split: Split) -> tuple[Files, Files]:
    return (
        Files((f"{{language}}/{split}", f"{{language}}-{split}"), "tagged", release_row, language=language),
        Files((f"{split}-{{language}}.tsv",), "tagged", prepared_row),
    )


def hub(split: str) -> Hub:
    return Hub("google/xtreme", "PAN-X.{language}", split, hub_row)


TASK = Task(
    name="panx",
    role="target",
    format="tagging",
    metric=("f1",),
    languages=LANGUAGES,
    train_task="panx",
    dataset="WikiAnn (PAN-X)",
    address="https://github.com/afshinrahimi/mmner",
    paper="https://aclanthology.org/P17-1178",
    licence="not stated; text CC BY-SA",
    labels=LABELS,
    benchmarks={
        "xtreme": Membership(4, ("tagging",)),
        "xtreme-r": Membership(4, ("tagging",), more=("az", "gu", "lt", "pa", "pl", "qu", "ro", "uk")),
    },
    test_sizes={
        **dict.fromkeys(LANGUAGES, 10000),
        **dict.fromkeys(THOUSAND, 1000),
        **dict.fromkeys(HUNDRED, 100),
    },
    files={"train": release("train"), "dev": release("dev"), "test": release("test")},
    hub={"train": hub("train"), "dev": hub("validation"), "test": hub("test")},
)
