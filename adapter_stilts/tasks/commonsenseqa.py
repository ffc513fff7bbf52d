"""CommonsenseQA: which of five answers fits an everyday question?

Data set   CommonsenseQA 1.11, https://www.tau-nlp.org/commonsenseqa (hub: tau/commonsense_qa)
Paper      Talmor et al. 2019, https://arxiv.org/abs/1811.00937
Licence    MIT
Languages  English

One row of train_rand_split.jsonl (the hub has `question` and `choices` side by side):

    {"answerKey": "C", "id": "0f1e2d", "question": {"question_concept": "umbrella",
     "stem": "Where would you look for a dry umbrella?", "choices": [
       {"label": "A", "text": "lake"}, {"label": "B", "text": "cloud"}, {"label": "C", "text": "closet"},
       {"label": "D", "text": "soup"}, {"label": "E", "text": "sky"}]}}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from adapter_stilts.formats.examples import MultipleChoiceExample
from adapter_stilts.tasks.base import Files, Hub, Row, Task
from adapter_stilts.tasks.columns import label, records, text, value

LETTERS = ("A", "B", "C", "D", "E")


def hub_row(row: Row) -> MultipleChoiceExample:
    choices = records(row, "choices", ("label", "text"))
    if tuple(choice["label"] for choice in choices) != LETTERS:
        raise ValueError(f"choices should be labelled {', '.join(LETTERS)}")
    return MultipleChoiceExample(
        id=text(row, "id"),
        prompt=text(row, "question"),
        choices=tuple(text(choice, "text") for choice in choices),
        label=LETTERS.index(label(row, "answerKey", LETTERS)),
    )


def unlabelled(row: Row) -> MultipleChoiceExample:
    return replace(hub_row({**row, "answerKey": "A"}), label=None)


def release(example: Callable[[Row], MultipleChoiceExample]) -> Callable[[Row], MultipleChoiceExample]:
    """The release nests what the hub has side by side."""

    def release_row(row: Row) -> MultipleChoiceExample:
        question = value(row, "question")
        if not isinstance(question, dict):
            raise ValueError("column 'question' should be an object with 'stem' and 'choices'")
        return example({**row, "question": value(question, "stem"), "choices": value(question, "choices")})

    return release_row


TASK = Task(
    name="commonsenseqa",
    role="intermediate",
    format="multiple_choice",
    metric=("accuracy",),
    languages=("en",),
    train_task="commonsenseqa",
    dataset="CommonsenseQA",
    address="https://www.tau-nlp.org/commonsenseqa",
    paper="https://arxiv.org/abs/1811.00937",
    licence="MIT",
    files={
        "train": Files(("train_rand_split.jsonl",), "jsonl", release(hub_row)),
        "dev": Files(("dev_rand_split.jsonl",), "jsonl", release(hub_row)),
        "test": Files(("test_rand_split_no_answers.jsonl",), "jsonl", release(unlabelled)),
    },
    hub={
        "train": Hub("tau/commonsense_qa", "default", "train", hub_row),
        "dev": Hub("tau/commonsense_qa", "default", "validation", hub_row),
        "test": Hub("tau/commonsense_qa", "default", "test", unlabelled),
    },
)
