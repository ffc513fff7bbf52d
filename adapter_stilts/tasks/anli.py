"""Adversarial NLI: does a paragraph entail, contradict or leave open a sentence written to fool a model?

Data set   ANLI, https://github.com/facebookresearch/anli (hub: facebook/anli)
Paper      Nie et al. 2020, https://arxiv.org/abs/1910.14599
Licence    CC BY-NC 4.0
Languages  English

Three rounds, each against a better model; the option `round` takes one of them, or all. One row of
anli_v1.0/R1/train.jsonl:

    {"uid": "0a1b", "context": "The ferry to the island leaves at noon and at six, rain or shine.",
     "hypothesis": "Two ferries leave for the island.", "label": "e", "reason": "...", "tag": "r1_train", ...}
"""

from __future__ import annotations

from adapter_stilts.formats.examples import PairClassificationExample
from adapter_stilts.tasks.base import INDEX, Files, Hub, Row, Split, Task
from adapter_stilts.tasks.columns import label, text
from adapter_stilts.tasks.nli import LABELS, hub_row

INITIALS = {name[0]: name for name in LABELS}
ROUNDS = ("R1", "R2", "R3")


def release_row(row: Row) -> PairClassificationExample:
    return PairClassificationExample(
        id=str(row[INDEX]),
        premise=text(row, "context"),
        hypothesis=text(row, "hypothesis"),
        label=INITIALS[label(row, "label", tuple(INITIALS))],
    )


def release(split: Split) -> tuple[Files, Files]:
    """All rounds, one after another, or the chosen one."""
    folders = ("anli_v1.0/", "anli_v0.1/", "")
    every = tuple(" + ".join(f"{folder}{name}/{split}.jsonl" for name in ROUNDS) for folder in folders)
    chosen = tuple(f"{folder}{{round}}/{split}.jsonl" for folder in folders)
    return (
        Files(every, "jsonl", release_row, only={"round": ("all",)}),
        Files(chosen, "jsonl", release_row, only={"round": ROUNDS}),
    )


def hub(split: Split) -> tuple[Hub, ...]:
    names = {name: f"{split}_{name.lower()}" for name in ROUNDS}
    names["all"] = "+".join(names.values())
    return tuple(
        Hub("facebook/anli", "plain_text", joined, hub_row, only={"round": (name,)})
        for name, joined in names.items()
    )


TASK = Task(
    name="anli",
    role="intermediate",
    format="pair_classification",
    metric=("accuracy",),
    languages=("en",),
    train_task="anli",
    dataset="ANLI",
    address="https://github.com/facebookresearch/anli",
    paper="https://arxiv.org/abs/1910.14599",
    licence="CC BY-NC 4.0",
    labels=LABELS,
    options={"round": ("all", *ROUNDS)},
    files={"train": release("train"), "dev": release("dev"), "test": release("test")},
    hub={"train": hub("train"), "dev": hub("dev"), "test": hub("test")},
)
