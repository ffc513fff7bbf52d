"""The four heads against a plain computation of what the study's code (jiant) computes on the same weights.

jiant's forward, one row at a time and without padding: the encoder's states; of pairs and choices tanh(P h + p) on the
first of them, P and p the checkpoint's pooler, then dropout, dense, tanh, dropout, out and the cross-entropy over the
logits (choices: one logit each); of words dropout, a linear layer and the cross-entropy over first pieces; of answers a
linear layer to two and the mean of the cross-entropies of start and end. Dropout is off here.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from adapter_stilts.formats import get_format
from adapter_stilts.formats.examples import (
    Answer,
    MultipleChoiceExample,
    PairClassificationExample,
    SpanQAExample,
    TaggingExample,
)
from adapter_stilts.model.backbone import load_encoder, load_tokenizer, resolve_base
from adapter_stilts.model.heads import build_head
from adapter_stilts.model.pooler import pretrained_pooler
from adapter_stilts.model.task_model import MicroBatch, TaskModel
from adapter_stilts.recipe import Base

TOLERANCE = 1e-5
TEXT = "The bridge of Riga was built in the rain in 1828 , and sold after a long and quiet winter ."
WORDS = tuple(TEXT.split())
LABELS = {
    "pair_classification": ("entailment", "neutral", "contradiction"),
    "multiple_choice": (),
    "span_qa": (),
    "tagging": ("NOUN", "VERB", "DET"),
}
EXAMPLES: dict[str, list[Any]] = {
    "pair_classification": [
        PairClassificationExample("a", TEXT, "The bridge is old.", "neutral"),
        PairClassificationExample("b", "Sold.", TEXT, "entailment"),
        PairClassificationExample("c", "A clock", "No clock", "contradiction"),
    ],
    "multiple_choice": [
        MultipleChoiceExample("a", TEXT, ("It stands.", "It was closed yesterday by two friends.", "No"), 1),
        MultipleChoiceExample("b", "The lamp", ("is lit", TEXT), 0),
    ],
    "span_qa": [
        SpanQAExample("a", "What was sold?", TEXT, (Answer("bridge", 4),)),
        SpanQAExample("b", "When?", TEXT, (Answer("1828", TEXT.index("1828")),)),
    ],
    "tagging": [
        TaggingExample("a", WORDS, tuple(LABELS["tagging"][n % 3] for n in range(len(WORDS)))),
        TaggingExample("b", ("unrepaired", "clocks"), ("VERB", "NOUN")),
    ],
}


@pytest.mark.parametrize("name", LABELS)
def test_logits_and_loss_are_those_of_the_studys_code(name: str, pooled_base: Path) -> None:
    from transformers import AutoModel

    format, labels = get_format(name), LABELS[name]
    resolved = resolve_base(Base(id=str(pooled_base)))
    encoder = load_encoder(str(pooled_base), None, None, False)
    pooled = name in ("pair_classification", "multiple_choice")
    head = build_head(name, labels, encoder.config, pooler=pooled, seed=3)
    assert head is not None
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(parameter.numel()))
    if pooled:
        weights = pretrained_pooler(str(pooled_base), None)
        assert weights is not None
        head.load_state_dict(weights, strict=False)
    settings = format.Settings()
    features = format.encode(EXAMPLES[name], load_tokenizer(resolved), settings, labels)
    model = TaskModel(encoder, head, format).eval()

    theirs = AutoModel.from_pretrained(pooled_base, add_pooling_layer=True).eval()
    ids = [features.input_ids.padded(np.array([row]), -1)[0] for row in range(features.num_sequences)]
    with torch.no_grad():
        states = [theirs(torch.as_tensor(row)[None]) for row in ids]
        logits = [_logits(output, head, name) for output in states]
    assert len(logits) > 1
    for row, wanted in enumerate(logits):
        got = model.predict(features, np.array([row]))[0]
        assert torch.allclose(got, wanted, rtol=0, atol=TOLERANCE), (name, row)

    items = np.arange(len(EXAMPLES[name]) if format.ITEMS == "examples" else features.num_sequences)
    # All sequences in one padded batch, and in two.
    sequences = np.arange(features.num_sequences)
    for parts in ([sequences], [sequences[:1], sequences[1:]]):
        micro = MicroBatch(features, items, parts, 1 / format.units(features, items))
        with torch.no_grad():
            loss = float(model(micro))
        assert loss == pytest.approx(_loss(logits, features, name), abs=TOLERANCE)


def _logits(output: Any, head: Any, name: str) -> torch.Tensor:
    weights = head.state_dict()

    def linear(layer: str, states: torch.Tensor) -> torch.Tensor:
        return states @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"]

    if name in ("pair_classification", "multiple_choice"):
        # Transformers' own pooler, with the checkpoint's weights.
        return linear("output", torch.tanh(linear("dense", output.pooler_output[0])))
    return linear("output", output.last_hidden_state[0])


def _loss(logits: list[torch.Tensor], features: Any, name: str) -> float:
    if name == "pair_classification":
        return float(cross_entropy(torch.stack(logits), torch.as_tensor(features.per_example["label"])))
    if name == "multiple_choice":
        scores, bounds = torch.cat(logits), features.sequences
        rows = [scores[start:stop] for start, stop in itertools.pairwise(bounds)]
        gold = torch.as_tensor(features.per_example["label"])
        return float(torch.stack([cross_entropy(s, g) for s, g in zip(rows, gold, strict=True)]).mean())
    if name == "tagging":
        gold = torch.as_tensor(features.per_sequence["gold"].values.astype(np.int64))
        first_pieces = gold >= 0
        assert 0 < first_pieces.sum() < len(gold)
        return float(cross_entropy(torch.cat(logits)[first_pieces], gold[first_pieces]))
    found = []
    for row, one in enumerate(logits):
        sides = [torch.tensor(int(features.per_sequence[side][row])) for side in ("start", "end")]
        found.append(sum(cross_entropy(one[:, n], side) for n, side in enumerate(sides)) / 2)
    return float(torch.stack(found).mean())
