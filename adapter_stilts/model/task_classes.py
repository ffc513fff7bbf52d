"""How Transformers' task classes name the parts of our models: export to them is a renaming by this table.

Which class a format's models are of, the format says (`Format.TASK_CLASS`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from adapter_stilts.errors import BundleError, UsageError
from adapter_stilts.formats import format_names, get_format

ValueT = TypeVar("ValueT")

_SEQUENCES = "AutoModelForSequenceClassification"
_CHOICES = "AutoModelForMultipleChoice"
_ANSWERS = "AutoModelForQuestionAnswering"
_TOKENS = "AutoModelForTokenClassification"

# Auto class -> our layer of the head -> its name there, by the kinds of encoder that have one naming.
_ROBERTA = {
    _SEQUENCES: {"dense": "classifier.dense", "output": "classifier.out_proj"},
    _CHOICES: {"dense": "{encoder}.pooler.dense", "output": "classifier"},
    _ANSWERS: {"output": "qa_outputs"},
    _TOKENS: {"output": "classifier"},
}
_BERT = _ROBERTA | {_SEQUENCES: {"dense": "{encoder}.pooler.dense", "output": "classifier"}}

_SEPARATE_POOLER = {"dense": "pooler.dense", "output": "classifier"}
_DEBERTA = {name: _ROBERTA[name] for name in (_ANSWERS, _TOKENS)} | {_SEQUENCES: _SEPARATE_POOLER}
_BEFORE_CLASSIFIER = {"dense": "pre_classifier", "output": "classifier"}
_DISTILBERT = _ROBERTA | {_SEQUENCES: _BEFORE_CLASSIFIER, _CHOICES: _BEFORE_CLASSIFIER}
_ELECTRA = _ROBERTA | {_CHOICES: {"dense": "sequence_summary.summary", "output": "classifier"}}
_T5 = {_TOKENS: {"output": "classifier"}}
# Task classes of these have layers that heads here have not: ModernBERT's a norm, EuroBERT's several dense ones.
_OWN_LAYOUT: Mapping[str, Mapping[str, str]] = {}

# Linear layers that a method changes unless a recipe names others, by the endings of their names: for LoRA those of
# Hu et al. 2021 (section 4.2, queries and values), for IA3 keys, values and the feed-forward output (Liu et al. 2022),
# as PEFT has them.
_Targets = Mapping[str, tuple[str, ...]]
_T5_TARGETS: _Targets = {"lora": ("q", "v"), "ia3": ("k", "v", "wo")}
_BERT_TARGETS: _Targets = {"lora": ("query", "value"), "ia3": ("key", "value", "output.dense")}
_QKV_TARGETS: _Targets = {"lora": ("Wqkv",), "ia3": ("Wqkv", "mlp.Wo")}
_LLAMA_TARGETS: _Targets = {"lora": ("q_proj", "v_proj"), "ia3": ("k_proj", "v_proj", "down_proj")}
_TARGETS: Mapping[str, _Targets] = {
    **dict.fromkeys(
        ("xlm-roberta", "xlm-roberta-xl", "roberta", "camembert", "bert", "electra", "rembert"), _BERT_TARGETS
    ),
    "distilbert": {"lora": ("q_lin", "v_lin"), "ia3": ("k_lin", "v_lin", "lin2")},
    "deberta": {"lora": ("in_proj",), "ia3": ("in_proj", "output.dense")},
    "deberta-v2": {"lora": ("query_proj", "value_proj"), "ia3": ("key_proj", "value_proj", "output.dense")},
    **dict.fromkeys(("t5", "mt5", "umt5"), _T5_TARGETS),
    "modernbert": _QKV_TARGETS,
    "eurobert": _LLAMA_TARGETS,
}

# model_type -> (prefix of the encoder's weights in a task class, names of the head's layers by Auto class). A
# class without names is none on the bare encoder: T5's other classes read the decoder.
_FAMILIES: Mapping[str, tuple[str, Mapping[str, Mapping[str, str]]]] = {
    "xlm-roberta": ("roberta", _ROBERTA),
    "xlm-roberta-xl": ("roberta", _ROBERTA),
    "roberta": ("roberta", _ROBERTA),
    "camembert": ("roberta", _ROBERTA),
    "bert": ("bert", _BERT),
    "distilbert": ("distilbert", _DISTILBERT),
    "electra": ("electra", _ELECTRA),
    "rembert": ("rembert", _BERT),
    "deberta": ("deberta", _DEBERTA),
    "deberta-v2": ("deberta", _DEBERTA | {_CHOICES: _SEPARATE_POOLER}),
    "t5": ("transformer", _T5),
    "mt5": ("transformer", _T5),
    "umt5": ("transformer", _T5),
    "modernbert": ("model", _OWN_LAYOUT),
    "eurobert": ("model", _OWN_LAYOUT),
}

# Between the dense and the output layer of a head; where the config has a name of its own for it, that counts.
_ACTIVATIONS = {
    "distilbert": "relu",
    "electra": "gelu",
    "deberta": "pooler_hidden_act",
    "deberta-v2": "pooler_hidden_act",
}


def class_of(format_name: str) -> str | None:
    """The Auto class of Transformers that a format's models are of; None where it has none, or there is no head."""
    return get_format(format_name).TASK_CLASS if format_name in format_names() else None


def model_types() -> tuple[str, ...]:
    """The types of encoder that the table has a row for."""
    return tuple(_FAMILIES)


def is_known(model_type: str) -> bool:
    """Whether the table has a row for the type; others are probed, and exported in our own layout."""
    return model_type in _FAMILIES


def has_task_class(model_type: str, format_name: str, pooler: bool = False) -> bool:
    """Whether Transformers has a task class whose parts are the bare encoder and our head.

    Args:
        pooler: whether the head reads the encoder's pooler, which no task class has before a dense head.
    """
    return not pooler and is_known(model_type) and class_of(format_name) in _FAMILIES[model_type][1]


def outputs_of(format_name: str, labels: Sequence[str]) -> dict[str, Any]:
    """What the config of a task class says of the head's outputs: their names, and that one alone is a number.

    Without the latter Transformers' pipelines would take a sigmoid of it.
    """
    regression = class_of(format_name) == _SEQUENCES and len(labels) < 2
    names = labels or (["number"] if regression else [])
    named = {"id2label": dict(enumerate(names)), "label2id": {name: row for row, name in enumerate(names)}}
    return {**(named if names else {}), **({"problem_type": "regression"} if regression else {})}


def activation(config: Any) -> str:
    """The activation of a dense head, as the encoder's task classes have it."""
    name = _ACTIVATIONS.get(config.model_type, "tanh")
    return str(getattr(config, name, name))


def encoder_prefix(model_type: str) -> str:
    """The name of the encoder in Transformers' task classes, e.g. ``roberta``."""
    return _family(model_type)[0]


def prefix_before(model_type: str) -> str:
    """The prefix of the encoder's names in a task class, dot included; nothing for types not known here."""
    return f"{encoder_prefix(model_type)}." if is_known(model_type) else ""


def head_names(model_type: str, format_name: str) -> dict[str, str]:
    """Our layer of the head -> its name in the task class. Raises UsageError where there is no such class."""
    prefix, by_class = _family(model_type)
    names = by_class.get(class_of(format_name) or "")
    if names is None:
        raise UsageError(f"no task class for {format_name} of encoders of type {model_type!r} is known here")
    return {ours: theirs.format(encoder=prefix) for ours, theirs in names.items()}


def head_to_task_class(model_type: str, format_name: str, head: Mapping[str, ValueT]) -> dict[str, ValueT]:
    """A head's tensors (or what is known of each) by the names they have in the task class."""
    names = head_names(model_type, format_name)
    return {
        f"{names[layer]}.{kind}": head[f"{layer}.{kind}"] for layer in names for kind in ("weight", "bias")
    }


def head_from_task_class(
    model_type: str, format_name: str, weights: Mapping[str, ValueT], where: Path
) -> dict[str, ValueT]:
    """A head's tensors (or what is known of each) by our names. Raises BundleError where one is missing."""
    head = {}
    if not has_task_class(model_type, format_name):
        raise BundleError(
            f"{where}: no task class for {format_name} of encoders of type {model_type!r} is known here"
        )
    for ours, theirs in head_names(model_type, format_name).items():
        for kind in ("weight", "bias"):
            if f"{theirs}.{kind}" not in weights:
                raise BundleError(
                    f"{where.parent}: {where.name} lacks {theirs}.{kind}, the head of {format_name}"
                )
            head[f"{ours}.{kind}"] = weights[f"{theirs}.{kind}"]
    return head


def prefixes() -> list[str]:
    """The names of encoders in the task classes of all families."""
    return list(dict.fromkeys(prefix for prefix, _ in _FAMILIES.values()))


def head_layers() -> set[str]:
    """Every name that a layer of a head has in a task class, the encoder's prefix apart."""
    rows = [names for _, by_class in _FAMILIES.values() for names in by_class.values()]
    return {name.removeprefix("{encoder}.") for names in rows for name in names.values()}


def model_type_of(prefix: str, format_name: str, where: Path) -> str:
    """A model type whose task class for a format calls its encoder so. Raises BundleError."""
    for model_type, (known, by_class) in _FAMILIES.items():
        if known == prefix and class_of(format_name) in by_class:
            return model_type
    raise BundleError(f"{where}: its names are of no task class for {format_name} known here ({prefix!r})")


def targets(model_type: str, method: str) -> tuple[str, ...]:
    """The linear layers that a method (``lora``, ``ia3``) changes unless told otherwise. Raises UsageError."""
    if model_type not in _TARGETS:
        raise UsageError(
            f"which layers of an encoder of type {model_type!r} {method} should change is not known here: name them, "
            f"e.g. --set tuning.{method}.target_modules=\"['query','value']\""
        )
    return _TARGETS[model_type][method]


def task_class(config: Any, format_name: str) -> str:
    """Name of the concrete Transformers class, e.g. ``XLMRobertaForQuestionAnswering``."""
    import transformers

    mapping = getattr(transformers, str(class_of(format_name)))._model_mapping
    return str(mapping[type(config)].__name__)


def _family(model_type: str) -> tuple[str, Mapping[str, Mapping[str, str]]]:
    if model_type not in _FAMILIES:
        raise UsageError(
            f"the encoder's type {model_type!r} has no table of head names yet; choices: {', '.join(_FAMILIES)}. "
            "Add it to model/task_classes.py"
        )
    return _FAMILIES[model_type]


def prefix_in(model_type: str, names: Collection[str]) -> str:
    """The prefix of the encoder's names in a bundle: a task class's prefix, or nothing."""
    prefix = prefix_before(model_type)
    return prefix if any(name.startswith(prefix) for name in names) else ""
