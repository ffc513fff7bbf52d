"""CCG supertagging: the lexical category of each word, that is how it combines with its neighbours.

Data set   CCGbank, https://catalog.ldc.upenn.edu/LDC2005T13
Paper      Hockenmaier and Steedman 2007, https://aclanthology.org/J07-3004
Licence    LDC User Agreement: bring your own copy
Languages  English

Read as it is licensed, data/AUTO/02/wsj_0200.auto and so on (train is sections 02-21, dev section 00), or as lines:
train.tsv and dev.tsv with a word and its category a line and blank lines between sentences, or ccg.train and
ccg.dev with a sentence a line, its words, a tab and their categories. One derivation of two words:

    ID=wsj_0201.1 PARSER=GOLD NUMPARSE=1
    (<T S[dcl] 0 2> (<L NP NNP NNP Ada NP>) (<L S[dcl]\\NP VBZ VBZ sings S[dcl]\\NP_1>) )

The study counts 1,363 categories. Which they are depends on the copy, so the label set is the data's own: every
category of train and dev.
"""

from __future__ import annotations

from adapter_stilts.formats.examples import TaggingExample
from adapter_stilts.tasks.base import Files, Row, Task
from adapter_stilts.tasks.columns import sentence


def release_row(row: Row) -> TaggingExample:
    return sentence(row, "words", "tags")


def release(split: str, sections: range) -> tuple[Files, ...]:
    auto = tuple(
        " + ".join(f"{folder}AUTO/{section:02}/*.auto" for section in sections)
        for folder in ("data/", "", "ccgbank_1_1/data/", "LDC2005T13/data/")
    )
    return (
        Files((*auto, f"{split}.auto"), "auto", release_row),
        Files((f"{split}.tsv", f"{split}.txt"), "tagged", release_row),
        Files((f"ccg.{split}",), "tagged_sentences", release_row),
    )


TASK = Task(
    name="ccg",
    role="intermediate",
    format="tagging",
    metric=("accuracy",),
    languages=("en",),
    train_task="ccg",
    dataset="CCGbank (LDC2005T13)",
    address="https://catalog.ldc.upenn.edu/LDC2005T13",
    paper="https://aclanthology.org/J07-3004",
    licence="LDC User Agreement",
    open_labels=True,
    no_hub="the LDC licenses CCGbank to each user",
    files={"train": release("train", range(2, 22)), "dev": release("dev", range(1))},
)
