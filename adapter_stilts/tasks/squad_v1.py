"""SQuAD 1.1: the span of a Wikipedia paragraph that answers a question.

Data set   SQuAD 1.1, https://rajpurkar.github.io/SQuAD-explorer (hub: rajpurkar/squad)
Paper      Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250
Licence    CC BY-SA 4.0
Languages  English

One article of train-v1.1.json (the hub has one row a question, `answers` as a dict of lists):

    {"title": "Lighthouse", "paragraphs": [{"context": "The lamp was lit in 1822.", "qas": [
      {"id": "q1", "question": "When was it lit?", "answers": [{"text": "1822", "answer_start": 20}]}]}]}
"""

from __future__ import annotations

from adapter_stilts.tasks.base import Files, Hub, Task
from adapter_stilts.tasks.columns import question

TASK = Task(
    name="squad_v1",
    role="intermediate",
    format="span_qa",
    metric=("exact_match", "f1"),
    languages=("en",),
    train_task="squad_v1",
    dataset="SQuAD 1.1",
    address="https://rajpurkar.github.io/SQuAD-explorer",
    paper="https://arxiv.org/abs/1606.05250",
    licence="CC BY-SA 4.0",
    folder="squad",
    files={
        "train": Files(("train-v1.1.json",), "squad_json", question),
        "dev": Files(("dev-v1.1.json",), "squad_json", question),
    },
    hub={
        "train": Hub("rajpurkar/squad", "plain_text", "train", question),
        "dev": Hub("rajpurkar/squad", "plain_text", "validation", question),
    },
)
