"""Formats: the interface of their modules. Everything specific to a task's shape stands in its one file.

A training *item* is what a shuffle moves as a whole: a multiple-choice row with all its choices, one window of
a question or a sentence. Losses are sums over *units* (items, or labelled words), divided by the units of
the whole optimizer step, so that how a step is cut into sub-batches does not change it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from adapter_stilts.formats.examples import Example

if TYPE_CHECKING:
    from torch import Tensor

    from adapter_stilts.formats.features import Column, Features, Indices


CUT = "cut"
"""Column of `Features.per_example` where a format cuts what should stay whole: how many parts of each example."""


class FormatSettings(BaseModel):
    """Base of every format's settings; resolved values are part of a stage's key."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    LATER: ClassVar[frozenset[str]] = frozenset()
    """Switches that came after the others: part of a key where they are on, so that stages from before keep theirs."""
    OF_HEAD: ClassVar[frozenset[str]] = frozenset()
    """Switches of a new head: how rows are encoded and answers decoded does not depend on them."""

    def part(self) -> dict[str, Any]:
        """The settings that go into the key of a stage that trains."""
        return {name: v for name, v in self.model_dump(mode="json").items() if v or name not in self.LATER}

    def reading(self) -> dict[str, Any]:
        """The settings that go into the key of encoded features, and of a stage whose head is there already."""
        return {name: value for name, value in self.part().items() if name not in self.OF_HEAD}


@dataclass(frozen=True)
class HeadShape:
    """The head on top of the encoder, by shape, so that formats need no torch to be described.

    Args:
        states: what it reads: the first token's state of a sequence, every token's, or the masked ones'.
        dense: a square layer and tanh before the output layer (as the pooler of BERT, the dense layer of
            RobertaClassificationHead).
        outputs: width of the output layer; 0 is the vocabulary, and the layer is the encoder's embeddings.
    """

    states: Literal["first_token", "all_tokens", "masked_tokens"]
    dense: bool
    outputs: int

    def tensors(self, hidden_size: int, pooler: bool = False) -> dict[str, tuple[int, ...]]:
        """The shapes of a head's tensors by name, but of language modelling's.

        Args:
            pooler: whether the encoder's pooler stands before it.
        """
        rows = {"pooler": hidden_size} if pooler else {}
        rows |= {"dense": hidden_size} if self.dense else {}
        rows["output"] = self.outputs
        weights = {f"{layer}.weight": (count, hidden_size) for layer, count in rows.items()}
        return {**weights, **{f"{layer}.bias": (count,) for layer, count in rows.items()}}


@dataclass(frozen=True)
class Judged:
    """How predictions are scored, and written down for a benchmark's scorer.

    Args:
        scorer: of examples and predictions: a name in `evaluation/scoring.py` or `evaluation/judging.py`, or a function
            like those of `evaluation/scoring.py`.
        form: of the files of a submission: a name in `evaluation/forms.py`, or a `Form` of it.
    """

    scorer: str | Callable[..., Any]
    form: Any


class Format(Protocol):
    """The interface of a module in `formats/`, or of another package's format.

    Everything that is true of a format is said here; the functions that go by it are found by what it says.
    """

    SCHEMA: int
    """Raised when `encode` changes what it returns; part of the key of encoded features."""
    ITEMS: Literal["examples", "sequences"]
    """The kind of item: an example with all its sequences, or each sequence."""
    Settings: type[FormatSettings]
    JUDGED: Mapping[str, Judged]
    """How a task is judged, by the first of its metrics; empty where nothing is evaluated."""
    TASK_CLASS: str | None
    """Transformers' Auto class of such models, which has our head's layers; None where there is none."""
    PEFT_TASK: str | None
    """PEFT's name for such tasks (`peft.TaskType`), None where it has none."""
    PIPELINE: str | None
    """The hub's name for what such a model does (`pipeline_tag`), None where it has none."""

    def head_shape(self, labels: Sequence[str]) -> HeadShape | None:
        """The head, or None where the encoder's states are the result."""

    def encode(
        self, examples: Sequence[Example], tokenizer: Any, settings: Any, labels: Sequence[str]
    ) -> Features:
        """Examples to arrays. Raises DataError-worthy ValueError on an example that cannot be encoded."""

    def units(self, features: Features, items: Indices) -> float:
        """The number that a step's summed loss is divided by."""

    def loss_sum(
        self, outputs: Sequence[Tensor], parts: Sequence[Indices], features: Features, items: Indices
    ) -> Tensor:
        """Summed loss of the items.

        Args:
            outputs: the head's outputs of each sub-batch: (sequences, outputs), or
                (sequences, tokens, outputs) with -inf nowhere; padding is told by the features' lengths.
            parts: the sequences of each sub-batch, in the order of its rows.
        """

    def reduce(self, outputs: Tensor, features: Features, rows: Indices, settings: Any) -> dict[str, Column]:
        """Per-sequence results of one batch, small enough to keep for a whole split."""

    def decode(
        self,
        examples: Sequence[Example],
        features: Features,
        reduced: Mapping[str, Column],
        settings: Any,
        labels: Sequence[str],
    ) -> list[Any]:
        """Predictions, one an example."""
