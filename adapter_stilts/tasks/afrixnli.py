"""AfriXNLI: XNLI's question, part of its dev and test sets translated into 16 African languages by people.

Data set   AfriXNLI, https://huggingface.co/datasets/masakhane/afrixnli (its files lie there, in data/<code>/)
Paper      Adelani et al. 2024, https://arxiv.org/abs/2406.03368
Licence    Apache-2.0
Languages  en fr am ee ha ig ln lg om rw sn st sw tw wo xh yo zu, 600 test rows in each; trained on English MultiNLI

English and French, of which the others were translated, are no part of the benchmark `africa`. The dev sets (450 rows
each) are not read but the English one, as nothing is chosen on a target language.

One row of data/swa/test.tsv, whose labels are entailment, neutral and contradiction by number; the hub's columns are
taken to be the same, which is not checked here, and a label that comes by its name is read too:

    premise                 hypothesis        label
    Basi lilisimama shule.  Basi lilikuwa tupu.    1
"""

from __future__ import annotations

from adapter_stilts.formats.examples import PairClassificationExample
from adapter_stilts.tasks.africa import african
from adapter_stilts.tasks.base import INDEX, Files, Hub, Membership, Row, Split, Task
from adapter_stilts.tasks.columns import choice, label, text, value
from adapter_stilts.tasks.nli import LABELS

# fmt: off
CODES = {
    "en": "eng", "fr": "fra", "am": "amh", "ee": "ewe", "ha": "hau", "ig": "ibo", "ln": "lin", "lg": "lug", "om": "orm",
    "rw": "kin", "sn": "sna", "st": "sot", "sw": "swa", "tw": "twi", "wo": "wol", "xh": "xho", "yo": "yor", "zu": "zul",
}
# fmt: on
LANGUAGES = tuple(CODES)


def release_row(row: Row) -> PairClassificationExample:
    named = value(row, "label") in LABELS
    return PairClassificationExample(
        id=str(row[INDEX]),
        premise=text(row, "premise"),
        hypothesis=text(row, "hypothesis"),
        label=label(row, "label", LABELS) if named else LABELS[choice(row, "label", len(LABELS))],
    )


def release(split: Split) -> Files:
    # The hub reads these files with quotes that count, so they do here.
    names = (f"data/{{code}}/{split}.tsv", f"{{code}}/{split}.tsv")
    return Files(names, "csv", release_row, options={"delimiter": "\t"})


def hub(split: str) -> Hub:
    return Hub("masakhane/afrixnli", "{code}", split, release_row)


TASK = Task(
    name="afrixnli",
    role="target",
    format="pair_classification",
    metric=("accuracy",),
    languages=LANGUAGES,
    train_task="mnli",
    dataset="AfriXNLI",
    address="https://huggingface.co/datasets/masakhane/afrixnli",
    paper="https://arxiv.org/abs/2406.03368",
    licence="Apache-2.0",
    labels=LABELS,
    codes=CODES,
    benchmarks={"africa": Membership(3, ("classification",), only=african(LANGUAGES))},
    test_sizes=dict.fromkeys(LANGUAGES, 600),
    files={"dev": release("dev"), "test": release("test")},
    hub={"dev": hub("validation"), "test": hub("test")},
)
