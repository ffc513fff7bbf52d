"""CosmosQA: which of four answers can be read between the lines of a story from somebody's life?

Data set   CosmosQA, https://wilburone.github.io/cosmos (hub: allenai/cosmos_qa)
Paper      Huang et al. 2019, https://arxiv.org/abs/1909.00277
Licence    CC BY 4.0
Languages  English

One row of train.csv; test.jsonl has the same columns but the label:

    id,context,question,answer0,answer1,answer2,answer3,label
    9#Blog_1,"It rained, so we ate indoors .",Where had they meant to eat ?,Outside .,At sea .,Nowhere .,None .,0
"""

from __future__ import annotations

from adapter_stilts.formats.examples import MultipleChoiceExample
from adapter_stilts.tasks.base import Files, Hub, Row, Task
from adapter_stilts.tasks.columns import choice, text


def unlabelled(row: Row) -> MultipleChoiceExample:
    """The prompt is the story and the question on it."""
    return MultipleChoiceExample(
        id=text(row, "id"),
        prompt=f"{text(row, 'context')} {text(row, 'question')}",
        choices=tuple(text(row, f"answer{number}") for number in range(4)),
        label=None,
    )


def labelled(row: Row) -> MultipleChoiceExample:
    example = unlabelled(row)
    return MultipleChoiceExample(example.id, example.prompt, example.choices, choice(row, "label", 4))


def release(split: str) -> Files:
    return Files((f"{split}.csv", f"data/{split}.csv"), "csv", labelled)


TASK = Task(
    name="cosmosqa",
    role="intermediate",
    format="multiple_choice",
    metric=("accuracy",),
    languages=("en",),
    train_task="cosmosqa",
    dataset="CosmosQA",
    address="https://wilburone.github.io/cosmos",
    paper="https://arxiv.org/abs/1909.00277",
    licence="CC BY 4.0",
    files={
        "train": release("train"),
        "dev": release("valid"),
        "test": Files(("test.jsonl", "data/test.jsonl"), "jsonl", unlabelled),
    },
    hub={
        "train": Hub("allenai/cosmos_qa", "default", "train", labelled, revision="refs/convert/parquet"),
        "dev": Hub("allenai/cosmos_qa", "default", "validation", labelled, revision="refs/convert/parquet"),
        "test": Hub("allenai/cosmos_qa", "default", "test", unlabelled, revision="refs/convert/parquet"),
    },
)
