"""SNLI: does a caption entail, contradict or leave open another sentence?

Data set   SNLI 1.0, https://nlp.stanford.edu/projects/snli (hub: stanfordnlp/snli)
Paper      Bowman et al. 2015, https://arxiv.org/abs/1508.05326
Licence    CC BY-SA 4.0
Languages  English

One row of snli_1.0_train.jsonl (the .txt has the same columns; rows with gold label "-" are skipped):

    {"gold_label": "neutral", "sentence1": "A girl feeds two ducks.", "sentence2": "A girl is on holiday.",
     "captionID": "1.jpg#0", "pairID": "1.jpg#0r1n", "annotator_labels": ["neutral"], ...}
"""

from __future__ import annotations

from adapter_stilts.tasks.base import Files, Hub, Task
from adapter_stilts.tasks.nli import ANNOTATORS, LABELS, hub_row, release_row

# Rows of the train file carry one annotator's label and may end there.


def release(split: str) -> tuple[Files, Files]:
    """The release's two spellings, in its own folder or beside other data."""
    names = (f"snli_1.0/snli_1.0_{split}", f"snli_1.0_{split}")
    return (
        Files(tuple(f"{name}.jsonl" for name in names), "jsonl", release_row),
        Files(
            tuple(f"{name}.txt" for name in names), "tsv", release_row, options={"optional": ANNOTATORS[1:]}
        ),
    )


TASK = Task(
    name="snli",
    role="intermediate",
    format="pair_classification",
    metric=("accuracy",),
    languages=("en",),
    train_task="snli",
    dataset="SNLI 1.0",
    address="https://nlp.stanford.edu/projects/snli",
    paper="https://arxiv.org/abs/1508.05326",
    licence="CC BY-SA 4.0",
    labels=LABELS,
    files={"train": release("train"), "dev": release("dev"), "test": release("test")},
    hub={
        "train": Hub("stanfordnlp/snli", "plain_text", "train", hub_row),
        "dev": Hub("stanfordnlp/snli", "plain_text", "validation", hub_row),
        "test": Hub("stanfordnlp/snli", "plain_text", "test", hub_row),
    },
)
