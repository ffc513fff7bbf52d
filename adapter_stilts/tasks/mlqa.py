"""MLQA: the span of a Wikipedia paragraph that answers a question, asked in the paragraph's language or another.

Data set   MLQA 1.0, https://github.com/facebookresearch/MLQA (hub: google/xtreme, config MLQA.<context>.<question>)
Paper      Lewis et al. 2020, https://arxiv.org/abs/1910.07475
Licence    CC BY-SA 3.0
Languages  ar de en es hi vi zh; trained on English SQuAD 1.1

A task's language is that of the paragraphs. The option `question` is the language of the questions: the same
(``same``, as in XTREME), or any one, which makes 49 pairs in all. The same id names translations of one question, and
not every question is in every language.

One article of test-context-de-question-de.json:

    {"title": "Leuchtturm", "paragraphs": [{"context": "Die Lampe brannte ab 1822.", "qas": [
      {"id": "a1", "question": "Ab wann?", "answers": [{"text": "1822", "answer_start": 21}]}]}]}
"""

from __future__ import annotations

from adapter_stilts.formats.base import Judged
from adapter_stilts.tasks.base import Files, Hub, Membership, Split, Task
from adapter_stilts.tasks.columns import asked

LANGUAGES = ("en", "ar", "de", "es", "hi", "vi", "zh")
TEST_SIZES = {"ar": 5335, "de": 4517, "en": 11590, "es": 5253, "hi": 4918, "vi": 5495, "zh": 5137}


def release(split: Split) -> tuple[Files, Files]:
    def files(question: str, values: tuple[str, ...]) -> Files:
        name = f"{split}-context-{{language}}-question-{question}.json"
        patterns = (f"MLQA_V1/{split}/{name}", f"{split}/{name}", name)
        return Files(patterns, "squad_json", asked, only={"question": values})

    return files("{language}", ("same",)), files("{question}", LANGUAGES)


def hub(split: str) -> tuple[Hub, Hub]:
    return (
        Hub("google/xtreme", "MLQA.{language}.{language}", split, asked, only={"question": ("same",)}),
        Hub("google/xtreme", "MLQA.{language}.{question}", split, asked, only={"question": LANGUAGES}),
    )


TASK = Task(
    name="mlqa",
    role="target",
    format="span_qa",
    metric=("exact_match", "f1"),
    languages=LANGUAGES,
    train_task="squad_v1",
    dataset="MLQA 1.0",
    address="https://github.com/facebookresearch/MLQA",
    paper="https://arxiv.org/abs/1910.07475",
    licence="CC BY-SA 3.0",
    options={"question": ("same", *LANGUAGES)},
    benchmarks={
        "xtreme": Membership(6, ("qa",)),
        "xtreme-r": Membership(6, ("qa",)),
    },
    test_sizes=TEST_SIZES,
    judged=Judged("answers_by_language", "answers_by_language"),
    submitted_with={"question": "same"},
    files={"dev": release("dev"), "test": release("test")},
    hub={"dev": hub("validation"), "test": hub("test")},
)
