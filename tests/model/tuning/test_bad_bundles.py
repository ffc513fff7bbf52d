"""Whatever is wrong with a bundle's files, one error says it, and none of it reaches the model."""

from __future__ import annotations

import contextlib
import copy
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from adapter_stilts.errors import BundleError
from adapter_stilts.model.weights import fill
from adapter_stilts.tasks import get_task

WEIGHTS = {"lora": "adapter_model.safetensors", "pfeiffer": "adapter.safetensors"}
HEADS = {"lora": "adapter_model.safetensors", "pfeiffer": "model_head.safetensors"}
CONFIG = "adapter_config.json"
Saved = Callable[[str], Path]


@pytest.fixture
def saved(attached: Any, tuning_of: Any, tiny_base: Path, tmp_path: Path) -> Saved:
    """A bundle's library files for udpos."""

    def call(key: str) -> Path:
        directory = tmp_path / key
        directory.mkdir()
        tuned = tuning_of(key)
        model = attached(tiny_base, "tagging", tuned)
        tuned[0].save(model, directory, "tagging", get_task("udpos").labels)
        return directory

    return call


@pytest.fixture
def load(build: Any, tuning_of: Any, tiny_base: Path) -> Callable[..., Any]:
    """Load modules and head into a new model; tells whether anything of the encoder moved where that fails."""

    def call(key: str, directory: Path, base: Path | None = None, format_name: str = "tagging") -> Any:
        tuning, _ = tuning_of(key)
        model = build(base or tiny_base, format_name, seed=2)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        try:
            fill(model.head.state_dict(), tuning.load(directory, format_name), directory)
            tuning.load_modules(model, directory)
        except BundleError:
            after = {name.replace(".base_layer", ""): p for name, p in model.named_parameters()}
            assert all(torch.equal(after[n], tensor) for n, tensor in before.items() if "head" not in n)
            raise
        return model

    return call


def change(path: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Edit a JSON file or a safetensors file in place."""
    if path.suffix == ".json":
        values = json.loads(path.read_text())
        edit(values)
        path.write_text(json.dumps(values))
    else:
        tensors = load_file(path)
        edit(tensors)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def module_tensor(tensors: dict[str, Any]) -> str:
    return next(name for name in sorted(tensors) if "lora_A" in name or "adapter_down.0.weight" in name)


def set_tensor(tensors: dict[str, Any], value: Callable[[torch.Tensor], torch.Tensor]) -> None:
    name = module_tensor(tensors)
    tensors[name] = value(tensors[name])


def add_nan(tensor: torch.Tensor) -> torch.Tensor:
    tensor[0, 0] = float("nan")
    return tensor


TENSORS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "missing": (lambda t: t.pop(module_tensor(t)), "1 tensors are missing, e.g. "),
    "extra": (
        lambda t: t.update({module_tensor(t).replace("layer.0", "layer.7"): torch.zeros(2, 2)}),
        "1 tensors have no place in this model, e.g. .*layer.7",
    ),
    "shape": (
        lambda t: set_tensor(t, lambda tensor: tensor[:1]),
        r"has shape \(1, 32\), the model's has \(\d, 32\)",
    ),
    "not a number": (lambda t: set_tensor(t, add_nan), "holds values that are not finite numbers"),
    "infinite": (lambda t: set_tensor(t, lambda tensor: tensor / 0), "not finite"),
}


@pytest.mark.parametrize("damage", TENSORS)
@pytest.mark.parametrize("key", WEIGHTS)
def test_tensors(saved: Saved, load: Any, key: str, damage: str) -> None:
    directory = saved(key)
    load(key, directory)
    edit, message = TENSORS[damage]
    change(directory / WEIGHTS[key], edit)
    with pytest.raises(BundleError, match=message):
        load(key, directory)


@pytest.mark.parametrize("key", WEIGHTS)
def test_heads(saved: Saved, load: Any, key: str, tmp_path: Path) -> None:
    directory = saved(key)
    with pytest.raises(BundleError, match=r"lacks qa_outputs\.weight, the head of span_qa"):
        load(key, directory, format_name="span_qa")
    with pytest.raises(BundleError, match=r"lacks classifier\.(dense|out_proj)\.weight, the head of pair"):
        load(key, directory, format_name="pair_classification")
    change(directory / HEADS[key], lambda t: t.update({n: v[:3] for n, v in t.items() if "classifier" in n}))
    with pytest.raises(BundleError, match=r"has shape \(3, 32\), the model's has \(17, 32\)"):
        load(key, directory)


@pytest.mark.parametrize("key", WEIGHTS)
def test_files(saved: Saved, load: Any, key: str) -> None:
    whole = saved(key)
    for name in (CONFIG, WEIGHTS[key]):
        for content in (b"", b"{", b"[]", b"\x80\x04\x95"):
            directory = shutil.copytree(whole, whole.parent / "copy")
            (directory / name).write_bytes(content)
            with pytest.raises(BundleError, match=name.replace(".", r"\.")):
                load(key, directory)
            shutil.rmtree(directory)
    pickled = {"lora": "adapter_model.bin", "pfeiffer": "pytorch_adapter.bin"}[key]
    (whole / WEIGHTS[key]).unlink()
    (whole / pickled).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(BundleError, match=rf"{WEIGHTS[key]} is missing"):
        load(key, whole)


class Bomb:
    """Would break the test if it were ever unpickled."""

    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit('unpickled')",))


CONFIGS: dict[str, tuple[str, Callable[[dict[str, Any]], Any], str]] = {
    "another method": ("lora", lambda c: c.update(peft_type="IA3"), "peft_type is 'IA3', not 'LORA'"),
    "no method": ("lora", lambda c: c.pop("peft_type"), "peft_type is None"),
    "another tuning": ("lora", lambda c: c.update(use_dora=True), "use_dora = True: of another tuning"),
    "a class to import": (
        "lora",
        lambda c: c.update(auto_mapping={"base_model_class": "Popen", "parent_library": "subprocess"}),
        "auto_mapping names a class outside Transformers",
    ),
    "a module to import": ("lora", lambda c: c.update(megatron_core="os"), "megatron_core = 'os' is not sup"),
    "a file outside": (
        "lora",
        lambda c: c.update(init_lora_weights="../../weights"),
        "init_lora_weights = '../../weights' is not supported",
    ),
    "an unknown field": ("lora", lambda c: c.update(hook="x"), "unknown field 'hook'"),
    "layers of no name": (
        "lora",
        lambda c: c.update(target_modules=["query", "valeu"]),
        "target_modules names 'valeu', for which .* its modules are in: query, value",
    ),
    "no layers": ("lora", lambda c: c.update(target_modules=[]), "names no target_modules"),
    "a pattern": ("lora", lambda c: c.update(target_modules=".*"), "should list endings of module names"),
    "no rank": ("lora", lambda c: c.update(r=0), "r = 0: should be a positive whole number"),
    "part of a rank": ("lora", lambda c: c.update(r=2.5), r"r = 2\.5: should be a positive whole number"),
    "another rank": ("lora", lambda c: c.update(r=2), r"has shape \(4, 32\), the model's has \(2, 32\)"),
    "another encoder": (
        "pfeiffer",
        lambda c: c.update(model_type="bert"),
        "made for an encoder with model_type 'bert', not 'xlm-roberta'",
    ),
    "another size": (
        "pfeiffer",
        lambda c: c.update(hidden_size=768),
        "made for an encoder with hidden_size 768, not 32",
    ),
    "a rank that does not divide": (
        "pfeiffer",
        lambda c: c["config"].update(reduction_factor=5),
        "reduction_factor = 5 does not divide the encoder's hidden size 32",
    ),
    "blocks that do not divide": (
        "pfeiffer",
        lambda c: c["config"].update(phm_layer=True, phm_dim=3),
        "phm_dim = 3 divides not both",
    ),
    "no activation": (
        "pfeiffer",
        lambda c: c["config"].update(non_linearity="os.system"),
        "unknown non_linearity 'os.system'",
    ),
    "an unknown method": (
        "pfeiffer",
        lambda c: c["config"].update(architecture="lora"),
        "architecture 'lora'; bottlenecks and prefix_tuning are read here",
    ),
    "an unknown setting": ("pfeiffer", lambda c: c["config"].update(hook=1), r"unknown field config\.hook"),
    "an invertible part": (
        "pfeiffer",
        lambda c: c["config"].update(inv_adapter="nice"),
        r"config\.inv_adapter = 'nice' is not supported",
    ),
    "no config": ("pfeiffer", lambda c: c.pop("config"), "should hold a name and a config"),
    "an empty config": ("pfeiffer", lambda c: c.update(config={}), "should hold a name and a config"),
    "half a config": ("pfeiffer", lambda c: c.update(config={"mh_adapter": True}), "config is incomplete"),
    "no name": ("pfeiffer", lambda c: c.update(name=3), "should hold a name and a config"),
}


@pytest.mark.parametrize(("key", "edit", "message"), CONFIGS.values(), ids=CONFIGS)
def test_configs(saved: Saved, load: Any, key: str, edit: Callable[..., Any], message: str) -> None:
    directory = saved(key)
    change(directory / CONFIG, edit)
    with pytest.raises(BundleError, match=message):
        load(key, directory)


def test_going_on_from_other_sizes_is_told(saved: Saved, build: Any, tuning_of: Any, tiny_base: Path) -> None:
    """A target stage goes on from its intermediate's modules only where both have the same shape."""
    for key, other, message in (
        ("lora", {"r": 8}, "was trained with r = 4, the recipe asks for 8"),
        (
            "pfeiffer",
            {"reduction_factor": 4},
            r"was trained with reduction_factor = 16\.0, the recipe asks for 4",
        ),
    ):
        directory = saved(key)
        tuning, _ = tuning_of(key)
        model = build(tiny_base, "tagging")
        tuning.attach(model, tuning.Settings.model_validate(other))
        with pytest.raises(BundleError, match=message):
            tuning.load_modules(model, directory)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 70)
    | st.floats(-2, 2)
    | st.sampled_from(["", "a", "../x", "query"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abr"), inner, max_size=2),
    max_leaves=3,
)


@pytest.mark.parametrize("key", WEIGHTS)
def test_mutated_bundles_load_or_are_refused(saved: Saved, load: Any, key: str) -> None:
    """A changed config or tensor gives a model or a BundleError, and never anything else."""
    directory = saved(key)
    config = json.loads((directory / CONFIG).read_text())
    tensors = load_file(directory / WEIGHTS[key])
    fields = sorted({**config, **(config.get("config") or {})})

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(fields), JSON, st.sampled_from(sorted(tensors)), st.integers(0, 5))
    def mutated(field: str, value: Any, name: str, what: int) -> None:
        changed, kept = copy.deepcopy(config), dict(tensors)
        if what > 1:
            inside = changed["config"] if key == "pfeiffer" and field in changed["config"] else changed
            inside[field] = value
        if what == 0:
            kept[name] = kept[name][..., :1]
        if what == 1:
            kept[name + "x"] = kept.pop(name)
        (directory / CONFIG).write_text(json.dumps(changed))
        save_file({n: t.contiguous() for n, t in kept.items()}, directory / WEIGHTS[key])
        with contextlib.suppress(BundleError):
            load(key, directory)

    mutated()
