"""MultiNLI: does a sentence of one of ten genres entail, contradict or leave open another?

Data set   MultiNLI 1.0, https://cims.nyu.edu/~sbowman/multinli (hub: nyu-mll/glue, config mnli)
Paper      Williams et al. 2018, https://arxiv.org/abs/1704.05426
Licence    by genre: OANC licence, CC BY 3.0, CC BY-SA 3.0
Languages  English; its train set machine-translated into XNLI's languages (XNLI-MT-1.0, CC BY-NC 4.0)

One row of multinli_1.0_train.jsonl (the .txt, and GLUE's MNLI/train.tsv, name the columns alike; rows with
gold label "-" are skipped). Dev is the one of train's genres, or of others with the option `genres`; the labels of
GLUE's test sets are not published.

    {"gold_label": "entailment", "sentence1": "The ferry leaves at noon, rain or shine.",
     "sentence2": "Rain does not stop the ferry.", "genre": "travel", "pairID": "1e", "promptID": "1", ...}

One row of XNLI-MT-1.0/multinli/multinli.train.de.tsv (its English file is the original, tokenised, and not read):

    premise                    hypo                  label
    Die Fähre fährt mittags .  Es regnet nie .       contradictory
"""

from __future__ import annotations

from collections.abc import Callable

from adapter_stilts.formats.examples import PairClassificationExample
from adapter_stilts.tasks.base import Files, Hub, Row, Task
from adapter_stilts.tasks.nli import (
    ANNOTATORS,
    LABELS,
    hub_row,
    hub_unlabelled,
    release_row,
    translated_row,
    unlabelled,
    xtreme_files,
)

GENRES = ("matched", "mismatched")


def release(split: str) -> tuple[Files, ...]:
    """The authors' two spellings, GLUE's, and XTREME's, whose English dev set is XNLI's."""
    names = (f"multinli_1.0/multinli_1.0_{split}", f"multinli_1.0_{split}")
    return (
        Files(tuple(f"{name}.jsonl" for name in names), "jsonl", release_row),
        Files(tuple(f"{name}.txt" for name in names), "tsv", release_row, options={"optional": ANNOTATORS}),
        Files((f"glue/MNLI/{split}.tsv", f"MNLI/{split}.tsv"), "tsv", release_row),
        xtreme_files("xnli/train-en.tsv" if split == "train" else "xnli/dev-en.tsv"),
    )


def hub(split: str, example: Callable[[Row], PairClassificationExample | None]) -> tuple[Hub, ...]:
    return tuple(
        Hub("nyu-mll/glue", "mnli", f"{split}_{genres}", example, only={"genres": (genres,)})
        for genres in GENRES
    )


TRANSLATED = Files(
    tuple(
        f"{folder}multinli.train.{{language}}.tsv"
        for folder in ("xnli/XNLI-MT-1.0/multinli/", "XNLI-MT-1.0/multinli/", "multinli/", "")
    ),
    "tsv",
    translated_row,
    languages=("ar", "bg", "de", "el", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"),
)


TASK = Task(
    name="mnli",
    role="intermediate",
    format="pair_classification",
    metric=("accuracy",),
    languages=("en",),
    train_task="mnli",
    dataset="MultiNLI 1.0",
    address="https://cims.nyu.edu/~sbowman/multinli",
    paper="https://arxiv.org/abs/1704.05426",
    licence="OANC licence, CC BY 3.0 or CC BY-SA 3.0, by genre",
    labels=LABELS,
    options={"genres": GENRES},
    files={
        "train": (*release("train"), TRANSLATED),
        "dev": release("dev_{genres}"),
        "test": Files(("glue/MNLI/test_{genres}.tsv", "MNLI/test_{genres}.tsv"), "tsv", unlabelled),
    },
    hub={
        "train": Hub("nyu-mll/glue", "mnli", "train", hub_row),
        "dev": hub("validation", hub_row),
        "test": hub("test", hub_unlabelled),
    },
)
