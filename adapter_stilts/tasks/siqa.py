"""Social IQa: why do people do what they do, how do they feel, and what will they do next?

Data set   Social IQa, https://maartensap.com/social-iqa (hub: allenai/social_i_qa)
Paper      Sap et al. 2019, https://arxiv.org/abs/1904.09728
Licence    CC BY 4.0
Languages  English

One row of train.jsonl, whose labels 1, 2 or 3 stand in train-labels.lst, a line each (in socialIQa_v1.4_trn.jsonl,
as XTREME-R fetches it, the column `correct` holds A, B or C instead):

    {"context": "Ada lent Bo her bicycle.", "question": "How would Bo feel?",
     "answerA": "grateful", "answerB": "asleep", "answerC": "like a thief"}
"""

from __future__ import annotations

from adapter_stilts.formats.examples import MultipleChoiceExample
from adapter_stilts.tasks.base import INDEX, Files, Hub, Row, Task
from adapter_stilts.tasks.columns import label, text


def release_row(row: Row) -> MultipleChoiceExample:
    """The prompt is the situation and the question on it."""
    numbers = ("1", "2", "3")
    return MultipleChoiceExample(
        id=str(row[INDEX]),
        prompt=f"{text(row, 'context')} {text(row, 'question')}",
        choices=tuple(text(row, f"answer{letter}") for letter in "ABC"),
        label=numbers.index(label(row, "label", numbers)),
    )


def lettered_row(row: Row) -> MultipleChoiceExample:
    letters = ("A", "B", "C")
    return release_row({**row, "label": str(1 + letters.index(label(row, "correct", letters)))})


def release(split: str, short: str) -> tuple[Files, Files]:
    folders = ("", "socialiqa-train-dev/")
    return (
        Files(
            tuple(f"{folder}{split}.jsonl" for folder in folders),
            "labelled_jsonl",
            release_row,
            beside=(f"{split}-labels.lst",),
        ),
        Files(
            (f"socialIQa_v1.4/socialIQa_v1.4_{short}.jsonl", f"socialIQa_v1.4_{short}.jsonl"),
            "jsonl",
            lettered_row,
        ),
    )


def hub(split: str) -> Hub:
    return Hub("allenai/social_i_qa", "default", split, release_row, revision="refs/convert/parquet")


TASK = Task(
    name="siqa",
    role="intermediate",
    format="multiple_choice",
    metric=("accuracy",),
    languages=("en",),
    train_task="siqa",
    dataset="Social IQa",
    address="https://maartensap.com/social-iqa",
    paper="https://arxiv.org/abs/1904.09728",
    licence="CC BY 4.0",
    files={"train": release("train", "trn"), "dev": release("dev", "dev")},
    hub={"train": hub("train"), "dev": hub("validation")},
)
