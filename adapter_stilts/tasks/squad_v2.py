"""SQuAD 2.0: SQuAD 1.1 with as many questions again that their paragraph leaves unanswered.

Data set   SQuAD 2.0, https://rajpurkar.github.io/SQuAD-explorer (hub: rajpurkar/squad_v2)
Paper      Rajpurkar et al. 2018, https://arxiv.org/abs/1806.03822
Licence    CC BY-SA 4.0
Languages  English

One article of train-v2.0.json; `plausible_answers` are wrong ones, and are not read (the hub has neither them nor
`is_impossible`):

    {"title": "Lighthouse", "paragraphs": [{"context": "The lamp was lit in 1822.", "qas": [
      {"id": "q1", "question": "Who lit it?", "is_impossible": true, "answers": [],
       "plausible_answers": [{"text": "lamp", "answer_start": 4}]}]}]}
"""

from __future__ import annotations

from adapter_stilts.formats.examples import SpanQAExample
from adapter_stilts.tasks.base import Files, Hub, Row, Task
from adapter_stilts.tasks.columns import answers, text


def hub_row(row: Row) -> SpanQAExample:
    """Without answers where the question has none in its paragraph."""
    context = text(row, "context")
    return SpanQAExample(text(row, "id"), text(row, "question"), context, answers(row, context))


def release_row(row: Row) -> SpanQAExample:
    """Where a file leaves `is_impossible` out, as the hub does, a question without answers is one."""
    example = hub_row(row)
    impossible = row.get("is_impossible", not example.answers)
    if impossible is not (not example.answers):
        raise ValueError(
            f"question {example.id!r} has {len(example.answers)} answers, but is_impossible {impossible!r}"
        )
    return example


TASK = Task(
    name="squad_v2",
    role="intermediate",
    format="span_qa",
    metric=("exact_match", "f1"),
    languages=("en",),
    train_task="squad_v2",
    dataset="SQuAD 2.0",
    address="https://rajpurkar.github.io/SQuAD-explorer",
    paper="https://arxiv.org/abs/1806.03822",
    licence="CC BY-SA 4.0",
    folder="squad",
    unanswerable=True,
    files={
        "train": Files(("train-v2.0.json",), "squad_json", release_row),
        "dev": Files(("dev-v2.0.json",), "squad_json", release_row),
    },
    hub={
        "train": Hub("rajpurkar/squad_v2", "squad_v2", "train", hub_row),
        "dev": Hub("rajpurkar/squad_v2", "squad_v2", "validation", hub_row),
    },
)
