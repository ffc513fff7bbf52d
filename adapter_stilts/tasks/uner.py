"""UNER: the names of people, organisations and places, tagged by people in sentences of Universal Dependencies.

Data set   Universal NER v1, https://www.universalner.org (a repository a treebank: github.com/UniversalNER/UNER_*)
Paper      Mayhew et al. 2024, https://aclanthology.org/2024.naacl-long.243
Licence    CC BY-SA 4.0; the PUD treebanks CC BY-SA 3.0
Languages  en ceb da de hr pt ru sk sr sv tl zh; trained on English

One treebank a language: the one with a train set where there is one (en_ewt, da_ddt, hr_set, pt_bosque, sk_snk, sr_set,
sv_talbanken, zh_gsdsimp), else de_pud, ru_pud, ceb_gja, tl_trg. Not read: en_pud, pt_pud, sv_pud and zh_pud, the other
parallel ones; zh_gsd, zh_gsdsimp's sentences in traditional characters; tl_ugnayan. Of a language that is named beyond
these, every treebank in its code is read (fi_*-ud-test.iob2).

Two words of UNER_German-PUD/de_pud-ud-test.iob2, the columns id, word, tag, an empty one and the annotator:

    4    Riga    B-LOC    -    ada
    5    feiert  O        -    -

The hub's own data set is a loading script, which no longer runs. What is read there is a copy in parquet, whose columns
(tokens, ner_tags) are taken from its card.
"""

from __future__ import annotations

from adapter_stilts.formats.examples import TaggingExample
from adapter_stilts.tasks.base import Files, Hub, Row, Split, Task
from adapter_stilts.tasks.columns import sentence

LABELS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
"""In the order of the hub's class labels, which is PAN-X's."""

TREEBANKS = {
    "en": "en_ewt",
    "ceb": "ceb_gja",
    "da": "da_ddt",
    "de": "de_pud",
    "hr": "hr_set",
    "pt": "pt_bosque",
    "ru": "ru_pud",
    "sk": "sk_snk",
    "sr": "sr_set",
    "sv": "sv_talbanken",
    "tl": "tl_trg",
    "zh": "zh_gsdsimp",
}


def release_row(row: Row) -> TaggingExample:
    return sentence(row, "words", "tags", LABELS)


def hub_row(row: Row) -> TaggingExample:
    return sentence(row, "tokens", "ner_tags", LABELS)


def release(split: Split) -> tuple[Files, Files]:
    named, others = f"{{code}}-ud-{split}.iob2", f"{{language}}_*-ud-{split}.iob2"
    return (
        Files((f"UNER_*/{named}", named), "iob2", release_row),
        Files((f"UNER_*/{others}", others), "iob2", release_row, further=True),
    )


def hub(split: str) -> Hub:
    return Hub("BramVanroy/universal_ner", "{code}", split, hub_row)


TASK = Task(
    name="uner",
    role="target",
    format="tagging",
    metric=("f1",),
    languages=tuple(TREEBANKS),
    train_task="uner",
    dataset="Universal NER v1",
    address="https://www.universalner.org",
    paper="https://aclanthology.org/2024.naacl-long.243",
    licence="CC BY-SA 4.0; PUD CC BY-SA 3.0",
    labels=LABELS,
    codes=TREEBANKS,
    files={"train": release("train"), "dev": release("dev"), "test": release("test")},
    hub={"train": hub("train"), "dev": hub("validation"), "test": hub("test")},
)
