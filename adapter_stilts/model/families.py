"""How Transformers' task classes name the parts of our models: export to them is a renaming by this table."""

from __future__ import annotations

from typing import Any

from adapter_stilts.errors import UsageError

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

# model_type -> (prefix of the encoder's weights in a task class, names of the head's layers by format).
_FAMILIES = {
    "xlm-roberta": ("roberta", _ROBERTA),
    "roberta": ("roberta", _ROBERTA),
    "camembert": ("roberta", _ROBERTA),
    "bert": ("bert", _BERT),
}


def encoder_prefix(model_type: str) -> str:
    """What Transformers' task classes call the encoder, e.g. ``roberta``."""
    return _family(model_type)[0]


def head_names(model_type: str, format_name: str) -> dict[str, str]:
    """Our layer of the head -> its name in the task class."""
    prefix, names = _family(model_type)
    return {ours: theirs.format(encoder=prefix) for ours, theirs in names[format_name].items()}


def task_class(config: Any, format_name: str) -> str:
    """Name of the concrete Transformers class, e.g. ``XLMRobertaForQuestionAnswering``."""
    import transformers

    mapping = getattr(transformers, TASK_CLASS[format_name])._model_mapping
    return str(mapping[type(config)].__name__)


def _family(model_type: str) -> tuple[str, dict[str, dict[str, str]]]:
    if model_type not in _FAMILIES:
        raise UsageError(
            f"the encoder's type {model_type!r} has no table of head names yet; choices: {', '.join(_FAMILIES)}. "
            "Add it to model/families.py"
        )
    return _FAMILIES[model_type]
