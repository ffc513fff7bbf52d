"""How much memory training takes, and with which micro-batch it fits, told without weights and without a GPU.

One forward and backward pass runs through a `skeleton`, whose tensors have sizes and no memory, and every tensor is
counted from the operation that makes it until it is let go. What the libraries keep, what gradient checkpointing
saves, and where gradients grow while activations go, is in that count and in no formula. Beside it stand the
optimizer's state and what the process itself takes.

Not counted: the product with the vocabulary in masked language modelling, and loading, which takes less.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.model.skeleton import skeleton, tensors, without_numbers
from adapter_stilts.model.task_model import MicroBatch, TaskModel
from adapter_stilts.recipe import Optimizer
from adapter_stilts.runtime import resident_memory, total_memory
from adapter_stilts.training.heap import Heap
from adapter_stilts.training.mixture import Mixture, Portion
from adapter_stilts.training.sparse_rows import sparse_tables

# Bytes of activations a token leaves in each layer for the backward pass, in units of the hidden size (fp32):
# attention and feed-forward inputs and outputs, dropout masks, layer-norm statistics.
ACTIVATION_VALUES = 40

# What a process takes on a GPU beside tensors (its context, kernels, cuBLAS's workspace), and the share of a GPU that
# the allocator's blocks leave unused.
GPU_CONTEXT = 600 * 2**20
GPU_UNUSED = 0.05

# What Linux maps of a file around a byte that is read (fault_around_bytes).
_READ_AROUND = 2**16

# Parameters smaller than this keep fp32 states under bitsandbytes' 8-bit optimizers, which have a scale a block.
_SMALL, _BLOCK = 4096, 256


@dataclass(frozen=True)
class Training:
    """A training, as far as memory goes.

    Args:
        config: the encoder's config.json.
        settings: of the tuning.
        device: cpu or cuda: whose memory is asked for.
        combine: stack or fuse, with frozen modules of so many parents; None has none.
        rows: of the embedding table, those whose tokens the train set holds, for a table that is trained by rows or
            lies in its file; None counts all.
    """

    config: Mapping[str, Any]
    mode: str
    settings: Any
    precision: str = "fp32"
    optimizer: Optimizer = "adamw"
    gradient_checkpointing: bool = False
    device: str = "cpu"
    combine: str | None = None
    parents: int = 2
    rows: int | None = None


@dataclass(frozen=True)
class Usage:
    """Bytes of training steps, by what they are for.

    Args:
        sequences: of one pass (the micro-batch).
        activations: what a pass keeps for the way back, once the loss is there.
        process: the interpreter and its libraries, or a GPU's context.
        peak: the most at a time: no sum of the others, as gradients grow while activations go.
    """

    sequences: int
    parameters: int
    trained_parameters: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    process: int
    peak: int


@dataclass(frozen=True)
class Fit:
    """Whether training fits some memory, and how.

    Args:
        device: cpu or cuda: whose memory it is.
        batch: sequences of an optimizer step.
        memory: bytes that may be used.
        usage: with the largest micro-batch that fits; with one sequence where none does.
    """

    device: str
    batch: int
    length: int
    memory: int
    fits: bool
    usage: Usage

    def to_json(self) -> dict[str, Any]:
        passes = -(-self.batch // self.usage.sequences)
        return {**asdict(self), "micro_batch": self.usage.sequences, "passes_a_step": passes}


def fit(training: Training, batch: int, length: int, memory: int) -> Fit:
    """The largest micro-batch, of the batch's halves, with which a step of `batch` sequences fits.

    Raises:
        UsageError: the settings do not fit the encoder.
    """
    usable = int(memory * (1 - GPU_UNUSED)) if training.device == "cuda" else memory
    sequences = batch
    while True:
        found = usage(training, sequences, length, accumulated=sequences < batch)
        if found.peak <= usable or sequences == 1:
            return Fit(training.device, batch, length, memory, found.peak <= usable, found)
        sequences = -(-sequences // 2)


def pass_tokens(training: Training, data: Mixture, batch_size: int, memory: int) -> int:
    """Tokens of a stage's first micro-batches: what fits where all sequences of a step are as long as the longest.

    Args:
        batch_size: items of a step that this process takes.
        memory: bytes of the whole GPU, not those that happen to be free, so that a resumed run cuts steps alike.
    """
    longest = max(int(portion.features.input_ids.lengths.max()) for portion in data.portions)
    sequences = max(batch_size * _most_sequences(portion) for portion in data.portions)
    occurring = np.unique(np.concatenate([np.unique(p.features.input_ids.values) for p in data.portions]))
    training = replace(training, rows=len(occurring))
    return fit(training, sequences, longest, memory).usage.sequences * longest


def micro_batch_tokens(config: Mapping[str, Any], device_type: str, gradient_checkpointing: bool) -> int:
    """Tokens whose activations take a quarter of the memory: of the machine's, or of the GPU's.

    Depends on the machine's size, not on what happens to be free, so that a resumed run cuts steps alike.
    """
    layers = 1 if gradient_checkpointing else int(config.get("num_hidden_layers", 12))
    bytes_a_token = 4 * ACTIVATION_VALUES * int(config.get("hidden_size", 768)) * layers
    return max(512, total_memory(device_type) // 4 // bytes_a_token)


def _most_sequences(portion: Portion) -> int:
    return 1 if portion.format.ITEMS == "sequences" else int(np.diff(portion.features.sequences).max())


def usage(training: Training, sequences: int, length: int, accumulated: bool = False) -> Usage:
    """Memory of steps whose passes hold so many sequences of so many tokens.

    Args:
        accumulated: a step has several passes, so that gradients of the first are there during the next.
    """
    with without_numbers():
        model = skeleton(
            training.config,
            training.mode,
            training.settings,
            training.precision,
            training.gradient_checkpointing,
            training.combine,
            training.parents,
        )
        tables = sparse_tables(model)
        for module in model.modules():
            if isinstance(module, nn.Embedding) and module.sparse:
                module.padding_idx = None  # which tokens are padding, fake numbers do not tell
        trained = [p for p in model.parameters() if p.requires_grad]
        count = _Live(tensors(model))
        with _like_a_gpu() if training.device == "cuda" else contextlib.nullcontext(), count:
            loss = model(_micro_batch(model, sequences, length))
            kept = count.now
            loss.backward()
    rows = {id(table): _Rows(table, sequences * length, training.rows) for table in tables}
    dense = [p for p in trained if id(p) not in rows]
    weights = count.held
    gradients = sum(_bytes(p) for p in dense) + sum(own.gradient for own in rows.values())
    states = sum(_state_bytes(p, training.optimizer) for p in dense) + sum(own.state for own in rows.values())
    process = GPU_CONTEXT if training.device == "cuda" else resident_memory()
    passing = count.peak if training.device == "cuda" else count.heap.peak
    in_pass = passing + (gradients if accumulated else 0)
    in_step = gradients + max([*(_update_bytes(p) for p in dense), *(own.update for own in rows.values())])
    return Usage(
        sequences,
        sum(_numbers(m) for m in model.modules()),
        sum(p.numel() for p in trained),
        weights,
        gradients,
        states,
        kept,
        process,
        process + weights - _unread(model, training) + states + max(in_pass, in_step),
    )


def _micro_batch(model: TaskModel, sequences: int, length: int) -> MicroBatch:
    ids = np.full(sequences * length, 5, dtype=np.int32)
    ragged = Ragged.from_lengths(ids, np.full(sequences, length))
    types = None
    if int(getattr(model.encoder.config, "type_vocab_size", 0) or 0) > 1:
        types = Ragged(np.zeros_like(ids), ragged.offsets)
    labels = {"label": np.zeros(sequences, dtype=np.int64)}
    features = Features(ragged, np.arange(sequences + 1), types, per_example=labels)
    rows = np.arange(sequences)
    return MicroBatch(features, rows, [rows], 1.0)


def _unread(model: TaskModel, training: Training) -> int:
    """Bytes of a frozen fp32 table that stay in its file: on a CPU it is used where it lies, and Linux reads it in
    blocks around the rows that occur."""
    weight: Any = model.encoder.get_input_embeddings().weight  # type: ignore[operator]
    lies = training.device == "cpu" and weight.dtype == torch.float32 and not weight.requires_grad
    if not lies or training.rows is None:
        return 0
    return max(0, _bytes(weight) - training.rows * max(_READ_AROUND, _bytes(weight) // len(weight)))


def _numbers(module: nn.Module) -> int:
    """A module's own parameters; 4-bit weights lie two in a byte."""
    packed: Any = getattr(module, "quant_state", None)
    own = sum(p.numel() for p in module.parameters(recurse=False))
    if packed is not None:
        weight: Any = module.weight
        own += packed.shape.numel() - weight.numel()
    return own


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _state_bytes(parameter: Tensor, optimizer: Optimizer) -> int:
    """Bytes of AdamW's two moments, in fp32 or in 8 bits with a scale a block."""
    if optimizer == "adamw" or parameter.numel() < _SMALL:
        return 8 * parameter.numel()
    return 2 * (parameter.numel() + 4 * -(-parameter.numel() // _BLOCK))


def _update_bytes(parameter: Tensor) -> int:
    """Bytes that one update takes for a while: bf16 weights are updated in fp32 and rounded at random (`optim.py`)."""
    return 10 * parameter.numel() if parameter.dtype == torch.bfloat16 else 0


class _Rows:
    """Bytes of training a table by rows (`sparse_rows.py`).

    Args:
        tokens: of a pass.
        occurring: rows that get moments, all of them where that is not known.
    """

    def __init__(self, table: Tensor, tokens: int, occurring: int | None) -> None:
        width = table.shape[1]
        occurring = len(table) if occurring is None else occurring
        self.gradient = tokens * (width * table.element_size() + 8)
        # Two moments in fp32, the row's number and its count of steps; for each row of the table, where they are.
        self.state = occurring * (8 * width + 16) + 4 * len(table)
        # In fp32: the gradient before and after equal tokens are summed, moments, the row, noise of rounding.
        self.update = min(tokens, occurring) * width * 4 * 6


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors that operations make, from then until nobody holds them.

    Args:
        held: tensors that are there already, which are not counted.
    """

    def __init__(self, held: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # Not let go of: a new tensor at an old one's address would pass for it.
        self._storages = [tensor.untyped_storage() for tensor in held]
        self._sizes = {storage._cdata: storage.nbytes() for storage in self._storages}
        self.held = sum(self._sizes.values())
        self.now = self.peak = 0
        self.heap = Heap()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            return False  # a number that does not exist: "no" to "is nothing padded?", the dearer answer
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and tensor.layout == torch.strided:
                self._note(tensor.untyped_storage())
        return made

    def _note(self, storage: Any) -> None:
        key = storage._cdata
        if key in self._sizes:
            return
        size = self._sizes[key] = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, key, size, self.heap.take(size))

    def _gone(self, key: int, size: int, block: int) -> None:
        self._sizes.pop(key, None)
        self.now -= size
        self.heap.give(block)


@contextlib.contextmanager
def _like_a_gpu() -> Iterator[None]:
    """Two operations keep other things on a GPU than on a CPU, where the count runs.

    Attention with a mask and dropout runs in blocks there and keeps no matrix of (tokens, tokens); layer norms run
    in fp32 under autocast.
    """
    functions: Any = nn.functional
    attention, norm = functions.scaled_dot_product_attention, functions.layer_norm

    def blocked(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Any:
        return _BlockedAttention.apply(query, key, value)  # type: ignore[no-untyped-call]

    def widened(states: Tensor, *arguments: Any, **more: Any) -> Any:
        return norm(states.float() if torch.is_autocast_enabled("cpu") else states, *arguments, **more)

    functions.scaled_dot_product_attention, functions.layer_norm = blocked, widened
    try:
        yield
    finally:
        functions.scaled_dot_product_attention, functions.layer_norm = attention, norm


class _BlockedAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        result = torch.empty_like(query)
        sums = query.new_empty(query.shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, result, sums)
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        query, key, value, _, _ = ctx.saved_tensors
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
