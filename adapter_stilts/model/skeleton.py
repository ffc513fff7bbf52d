"""A model without its numbers: every tensor has a shape, a type and a size, and no memory behind it.

Tensors are torch's fake ones, on the meta device underneath. They go through the real modules, the real libraries'
as well: what a forward pass keeps for the backward pass is not told by a formula here, but by the pass itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from adapter_stilts.errors import BundleError, SourceUnavailableError, UsageError
from adapter_stilts.formats import get_format
from adapter_stilts.model import door, encoders
from adapter_stilts.model.backbone import finish, read_config
from adapter_stilts.model.heads import build_head
from adapter_stilts.model.quantisation import prepare_bitsandbytes
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.model.tuning.base import Tuning
from adapter_stilts.model.tuning.libraries.with_peft import around_integers
from adapter_stilts.recipe import Base

# Of the classification that stands for every task: heads are small beside any encoder.
FORMAT, LABELS = "pair_classification", ("entailment", "neutral", "contradiction")

# XLM-R's published sizes (Conneau et al. 2020, https://arxiv.org/abs/1911.02116), for where no config.json is
# at hand: name -> (layers, hidden size, attention heads).
_XLMR = {"xlmr-base": (12, 768, 12), "xlmr-large": (24, 1024, 16)}

PUBLISHED = {f"FacebookAI/xlm-roberta-{size}": f"xlmr-{size}" for size in ("base", "large")}
"""Hub ids of the encoders whose sizes these are."""


def geometries() -> dict[str, dict[str, Any]]:
    """Configs by name, without a hub."""
    return {
        name: {
            "model_type": "xlm-roberta",
            "vocab_size": 250_002,
            "hidden_size": hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "intermediate_size": 4 * hidden,
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
            "layer_norm_eps": 1e-5,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
        }
        for name, (layers, hidden, heads) in _XLMR.items()
    }


def encoder_config(base: Base, note: Callable[[str], object]) -> dict[str, Any]:
    """An encoder's config.json; of the published sizes where the hub is out of reach.

    Args:
        note: is told where published sizes stand in.

    Raises:
        SourceUnavailableError: it cannot be fetched, and its sizes are not published here.
    """
    try:
        return read_config(base)
    except SourceUnavailableError as error:
        geometry = PUBLISHED.get(base.id)
        if geometry is not None and base.revision == "main":
            note(f"The hub is out of reach; {base.id} has the published size {geometry}.")
            return geometries()[geometry]
        raise SourceUnavailableError(
            f"{error}; sizes of XLM-R that need no hub: --geometry xlmr-base or xlmr-large"
        ) from error


@contextlib.contextmanager
def without_numbers() -> Iterator[None]:
    """Tensors made here are fake.

    torch converts a module in place by swapping its parameters, which fake ones refuse; here it replaces them.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    whole: Any = nn.Module._apply
    nn.Module._apply = _replacing  # type: ignore[method-assign]
    try:
        with FakeTensorMode():
            yield
    finally:
        nn.Module._apply = whole  # type: ignore[method-assign]


def _replacing(module: nn.Module, change: Any, recurse: bool = True) -> nn.Module:
    """`nn.Module._apply` with new parameters in the place of changed ones."""
    for child in module.children() if recurse else ():
        _replacing(child, change)
    for key, parameter in module.named_parameters(recurse=False):
        changed = change(parameter.detach())
        if changed.dtype != parameter.dtype:
            module._parameters[key] = nn.Parameter(changed, requires_grad=parameter.requires_grad)
    return module


def skeleton(
    config: Mapping[str, Any],
    mode: str,
    settings: Any,
    precision: str,
    gradient_checkpointing: bool,
    combine: str | None = None,
    parents: int = 0,
) -> TaskModel:
    """A model as training has it, with the tuning's modules; to be called and used under `without_numbers`.

    Args:
        config: the encoder's config.json.
        settings: of the tuning.
        combine: stack or fuse, of modules of so many parents, of the same settings; None trains new modules alone.

    Raises:
        UsageError: the settings do not fit the encoder, or it is none, or the modules cannot be combined so.
    """
    prepare_bitsandbytes()
    tuning = get_tuning(mode)
    weights = tuning.backbone_weights(settings, precision)
    encoder = _encoder(config, weights, gradient_checkpointing)
    head = build_head(FORMAT, LABELS, encoder.config)
    model = TaskModel(encoder, head, get_format(FORMAT), bf16=precision != "fp32")
    attach(model, tuning, settings, combine, parents)
    if weights in ("8bit", "4bit"):
        _quantise(encoder, weights)
    return model.train()


def attach(model: TaskModel, tuning: Tuning, settings: Any, combine: str | None, parents: int) -> None:
    """Attach what is trained, with new modules in the place of the parents'."""
    if combine is None:
        tuning.attach(model, settings)
    else:
        tuning.combine(model, combine, {f"parent{n}": None for n in range(parents)}, settings, 0)


def _encoder(config: Mapping[str, Any], weights: str, gradient_checkpointing: bool) -> Any:
    name = str(config.get("_name_or_path") or config.get("model_type"))
    try:
        built = door.build_config(config, name)
        encoder_class = encoders.encoder_class(built)
        built._attn_implementation = door.attention_of(encoder_class)
        with _default_type(torch.float32 if weights == "fp32" else torch.bfloat16), _undrawn(encoder_class):
            encoder = encoder_class(built, **encoders.bare_arguments(encoder_class))
    except (BundleError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{name}: its config.json makes no encoder ({error})") from error
    return finish(encoder, gradient_checkpointing, name)


@contextlib.contextmanager
def _undrawn(encoder_class: Any) -> Iterator[None]:
    """An encoder made here draws no weights: ModernBERT draws until none is far out, which no fake tensor can tell."""
    own = vars(encoder_class).get("_init_weights")
    encoder_class._init_weights = lambda self, module: None
    try:
        yield
    finally:
        if own is None:
            del encoder_class._init_weights
        else:
            encoder_class._init_weights = own


@contextlib.contextmanager
def _default_type(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _quantise(encoder: nn.Module, weights: str) -> None:
    """Put bitsandbytes' layers in the place of frozen linear ones, as they are once their weights are integers.

    After the tuning's modules are there: AdapterHub makes layers of bitsandbytes' classes, which cannot be fake.
    """
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise UsageError(f"--precision {weights} needs bitsandbytes, which is not installed here") from error
    make = _eight_bits if weights == "8bit" else _four_bits
    linear = {
        key: m for key, m in encoder.named_modules() if type(m) is nn.Linear and not m.weight.requires_grad
    }
    for key, module in linear.items():
        parent, _, attribute = key.rpartition(".")
        made = make(module.in_features, module.out_features)
        made.in_features, made.out_features = module.in_features, module.out_features
        made.bias = module.bias
        owner = encoder.get_submodule(parent)
        setattr(owner, attribute, made)
        around_integers(owner, made)


def _eight_bits(columns: int, rows: int) -> Any:
    import bitsandbytes
    from torch._subclasses.fake_tensor import unset_fake_temporarily

    with unset_fake_temporarily():  # its weight is of a class that cannot be fake
        made = bitsandbytes.nn.Linear8bitLt(1, 1, has_fp16_weights=False, threshold=6.0)
    weight: Any = _replace_weight(made, torch.empty(rows, columns, dtype=torch.int8))
    weight.CB = weight.SCB = None
    made.state.CB, made.state.SCB = weight.data, torch.empty(rows)
    return made


def _four_bits(columns: int, rows: int) -> Any:
    """nf4 with double quantisation: 64 weights share an 8-bit scale, 256 scales an fp32 one."""
    import bitsandbytes
    from bitsandbytes.functional import QuantState
    from torch._subclasses.fake_tensor import unset_fake_temporarily

    with unset_fake_temporarily():
        made = bitsandbytes.nn.Linear4bit(1, 1, compute_dtype=torch.bfloat16, quant_type="nf4")
    blocks = -(-rows * columns // 64)
    scales = QuantState(
        absmax=torch.empty(-(-blocks // 256)), code=torch.empty(256), blocksize=256, dtype=torch.float32
    )
    weight: Any = _replace_weight(made, torch.empty((rows * columns + 1) // 2, 1, dtype=torch.uint8))
    weight.quant_state = made.quant_state = QuantState(
        absmax=torch.empty(blocks, dtype=torch.uint8),
        shape=torch.Size((rows, columns)),
        dtype=torch.bfloat16,
        blocksize=64,
        quant_type="nf4",
        code=torch.empty(16),
        offset=torch.empty(()),
        state2=scales,
    )
    return made


def _replace_weight(made: nn.Module, tensor: Tensor) -> nn.Parameter:
    """A fake weight in the place of the real one, whose class the libraries know by its name."""
    known = type(made._parameters.pop("weight")).__name__
    weight = nn.Parameter(tensor, requires_grad=False)
    weight.__class__ = type(known, (type(weight),), {})
    made.weight = weight
    return weight


def tensors(model: nn.Module) -> Iterator[Tensor]:
    """Everything a model holds: parameters, buffers, and the scales of integers."""
    yield from model.parameters()
    yield from model.buffers()
    for module in model.modules():
        # bitsandbytes moves the scales of 8-bit weights at the first pass.
        owners = (getattr(module, "state", None), getattr(module, "weight", None))
        held = [getattr(owner, "SCB", None) for owner in owners]
        quantised: Any = getattr(module, "quant_state", None)
        if quantised is not None:
            held += [quantised.absmax, quantised.code, quantised.state2.absmax, quantised.state2.code]
        yield from (tensor for tensor in held if isinstance(tensor, Tensor))
