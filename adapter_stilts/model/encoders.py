"""Which models are encoders: how one is loaded and read, and why another is refused.

An encoder here is what Transformers has a masked-language-model class for, or an encoder class of T5's kind: it reads
the whole text in both directions. Known families (`task_classes.py`) are tested one by one; any other is put to a probe
when it is loaded, which says what it lacks.

Two things differ between families. T5's encoders have no first token that stands for the sequence, so heads that
read one get the mean over the real tokens instead. And positions may be relative, which sets no maximal length.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

# Encoder-decoders whose encoder Transformers loads by itself -> that class.
ENCODER_OF = {"t5": "T5EncoderModel", "mt5": "MT5EncoderModel", "umt5": "UMT5EncoderModel"}

# Names under which families keep their dropout rates.
DROPOUTS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "dropout_rate",
    "dropout",
    "attention_dropout",
    "embedding_dropout",
    "mlp_dropout",
)

# Position ids of these start after the padding id.
_POSITIONS_AFTER_PADDING = ("roberta", "camembert", "xmod", "mpnet", "longformer", "data2vec-text")


def max_length(config: Mapping[str, Any]) -> int | None:
    """Longest sequence of an encoder's config.json; None where positions are relative and set no limit."""
    positions = config.get("max_position_embeddings")
    if positions is None or config.get("position_biased_input") is False:
        return None
    model_type = str(config["model_type"])
    shifted = any(name in model_type for name in _POSITIONS_AFTER_PADDING)
    padding = config.get("pad_token_id")
    return int(positions) - ((1 if padding is None else int(padding)) + 1 if shifted else 0)


def has_first_token(model_type: str) -> bool:
    """Whether a sequence begins with a token that stands for all of it (``<s>``, ``[CLS]``)."""
    return model_type not in ENCODER_OF


def check_encoder(config: Mapping[str, Any], name: str) -> None:
    """Raises UsageError where a model is no encoder of text, by its config.json alone."""
    from transformers.models.auto import modeling_auto
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    model_type = str(config["model_type"])
    if model_type in ENCODER_OF:
        return
    if model_type not in CONFIG_MAPPING_NAMES:
        raise UsageError(
            f"{name}: Transformers {version('transformers')} here knows no model of type {model_type!r}: a newer one "
            "may (pip install -U 'transformers<6'); a model whose code comes with its weights is never run"
        )
    masked = model_type in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if config.get("is_encoder_decoder"):
        why = f"it is an encoder-decoder, of which only {', '.join(ENCODER_OF)} have an encoder of their own"
    elif config.get("is_decoder") or (
        not masked and model_type in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    ):
        why = "it is a decoder: each token sees those before it only, so no state stands for the whole text"
    elif not masked:
        why = "Transformers knows no masked language model of that type, so it does not encode text"
    else:
        return
    raise UsageError(
        f"{name}: a model of type {model_type!r} is no encoder: {why}. Choose one such as "
        "FacebookAI/xlm-roberta-base, google-bert/bert-base-multilingual-cased or google/mt5-base"
    )


def encoder_class(config: Any) -> Any:
    """The Transformers class of the bare encoder for a config object."""
    import transformers

    if config.model_type in ENCODER_OF:
        return getattr(transformers, ENCODER_OF[config.model_type])
    found = transformers.AutoModel._model_mapping[type(config)]
    return found[0] if isinstance(found, tuple) else found


def bare_arguments(encoder_class: Any) -> dict[str, Any]:
    """What an encoder's class is told so that it makes no pooler, which no head of ours reads."""
    pooler = "add_pooling_layer" in inspect.signature(encoder_class).parameters
    return {"add_pooling_layer": False} if pooler else {}


def dropout_of(config: Any, override: float | None) -> float:
    """The dropout of a new head: the override, or else the encoder's own between its layers."""
    if override is not None:
        return override
    rates = (getattr(config, name, None) for name in DROPOUTS)
    return next((float(rate) for rate in rates if rate is not None), 0.1)


def layers_of(encoder: nn.Module) -> Any:
    """The list of an encoder's layers, whatever it is called and wrapped in; None where there is no such list."""
    from torch import nn

    depth = int(encoder.config.num_hidden_layers)  # type: ignore[union-attr, arg-type]
    found: dict[str, nn.ModuleList] = {}
    for name, module in encoder.named_modules():
        inner = any(name.startswith(f"{outer}.") for outer in found)
        if isinstance(module, nn.ModuleList) and len(module) == depth and not inner:
            found[name] = module
    return next(iter(found.values())) if len(found) == 1 else None


def mean_state(states: Tensor, mask: Tensor) -> Tensor:
    """Mean of the real tokens' states, (sequences, 1, hidden), of states (sequences, tokens, hidden)."""
    real = mask[..., None].bool()
    total = states.float().masked_fill(~real, 0.0).sum(dim=1, keepdim=True)
    return (total / real.sum(dim=1, keepdim=True)).to(states.dtype)


def probe(encoder: nn.Module, name: str) -> None:
    """Run a handful of tokens through an encoder of a type not known here.

    Raises:
        UsageError: it does not take a mask or embeddings, counts padding, or reads in one direction only.
    """
    import torch

    config: Any = encoder.config
    first = next(encoder.parameters())
    ids = torch.tensor([[5, 6, 7, 8, 9], [10, 11, 12, 13, 14]], device=first.device) % int(config.vocab_size)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], device=first.device)
    # Half precision and integers round by far more, and what is looked for is larger still.
    tolerance = 1e-3 if all(p.dtype == torch.float32 for p in encoder.parameters()) else 0.1
    other = ids.clone()
    other[0, -1] = 20 % int(config.vocab_size)
    training = encoder.training
    encoder.eval()
    try:
        with torch.inference_mode():
            words = encoder.get_input_embeddings()(ids)  # type: ignore[operator]
            plain = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            embedded = encoder(inputs_embeds=words, attention_mask=mask).last_hidden_state
            alone = encoder(input_ids=ids[1:, :3], attention_mask=mask[1:, :3]).last_hidden_state
            changed = encoder(input_ids=other, attention_mask=mask).last_hidden_state
    except (TypeError, ValueError, AttributeError, IndexError, RuntimeError, NotImplementedError) as error:
        raise _refused(name, config, f"{type(error).__name__}: {error}") from error
    finally:
        encoder.train(training)
    if plain.shape != (2, 5, int(config.hidden_size)):
        raise _refused(name, config, f"its states have the shape {tuple(plain.shape)}, not one a token")
    if not torch.allclose(plain[0], embedded[0], atol=tolerance, rtol=tolerance):
        raise _refused(name, config, "it gives other states for embedded words than for their ids")
    if not torch.allclose(plain[1, :3], alone[0], atol=tolerance, rtol=tolerance):
        raise _refused(name, config, "padding changes the states of real tokens")
    if torch.equal(plain[0, 0], changed[0, 0]):
        raise _refused(name, config, "its first token does not see the last one: it reads in one direction")


def _refused(name: str, config: Any, why: str) -> UsageError:
    return UsageError(f"{name}: the encoder type {config.model_type!r} cannot be used: {why}")
