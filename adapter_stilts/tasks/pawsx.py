"""PAWS-X: do two sentences of almost the same words mean the same?

Data set   PAWS-X, https://github.com/google-research-datasets/paws/tree/master/pawsx
           (hub: google/xtreme, config PAWS-X.<language>)
Paper      Yang et al. 2019, https://arxiv.org/abs/1908.11828
Licence    free for any purpose, acknowledgement asked (Google LLC)
Languages  de en es fr ja ko zh; trained on English

One row of x-final/de/test_2k.tsv. Fields are unquoted, a " is text; the hub's copy was made as if quotes enclosed
fields, and lacks rows that therefore ran together (39 of es dev, one of ko test, 226 of en train):

    id  sentence1                               sentence2                               label
    4   Der Turm steht links von der Brücke .   Die Brücke steht links von dem Turm .   0
"""

from __future__ import annotations

from adapter_stilts.formats.examples import PairClassificationExample
from adapter_stilts.tasks.base import INDEX, Files, Hub, Membership, Row, Task
from adapter_stilts.tasks.columns import label, text
from adapter_stilts.tasks.nli import unlabelled

LABELS = ("0", "1")
LANGUAGES = ("de", "en", "es", "fr", "ja", "ko", "zh")


def labelled(row: Row) -> PairClassificationExample:
    return PairClassificationExample(
        id=str(row[INDEX]),
        premise=text(row, "sentence1"),
        hypothesis=text(row, "sentence2"),
        label=label(row, "label", LABELS),
    )


def release(split: str, *names: str) -> tuple[Files, Files]:
    """The release, and what XTREME's scripts make of it: quoted, without header, in test without labels."""
    columns = ("sentence1", "sentence2", "label")[: 2 if split == "test" else 3]
    patterns = tuple(f"{folder}{{language}}/{name}.tsv" for folder in ("x-final/", "") for name in names)
    return (
        Files(patterns, "tsv", labelled),
        Files(
            (f"{split}-{{language}}.tsv",),
            "csv",
            unlabelled if split == "test" else labelled,
            options={"columns": columns, "delimiter": "\t"},
        ),
    )


TASK = Task(
    name="pawsx",
    role="target",
    format="pair_classification",
    metric=("accuracy",),
    languages=LANGUAGES,
    train_task="pawsx",
    dataset="PAWS-X",
    address="https://github.com/google-research-datasets/paws/tree/master/pawsx",
    paper="https://arxiv.org/abs/1908.11828",
    licence="free for any purpose, acknowledgement asked",
    labels=LABELS,
    benchmarks={"xtreme": Membership(2, ("classification",))},
    test_sizes={**dict.fromkeys(LANGUAGES, 2000), "ko": 1999},
    files={
        "train": release("train", "train", "translated_train"),
        "dev": release("dev", "dev_2k"),
        "test": release("test", "test_2k"),
    },
    hub={
        "train": Hub("google/xtreme", "PAWS-X.{language}", "train", labelled),
        "dev": Hub("google/xtreme", "PAWS-X.{language}", "validation", labelled),
        "test": Hub("google/xtreme", "PAWS-X.{language}", "test", labelled),
    },
)
