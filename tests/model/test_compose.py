"""Merging bundles: what a merge computes, against PEFT's own where it has one, and what cannot be merged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from adapter_stilts.errors import BundleError, UnknownNameError, UsageError
from adapter_stilts.model import multitask
from adapter_stilts.model.backbone import load_encoder, load_tokenizer, resolve_base
from adapter_stilts.model.bundle import read_bundle, write_bundle
from adapter_stilts.model.compose import Term, compose, merge_bundles, parse
from adapter_stilts.model.merge import METHODS, Merge, low_rank, low_rank_product, merged
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.model.weights import fill
from adapter_stilts.recipe import Base
from adapter_stilts.tasks import get_task

Make = Callable[..., Path]
TASKS = {"tagging": "udpos", "span_qa": "squad_v1"}


@pytest.fixture
def base(tiny_base: Path) -> Any:
    return resolve_base(Base(id=str(tiny_base)))


@pytest.fixture
def make(build: Any, base: Any, tmp_path: Path) -> Make:
    """A bundle with weights of its own."""

    def call(
        mode: str,
        seed: int,
        format_name: str = "tagging",
        size: float = 0.3,
        several_heads: bool = False,
        **values: Any,
    ) -> Path:
        tuning = get_tuning(mode)
        model = build(Path(base.location), format_name, seed)
        tuning.attach(model, tuning.Settings.model_validate(values), seed, "own")
        generator = torch.Generator().manual_seed(seed)
        for tensor in tuning.state(model).values():
            tensor += size * torch.randn(tensor.shape, generator=generator)
        directory = tmp_path / f"{mode}-{format_name}-{seed}.bundle"
        directory.mkdir()
        task = get_task(TASKS[format_name])
        if several_heads:
            tuning.save(model.without_head(), directory, "multitask", ())
            multitask.save_heads(
                multitask.Heads({task.name: model.head}, {task.name: model.format}), directory
            )
        else:
            tuning.save(model, directory, format_name, task.labels)
        info = {
            "tuning": mode, "base": base.id, "base_revision": None, "base_fingerprint": base.fingerprint,
            "task": task.name, "format": format_name, "labels": task.labels, "settings": {}, "parents": (),
            "metrics": {}, "versions": {},
        }  # fmt: skip
        if several_heads:
            head = {"format": format_name, "labels": task.labels, "tasks": (task.name,)}
            info |= {"format": "multitask", "labels": (), "heads": {task.name: head}}
        write_bundle(directory, _info(info), load_tokenizer(base))
        return directory

    return call


def _info(values: dict[str, Any]) -> Any:
    from adapter_stilts.model.bundle_info import BundleInfo

    return BundleInfo(**values)


@pytest.fixture
def combined(base: Any, tmp_path: Path) -> Callable[..., Path]:
    """The bundle of an expression, or of a merge."""

    def call(what: str | list[Path], how: Merge | None = None) -> Path:
        out = tmp_path / f"out-{len(list(tmp_path.glob('out-*')))}"
        out.mkdir()
        tokenizer = load_tokenizer(base)
        if isinstance(what, str):
            compose(parse(what), out, base, tokenizer)
        else:
            assert how is not None
            merge_bundles(what, how, out, base, tokenizer)
        return out

    return call


def updates(directory: Path) -> dict[str, torch.Tensor]:
    """Every layer's change of weight, as a matrix."""
    config = json.loads((directory / "adapter_config.json").read_text())
    scale = config["lora_alpha"] / (config["r"] ** 0.5 if config["use_rslora"] else config["r"])
    tensors = load_file(directory / "adapter_model.safetensors")
    names = [name.partition(".lora_A")[0] for name in tensors if ".lora_A." in name]
    return {n: scale * tensors[f"{n}.lora_B.weight"] @ tensors[f"{n}.lora_A.weight"] for n in names}


def close(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor], within: float = 1e-5) -> bool:
    assert first.keys() == second.keys()
    return all(float((first[name] - second[name]).abs().max()) <= within for name in first)


@pytest.mark.parametrize("mode", ["lora", "rslora"])
def test_the_weighted_sum_of_updates_is_exact_whatever_their_ranks(
    make: Make, combined: Any, mode: str
) -> None:
    bundles = [make(mode, 1, r=2), make(mode, 2, r=3, alpha=5.0)]
    out = combined(f"0.7*{bundles[0]} + 0.3*{bundles[1]}")
    a, b = (updates(bundle) for bundle in bundles)
    assert close(updates(out), {name: 0.7 * a[name] + 0.3 * b[name] for name in a})
    assert json.loads((out / "adapter_config.json").read_text())["r"] == 5
    negative = combined(f"{bundles[0]} - 0.5*{bundles[1]}")
    assert close(updates(negative), {name: a[name] - 0.5 * b[name] for name in a})
    stacked = combined(f"stack({bundles[0]}, {bundles[1]})")
    assert close(updates(stacked), {name: a[name] + b[name] for name in a})
    info = read_bundle(out)
    assert (info.task, info.format, info.tuning) == ("udpos", "tagging", mode)
    assert info.settings["merge"]["weights"] == [0.7, 0.3]
    assert len(info.parents) == 2


def by_layer(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Changes by the bare encoder's names."""
    return {name.removeprefix("base_model.model.").removeprefix("roberta."): t for name, t in found.items()}


def test_a_stage_of_several_tasks_and_one_of_a_single_task(make: Make, combined: Any) -> None:
    """Their files call the encoder's layers otherwise, which are the same."""
    bundles = [make("lora", 1, r=2), make("lora", 2, r=3, several_heads=True)]
    a, b = (by_layer(updates(bundle)) for bundle in bundles)
    expected = {name: 0.7 * a[name] + 0.3 * b[name] for name in a}
    assert close(by_layer(updates(combined(f"0.7*{bundles[0]} + 0.3*{bundles[1]}"))), expected)
    assert close(by_layer(updates(combined(f"0.3*{bundles[1]} + 0.7*{bundles[0]}"))), expected)
    both = combined(f"0.5*{bundles[1]} + 0.5*{bundles[1]}")
    assert (read_bundle(both).format, read_bundle(both).heads) == ("none", {})
    assert close(by_layer(updates(both)), b)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("mode", ["lora", "ia3", "adapter"])
def test_what_has_no_head_is_loaded_on_the_bare_encoder(
    make: Make, combined: Any, base: Any, mode: str
) -> None:
    import adapters
    from peft import PeftModel
    from transformers import AutoModel

    out = combined(f"0.5*{make(mode, 1)} + 0.5*{make(mode, 2, format_name='span_qa')}")
    assert read_bundle(out).format == "none"
    plain = AutoModel.from_pretrained(base.location).eval()
    ids = torch.tensor([[0, 7, 8, 9, 2]])
    with torch.inference_mode():
        before = plain(ids).last_hidden_state
    ours = TaskModel(load_encoder(base.location, None, None, False), None, None).eval()
    get_tuning(mode).load_modules(ours, out)
    if mode == "adapter":
        adapters.init(plain)
        plain.load_adapter(str(out), use_safetensors=True, set_active=True)
        theirs = plain.eval()
    else:
        theirs = PeftModel.from_pretrained(plain, str(out)).eval()
    with torch.inference_mode():
        found = theirs(ids).last_hidden_state
        expected = ours.encoder(input_ids=ids).last_hidden_state
    assert float((found - expected).abs().max()) <= 1e-5
    assert float((found - before).abs().max()) > 0.01


def test_nested_expressions(make: Make, combined: Any) -> None:
    one, two, three = (make("lora", seed, r=2) for seed in (1, 2, 3))
    out = combined(f"stack({one}, 0.7*{two} + 0.3*{three})")
    a, b, c = (updates(bundle) for bundle in (one, two, three))
    assert close(updates(out), {name: a[name] + 0.7 * b[name] + 0.3 * c[name] for name in a})
    out = combined(f"2*svd({one}, {two}, rank=4) - {three}")
    assert close(updates(out), {name: 2 * (a[name] + b[name]) - c[name] for name in a}, 1e-4)


def test_layers_that_one_input_leaves_alone(make: Make, combined: Any) -> None:
    bundles = [make("lora", 1, r=2), make("lora", 2, r=2, target_modules=("query", "key"))]
    a, b = (updates(bundle) for bundle in bundles)
    for method in ("linear", "ties"):
        found = updates(
            combined(bundles, Merge(method, (1.0, 1.0), density=1.0, rank=None if method == "linear" else 32))
        )
        assert found.keys() == a.keys() | b.keys()
    zero = torch.zeros(32, 32)
    assert close(
        updates(combined(f"{bundles[0]} + {bundles[1]}")),
        {name: a.get(name, zero) + b.get(name, zero) for name in a.keys() | b.keys()},
    )


# Ours -> PEFT's, which work on whole updates and then cut to a rank.
PEFT = {"svd": "svd", "ties": "ties_svd", "magnitude_prune": "magnitude_prune_svd", "linear": "cat"}


@pytest.mark.parametrize("method", PEFT)
def test_as_peft_merges(make: Make, combined: Any, base: Any, method: str) -> None:
    from peft import PeftModel
    from transformers import AutoModelForTokenClassification

    bundles = [make("lora", 1, r=3), make("lora", 2, r=3)]
    weights = [1.0, 1.0] if method == "ties" else [0.7, 0.3]
    rank = None if method == "linear" else 4
    found = updates(combined(bundles, Merge(method, tuple(weights), density=0.4, rank=rank)))

    # PEFT refuses to merge where both carry a head: it is given the modules alone.
    plain = AutoModelForTokenClassification.from_pretrained(base.location, num_labels=17)
    for bundle in bundles:
        config = json.loads((bundle / "adapter_config.json").read_text())
        (bundle / "adapter_config.json").write_text(
            json.dumps({**config, "modules_to_save": None, "task_type": None})
        )
    model = PeftModel.from_pretrained(plain, str(bundles[0]), adapter_name="a")
    model.load_adapter(str(bundles[1]), adapter_name="b")
    more = {} if method == "linear" else {"svd_rank": rank}
    model.add_weighted_adapter(
        ["a", "b"], weights, "c", combination_type=PEFT[method],
        density=None if method in ("svd", "linear") else 0.4, **more,
    )  # fmt: skip
    theirs = {}
    for name, module in model.named_modules():
        if hasattr(module, "lora_A") and "c" in module.lora_A:
            theirs[name] = module.get_delta_weight("c").detach()
    assert len(theirs) == 4
    assert close(found, theirs, 2e-5)


def test_methods_on_small_numbers() -> None:
    one, two = torch.tensor([[4.0, -1.0], [0.5, 2.0]]), torch.tensor([[-3.0, -2.0], [0.1, 2.0]])

    def of(method: str, weights: tuple[float, ...] = (1.0, 1.0), density: float = 1.0) -> list[list[float]]:
        found: list[list[float]] = merged([one, two], Merge(method, weights, density), "x").tolist()
        return found

    assert of("linear", (0.5, 0.5)) == [[0.5, -1.5], [pytest.approx(0.3), 2.0]]
    assert of("ties") == [[4.0, -1.5], [pytest.approx(0.3), 2.0]]
    assert of("ties", density=0.5) == [[4.0, -2.0], [0.0, 2.0]]
    assert np.allclose(of("ties", (3.0, 3.0)), of("ties"))
    assert of("magnitude_prune", density=0.25) == [[1.0, 0.0], [0.0, 0.0]]
    assert of("dare_linear") == of("linear")
    assert of("dare_ties") == of("ties")
    many = [torch.ones(400, 400), torch.ones(400, 400)]
    dared = merged(many, Merge("dare_linear", (0.5, 0.5), 0.3, seed=1), "x")
    assert float(dared.mean()) == pytest.approx(1.0, abs=0.01)
    assert dared.unique().tolist() == pytest.approx([0, 1 / 0.6, 2 / 0.6])
    assert torch.equal(dared, merged(many, Merge("dare_linear", (0.5, 0.5), 0.3, seed=1), "x"))
    assert not torch.equal(dared, merged(many, Merge("dare_linear", (0.5, 0.5), 0.3, seed=2), "x"))


def test_low_rank_factors() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(5, 12, generator=generator), torch.randn(9, 5, generator=generator)
    for rank in (2, 5, 7):
        a, b = low_rank_product(first, second, rank)
        c, d = low_rank(second @ first, rank)
        assert (a.shape, b.shape) == (c.shape, d.shape) == ((rank, 12), (9, rank))
        assert torch.allclose(b @ a, d @ c, atol=1e-4)
    assert torch.allclose(b @ a, second @ first, atol=1e-4)


def test_adapters_are_averaged(make: Make, combined: Any) -> None:
    bundles = [make("adapter", seed) for seed in (1, 2)]
    out = combined(f"0.75*{bundles[0]} + 0.25*{bundles[1]}")
    a, b, c = (
        {name.replace(".merged.", ".own."): t for name, t in load_file(d / "adapter.safetensors").items()}
        for d in (*bundles, out)
    )
    assert close(c, {name: 0.75 * a[name] + 0.25 * b[name] for name in a}, 1e-6)


def test_ia3_merges_what_differs_from_one(make: Make, combined: Any) -> None:
    bundles = [make("ia3", seed) for seed in (1, 2)]
    a, b, c = (
        load_file(d / "adapter_model.safetensors")
        for d in (*bundles, combined(f"{bundles[0]} + 0.5*{bundles[1]}"))
    )
    for name in a:
        if "ia3" in name:
            assert torch.allclose(c[name], 1 + (a[name] - 1) + 0.5 * (b[name] - 1), atol=1e-6)


def test_task_arithmetic(make: Make, combined: Any, base: Any) -> None:
    bundles = [make("full", seed) for seed in (1, 2)]
    out = combined(f"{bundles[0]} - 0.5*{bundles[1]}")
    start = load_file(Path(base.location) / "model.safetensors")
    a, b, c = (load_file(d / "model.safetensors") for d in (*bundles, out))
    for name, tensor in start.items():
        key = f"roberta.{name}"
        assert torch.allclose(c[key], tensor + (a[key] - tensor) - 0.5 * (b[key] - tensor), atol=1e-5), name
    assert read_bundle(out).format == "tagging"


@pytest.mark.parametrize("mode", ["full", "adapter", "lora", "ia3"])
def test_a_composed_bundle_answers(make: Make, combined: Any, build: Any, base: Any, mode: str) -> None:
    """The merge of two copies is the bundle itself, head and all; without a common head the rest still loads."""
    from adapter_stilts.formats.features import Features, Ragged
    from adapter_stilts.model.backbone import load_encoder

    one, other = make(mode, 1), make(mode, 2, "span_qa")
    features = Features(Ragged.from_lengths(np.arange(5, 29, dtype=np.int32), [9, 15]), np.arange(3))
    tuning = get_tuning(mode)

    def answers(directory: Path) -> torch.Tensor:
        model: TaskModel = build(Path(base.location), "tagging")
        if tuning.WHOLE:
            model.encoder = load_encoder(str(directory), None, None, False)
        tuning.load_modules(model, directory)
        if read_bundle(directory).format == "tagging":
            fill(model.head.state_dict(), tuning.load(directory, "tagging"), directory)  # type: ignore[union-attr]
        return model.eval().predict(features, np.arange(2))

    assert torch.allclose(answers(combined(f"0.5*{one} + 0.5*{one}")), answers(one), atol=1e-4)
    mixed = combined(f"0.5*{one} + 0.5*{other}")
    assert (read_bundle(mixed).task, read_bundle(mixed).format) == ("udpos+squad_v1", "none")
    assert bool(answers(mixed).isfinite().all())
    with pytest.raises(BundleError, match=r"lacks|is missing"):
        tuning.load(mixed, "tagging")


REFUSED: dict[str, tuple[str, type[Exception], str]] = {
    "ties of one": ("ties({lora})", UsageError, "ties settles which sign .* Choices for one: linear, svd"),
    "dora": ("{dora} + {dora}", UsageError, "DoRA's updates depend .* merge LoRA or rsLoRA, or continue"),
    "ties of adapters": ("ties({adapter}, {adapter})", UsageError, "which only have a mean: linear"),
    "weights of adapters": ("{adapter} + {adapter}", UsageError, "should sum to 1, not 2"),
    "svd of full": (
        "svd({full}, {full})",
        UsageError,
        "svd is for low-rank updates; full models: linear, soup, ties",
    ),
    "stacked adapters": (
        "stack({adapter}, {adapter})",
        UsageError,
        "only low-rank updates stack without training",
    ),
    "two modes": ("{lora} + {adapter}", BundleError, "with --mode lora: only bundles of one mode merge"),
    "rank of linear": ("linear({lora}, {lora}, rank=3)", UsageError, "`linear` is exact at the sum"),
    "density": ("ties({lora}, {lora}, density=0)", UsageError, "density = 0: should be above 0"),
}


@pytest.mark.parametrize(("expression", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_what_a_combination_cannot_be(
    make: Make, combined: Any, expression: str, kind: type[Exception], message: str
) -> None:
    modes = [mode for mode in ("lora", "dora", "adapter", "full") if f"{{{mode}}}" in expression]
    with pytest.raises(kind, match=message):
        combined(expression.format(**{mode: make(mode, 1) for mode in modes}))


def test_bundles_of_two_bases(make: Make, combined: Any) -> None:
    bundle = make("lora", 1)
    info = json.loads((bundle / "bundle.json").read_text())
    other = make("lora", 2)
    write_bundle(other, _info({**info, "base": "other/base", "base_fingerprint": "f" * 64}), None)
    with pytest.raises(BundleError, match=r"trained on 'other/base' .*: only bundles of one base merge"):
        combined(f"{bundle} + {other}")


def test_expressions() -> None:
    assert parse("a-b/c.bundle") == (Term(1.0, "a-b/c.bundle"),)
    assert parse("0.7*a + 2 * (b - c)") == (Term(0.7, "a"), Term(2.0, "b"), Term(-2.0, "c"))
    assert parse("ties(a, 0.5*b, density=0.2, rank=8)") == (
        Term(1.0, "ties", (Term(1.0, "a"), Term(0.5, "b")), (("density", 0.2), ("rank", 8))),
    )
    assert [path.name for path in parse("stack(a, svd(b, c, rank=2))")[0].bundles()] == ["a", "b", "c"]
    assert parse("0.5*'a+b 1/c' - \"d\"") == (Term(0.5, "a+b 1/c"), Term(-1.0, "d"))
    assert set(METHODS) >= {"linear", "ties"}


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "breaks off"),
        ("a +", "breaks off"),
        ("* a", "'\\*' stands where a bundle should"),
        ("nan*a", "'nan' before a '\\*' makes a weight that is not finite"),
        ("1e400*a + b", "'1e400' before a '\\*' makes a weight that is not finite"),
        ("ties(a, 1e200*(1e200*b + c))", "'1e200' before a '\\*' makes a weight that is not finite"),
        ("(" * 2000 + "a" + ")" * 2000, "nests 2000 brackets, which are too many"),
        ("x*a", "'x' stands before a '\\*', where a number should"),
        ("stack(a, b", "a '\\)' is missing before the end"),
        ("tise(a, b)", "unknown function 'tise'; did you mean 'ties'"),
        ("fuse(a, b)", "unknown function 'fuse'.* A fusion is trained on its target: .*train --combine fuse"),
        ("ties(a, b, densty=1)", "unknown option of ties 'densty'; did you mean 'density'"),
        ("ties(a, b, rank=x)", "rank = 'x' is no number"),
        ("a b", "cannot read 'b' of the expression 'a b': .* as in '0\\.7\\*A \\+ 0\\.3\\*B'"),
        ("stack()", "stands where a bundle should"),
        ("0.5*'a + b", "a quotation mark is not closed"),
    ],
)
def test_expressions_that_cannot_be_read(expression: str, message: str) -> None:
    with pytest.raises((UsageError, UnknownNameError), match=message):
        parse(expression)


def test_addresses_in_an_expression() -> None:
    terms = parse("ties(hf://org/a-b@v1.0, 0.5*./c, density=0.3) - 0.5*hf://org/d")
    seen: list[str] = []

    def locate(text: str) -> Path:
        seen.append(text)
        return Path("here") / str(len(seen))

    found = [term.located(locate) for term in terms]
    assert seen == ["hf://org/a-b@v1.0", "./c", "hf://org/d"]
    assert [bundle for term in found for bundle in term.bundles()] == [Path(f"here/{n}") for n in (1, 2, 3)]
    assert [(term.weight, term.options) for term in found] == [(1.0, (("density", 0.3),)), (-0.5, ())]


@pytest.mark.parametrize("mode", ["lora", "ia3", "adapter", "full"])
def test_tensors_of_another_shape_are_no_bundle_or_do_not_merge(make: Make, combined: Any, mode: str) -> None:
    """Also where the digests say that nothing was changed."""
    from adapter_stilts.io import sha256_file

    one, other = make(mode, 1), make(mode, 2)
    path = next(p for p in sorted(other.glob("*.safetensors")) if "head" not in p.name)
    tensors = load_file(path)
    name = next(n for n in sorted(tensors) if ".layer.1." in n and tensors[n].dim() == 2)
    save_file(
        {**tensors, name: torch.cat([tensors[name], tensors[name]], 0)}, path, metadata={"format": "pt"}
    )
    names = sorted(p.name for p in other.iterdir() if p.name != "SHA256SUMS")
    (other / "SHA256SUMS").write_text("".join(f"{sha256_file(other / n)}  {n}\n" for n in names))
    with pytest.raises(BundleError, match=r"no module of adapter_config|they do not merge|has shape"):
        combined(f"0.5*{one} + 0.5*{other}")
