"""Encoder and head as one module that runs a whole micro-batch: its sub-batches, one loss.

The module takes all sub-batches in one call so that wrappers which count forward passes (DDP, FSDP) see one, and
so that the embedding table, which at 250,002 rows dwarfs everything else, is looked up once: its dense gradient
is then built once a micro-batch instead of once a sub-batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor, nn

from adapter_stilts.formats import masked_lm
from adapter_stilts.formats.base import Format
from adapter_stilts.formats.features import Features, Indices
from adapter_stilts.model.encoders import has_first_token, layers_of
from adapter_stilts.model.heads import Head
from adapter_stilts.model.language_head import LanguageHead
from adapter_stilts.model.layout import PADDED, Layout, SubBatch
from adapter_stilts.model.multitask import Heads
from adapter_stilts.model.robust import Embeddings, Perturbation


@dataclass(frozen=True)
class MicroBatch:
    """The sequences that one forward and backward pass works on.

    Args:
        features: the split the sequences belong to.
        items: training items, all whole.
        parts: the sequences of each sub-batch.
        scale: factor on the summed loss (one over the units of the optimizer step).
        head: the one that answers, of a model with several.
        perturb: perturbs the input embeddings (robust training).
    """

    features: Features
    items: Indices
    parts: Sequence[Indices]
    scale: float
    head: str | None = None
    perturb: Perturbation | None = None


class TaskModel(nn.Module):
    """An encoder with the head of one task, or with several heads.

    Args:
        encoder: a Transformers encoder.
        head: None where the encoder's states are the result (retrieval).
        format: module of the task's format; None where there are several heads, which bring theirs.
        bf16: run in bfloat16 autocast; weights stay in fp32.

    Attributes:
        layout: how sequences of unequal length are cut, run and gathered.
    """

    layout: Layout = PADDED

    def __init__(
        self,
        encoder: nn.Module,
        head: Head | LanguageHead | Heads | None,
        format: Format | None,
        bf16: bool = False,
    ) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self.format, self.bf16 = format, bf16
        config: Any = encoder.config
        self.has_first_token = has_first_token(config.model_type)
        self.padding_id = int(config.pad_token_id if config.pad_token_id is not None else 0)

    @property
    def device(self) -> torch.device:
        return next(self.encoder.parameters()).device

    def with_head(self, name: str) -> TaskModel:
        """One of several heads on the same encoder: shares every weight."""
        head, format = self._answering(name)
        return TaskModel(self.encoder, head, format, self.bf16)

    def without_head(self) -> TaskModel:
        """The same encoder alone: shares every weight."""
        return TaskModel(self.encoder, None, None, self.bf16)

    def forward(self, micro: MicroBatch) -> Tensor:
        """Summed loss of the micro-batch times its scale: a scalar."""
        laid = [self.layout.lay(micro.features, rows, self.padding_id, self.device) for rows in micro.parts]
        with self._precision():
            sizes = [part.input_ids.numel() for part in laid]
            flat = torch.cat([part.input_ids.reshape(-1) for part in laid])
            embedded: Embeddings = self.encoder.get_input_embeddings()(flat).split(sizes)  # type: ignore[operator]
        if micro.perturb is not None:
            embedded = micro.perturb(embedded, lambda words: self._loss(micro, laid, words))
        loss = self._loss(micro, laid, embedded)
        if isinstance(self.head, Heads) and torch.distributed.is_initialized():
            assert micro.head is not None
            loss = loss + self.head.untouched(micro.head)
        return loss

    def _loss(self, micro: MicroBatch, laid: Sequence[SubBatch], embedded: Embeddings) -> Tensor:
        head, format = self._answering(micro.head)
        with self._precision():
            outputs = []
            for part, words, rows in zip(laid, embedded, micro.parts, strict=True):
                states = part.run(self.encoder, inputs_embeds=words.view(*part.input_ids.shape, -1))
                outputs.append(self._answers(head, states, part, micro.features, rows))
        return format.loss_sum(outputs, micro.parts, micro.features, micro.items) * micro.scale

    def _answering(self, name: str | None) -> tuple[Head | LanguageHead, Format]:
        if isinstance(self.head, Heads):
            assert name is not None, "a model with several heads is told which one answers"
            return cast("Head | LanguageHead", self.head[name]), self.head.formats[name]
        assert self.head is not None
        assert self.format is not None
        return self.head, self.format

    def _answers(
        self, head: Head | LanguageHead, states: Tensor, part: SubBatch, features: Features, rows: Indices
    ) -> Tensor:
        if isinstance(head, LanguageHead):
            # Only hidden pieces are told: the product with the vocabulary is the dearest of all.
            table: Any = self.encoder.get_input_embeddings()  # type: ignore[operator]
            chosen = part.chosen(states, masked_lm.hidden(features, rows))
            return head(chosen, table.weight)  # type: ignore[no-any-return]
        if not head.first_token:
            return head(part.every(states))  # type: ignore[no-any-return]
        return head(part.first(states) if self.has_first_token else part.mean(states))  # type: ignore[no-any-return]

    def predict(self, features: Features, rows: Indices) -> Tensor:
        """The head's outputs for some sequences, or the encoder's last states where there is no head."""
        part = self.layout.lay(features, rows, self.padding_id, self.device)
        with torch.inference_mode(), self._precision():
            states = part.run(self.encoder, input_ids=part.input_ids)
            if self.head is None:
                return part.every(states)
            return self._answers(self._answering(None)[0], states, part, features, rows)

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else contextlib.nullcontext()


class _Reached(Exception):
    """Carries the states that enter a layer out of the encoder that computed them."""

    def __init__(self, states: Tensor) -> None:
        self.states = states


@contextlib.contextmanager
def states_of_layer(model: TaskModel, layer: int) -> Iterator[None]:
    """Make `predict` return ``hidden_states[layer]``, computing no layer above it where the layers form one list.

    The states that enter a layer are taken, which is what Transformers calls its hidden state: families that
    normalise the last layer's output do not normalise those before.
    """
    encoder: Any = model.encoder
    layers = layers_of(encoder)
    own = vars(encoder).get("forward")  # a wrapper's, which must come back
    whole = encoder.forward
    handle = None

    def stopped(*args: Any, **kwargs: Any) -> Any:
        try:
            return whole(*args, **kwargs)
        except _Reached as reached:
            return SimpleNamespace(last_hidden_state=reached.states)

    def picked(*args: Any, **kwargs: Any) -> Any:
        outputs = whole(*args, output_hidden_states=True, **kwargs)
        return SimpleNamespace(last_hidden_state=outputs.hidden_states[layer])

    def stop(module: nn.Module, args: Any, kwargs: Any) -> None:
        raise _Reached(args[0] if args else kwargs["hidden_states"])

    if layers is not None and layer < len(layers):
        handle = layers[layer].register_forward_pre_hook(stop, with_kwargs=True)
    encoder.forward = picked if layers is None else stopped
    try:
        yield
    finally:
        del encoder.forward
        if own is not None:
            encoder.forward = own
        if handle is not None:
            handle.remove()
