"""PEFT's files: what a config may say, and how tensors are called. Everything is checked before it is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from adapter_stilts.errors import BundleError
from adapter_stilts.model import task_classes
from adapter_stilts.model.bundle_files import HEAD, Shapes, shapes_in
from adapter_stilts.model.merge import Merge, merged
from adapter_stilts.model.tuning.libraries.frozen import read_config
from adapter_stilts.model.tuning.libraries.head_checks import check_heads, only_head
from adapter_stilts.model.tuning.libraries.peft_fields import declared
from adapter_stilts.model.weights import read_tensors, write_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from adapter_stilts.model.bundle_files import Headers
    from adapter_stilts.model.bundle_info import BundleInfo

ValueT = TypeVar("ValueT")

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
ROOT = "base_model.model."

# Fields of a config that do not change what a loaded module computes.
_ABOUT = {
    "base_model_name_or_path",
    "exclude_modules",
    "inference_mode",
    "init_ia3_weights",
    "modules_to_save",
    "peft_type",
    "peft_version",
    "revision",
    "task_type",
}


def read_arguments(
    directory: Path, peft_type: str, understood: frozenset[str], own: Mapping[str, Any]
) -> dict[str, Any]:
    """Arguments of one of PEFT's configs, from a file: understood fields only, all others at their defaults.

    Args:
        understood: fields that a bundle may set.
        own: values that make a config one tuning's and no other's.

    Raises:
        BundleError: anything else.
    """
    path = directory / CONFIG
    values, defaults = read_config(path), declared(peft_type)
    if values.get("peft_type") != peft_type:
        raise BundleError(f"{path}: peft_type is {values.get('peft_type')!r}, not {peft_type!r}")
    arguments: dict[str, Any] = {}
    for field, value in values.items():
        if field not in defaults:
            raise BundleError(f"{path}: unknown field {field!r}; save it with peft of the installed version")
        if field in understood:
            arguments[field] = _checked(path, field, value)
        elif field == "auto_mapping":
            _check_class(path, value)
        elif field not in _ABOUT and value not in (defaults[field], [], {}):
            raise BundleError(f"{path}: {field} = {value!r} is not supported; only {defaults[field]!r} is")
    for field, expected in own.items():
        if arguments.get(field, defaults[field]) != expected:
            raise BundleError(
                f"{path}: {field} = {arguments.get(field)!r}: of another tuning (this one has {expected!r})"
            )
    if not arguments.get("target_modules"):
        raise BundleError(f"{path}: names no target_modules")
    lists = [field for field in ("target_modules", "feedforward_modules") if arguments.get(field)]
    return {**arguments, **{field: sorted(arguments[field]) for field in lists}}


def of_encoder(
    directory: Path, arguments: Mapping[str, Any], modules: Iterable[str], prefix: str
) -> dict[str, Any]:
    """The same arguments as the bare encoder names its layers, without endings that name layers of a head alone.

    PEFT's own ``target_modules="all-linear"`` writes those too (``out_proj``) and gives them no modules, as the head
    is saved whole; of an encoder of few layers it writes each layer's name in the task class.

    Args:
        modules: names of the bundle's modules in the bare encoder.
        prefix: what stands before them in a task class.

    Raises:
        BundleError: an ending names no layer that the bundle has modules for.
    """
    layers = {layer_of(name) for name in modules}
    kept: dict[str, Any] = dict(arguments)
    for field in ("target_modules", "feedforward_modules"):
        if arguments.get(field):
            endings = [ending.removeprefix(prefix) for ending in arguments[field]]
            kept[field] = [ending for ending in endings if not _of_a_head(directory, field, ending, layers)]
    if not kept["target_modules"]:
        raise BundleError(f"{directory / CONFIG}: target_modules names layers of a head alone")
    return kept


def _of_a_head(directory: Path, field: str, ending: str, layers: set[str]) -> bool:
    """Whether an ending names layers of a head, and none of the encoder's. Raises BundleError where it names none."""
    if any(fits(layer, [ending]) for layer in layers):
        return False
    if not any(fits(layer, [ending]) for layer in task_classes.head_layers()):
        raise BundleError(
            f"{directory / CONFIG}: {field} names {ending!r}, for which {WEIGHTS} holds no module; its modules are in: "
            f"{', '.join(sorted({layer.rpartition('.')[2] for layer in layers}))}"
        )
    return True


def layer_of(name: str) -> str:
    """The layer that a module's tensor stands in."""
    return name.partition(".lora_")[0].partition(".ia3_l")[0]


def _check_class(path: Path, value: Any) -> None:
    """PEFT writes the class a module was trained on; it is never imported here, and may be Transformers' alone."""
    library = value.get("parent_library") if isinstance(value, dict) else None
    if value is not None and not str(library).startswith("transformers.models."):
        raise BundleError(f"{path}: auto_mapping names a class outside Transformers: {value!r}")


def _checked(path: Path, field: str, value: Any) -> Any:
    """A field's value, as simple as PEFT writes it."""
    plain = isinstance(value, (bool, int, float, str)) or value is None
    names = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    if field in ("target_modules", "feedforward_modules"):
        if not names:
            raise BundleError(f"{path}: {field} should list endings of module names; got {value!r}")
        return value
    if field == "r" and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise BundleError(f"{path}: r = {value!r}: should be a positive whole number")
    if not plain:
        raise BundleError(f"{path}: {field} = {value!r} is not supported")
    return value


def write_weights(
    directory: Path,
    model_type: str,
    format_name: str,
    modules: Mapping[str, Tensor],
    head: Mapping[str, Tensor],
) -> tuple[list[str] | None, list[str]]:
    """Modules, by their names in the bare encoder, and the head, under the names of the task class.

    Returns:
        What PEFT's config has to name: the outermost modules that hold the head, and all the head's layers.
    """
    if not task_classes.has_task_class(model_type, format_name, "pooler.weight" in head):
        write_tensors({ROOT + key: tensor for key, tensor in modules.items()}, directory / WEIGHTS)
        if head:
            write_tensors(head, directory / HEAD)
        return None, []
    prefix = task_classes.encoder_prefix(model_type)
    named = task_classes.head_to_task_class(model_type, format_name, head) if head else {}
    weights = {f"{prefix}.{key}": tensor for key, tensor in modules.items()} | named
    write_tensors({ROOT + key: tensor for key, tensor in weights.items()}, directory / WEIGHTS)
    layers = sorted({key.rpartition(".")[0] for key in named})
    outermost = {layer.removeprefix(f"{prefix}.").partition(".")[0] for layer in layers}
    return sorted(outermost) or None, layers


def read_modules(directory: Path, model_type: str) -> dict[str, Tensor]:
    """The modules' tensors by their names in the bare encoder; the head's are left out. Raises BundleError."""
    path = directory / WEIGHTS
    prefix = task_classes.prefix_before(model_type)
    return _modules_of(read_tensors(path), prefix, path)


def _modules_of(held: Mapping[str, ValueT], prefix: str, path: Path) -> dict[str, ValueT]:
    """The modules among what a file holds, by their names in the bare encoder. Raises BundleError.

    Args:
        prefix: what a task class calls the encoder.
    """
    known = (*task_classes.head_layers(), "classifier", "score")
    found = {}
    for key, value in held.items():
        if not key.startswith(ROOT):
            raise BundleError(f"{path}: {key} is not a name of PEFT's")
        bare = key.removeprefix(ROOT).removeprefix(prefix)
        if ".lora_embedding_" in bare:
            raise BundleError(
                f"{path}: {key} changes an embedding; updates of linear layers alone are read here: train it without "
                f"{layer_of(bare).rpartition('.')[2]!r} in target_modules"
            )
        if is_module(bare):
            found[bare] = value
        elif not bare.startswith(tuple(f"{layer}." for layer in known)):
            raise BundleError(f"{path}: {key} is neither a module of {CONFIG} nor a head")
    return found


def check_weights(directory: Path, info: BundleInfo, headers: Headers, arguments: Mapping[str, Any]) -> None:
    """Raises BundleError where a bundle's tensors are not the modules that its config tells of and the head it has.

    Args:
        arguments: as `read_arguments` gives them.
    """
    path = directory / WEIGHTS
    shapes = shapes_in(headers, directory, WEIGHTS)
    prefix = next(
        (p for p in task_classes.prefixes() if any(k.startswith(f"{ROOT}{p}.") for k in shapes)), ""
    )
    modules = _modules_of(shapes, f"{prefix}." if prefix else "", path)
    if not modules:
        raise BundleError(f"{path}: holds no modules of PEFT's")
    of_encoder(directory, arguments, modules, f"{prefix}." if prefix else "")
    _check_module_shapes(modules, arguments, path)

    def in_library() -> tuple[Shapes, Path]:
        bare = {key.removeprefix(ROOT): shape for key, shape in shapes.items() if not is_module(key)}
        return only_head(task_classes.model_type_of(prefix, info.format, path), info.format, bare, path), path

    check_heads(directory, info, headers, in_library)


def _check_module_shapes(modules: Shapes, arguments: Mapping[str, Any], path: Path) -> None:
    """Raises BundleError where a layer's tensors are not all there, or do not go together."""
    layers: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in modules.items():
        layer = layer_of(name)
        layers.setdefault(layer, {})[name.removeprefix(f"{layer}.")] = shape
    for layer, own in layers.items():
        if "ia3_l" in own:
            fitting = own.keys() == {"ia3_l"} and len(own["ia3_l"]) == 2 and 1 in own["ia3_l"]
        else:
            first, second = own.get("lora_A.weight", ()), own.get("lora_B.weight", ())
            names = {"lora_A.weight", "lora_B.weight"}
            names |= {"lora_magnitude_vector"} if arguments.get("use_dora") else set()
            fitting = own.keys() == names and len(first) == len(second) == 2 and first[0] == second[1]
            fitting = fitting and first[0] == arguments.get("r", 8)
        if not fitting:
            told = ", ".join(f"{name} {list(shape)}" for name, shape in sorted(own.items()))
            raise BundleError(f"{path}: {layer} holds {told}, which are no module of {CONFIG}'s sizes")


def spoken_of(directory: Path, model_type: str) -> str:
    """The prefix of the bare encoder's names in a bundle: PEFT's root, and a task class's prefix if it has one."""
    prefix = task_classes.prefix_before(model_type)
    names = read_tensors(directory / WEIGHTS)
    whole = any(is_module(name) and name.startswith(ROOT + prefix) for name in names)
    return ROOT + prefix if whole else ROOT


def read_head(directory: Path, format_name: str) -> dict[str, Tensor]:
    """The head's tensors by our names. Raises BundleError."""
    if (directory / HEAD).is_file():
        return read_tensors(directory / HEAD)
    path = directory / WEIGHTS
    weights = {key.removeprefix(ROOT): tensor for key, tensor in read_tensors(path).items()}
    if all(map(is_module, weights)):
        raise BundleError(f"{directory}: {path.name} lacks a head, of {format_name} or any other")
    prefix = next((key.partition(".")[0] for key in weights if is_module(key)), "")
    model_type = task_classes.model_type_of(prefix, format_name, path)
    return task_classes.head_from_task_class(model_type, format_name, weights, path)


def merge_heads(bundles: Sequence[Path], how: Merge, out: Path) -> None:
    """Heads that stand in a file of their own as one."""
    if (bundles[0] / HEAD).is_file():
        heads = [read_tensors(bundle / HEAD) for bundle in bundles]
        mean = {key: merged([head[key] for head in heads], how.averaged(), key) for key in heads[0]}
        write_tensors(mean, out / HEAD)


def is_module(key: str) -> bool:
    """Whether a tensor's name is one of PEFT's modules."""
    return any(mark in key for mark in (".lora_", ".ia3_l"))


def fits(name: str, targets: Any) -> bool:
    """Whether a layer's name ends in one of the given endings."""
    return any(name == target or name.endswith(f".{target}") for target in targets)
