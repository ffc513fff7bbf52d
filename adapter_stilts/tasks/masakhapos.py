"""MasakhaPOS: the universal part of speech of each word, in the news of 20 African languages.

Data set   MasakhaPOS, https://github.com/masakhane-io/masakhane-pos, in data
Paper      Dione et al. 2023, https://aclanthology.org/2023.acl-long.609
Licence    MIT by its repository, AFL-3.0 by its card on the hub
Languages  bm bbj ee fon ha ig rw lg luo mos ny pcm sn sw tn tw wo xh yo zu; trained on English Universal Dependencies

The tags are those of Universal Dependencies. The score is UDPOS's f1, the paper's accuracy of words.

Two lines of swa/test.txt; a blank stands between word and tag, a blank line between sentences:

    Ada PROPN
    alifika VERB

The hub's data set (masakhane/masakhapos) is a loading script, which no longer runs.
"""

from __future__ import annotations

from adapter_stilts.formats.examples import TaggingExample
from adapter_stilts.tasks.base import Files, Membership, Row, Split, Task
from adapter_stilts.tasks.columns import sentence
from adapter_stilts.tasks.conllu import UPOS
from adapter_stilts.tasks.masakhaner2 import CODES


def release_row(row: Row) -> TaggingExample:
    return sentence(row, "words", "tags", UPOS)


def release(split: Split) -> Files:
    folders = ("masakhane-pos/data/", "")
    return Files(tuple(f"{folder}{{code}}/{split}.txt" for folder in folders), "tagged", release_row)


TASK = Task(
    name="masakhapos",
    role="target",
    format="tagging",
    metric=("f1",),
    languages=tuple(CODES),
    train_task="udpos",
    dataset="MasakhaPOS",
    address="https://github.com/masakhane-io/masakhane-pos",
    paper="https://aclanthology.org/2023.acl-long.609",
    licence="MIT (its repository) or AFL-3.0 (its card)",
    labels=UPOS,
    codes=CODES,
    benchmarks={"africa": Membership(2, ("tagging",))},
    files={"train": release("train"), "dev": release("dev"), "test": release("test")},
    no_hub="masakhane/masakhapos there is a loading script, which no longer runs",
)
