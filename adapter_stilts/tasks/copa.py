"""COPA: which of two sentences is the likelier cause, or effect, of a third?

Data set   COPA in SuperGLUE's cut, https://super.gluebenchmark.com (hub: aps/super_glue, config copa)
Paper      Roemmele et al. 2011, https://people.ict.usc.edu/~gordon/publications/AAAI-SPRING11A.PDF
Licence    BSD 2-Clause
Languages  English

One row of COPA/train.jsonl:

    {"premise": "The lamp went out.", "choice1": "The oil was used up.", "choice2": "Ships passed by.",
     "question": "cause", "label": 0, "idx": 3}
"""

from __future__ import annotations

from adapter_stilts.formats.examples import MultipleChoiceExample
from adapter_stilts.tasks.base import INDEX, Files, Hub, Row, Task
from adapter_stilts.tasks.columns import choice, label, text

CONNECTING = {"cause": "What was the cause?", "effect": "What happened as a result?"}
"""The words in which XTREME-R asks, in English whatever the language of the sentences."""

CHOICES = ("choice1", "choice2")


def release_row(row: Row) -> MultipleChoiceExample:
    asked = CONNECTING[label(row, "question", tuple(CONNECTING))]
    return MultipleChoiceExample(
        id=str(row[INDEX]),
        prompt=f"{text(row, 'premise')} {asked}",
        choices=tuple(text(row, name) for name in CHOICES),
        label=choice(row, "label", 2),
    )


def hub_row(row: Row) -> MultipleChoiceExample:
    return release_row({**row, "label": CHOICES.index(label(row, "label", CHOICES))})


def release(split: str) -> Files:
    """SuperGLUE's files, or as XTREME-R's scripts rename them."""
    names = (f"COPA/{split}.jsonl", f"{split}.jsonl", f"xcopa/{split}.en.jsonl", f"{split}.en.jsonl")
    return Files(names, "jsonl", release_row)


TASK = Task(
    name="copa",
    role="intermediate",
    format="multiple_choice",
    metric=("accuracy",),
    languages=("en",),
    train_task="copa",
    dataset="COPA (SuperGLUE)",
    address="https://super.gluebenchmark.com",
    paper="https://people.ict.usc.edu/~gordon/publications/AAAI-SPRING11A.PDF",
    licence="BSD 2-Clause",
    files={"train": release("train"), "dev": release("val")},
    hub={
        "train": Hub("aps/super_glue", "copa", "train", hub_row),
        "dev": Hub("aps/super_glue", "copa", "validation", hub_row),
    },
)
