"""One text or two, one number: similarity, a rating, readability.

Trained as Transformers' `run_glue.py` and its sequence classes train STS-B of GLUE (Wang et al. 2019,
https://arxiv.org/abs/1804.07461): one output, read as the number itself, and the mean of squared errors on the raw
scores, there 0 to 5. Targets are not scaled; data of another magnitude are brought to such a range before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from adapter_stilts.formats import pair_classification, text_classification
from adapter_stilts.formats.base import FormatSettings, HeadShape, Judged
from adapter_stilts.formats.examples import TextRegressionExample
from adapter_stilts.formats.features import Column, Features, Indices

# Sequences, their class and what a step is divided by: those of one text or two with a label.
from adapter_stilts.formats.pair_classification import PEFT_TASK as PEFT_TASK
from adapter_stilts.formats.pair_classification import PIPELINE as PIPELINE
from adapter_stilts.formats.pair_classification import TASK_CLASS as TASK_CLASS
from adapter_stilts.formats.pair_classification import units as units

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA = 1
"""Of the encoding: sequences as the formats of labels have them, and beside each its number as the data have it,
neither scaled nor centred, in fp32; NaN where it is not known."""
ITEMS: Literal["examples", "sequences"] = "examples"
_JUDGED = Judged("numbers", "numbers")
JUDGED = {"pearson": _JUDGED, "spearman": _JUDGED}


class Settings(FormatSettings):
    LATER = OF_HEAD = frozenset({"pooler"})

    max_length: int = Field(default=256, ge=8)
    """Tokens of a sequence, special ones included; the longer text is cut first, at its end."""
    pooler: bool = False
    """Whether the head reads the encoder's pooler, as the study's code (jiant) has it, or the first token's state."""


def head_shape(labels: Sequence[str]) -> HeadShape:
    """One output, whatever it is called."""
    return HeadShape("first_token", dense=True, outputs=1)


def encode(
    examples: Sequence[TextRegressionExample], tokenizer: Any, settings: Settings, labels: Sequence[str]
) -> Features:
    firsts = [example.text for example in examples]
    seconds = [example.second_text for example in examples if example.second_text is not None]
    if seconds and len(seconds) < len(firsts):
        raise ValueError(
            f"{len(seconds)} of {len(firsts)} examples have a second text: give one to all, or to none"
        )
    if seconds:
        layout = pair_classification.laid_out(tokenizer, firsts, seconds, settings.max_length)
    else:
        layout = text_classification.laid_out(tokenizer, firsts, settings.max_length)
    gold = [np.nan if example.label is None else example.label for example in examples]
    return Features(
        layout.input_ids,
        np.arange(len(examples) + 1),
        layout.token_types,
        per_example={"label": np.asarray(gold, dtype=np.float32)},
    )


def loss_sum(
    outputs: Sequence[Tensor], parts: Sequence[Indices], features: Features, items: Indices
) -> Tensor:
    import torch

    numbers = torch.cat(list(outputs)).float()[:, 0]
    gold = features.per_example["label"][np.concatenate(parts)]
    wanted = torch.as_tensor(gold, device=numbers.device, dtype=numbers.dtype)
    return torch.nn.functional.mse_loss(numbers, wanted, reduction="sum")


def reduce(outputs: Tensor, features: Features, rows: Indices, settings: Settings) -> dict[str, Column]:
    return {"number": outputs.float()[:, 0].cpu().numpy()}


def decode(
    examples: Sequence[TextRegressionExample],
    features: Features,
    reduced: Mapping[str, Column],
    settings: Settings,
    labels: Sequence[str],
) -> list[float]:
    numbers = reduced["number"]
    assert isinstance(numbers, np.ndarray)
    found: list[float] = numbers.tolist()
    return found
