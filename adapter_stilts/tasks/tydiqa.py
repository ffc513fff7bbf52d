"""TyDiQA-GoldP: the span of a Wikipedia passage that answers a question asked without having seen it.

Data set   TyDiQA gold passage 1.1, https://github.com/google-research-datasets/tydiqa
           (hub: google/xtreme, config tydiqa)
Paper      Clark et al. 2020, https://arxiv.org/abs/2003.05002
Licence    Apache-2.0
Languages  en ar bn fi id ko ru sw te; trained on the English of its own train set

The train file mixes the languages, an id's first part names it: English is 3,696 of 49,881 questions. What is
published as dev is the test set of XTREME, so the English dev set that chooses a checkpoint is cut from the
English train set: all questions on a tenth of the contexts (`holdout.held_out`).

One article of tydiqa-goldp-v1.1-train.json, whose title may be absent:

    {"title": "Majakka", "paragraphs": [{"context": "Lamppu syttyi vuonna 1822.", "qas": [
      {"id": "finnish--12-0", "question": "Milloin?", "answers": [{"text": "1822", "answer_start": 21}]}]}]}
"""

from __future__ import annotations

from adapter_stilts.formats.examples import SpanQAExample
from adapter_stilts.tasks.base import Files, Hub, Membership, Row, Task
from adapter_stilts.tasks.columns import asked, question, text
from adapter_stilts.tasks.holdout import held_out

CODES = {
    "english": "en",
    "arabic": "ar",
    "bengali": "bn",
    "finnish": "fi",
    "indonesian": "id",
    "korean": "ko",
    "russian": "ru",
    "swahili": "sw",
    "telugu": "te",
}


def language(row: Row) -> str:
    # The rest of the id may begin with a minus: finnish--7633091408814529542-0.
    name = text(row, "id").split("-", 1)[0]
    if name not in CODES:
        raise ValueError(f"id {row['id']!r} does not begin with one of: {', '.join(CODES)}")
    return CODES[name]


def train(row: Row) -> SpanQAExample | None:
    return None if held_out(text(row, "context")) else question(row)


def dev(row: Row) -> SpanQAExample | None:
    return question(row) if held_out(text(row, "context")) else None


TRAIN_FILES = ("tydiqa-goldp-v1.1-train.json", "tydiqa-goldp-v1.1-train/tydiqa-goldp-v1.1-train.json")
# As XTREME renames them, as they are released, and all languages in one.
TEST_FILES = (
    "tydiqa-goldp-v1.1-dev/tydiqa.goldp.{language}.dev.json",
    "tydiqa.goldp.{language}.dev.json",
    "tydiqa-goldp-v1.1-dev/tydiqa-goldp-dev-{code}.json",
    "tydiqa-goldp-v1.1-dev.json",
)

TASK = Task(
    name="tydiqa",
    role="target",
    format="span_qa",
    metric=("exact_match", "f1"),
    languages=tuple(CODES.values()),
    train_task="tydiqa",
    dataset="TyDiQA-GoldP 1.1",
    address="https://github.com/google-research-datasets/tydiqa",
    paper="https://arxiv.org/abs/2003.05002",
    licence="Apache-2.0",
    codes={code: name for name, code in CODES.items()},
    benchmarks={
        "xtreme": Membership(7, ("qa",)),
        "xtreme-r": Membership(7, ("qa",)),
    },
    files={
        "train": Files(TRAIN_FILES, "squad_json", train, language=language, languages=tuple(CODES.values())),
        "dev": Files(TRAIN_FILES, "squad_json", dev, language=language),
        "test": (
            # The ids of a language that TyDiQA lacks begin with no name of its languages: the file's name tells.
            Files(TEST_FILES[:2], "squad_json", asked, further=True),
            Files(TEST_FILES, "squad_json", asked, language=language),
        ),
    },
    hub={
        "train": Hub(
            "google/xtreme", "tydiqa", "train", train, language=language, languages=tuple(CODES.values())
        ),
        "dev": Hub("google/xtreme", "tydiqa", "train", dev, language=language),
        "test": Hub("google/xtreme", "tydiqa", "validation", question, language=language),
    },
)
