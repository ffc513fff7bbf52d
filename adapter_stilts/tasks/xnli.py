"""XNLI: MultiNLI's question, its dev and test sets translated into 14 languages by people.

Data set   XNLI 1.0, https://github.com/facebookresearch/XNLI (hub: google/xtreme, config XNLI)
Paper      Conneau et al. 2018, https://arxiv.org/abs/1809.05053
Licence    CC BY-NC 4.0
Languages  en ar bg de el es fr hi ru sw th tr ur vi zh; trained on English MultiNLI

All languages share one file; of a language that XNLI lacks, xnli.test.<language>.tsv is read, in the same columns. One
row of xnli.test.tsv, of its 19 columns those that are read:

    language  gold_label  sentence1                       sentence2
    de        neutral     Der Bus hielt vor der Schule.   Der Bus war voll.
"""

from __future__ import annotations

from adapter_stilts.tasks.base import Files, Hub, Membership, Row, Task
from adapter_stilts.tasks.columns import text
from adapter_stilts.tasks.nli import LABELS, release_row, xtreme_files


def language(row: Row) -> str:
    return text(row, "language")


def release(split: str) -> tuple[Files, ...]:
    """The release, and what XTREME's scripts make of it: a file a language, in test without labels."""
    names = (f"XNLI-1.0/xnli.{split}", f"xnli.{split}")
    return (
        Files(
            tuple(f"{name}.{{language}}.tsv" for name in names),
            "tsv",
            release_row,
            language=language,
            further=True,
        ),
        Files(tuple(f"{name}.tsv" for name in names), "tsv", release_row, language=language),
        Files(tuple(f"{name}.jsonl" for name in names), "jsonl", release_row, language=language),
        xtreme_files(f"{split}-{{language}}.tsv", labelled=split != "test"),
    )


LANGUAGES = ("en", "ar", "bg", "de", "el", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh")

TASK = Task(
    name="xnli",
    role="target",
    format="pair_classification",
    metric=("accuracy",),
    languages=LANGUAGES,
    train_task="mnli",
    dataset="XNLI 1.0",
    address="https://github.com/facebookresearch/XNLI",
    paper="https://arxiv.org/abs/1809.05053",
    licence="CC BY-NC 4.0",
    labels=LABELS,
    benchmarks={
        "xtreme": Membership(1, ("classification",)),
        "xtreme-r": Membership(1, ("classification",)),
    },
    test_sizes=dict.fromkeys(LANGUAGES, 5010),
    files={"dev": release("dev"), "test": release("test")},
    hub={
        "dev": Hub("google/xtreme", "XNLI", "validation", release_row, language=language),
        "test": Hub("google/xtreme", "XNLI", "test", release_row, language=language),
    },
)
