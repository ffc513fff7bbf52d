"""QQP: do two questions ask the same?

Data set   Quora Question Pairs in GLUE's cut, https://gluebenchmark.com (hub: nyu-mll/glue, config qqp)
Paper      Wang et al. 2018 (GLUE), https://arxiv.org/abs/1804.07461
Licence    Quora's terms of service, which give no right to redistribute: fetch it yourself
Languages  English

One row of QQP/train.tsv, whose fields are unquoted. A few rows hold a line end and so stand broken in two;
they are left out, here as in the hub's copy (363,846 rows). The labels of the test set are not published.

    id  qid1  qid2  question1               question2                     is_duplicate
    7   15    16    How do I boil an egg?   What is the way to boil eggs? 1
"""

from __future__ import annotations

from adapter_stilts.formats.examples import PairClassificationExample
from adapter_stilts.tasks.base import INDEX, Files, Hub, Row, Task
from adapter_stilts.tasks.columns import label, text

LABELS = ("not_duplicate", "duplicate")


def release_row(row: Row) -> PairClassificationExample:
    digit = label(row, "is_duplicate", ("0", "1"))
    return hub_row({**row, "label": LABELS[int(digit)]})


def hub_row(row: Row) -> PairClassificationExample:
    return PairClassificationExample(
        id=str(row[INDEX]),
        premise=text(row, "question1"),
        hypothesis=text(row, "question2"),
        label=label(row, "label", LABELS),
    )


def release(split: str) -> Files:
    names = (f"QQP/{split}.tsv", f"glue/QQP/{split}.tsv", f"{split}.tsv")
    return Files(names, "tsv", release_row, options={"broken": True})


TASK = Task(
    name="qqp",
    role="intermediate",
    format="pair_classification",
    metric=("accuracy",),
    languages=("en",),
    train_task="qqp",
    dataset="Quora Question Pairs (GLUE)",
    address="https://gluebenchmark.com",
    paper="https://arxiv.org/abs/1804.07461",
    licence="Quora's terms of service, no redistribution",
    labels=LABELS,
    files={"train": release("train"), "dev": release("dev")},
    hub={
        "train": Hub("nyu-mll/glue", "qqp", "train", hub_row),
        "dev": Hub("nyu-mll/glue", "qqp", "validation", hub_row),
    },
)
