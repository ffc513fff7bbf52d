"""What a tuning module offers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from adapter_stilts.model.task_model import TaskModel


class Tuning(Protocol):
    """The interface of a module in `model/tuning/`."""

    def attach(self, model: TaskModel) -> None:
        """Prepare the model in place: add modules, freeze what is not trained."""

    def state(self, model: TaskModel) -> dict[str, Tensor]:
        """The trained tensors by name, head included: what a checkpoint keeps."""

    def load_state(self, model: TaskModel, state: dict[str, Tensor]) -> None:
        """Put such a state back. Raises CheckpointError where names or shapes differ."""

    def save(self, model: TaskModel, directory: Path, format_name: str, labels: tuple[str, ...]) -> None:
        """Write the weights in the layout of the library that loads them."""

    def load(self, directory: Path, format_name: str) -> dict[str, Any]:
        """Read the head's weights of what `save` wrote, by our names."""
