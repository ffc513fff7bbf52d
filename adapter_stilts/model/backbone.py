"""The pretrained encoder: found, fingerprinted, loaded. Version-sensitive Transformers calls stand here."""

from __future__ import annotations

import inspect
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter_stilts.errors import BundleError, SourceUnavailableError, UsageError, cause_of, hub_refusals
from adapter_stilts.io import sha256_directory
from adapter_stilts.model import door, encoders, task_classes
from adapter_stilts.model.quantisation import prepare_bitsandbytes, quantised
from adapter_stilts.model.stored import check_stored, stored_tensors
from adapter_stilts.recipe import Base
from adapter_stilts.runtime import large_blocks_apart, return_freed_memory

HUB_SECONDS = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ResolvedBase:
    """A base whose revision is settled.

    Args:
        location: a local folder, or the hub id.
        commit: the hub commit; None for a folder.
        fingerprint: the commit, or sha256 over the folder's config, tokenizer and weights.
        config: the encoder's config.json.
    """

    id: str
    location: str
    commit: str | None
    fingerprint: str
    config: dict[str, Any]

    @property
    def max_length(self) -> int | None:
        """Longest sequence the encoder has positions for; None where it has no limit."""
        return encoders.max_length(self.config)


def resolve_base(base: Base) -> ResolvedBase:
    """Find a base without loading its weights.

    Raises:
        UsageError: the folder holds no encoder.
        SourceUnavailableError: the hub cannot be reached, refuses, or has no such model.
    """
    folder = Path(base.id)
    if folder.is_dir():
        return _resolve_folder(base.id, folder)
    if base.id.startswith((".", "/", "~")) or base.id.count("/") != 1:
        raise UsageError(f"--base {base.id}: no such folder, and not a hub id (org/name)")
    commit, config_path = _resolve_hub(base)
    return ResolvedBase(base.id, base.id, commit, commit, _config_of(base.id, config_path))


def read_config(base: Base) -> dict[str, Any]:
    """An encoder's config.json alone, of a folder or a hub id; no weights need be there. Raises as `resolve_base`."""
    path = Path(base.id) / "config.json"
    if not path.is_file():
        return resolve_base(base).config
    return _config_of(str(path), path)


def _config_of(name: str, path: Path) -> dict[str, Any]:
    """A base's config.json through the door. Raises UsageError."""
    try:
        return door.read_config(path)
    except BundleError as error:
        raise UsageError(f"--base {name}: {error}") from error


def _resolve_hub(base: Base) -> tuple[str, Path]:
    """The commit of a hub model and its config.json: from the hub, else from the cache, which is then said.

    One request without retries comes first: the library's own download retries a refused connection for 23 s.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        commit = HfApi().model_info(base.id, revision=base.revision, timeout=HUB_SECONDS).sha
        assert commit is not None
        return commit, Path(hf_hub_download(base.id, "config.json", revision=commit))
    except hub_refusals() as error:
        try:
            cached = hf_hub_download(base.id, "config.json", revision=base.revision, local_files_only=True)
        except (LocalEntryNotFoundError, OSError, ValueError):
            raise _unavailable(base.id, error) from error
        found = Path(cached)
        _log.warning("%s: the hub gives no answer (%s); reading the cached copy", base.id, cause_of(error))
        return found.parent.name, found


def _resolve_folder(name: str, folder: Path) -> ResolvedBase:
    names = [path.name for path in folder.iterdir() if path.is_file()]
    if odd := [path for path in folder.iterdir() if not (path.is_file() or path.is_dir())]:
        raise UsageError(
            f"--base {name}: {odd[0].name} is not a plain file (a pipe, a device or a link to nothing)"
        )
    if "adapter_config.json" in names:
        raise UsageError(
            f"--base {name}: holds adapter_config.json, which sends Transformers to another base: what was trained on "
            "a base goes with --inter; a base is a whole encoder"
        )
    weights = [n for n in names if n.endswith(".safetensors") or n.startswith("pytorch_model")]
    if "config.json" not in names or not weights:
        raise UsageError(
            f"--base {name}: needs config.json and model.safetensors (as save_pretrained writes them); "
            f"found {', '.join(sorted(names)) or 'nothing'}"
        )
    parts: tuple[str, ...] = ("tokenizer", "sentencepiece", "vocab", "special_tokens")
    # Where there is no tokenizer.json, a fast tokenizer is made of what the slow one reads.
    parts += () if "tokenizer.json" in names else ("spm.", "spiece.", "merges.")
    tokenizer = [n for n in names if n.startswith(parts)]
    if not tokenizer:
        raise UsageError(
            f"--base {name}: holds no tokenizer (tokenizer.json, or SentencePiece's own file: sentencepiece.bpe.model, "
            "spiece.model, spm.model)"
        )
    config = _config_of(name, folder / "config.json")
    fingerprint = sha256_directory(folder, ["config.json", *weights, *tokenizer])
    return ResolvedBase(name, str(folder), None, fingerprint, config)


def load_tokenizer(base: ResolvedBase) -> Any:
    """The fast tokenizer, as far as the base's encoder takes what it gives.

    Raises:
        UsageError: the base has only a slow one, or is no encoder, or the tokenizer is no library's own or gives ids
            that the encoder has no rows for.
        SourceUnavailableError: its files cannot be had.
    """
    from transformers import AutoTokenizer

    # Here, because this is before anything is read or encoded for it.
    config = door.build_config(base.config, base.id)
    folder = _tokenizer_folder(base)
    try:
        if folder is not None:
            door.check_tokenizer(folder)
    except BundleError as error:
        raise UsageError(f"--base {base.id}: {error}") from error
    with _quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                base.location, revision=base.commit or "main", trust_remote_code=False
            )
        except OSError as error:
            raise _unavailable(base.id, error) from error
        except BaseException as error:
            # tokenizers raises bare Exceptions, and its panics are none.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise UsageError(f"{base.id}: its tokenizer cannot be read: {cause_of(error)}") from error
    if not tokenizer.is_fast:
        raise UsageError(f"{base.id}: has no fast tokenizer, whose character offsets the formats need")
    _check_tokenizer(tokenizer, config, base)
    return tokenizer


def _tokenizer_folder(base: ResolvedBase) -> Path | None:
    """Where a tokenizer's files are, fetched if need be; None where the hub's model has no tokenizer_config.json."""
    if base.commit is None:
        return Path(base.location)
    from transformers.utils import cached_file

    try:
        found = cached_file(
            base.location,
            door.TOKENIZER_CONFIG,
            revision=base.commit,
            _raise_exceptions_for_missing_entries=False,
        )
    except (OSError, ValueError) as error:
        raise _unavailable(base.id, error) from error
    return None if found is None else Path(found).parent


def _check_tokenizer(tokenizer: Any, config: Any, base: ResolvedBase) -> None:
    """Hold what a tokenizer gives against what the encoder takes. Raises UsageError."""
    rows = int(config.vocab_size)
    beyond = {token: number for token, number in tokenizer.get_vocab().items() if number >= rows}
    if beyond:
        token, number = max(beyond.items(), key=lambda item: item[1])
        raise UsageError(
            f"{base.id}: its tokenizer has {len(beyond)} tokens that its encoder has no embedding row for, e.g. "
            f"{token!r} = {number} of {rows:,} rows. Resize the embeddings and save both "
            "(model.resize_token_embeddings(len(tokenizer))), or take the tokenizer the encoder was trained with"
        )
    if "token_type_ids" not in tokenizer.model_input_names:
        return
    taken = "token_type_ids" in inspect.signature(encoders.encoder_class(config).forward).parameters
    segments = int(getattr(config, "type_vocab_size", 0) or 0)
    given = max(tokenizer("a", "a").get("token_type_ids") or [0])
    # An encoder of one segment that is told of two would look beyond its table; of none, it is told nothing.
    if not taken or given >= max(segments, 1):
        _log.warning(
            "%s: its tokenizer tells segments apart, which its encoder %s: they are left out",
            base.id,
            "does not take" if not taken else f"has {segments} of",
        )
        tokenizer.model_input_names = [
            name for name in tokenizer.model_input_names if name != "token_type_ids"
        ]


def load_encoder(
    location: str,
    commit: str | None,
    dropout: float | None,
    gradient_checkpointing: bool,
    weights: str = "fp32",
    device: str = "cpu",
) -> Any:
    """The encoder, without pooler or heads, from a base or from a full bundle.

    Args:
        dropout: replaces the encoder's own rates; None keeps them.
        weights: fp32; bf16; or 8bit or 4bit for its linear layers, the rest in bf16. Layer norms are always in fp32.
        device: where integers are made; other weights are moved later.

    Raises:
        BundleError: a weight of the encoder is missing (it would be random without a word).
        UsageError: the model is no encoder, or lacks what heads and training need.
        SourceUnavailableError: the weights cannot be fetched.
    """
    import torch
    from safetensors import SafetensorError

    prepare_bitsandbytes()
    with _quiet():
        try:
            config = open_config(location, commit)
            _check_size(config, location, check_stored(location, commit))
            if dropout is not None:
                for name in encoders.DROPOUTS:
                    if hasattr(config, name):
                        setattr(config, name, dropout)
            arguments: dict[str, Any] = {
                "config": config,
                "dtype": torch.float32 if weights == "fp32" else torch.bfloat16,
                "revision": commit or "main",
            }
            if weights in ("8bit", "4bit"):
                arguments |= quantised(weights, device)
            encoder_class = encoders.encoder_class(config)
            arguments |= {"attn_implementation": door.attention_of(encoder_class), "trust_remote_code": False}
            arguments |= encoders.bare_arguments(encoder_class)
            # fp32 weights are used where the file is mapped; others are made of them, piece by piece.
            pieces = None if weights == "fp32" else stored_tensors(location, commit)
            source: Any = location if pieces is None else None
            with large_blocks_apart():
                encoder, loading = encoder_class.from_pretrained(
                    source, output_loading_info=True, state_dict=pieces, **arguments
                )
            encoder.config.name_or_path = encoder.name_or_path = location
        except (OSError, ValueError, SafetensorError) as error:
            raise _unavailable(location, error) from error
        except RuntimeError as error:  # shapes that differ from the config's
            raise BundleError(f"{location}: its weights are not its config's: {cause_of(error)}") from error
    missing = [name for name in sorted(loading["missing_keys"]) if "pooler" not in name]
    if missing or loading["mismatched_keys"]:
        shown = [*missing, *(str(key) for key in loading["mismatched_keys"])][:3]
        raise BundleError(f"{location}: weights missing or of another shape for {', '.join(shown)} ...")
    if not task_classes.is_known(config.model_type):
        encoders.probe(encoder, location)
    if weights != "fp32":
        return_freed_memory()
    return finish(encoder, gradient_checkpointing, location)


def _check_size(config: Any, location: str, held: int | None) -> None:
    """Raises BundleError where a config implies far more weights than its files hold; what lacks would be drawn anew.

    Args:
        held: how many numbers they hold; None where they are not safetensors.
    """
    shapes, _ = door.encoder_shapes(config, location)
    implied = sum(math.prod(shape) for shape in shapes.values())
    if held is not None and implied > 2 * held:
        raise BundleError(
            f"{location}: config.json implies {implied:,} numbers of weights, its files hold {held:,}"
        )


def open_config(location: str, commit: str | None) -> Any:
    """The config object of a base's or a whole bundle's encoder, through the door.

    Raises:
        UsageError: it is no encoder.
        BundleError: a config that no encoder has, or one that names code.
        OSError: it cannot be had.
    """
    path = Path(location) / door.CONFIG
    if not Path(location).is_dir():
        from transformers.utils import cached_file

        path = Path(cached_file(location, door.CONFIG, revision=commit or "main"))
    config = door.build_config(door.read_config(path), str(path) if Path(location).is_dir() else location)
    config.name_or_path = location
    return config


def finish(encoder: Any, gradient_checkpointing: bool, name: str) -> Any:
    """What is done to every encoder once it has its weights. Raises UsageError."""
    import torch

    for module in encoder.modules():
        if isinstance(module, torch.nn.LayerNorm) and module.weight.dtype != torch.float32:
            module.float()
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # bitsandbytes would repack 4-bit weights at the first evaluation, with scales rounded to bf16: training
            # would go on with other weights, and a resumed run with others again.
            module.support_avx512bf16_for_cpu = False
    if gradient_checkpointing:
        if not encoder.supports_gradient_checkpointing:
            raise UsageError(
                f"{name}: {type(encoder).__name__} in Transformers has no gradient checkpointing: leave out "
                "--set gradient_checkpointing=true"
            )
        # Transformers 5 gave it another name, and warns of the old one.
        enable = getattr(encoder, "activation_checkpointing_enable", encoder.gradient_checkpointing_enable)
        name_of = enable.__name__.removesuffix("_enable")
        enable(**{f"{name_of}_kwargs": {"use_reentrant": False}})
    return encoder


class _quiet:
    """Transformers' advice on unused heads and its progress bars say nothing a user of ours can act on."""

    def __enter__(self) -> None:
        from transformers.utils import logging

        self._verbosity = logging.get_verbosity()
        logging.set_verbosity_error()
        logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        from transformers.utils import logging

        logging.set_verbosity(self._verbosity)


def _unavailable(name: str, error: Exception) -> SourceUnavailableError:
    return SourceUnavailableError(
        f"cannot load the encoder {name!r}: {cause_of(error)}. Give a local folder with --base DIR, or fetch it "
        "once online and then work offline from the cache with HF_HUB_OFFLINE=1"
    )
