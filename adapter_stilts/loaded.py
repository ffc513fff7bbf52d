"""A bundle that answers: loaded from a folder or the hub, it predicts examples that nobody has labelled.

bundle = load_bundle("hf://me/squad-lora")
bundle.predict([SpanQAExample("1", "Who wrote it?", "Ada wrote it.", ())])
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import BundleError, UnknownNameError, UsageError
from adapter_stilts.formats import get_format
from adapter_stilts.formats.base import FormatSettings
from adapter_stilts.formats.examples import Example
from adapter_stilts.model.backbone import ResolvedBase, load_tokenizer
from adapter_stilts.model.bundle import base_of, read_bundle
from adapter_stilts.model.bundle_info import NO_HEAD, BundleInfo, HeadInfo
from adapter_stilts.model.tuning import check_installed, get_tuning
from adapter_stilts.recipe import Base
from adapter_stilts.runtime import check_device, default_device, evaluation_tokens
from adapter_stilts.stages.adopting import locate_any
from adapter_stilts.stages.context import find_base
from adapter_stilts.stages.precision import precision_of
from adapter_stilts.validation import validated

if TYPE_CHECKING:
    from adapter_stilts.model.task_model import TaskModel

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle, verified, with the encoder it was trained on. Weights are loaded when they are first needed.

    Args:
        directory: its folder.
        info: what it says it is.
        precision: that its model runs in.
        device: ``cpu`` or ``cuda``.
    """

    directory: Path
    info: BundleInfo
    base: ResolvedBase
    precision: str
    device: str
    _models: dict[tuple[str, tuple[str, ...]], TaskModel] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def tokenizer(self) -> Any:
        """The encoder's tokenizer, Transformers' own object."""
        return load_tokenizer(self.base)

    @property
    def heads(self) -> Mapping[str, HeadInfo]:
        """Its heads by name; the only head of a bundle has the name of its task."""
        if self.info.heads:
            # Language modelling's head is the encoder's embeddings; it tells pieces, and answers nothing.
            return {name: head for name, head in self.info.heads.items() if _answers(head)}
        if self.info.format == NO_HEAD:
            return {}
        only = HeadInfo(format=self.info.format, labels=self.info.labels, tasks=(self.info.task,))
        return {self.info.task: only}

    @property
    def model(self) -> TaskModel:
        """The model with its only head, in evaluation mode. Raises BundleError where it has several, or none."""
        return self.model_of(self._head(None))

    def model_of(self, head: HeadInfo) -> TaskModel:
        """The model with one of its heads, in evaluation mode."""
        from adapter_stilts.model.build import load_model

        key = (head.format, head.labels)
        if key not in self._models:
            self._models[key] = load_model(
                self.base, self.directory, self.info, head.format, head.labels, self.precision, self.device
            )
        return self._models[key]

    def predict(
        self,
        examples: Sequence[Example],
        head: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> list[Any]:
        """Predictions, one an example: a label, a number, the index of a choice, an answer's text, or a tag a word.

        Args:
            examples: of the head's format; their gold answers are not looked at.
            head: of a bundle with several, its name or that of a task it was trained on.
            settings: of the format, e.g. ``{"max_length": 384}``; by default those that it was trained with.

        Raises:
            UsageError: no such head, or examples of another format, or that cannot be encoded.
            BundleError: the bundle has no head.
        """
        from adapter_stilts.evaluation.predict import predict

        chosen = self._head(head)
        format = get_format(chosen.format)
        found = validated(format.Settings, self._settings(chosen, settings), where=f"formats.{chosen.format}")
        try:
            features = format.encode(examples, self.tokenizer, found, chosen.labels)
        except AttributeError as error:
            kinds = ", ".join(sorted({type(example).__name__ for example in examples}))
            raise UsageError(
                f"{kinds}: no examples of {chosen.format}, which {self.directory} answers ({error}); give a list of "
                "its format's examples (docs/python.md, Examples)"
            ) from error
        except ValueError as error:
            raise UsageError(f"{self.directory}: {error}") from error
        reduced = predict(self.model_of(chosen), format, features, found, evaluation_tokens(self.device))
        return format.decode(examples, features, reduced, found, chosen.labels)

    def _head(self, name: str | None) -> HeadInfo:
        heads = self.heads
        if not heads:
            raise BundleError(
                f"{self.directory} has no head: train a target from it (adapter-stilts train --inter)"
            )
        if name is None:
            if len(heads) > 1:
                raise UsageError(f"{self.directory} has several heads; name one: {', '.join(heads)}")
            return next(iter(heads.values()))
        found = heads.get(name) or next((head for head in heads.values() if name in head.tasks), None)
        if found is None:
            raise UnknownNameError("head of this bundle", name, heads)
        return found

    def _settings(self, head: HeadInfo, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """The format's settings: those given over those that the bundle was trained with."""
        Settings: type[FormatSettings] = get_format(head.format).Settings
        trained = self.info.settings
        tasks = (
            trained.get("mixture", {}).get("tasks", ()) if isinstance(trained.get("mixture"), dict) else ()
        )
        stored = next(
            (part["format"] for member in tasks if member["name"] in head.tasks for part in member["parts"]),
            trained.get("format", {}),
        )
        known = stored if isinstance(stored, Mapping) else {}
        return {**{key: known[key] for key in Settings.model_fields if key in known}, **(given or {})}


def load_bundle(
    address: str | Path, base: str | None = None, precision: str | None = None, device: str | None = None
) -> LoadedBundle:
    """A bundle, fetched where it is not here, and verified.

    Args:
        address: a folder, or ``hf://ORG/NAME``.
        base: an adapter's or LoRA's encoder, a hub id or a folder; by default where it was trained.
        precision: fp32, bf16, or 8bit or 4bit under an adapter or LoRA; by default what it was trained under.
        device: ``cpu`` or ``cuda``; by default the best at hand.

    Raises:
        BundleError: it is damaged, or belongs to another base.
        UsageError: a base beside a bundle that holds its own encoder, or no such device.
        SourceUnavailableError: it or its encoder cannot be fetched.
    """
    from adapter_stilts.model.bundle import check_base

    check_device(device)
    directory = locate_any(str(address), Base(id=base) if base else None, _log.warning)
    info = read_bundle(directory)
    check_installed(info.tuning)
    check_own_encoder(str(address), info, base)
    found = find_base(Base(id=base) if base else base_of(directory, info))
    check_base(directory, info, found.id, found.fingerprint)
    chosen = precision or precision_of(info) or "fp32"
    return LoadedBundle(directory, info, found, chosen, device or default_device())


def _answers(head: HeadInfo) -> bool:
    shape = get_format(head.format).head_shape(head.labels)
    return shape is not None and shape.outputs > 0


def check_own_encoder(name: str, info: BundleInfo, base: str | None) -> None:
    """Raises UsageError where a base is given beside a bundle that holds its own encoder."""
    if base is not None and get_tuning(info.tuning).WHOLE:
        raise UsageError(
            f"--base {base}: {name} holds its own encoder (--mode {info.tuning}); leave --base out"
        )
