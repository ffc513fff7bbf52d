"""The one door for what others say of a model: its config and its tokenizer's, read, checked, and only then built.

Transformers takes a config for an instruction: ``_attn_implementation`` names a kernel that is fetched and imported
(CVE-2026-4372, mended in 5.3 alone), ``auto_map`` a repository's own code, ``quantization_config`` another loader. Here
a config is a table of numbers. It is read by us; fields that its class does not have are left out, those that name code
are refused, and the others are held against what a model can be before anything is allocated.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adapter_stilts.errors import BundleError
from adapter_stilts.model import encoders
from adapter_stilts.model.strict_json import read_object

CONFIG = "config.json"
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
PIECE_FIELDS = {"__type", "content", "lstrip", "normalized", "rstrip", "single_word", "special"}
LARGEST_CONFIG = 4_000_000

NAMING_CODE = (
    "attn_implementation",
    "auto_map",
    "custom_pipelines",
    "quantization_config",
    "trust_remote_code",
    "use_kernels",
    "kernel_config",
)
"""Fields by which a config makes libraries fetch code or load otherwise than we do; `_…implementation…` as well."""
_HARMLESS = (None, False, "eager", "sdpa")
"""Values of `_attn_implementation` that older versions of Transformers wrote of their own accord."""

# Fields of every config that say something of the encoder itself; a class's own parameters come on top.
_COMMON = (
    "architectures",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "sep_token_id",
    "tie_word_embeddings",
)

# What is counted, by its name in one family or another -> the most that any encoder can have.
_SIZES = 2**17
_MOST: Mapping[str, int] = {
    **dict.fromkeys(("vocab_size", "max_position_embeddings"), 10_000_000),
    **dict.fromkeys(("num_hidden_layers", "num_layers", "n_layers", "num_decoder_layers"), 1_000),
    **dict.fromkeys(("num_attention_heads", "num_heads", "n_heads", "num_key_value_heads"), 1_024),
    **dict.fromkeys(("hidden_size", "d_model", "dim", "emb_dim", "embedding_size"), _SIZES),
    **dict.fromkeys(("input_embedding_size", "output_embedding_size", "d_kv", "head_dim"), _SIZES),
    **dict.fromkeys(
        ("intermediate_size", "d_ff", "hidden_dim", "relative_attention_num_buckets"), 4 * _SIZES
    ),
    "type_vocab_size": 10_000,
}
_MAY_BE_ZERO = ("type_vocab_size",)
_LARGEST_NUMBER = 2**31
_READ = re.compile(r"config\.(\w+)|config,\s*[\"'](\w+)[\"']", re.ASCII)
_TAKEN = re.compile(r"kwargs\.(?:get|pop)\(\s*[\"'](\w+)[\"']", re.ASCII)
_WORD = re.compile(r"[\w.|+-]{0,64}", re.ASCII)


def read_config(path: Path) -> dict[str, Any]:
    """An encoder's config.json, as it stands there.

    Raises:
        BundleError: no JSON object within the limits, no `model_type`, or a field that names code.
    """
    values = read_object(path, LARGEST_CONFIG)
    if not isinstance(values.get("model_type"), str):
        raise BundleError(
            f"{path}: is no encoder's config: model_type is {values.get('model_type')!r}, not a name"
        )
    refuse_code(values, str(path))
    return values


def refuse_code(values: Mapping[str, Any], where: str) -> None:
    """Raises BundleError where a config, or an object within, names code to fetch or another way of loading."""
    for key, value in _fields(values):
        if key in NAMING_CODE and value not in (None, {}, [], False):
            raise BundleError(
                f"{where}: {key} = {_shown(value)}: names code, or a way of loading that is not ours, and is never "
                "followed. Remove it if the weights load without"
            )
        if key.startswith("_") and "implementation" in key and value not in _HARMLESS:
            raise BundleError(
                f"{where}: {key} = {_shown(value)}: names a kernel for Transformers to fetch and import "
                "(CVE-2026-4372), and is never followed. Remove it"
            )


def _fields(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """All fields, those of objects within as well; depth is bounded by the reader."""
    for key, value in values.items():
        yield key, value
        if isinstance(value, dict):
            yield from _fields(value)


def build_config(values: Mapping[str, Any], where: str) -> Any:
    """The config object of an encoder, of fields that its class has.

    Args:
        where: the file or model, for messages.

    Raises:
        UsageError: it is no encoder.
        BundleError: a field that names code, or a value that no model has.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    refuse_code(values, where)
    encoders.check_encoder(values, where)
    config_class = CONFIG_MAPPING[values["model_type"]]
    own = _own_fields(config_class)
    values = _rotary_by_this_version(values, own)
    known = own.keys() | set(_COMMON) | _read_by_model(config_class) | _read_by_config(config_class)
    kept = {key: value for key, value in values.items() if key in known and not key.startswith("_")}
    for key, value in kept.items():
        _check_value(key, value, own.get(key), where)
    try:
        config = config_class(**kept)
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
        raise BundleError(f"{where}: makes no config of type {values['model_type']} ({error})") from error
    _check_together(config, where)
    if hasattr(config, "reference_compile"):
        # ModernBERT compiles parts of itself where it finds Triton: what it computes would hang on what is installed.
        config.reference_compile = False
    return config


def _own_fields(config_class: Any) -> dict[str, Any]:
    """What a config class has beyond the fields of all: its parameters with their defaults, and other names of them."""
    general = _general()
    named = inspect.signature(config_class.__init__).parameters.items()
    own = {name: p.default for name, p in named if name not in general}
    aliases = {alias: own[name] for alias, name in config_class.attribute_map.items() if name in own}
    return {**aliases, **own}


def _general() -> set[str]:
    from transformers import PretrainedConfig

    return set(inspect.signature(PretrainedConfig.__init__).parameters) - {"pad_token_id", "eos_token_id"}


def _read_by_model(config_class: Any) -> set[str]:
    """Fields that the encoder's code reads although its config class has no such parameter.

    DeBERTa's buckets of positions, without which mDeBERTa would be another model, are such.
    """
    from transformers import AutoModel

    found = AutoModel._model_mapping[config_class]
    module = inspect.getmodule(found[0] if isinstance(found, tuple) else found)
    read = _READ.findall(inspect.getsource(module)) if module is not None else []
    return {one or other for one, other in read} - _general()


def _read_by_config(config_class: Any) -> set[str]:
    """Fields that a config class takes by the names they had before, as every file of older versions has them.

    Transformers 5 keeps a model's rotary bases in one table, and fills it from the numbers that 4.57 wrote: without
    them mmBERT and EuroBERT would be computed with others than they were trained with.
    """
    own = (
        vars(config_class).get("__post_init__"),
        getattr(config_class, "convert_rope_params_to_dict", None),
    )
    sources = [inspect.getsource(method) for method in own if method is not None]
    return set(_TAKEN.findall("\n".join(sources))) - _general()


def _rotary_by_this_version(values: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    """ModernBERT's rotary bases and global layers by the names of Transformers 4.57, where 5 wrote them in tables."""
    tables, kinds = values.get("rope_parameters"), values.get("layer_types")
    if "global_rope_theta" not in own or not isinstance(tables, dict):
        return values
    names = {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"}
    bases = {
        name: tables[kind]["rope_theta"]
        for kind, name in names.items()
        if isinstance(tables.get(kind), dict) and "rope_theta" in tables[kind]
    }
    if isinstance(kinds, list) and kinds[:1] == ["full_attention"]:
        again = [number for number, kind in enumerate(kinds) if kind == "full_attention"]
        bases["global_attn_every_n_layers"] = again[1] if len(again) > 1 else len(kinds)
    return {**values, **bases}


def _check_value(key: str, value: Any, default: Any, where: str) -> None:
    """Raises BundleError where a value is of another kind than the field's, or beyond what a model can have."""
    if value is None:
        if default is not None and default is not inspect.Parameter.empty and not key.endswith("_id"):
            raise _odd(where, key, value, f"its class has {default!r}")
        return
    if key in _MOST:
        least = 0 if key in _MAY_BE_ZERO else 1
        if type(value) is not int or not least <= value <= _MOST[key]:
            raise _odd(where, key, value, f"should be a whole number from {least:,} to {_MOST[key]:,}")
    elif key.endswith("_token_id"):
        if not (type(value) is int and -1 <= value < _MOST["vocab_size"]) and not isinstance(value, list):
            raise _odd(where, key, value, "should be the number of a token")
    elif key.endswith(("_prob", "dropout", "dropout_rate", "_pdrop", "layerdrop")):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise _odd(where, key, value, "should be a rate from 0 to 1")
    elif key.endswith(("_eps", "_epsilon")) or key == "initializer_range":
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 10:
            raise _odd(where, key, value, "should be a small positive number")
    elif key.endswith("_theta"):
        if not _number(value) or value <= 0:
            raise _odd(where, key, value, "should be a positive number")
    elif key.endswith(("_act", "activation", "_activation", "_act_fn", "feed_forward_proj")):
        _check_activation(key, value, where)
    elif isinstance(default, bool) and not isinstance(value, bool):
        raise _odd(where, key, value, "should be true or false")
    elif isinstance(default, str) and not (isinstance(value, str) and _WORD.fullmatch(value)):
        raise _odd(where, key, value, f"should be a word such as {default!r}")
    elif isinstance(default, (int, float)) and not isinstance(default, bool) and not _number(value):
        raise _odd(where, key, value, f"should be a number such as {default!r}")


def _number(value: Any) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and abs(value) <= _LARGEST_NUMBER
    )


def _check_activation(key: str, value: Any, where: str) -> None:
    from transformers.activations import ACT2FN

    if isinstance(value, bool) and (key == "gelu_activation" or key.startswith("is_")):
        return
    if not isinstance(value, str) or value.removeprefix("gated-") not in ACT2FN:
        raise _odd(where, key, value, f"choices: {', '.join(ACT2FN)}")


def _check_together(config: Any, where: str) -> None:
    """Raises BundleError where fields do not go together."""
    hidden, heads = getattr(config, "hidden_size", None), getattr(config, "num_attention_heads", None)
    apart = getattr(config, "d_kv", None) or getattr(config, "head_dim", None)
    if isinstance(hidden, int) and isinstance(heads, int) and not apart and hidden % heads:
        raise BundleError(f"{where}: num_attention_heads = {heads} does not divide hidden_size = {hidden}")
    rows, padding = getattr(config, "vocab_size", None), getattr(config, "pad_token_id", None)
    if isinstance(rows, int) and isinstance(padding, int) and padding >= rows:
        raise BundleError(f"{where}: pad_token_id = {padding} is beyond vocab_size = {rows}")


def attention_of(encoder_class: Any) -> str:
    """The attention that an encoder is told to compute with: torch's own, or plain products where it has no other."""
    return "sdpa" if getattr(encoder_class, "_supports_sdpa", False) else "eager"


def encoder_shapes(config: Any, where: str) -> tuple[dict[str, tuple[int, ...]], list[set[str]]]:
    """The shapes of the bare encoder's tensors by name, and the names that are of one tensor.

    Raises BundleError.
    """
    encoder = empty_encoder(config, where)
    state: dict[str, Any] = encoder.state_dict(keep_vars=True)
    same: dict[int, set[str]] = {}
    for name, tensor in state.items():
        same.setdefault(id(tensor), set()).add(name)
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    return shapes, [names for names in same.values() if len(names) > 1]


def empty_encoder(config: Any, where: str) -> Any:
    """The bare encoder on torch's meta device, which allocates nothing. Raises BundleError."""
    import torch

    made = encoders.encoder_class(config)
    config._attn_implementation = attention_of(made)
    try:
        with torch.device("meta"):
            return made(config, **encoders.bare_arguments(made))
    except Exception as error:  # whatever a library's constructor runs into
        raise BundleError(f"{where}: makes no encoder ({type(error).__name__}: {error})") from error


def check_tokenizer(directory: Path) -> None:
    """Raises BundleError where a folder's tokenizer names code, files elsewhere, or a class that is not Transformers'.

    Fields of a special piece that the library behind has not are refused, too: it prints their names as they are. A
    folder without a ``tokenizer_config.json`` has no class to check.
    """
    _check_pieces(directory)
    path = directory / TOKENIZER_CONFIG
    if not path.exists():
        return
    values = read_object(path)
    refuse_code(values, str(path))
    name = values.get("tokenizer_class")
    if name is not None and not (isinstance(name, str) and name in tokenizer_classes()):
        raise BundleError(
            f"{path}: tokenizer_class = {_shown(name)} is no class of Transformers that is read here"
        )
    for key, value in values.items():
        if key.endswith("_file") and value is not None and key != "special_tokens_map_file":
            raise BundleError(
                f"{path}: {key} = {_shown(value)}: names a file elsewhere; its files stand beside it. Remove it"
            )


def _check_pieces(directory: Path) -> None:
    """Raises BundleError where a special piece is described by a field that no piece has."""
    for name in (TOKENIZER_CONFIG, SPECIAL_TOKENS, TOKENIZER):
        path = directory / name
        for piece in _pieces(read_object(path), name) if path.exists() else ():
            if odd := sorted(piece.keys() - PIECE_FIELDS):
                raise BundleError(f"{path}: a special piece has a field {_shown(odd[0])}, which no piece has")


def _pieces(values: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """Descriptions of special pieces, wherever Transformers takes an object for one."""
    if name == TOKENIZER:
        listed = values.get("added_tokens")
        for piece in listed if isinstance(listed, list) else ():
            if isinstance(piece, dict):
                yield {key: value for key, value in piece.items() if key != "id"}
        return
    listed = values.get("added_tokens_decoder")
    for piece in listed.values() if isinstance(listed, dict) else ():
        if isinstance(piece, dict):
            yield piece
    for value in values.values():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict) and (name == SPECIAL_TOKENS or "__type" in inner):
                yield inner


def tokenizer_classes() -> frozenset[str]:
    """Names of Transformers' own classes of tokenizers, slow and fast."""
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

    named: set[str] = {"PreTrainedTokenizerFast", "PreTrainedTokenizer", "TokenizersBackend"}
    for names in TOKENIZER_MAPPING_NAMES.values():
        both = (names,) if isinstance(names, str) else (names or ())
        for name in both:
            if name:
                named |= {name, name.removesuffix("Fast"), f"{name.removesuffix('Fast')}Fast"}
    return frozenset(named)


def _odd(where: str, key: str, value: Any, why: str) -> BundleError:
    return BundleError(f"{where}: {key} = {_shown(value)}: no model has it; {why}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:120]}…"
