"""Mewsli-X: find the entity, by its description in any of 50 languages, that a mention in a news article means.

Data set   Mewsli-X, https://github.com/google-research/google-research/tree/master/
           dense_representations_for_entity_retrieval/mel
Paper      Ruder et al. 2021 (XTREME-R), https://arxiv.org/abs/2104.07412
Licence    CC BY-SA 3.0 and CC BY 2.5, by source
Languages  ar de en es fa ja pl ro ta tr uk

Nothing is trained here (XTREME-R fine-tunes on English mentions in Wikipedia). What is asked is the sentence that a
mention stands in; the pool is a million descriptions, of which each language's examples hold a share. One row of
wikinews_mentions-test.jsonl, whose texts the release's own script puts back, and one of candidate_set_entities.jsonl:

    {"context": {"language": "de", "text": "Riga feiert.", "sentence_spans": [{"start": 0, "end": 12}], ...},
     "mentions": [{"example_id": "0a1b", "entity_id": "Q1773",
                   "mention_span": {"start": 0, "end": 4, "text": "Riga"}}]}
    {"entity_id": "Q1773", "title": "Riga", "description": "Riga is the capital of Latvia.",
     "description_language": "en", ...}
"""

from __future__ import annotations

from adapter_stilts.formats.base import Judged
from adapter_stilts.tasks.base import Files, Membership, Row, Split, Task
from adapter_stilts.tasks.columns import text
from adapter_stilts.tasks.pools import pool_row

LANGUAGES = ("ar", "de", "en", "es", "fa", "ja", "pl", "ro", "ta", "tr", "uk")


def language(row: Row) -> str:
    return text(row, "language")


def release(split: Split) -> Files:
    name = f"wikinews_mentions-{split}.jsonl"
    return Files(
        (f"mewsli_x/output/dataset/{name}", name),
        "mentions",
        pool_row,
        options={"languages": LANGUAGES},
        language=language,
        beside=("candidate_set_entities.jsonl",),
    )


TASK = Task(
    name="mewslix",
    role="target",
    format="retrieval",
    metric=("map@20",),
    languages=LANGUAGES,
    train_task=None,
    dataset="Mewsli-X",
    address="https://github.com/google-research/google-research/tree/master/"
    "dense_representations_for_entity_retrieval/mel",
    paper="https://arxiv.org/abs/2104.07412",
    licence="CC BY-SA 3.0 and CC BY 2.5, by source",
    no_hub="it holds no copy of Mewsli-X",
    benchmarks={"xtreme-r": Membership(9, ("retrieval",))},
    # A mention has one entity: of a longer list in the labels the official scorer takes the first.
    judged=Judged("ranked", "rankings_of_one"),
    files={"dev": release("dev"), "test": release("test")},
)
