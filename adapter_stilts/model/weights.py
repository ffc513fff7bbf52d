"""Named tensors: what is trained of a model, and tensors read from files, all checked before any is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from adapter_stilts.errors import BundleError, CheckpointError
from adapter_stilts.model.tensor_files import check_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

SHOWN = 3


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """The tensors that training changes, by name: what a checkpoint keeps. A frozen backbone is not among them."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def load_trained_state(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put such a state back. Raises CheckpointError where names or shapes differ."""
    for name, tensor in _expected(model, state).items():
        tensor.copy_(state[name])


def load_mean_state(model: nn.Module, states: Iterable[Mapping[str, Tensor]]) -> None:
    """Put the mean of such states back, tensor by tensor; they are taken one at a time, as each may be a whole encoder.

    Raises CheckpointError where names or shapes differ.
    """
    mean: dict[str, Tensor] = {}
    for number, state in enumerate(states, 1):
        for name in _expected(model, state):
            # A running mean, in fp32: what no step has moved keeps its bits.
            tensor = state[name].float()
            mean[name] = tensor.clone() if number == 1 else mean[name].lerp_(tensor, 1 / number)
    load_trained_state(model, mean)


def _expected(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The model's own tensors that a state is to fill. Raises CheckpointError where names or shapes differ."""
    expected = trained_state(model)
    if expected.keys() != state.keys():
        odd = sorted(expected.keys() ^ state.keys())
        raise CheckpointError(f"the checkpoint is of another model: {', '.join(odd[:SHOWN])} ...")
    for name, tensor in expected.items():
        if tensor.shape != state[name].shape:
            raise CheckpointError(f"the checkpoint is of another model: shape of {name}")
    return expected


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file.

    Raises:
        BundleError: no such file, not safetensors, a weight that is not floating, or a value that is not finite.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check_tensors(path)
    try:
        found: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise BundleError(f"{path}: not a safetensors file ({error})") from error
    return found


def write_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """A safetensors file of some tensors."""
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(plain, path, metadata={"format": "pt"})


def fill(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], where: Path) -> None:
    """Copy tensors of a file into those of a model, in place: all, or none where names or shapes differ.

    Args:
        expected: the model's own tensors, by the names they have in the file.

    Raises:
        BundleError: a tensor is missing, one too many, or of another shape.
    """
    check_shapes(shapes_of(expected), shapes_of(found), where)
    for name, tensor in expected.items():
        tensor.detach().copy_(found[name])


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def check_shapes(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], where: Path
) -> None:
    """Raises BundleError where a tensor is missing, one too many, or of another shape than the model's."""
    if missing := sorted(expected.keys() - found.keys()):
        raise BundleError(f"{where}: {len(missing)} tensors are missing, e.g. {', '.join(missing[:SHOWN])}")
    if extra := sorted(found.keys() - expected.keys()):
        raise BundleError(
            f"{where}: {len(extra)} tensors have no place in this model, e.g. {', '.join(extra[:SHOWN])}"
        )
    for name, shape in expected.items():
        if found[name] != shape:
            raise BundleError(f"{where}: {name} has shape {found[name]}, the model's has {shape}")
