"""How Transformers' task classes name the parts of our models: export to them is a renaming by this table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import BundleError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

# Format -> the Auto class whose checkpoint a full bundle is.
TASK_CLASS = {
    "pair_classification": "AutoModelForSequenceClassification",
    "multiple_choice": "AutoModelForMultipleChoice",
    "span_qa": "AutoModelForQuestionAnswering",
    "tagging": "AutoModelForTokenClassification",
}

_ROBERTA = {
    "pair_classification": {"dense": "classifier.dense", "output": "classifier.out_proj"},
    "multiple_choice": {"dense": "{encoder}.pooler.dense", "output": "classifier"},
    "span_qa": {"output": "qa_outputs"},
    "tagging": {"output": "classifier"},
}
_BERT = _ROBERTA | {"pair_classification": {"dense": "{encoder}.pooler.dense", "output": "classifier"}}

# Linear layers that a method changes unless a recipe names others, by the endings of their names: for LoRA those of
# Hu et al. 2021 (section 4.2, queries and values), for IA3 keys, values and the feed-forward output (Liu et al. 2022),
# as PEFT has them.
_BERT_TARGETS = {"lora": ("query", "value"), "ia3": ("key", "value", "output.dense")}

# model_type -> (prefix of the encoder's weights in a task class, names of the head's layers by format, targets).
_FAMILIES = {
    "xlm-roberta": ("roberta", _ROBERTA, _BERT_TARGETS),
    "roberta": ("roberta", _ROBERTA, _BERT_TARGETS),
    "camembert": ("roberta", _ROBERTA, _BERT_TARGETS),
    "bert": ("bert", _BERT, _BERT_TARGETS),
}


def encoder_prefix(model_type: str) -> str:
    """What Transformers' task classes call the encoder, e.g. ``roberta``."""
    return _family(model_type)[0]


def head_names(model_type: str, format_name: str) -> dict[str, str]:
    """Our layer of the head -> its name in the task class."""
    prefix, names, _ = _family(model_type)
    return {ours: theirs.format(encoder=prefix) for ours, theirs in names[format_name].items()}


def head_to_task_class(model_type: str, format_name: str, head: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A head's tensors by the names they have in the task class."""
    names = head_names(model_type, format_name)
    return {
        f"{names[layer]}.{kind}": head[f"{layer}.{kind}"] for layer in names for kind in ("weight", "bias")
    }


def head_from_task_class(
    model_type: str, format_name: str, weights: Mapping[str, Tensor], where: Path
) -> dict[str, Tensor]:
    """A head's tensors by our names. Raises BundleError where one is missing."""
    head = {}
    for ours, theirs in head_names(model_type, format_name).items():
        for kind in ("weight", "bias"):
            if f"{theirs}.{kind}" not in weights:
                raise BundleError(
                    f"{where.parent}: {where.name} lacks {theirs}.{kind}, the head of {format_name}"
                )
            head[f"{ours}.{kind}"] = weights[f"{theirs}.{kind}"]
    return head


def model_type_of(prefix: str, where: Path) -> str:
    """A model type whose task classes call their encoder so. Raises BundleError."""
    for model_type, (known, _, _) in _FAMILIES.items():
        if known == prefix:
            return model_type
    raise BundleError(f"{where}: its names are of no task class known here ({prefix!r})")


def targets(model_type: str, method: str) -> tuple[str, ...]:
    """The linear layers that a method (``lora``, ``ia3``) changes unless told otherwise."""
    return _family(model_type)[2][method]


def task_class(config: Any, format_name: str) -> str:
    """Name of the concrete Transformers class, e.g. ``XLMRobertaForQuestionAnswering``."""
    import transformers

    mapping = getattr(transformers, TASK_CLASS[format_name])._model_mapping
    return str(mapping[type(config)].__name__)


def _family(
    model_type: str,
) -> tuple[str, dict[str, dict[str, str]], dict[str, tuple[str, ...]]]:
    if model_type not in _FAMILIES:
        raise UsageError(
            f"the encoder's type {model_type!r} has no table of head names yet; choices: {', '.join(_FAMILIES)}. "
            "Add it to model/families.py"
        )
    return _FAMILIES[model_type]
