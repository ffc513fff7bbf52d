"""Tunings: their interface. Importing one costs nothing: torch and the libraries are imported where they are used."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from torch import Tensor

    from adapter_stilts.model.bundle_files import Headers
    from adapter_stilts.model.bundle_info import BundleInfo
    from adapter_stilts.model.merge import Merge
    from adapter_stilts.model.task_model import TaskModel

# Name of the modules a stage trains, where nobody gives another.
TRAINED = "task"


def unused_name(name: str, used: Container[str]) -> str:
    """The name, or where another has it, one behind it that none has."""
    numbers = itertools.count(1)
    found = name
    while found in used:
        found = f"{name}_again{next(numbers)}"
    return found


class TuningSettings(BaseModel):
    """Base of every tuning's settings: section ``[tuning.<mode>]`` of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    def part(self) -> dict[str, Any]:
        """The settings that go into a stage's key: all, but the layers where it is every one, as it once always was."""
        found = self.model_dump(mode="json")
        return {name: value for name, value in found.items() if name != "layers" or value is not None}


class Tuning(Protocol):
    """The interface of a tuning."""

    Settings: type[TuningSettings]
    WHOLE: bool
    """Whether a bundle holds the whole encoder; else it holds what is added to a base."""
    LIBRARY: str
    """The library that loads its bundles, by its name on the hub."""

    def backbone_weights(self, settings: Any, precision: str) -> str:
        """Type of the encoder's weights under a recipe's precision: fp32, bf16, 8bit or 4bit."""

    def check_encoder(self, settings: Any, config: Mapping[str, Any]) -> None:
        """Raises UsageError where this tuning cannot train an encoder so, by its config.json alone.

        Args:
            settings: of this tuning.
        """

    def attach(self, model: TaskModel, settings: Any = None, seed: int = 0, name: str = TRAINED) -> None:
        """Add the named modules, in place, and let them and the head be trained, and nothing else.

        Args:
            settings: of this tuning; None takes its defaults.
            seed: of new modules; they depend on nothing else that was drawn before.

        Raises:
            UsageError: the settings do not fit the encoder.
        """

    def state(self, model: TaskModel) -> dict[str, Tensor]:
        """The trained tensors by name, head included: what a checkpoint keeps."""

    def load_state(self, model: TaskModel, state: dict[str, Tensor]) -> None:
        """Put such a state back. Raises CheckpointError where names or shapes differ."""

    def load_mean(self, model: TaskModel, states: Iterable[dict[str, Tensor]]) -> None:
        """Let the model be the mean of such states, to be trained no further.

        The mean is of what the trained tensors make of the encoder's weights, where they make any (low-rank updates: of
        their products, whose mean has the sum of their ranks); of other tensors it is their own.

        Args:
            states: at least one, taken one after another. Raises CheckpointError as `load_state`.
        """

    def save(self, model: TaskModel, directory: Path, format_name: str, labels: tuple[str, ...]) -> None:
        """Write the weights in the layout of the library that loads them."""

    def load_modules(self, model: TaskModel, directory: Path, name: str = TRAINED) -> None:
        """Fill the named modules from what `save` or the library itself wrote, adding them where there are none.

        Raises:
            BundleError: the files are for another encoder, damaged, or ask for what is never done; nothing is
                loaded then.
        """

    def check_files(self, directory: Path, info: BundleInfo, headers: Headers) -> None:
        """Raises BundleError where a bundle's files are not those of what it says it is, as far as they alone tell.

        No weights are loaded, and no base is looked for; against that modules are held when they are loaded.

        Args:
            headers: of its files, as `bundle_files.check_files` read them.
        """

    def made(self, config: Mapping[str, Any]) -> bool:
        """Whether a plain folder's modules, by its library's config alone, are of this tuning."""

    def check_combine(self, how: str, settings: Any = None) -> None:
        """Raises UsageError where modules of this tuning cannot be combined so (``stack``, ``fuse``) in training.

        Args:
            settings: of this tuning; None takes its defaults.
        """

    def combine(
        self,
        model: TaskModel,
        how: str,
        bundles: Mapping[str, Path | None],
        settings: Any,
        seed: int,
        name: str = TRAINED,
    ) -> None:
        """Load several bundles' modules under names of their own, frozen, and add what is trained with them.

        Args:
            how: ``stack`` (new modules on top of all of them) or ``fuse`` (what weighs them against one another).
            bundles: by the names their modules get; None makes new modules of the settings, of equal size.
            settings, seed, name: of what is trained, as in `attach`.

        Raises:
            BundleError: as in `load_modules`.
        """

    def check_bundles(
        self, how: str, bundles: Sequence[Path | None], settings: Any, config: Mapping[str, Any]
    ) -> None:
        """Raises BundleError where bundles cannot come together so, by what their own files say; no weights are loaded.

        Args:
            how: ``continue`` (each by itself), ``stack``, ``fuse`` or ``merge``.
            bundles: None is one yet to be trained, of the settings.
            settings: of this tuning; None takes its defaults.
            config: of the base's encoder.
        """

    def check_merge(self, how: Merge) -> None:
        """Raises UsageError where this tuning has no such merge, or not with these weights; says which it has."""

    def merge(self, bundles: Sequence[Path], how: Merge, out: Path, base: Any, with_head: bool) -> None:
        """Write one bundle's library files from several of the same tuning and base.

        Args:
            base: the `ResolvedBase` they were trained on.
            with_head: merge the heads as well, which are then of one shape; else the result has none.

        Raises:
            BundleError: the bundles differ in more than their numbers.
        """

    def check_fold(self) -> None:
        """Raises UsageError where what is trained is no change of the encoder's weights; says what holds it."""

    def fold(self, model: TaskModel) -> None:
        """Put the modules' change into the encoder's own weights, in place, and take the modules away.

        The model then computes the same without them, to rounding. Raises UsageError as `check_fold`.
        """

    def load(self, directory: Path, format_name: str) -> dict[str, Tensor]:
        """Read the head's weights of what `save` wrote, by our names. Raises BundleError."""
