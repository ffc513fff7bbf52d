"""Encoders by name: which family each is of, and what can be trained in it. The table of docs/encoders.md.

Nothing here is needed to use one: what a base is, its own config.json says. Tests fill every row with a tiny random
model of its shape, and train it in every mode that the row has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapter_stilts.formats import format_names, get_format
from adapter_stilts.model import task_classes


@dataclass(frozen=True)
class KnownEncoder:
    """Models of one shape.

    Args:
        ids: on the hub, the first as the example.
        model_type: of their config.json.
        shape: what of their config.json is not as others of the type have it, sizes apart.
        note: what a user has to know.
    """

    name: str
    ids: tuple[str, ...]
    model_type: str
    shape: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def bottlenecks(self) -> bool:
        """Whether AdapterHub has bottlenecks for it."""
        return self.model_type in BOTTLENECKS

    @property
    def needs_transformers_5(self) -> bool:
        return self.model_type in ("eurobert",)

    def classes(self) -> tuple[str, ...]:
        """The formats whose full models are checkpoints of Transformers' own task classes."""
        trained = [name for name in format_names() if get_format(name).TASK_CLASS is not None]
        return tuple(name for name in trained if task_classes.has_task_class(self.model_type, name))


BOTTLENECKS = frozenset(
    {"albert", "bert", "deberta", "deberta-v2", "distilbert", "electra", "modernbert", "mt5", "roberta", "t5"}
    | {"xlm-roberta"}
)
"""Types of encoder that AdapterHub's package has bottlenecks for; a test holds the list against the package."""

_ROBERTA = {"type_vocab_size": 1, "pad_token_id": 1}
_LONG = {**_ROBERTA, "max_position_embeddings": 8194}
_MODERN = {"norm_bias": False, "global_attn_every_n_layers": 3, "position_embedding_type": "sans_pos"}

KNOWN: tuple[KnownEncoder, ...] = (
    KnownEncoder(
        "XLM-R", ("FacebookAI/xlm-roberta-large", "FacebookAI/xlm-roberta-base"), "xlm-roberta", _ROBERTA
    ),
    KnownEncoder(
        "XLM-R XL", ("facebook/xlm-roberta-xl", "facebook/xlm-roberta-xxl"), "xlm-roberta-xl", _ROBERTA
    ),
    KnownEncoder("XLM-V", ("facebook/xlm-v-base",), "xlm-roberta", _ROBERTA),
    KnownEncoder("Glot500", ("cis-lmu/glot500-base",), "xlm-roberta", _ROBERTA),
    KnownEncoder("BGE-M3", ("BAAI/bge-m3",), "xlm-roberta", _LONG, "positions for 8,192 tokens"),
    KnownEncoder(
        "multilingual-e5",
        ("intfloat/multilingual-e5-large", "intfloat/multilingual-e5-base"),
        "xlm-roberta",
        _ROBERTA,
        "trained with `query: ` and `passage: ` before a text, which nothing here adds",
    ),
    KnownEncoder(
        "multilingual-e5-small",
        ("intfloat/multilingual-e5-small",),
        "bert",
        {"type_vocab_size": 2},
        "BERT's layers under XLM-R's tokenizer",
    ),
    KnownEncoder("mBERT", ("google-bert/bert-base-multilingual-cased",), "bert", {"type_vocab_size": 2}),
    KnownEncoder("LaBSE", ("sentence-transformers/LaBSE",), "bert", {"type_vocab_size": 2}),
    KnownEncoder(
        "RemBERT",
        ("google/rembert",),
        "rembert",
        {"input_embedding_size": 16, "output_embedding_size": 24, "type_vocab_size": 2},
    ),
    KnownEncoder(
        "mDeBERTa",
        ("microsoft/mdeberta-v3-base",),
        "deberta-v2",
        {
            "relative_attention": True,
            "position_buckets": 8,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
            "max_relative_positions": -1,
            "type_vocab_size": 0,
        },
    ),
    KnownEncoder("mT5", ("google/mt5-base",), "mt5", {"feed_forward_proj": "gated-gelu"}),
    KnownEncoder(
        "ModernBERT",
        ("answerdotai/ModernBERT-base", "answerdotai/ModernBERT-large"),
        "modernbert",
        {**_MODERN, "local_rope_theta": 10_000.0, "global_rope_theta": 160_000.0},
        "English",
    ),
    KnownEncoder(
        "mmBERT",
        ("jhu-clsp/mmBERT-base", "jhu-clsp/mmBERT-small"),
        "modernbert",
        {**_MODERN, "local_rope_theta": 160_000.0, "global_rope_theta": 160_000.0},
        "recipe `study-mmbert`",
    ),
    KnownEncoder(
        "EuroBERT",
        ("EuroBERT/EuroBERT-210m", "EuroBERT/EuroBERT-610m"),
        "eurobert",
        {"rope_theta": 250_000},
        "Transformers 5; a config.json that names code (`auto_map`) is refused: take those lines out of a copy",
    ),
)


def header() -> list[str]:
    return ["encoder", "`--base`", "type", "LoRA, rsLoRA, DoRA", "IA3", "`adapter`", "task classes", ""]


def cells(row: KnownEncoder) -> list[str]:
    """A row's cells, as `header` names them."""
    found = row.classes()
    every = len(found) == sum(get_format(name).TASK_CLASS is not None for name in format_names())
    return [
        row.name,
        ", ".join(f"`{name}`" for name in row.ids),
        f"`{row.model_type}`",
        *(_endings(row.model_type, method) for method in ("lora", "ia3")),
        "yes" if row.bottlenecks else "–",
        "all" if every else ", ".join(found) or "–",
        row.note,
    ]


def _endings(model_type: str, method: str) -> str:
    return ", ".join(f"`{ending}`" for ending in task_classes.targets(model_type, method))
