"""MasakhaNER 2.0: the names of people, organisations and places in the news of 20 African languages.

Data set   MasakhaNER 2.0, https://github.com/masakhane-io/masakhane-ner, in MasakhaNER2.0/data
Paper      Adelani et al. 2022, https://arxiv.org/abs/2210.12391
Licence    AFL-3.0 by its card on the hub, CC BY-NC 4.0 by its repository
Languages  bm bbj ee fon ha ig rw lg luo mos ny pcm sn sw tn tw wo xh yo zu; trained on English UNER (en_ewt)

The release tags dates as well, which English UNER does not, so that no model trained on it could find one: B-DATE and
I-DATE are read as O, in what is right as in what is predicted. Scores are over the other three, and not to be
held against rows that count dates.

Two lines of swa/test.txt; a blank stands between word and tag, a blank line between sentences:

    Ada B-PER
    alifika O

The hub's data set (masakhane/masakhaner2) is a loading script, which no longer runs.
"""

from __future__ import annotations

from adapter_stilts.formats.examples import TaggingExample
from adapter_stilts.tasks.base import Files, Membership, Row, Split, Task
from adapter_stilts.tasks.columns import sentence, texts, value
from adapter_stilts.tasks.uner import LABELS

DATES = ("B-DATE", "I-DATE")

# fmt: off
CODES = {
    "bm": "bam", "bbj": "bbj", "ee": "ewe", "fon": "fon", "ha": "hau", "ig": "ibo", "rw": "kin", "lg": "lug",
    "luo": "luo", "mos": "mos", "ny": "nya", "pcm": "pcm", "sn": "sna", "sw": "swa", "tn": "tsn", "tw": "twi",
    "wo": "wol", "xh": "xho", "yo": "yor", "zu": "zul",
}
TEST_SIZES = {
    "bm": 1274, "bbj": 966, "ee": 1001, "fon": 1240, "ha": 1633, "ig": 2181, "rw": 2235, "lg": 1412, "luo": 1474,
    "mos": 1613, "ny": 1785, "pcm": 1294, "sn": 1773, "sw": 1883, "tn": 996, "tw": 1211, "wo": 1312, "xh": 1633,
    "yo": 1964, "zu": 1670,
}
"""By the repository's table."""
# fmt: on


def release_row(row: Row) -> TaggingExample:
    """The sentence without its dates, which are O."""
    if value(row, "tags") is None:
        return sentence(row, "words", "tags", LABELS)
    tags = ["O" if tag in DATES else tag for tag in texts(row, "tags")]
    return sentence({**row, "tags": tags}, "words", "tags", LABELS)


def release(split: Split) -> Files:
    # The repository's own data/ is MasakhaNER 1.0.
    folders = ("masakhane-ner/MasakhaNER2.0/data/", "MasakhaNER2.0/data/", "")
    return Files(tuple(f"{folder}{{code}}/{split}.txt" for folder in folders), "tagged", release_row)


TASK = Task(
    name="masakhaner2",
    role="target",
    format="tagging",
    metric=("f1",),
    languages=tuple(CODES),
    train_task="uner",
    dataset="MasakhaNER 2.0",
    address="https://github.com/masakhane-io/masakhane-ner",
    paper="https://arxiv.org/abs/2210.12391",
    licence="AFL-3.0 (its card) or CC BY-NC 4.0 (its repository)",
    labels=LABELS,
    codes=CODES,
    benchmarks={"africa": Membership(1, ("tagging",))},
    test_sizes=TEST_SIZES,
    remark="DATE is left out: English UNER, which it is trained on, tags none. B-DATE and I-DATE are read as O",
    files={"train": release("train"), "dev": release("dev"), "test": release("test")},
    no_hub="masakhane/masakhaner2 there is a loading script, which no longer runs",
)
