"""HellaSwag: which of four endings continues a description of an activity?

Data set   HellaSwag, https://rowanzellers.com/hellaswag (hub: Rowan/hellaswag)
Paper      Zellers et al. 2019, https://arxiv.org/abs/1905.07830
Licence    MIT
Languages  English

One row of hellaswag_train.jsonl (the hub's label is a string, empty on test):

    {"ind": 7, "activity_label": "Baking bread", "ctx_a": "A baker kneads a ball of dough.", "ctx_b": "she",
     "ctx": "A baker kneads a ball of dough. she", "split": "train", "split_type": "indomain", "label": 1,
     "endings": ["sings to the oven.", "puts it into a warm bowl to rise.", "paints it.", "swims away."],
     "source_id": "activitynet~v_example"}
"""

from __future__ import annotations

from adapter_stilts.formats.examples import MultipleChoiceExample
from adapter_stilts.tasks.base import INDEX, Files, Hub, Row, Task
from adapter_stilts.tasks.columns import choice, text, texts


def labelled(row: Row) -> MultipleChoiceExample:
    """Prompt `ctx_a`; a choice is `ctx_b`, the beginning of the sentence to end, and an ending."""
    begun = text(row, "ctx_b")
    endings = texts(row, "endings", count=4)
    return MultipleChoiceExample(
        id=str(row[INDEX]),
        prompt=text(row, "ctx_a"),
        choices=tuple(f"{begun} {ending}" if begun else ending for ending in endings),
        label=choice(row, "label", count=4),
    )


def unlabelled(row: Row) -> MultipleChoiceExample:
    example = labelled({**row, "label": 0})
    return MultipleChoiceExample(example.id, example.prompt, example.choices, label=None)


TASK = Task(
    name="hellaswag",
    role="intermediate",
    format="multiple_choice",
    metric=("accuracy",),
    languages=("en",),
    train_task="hellaswag",
    dataset="HellaSwag",
    address="https://rowanzellers.com/hellaswag",
    paper="https://arxiv.org/abs/1905.07830",
    licence="MIT",
    files={
        "train": Files(("hellaswag_train.jsonl",), "jsonl", labelled),
        "dev": Files(("hellaswag_val.jsonl",), "jsonl", labelled),
        "test": Files(("hellaswag_test.jsonl",), "jsonl", unlabelled),
    },
    hub={
        "train": Hub("Rowan/hellaswag", "default", "train", labelled),
        "dev": Hub("Rowan/hellaswag", "default", "validation", labelled),
        "test": Hub("Rowan/hellaswag", "default", "test", unlabelled),
    },
)
