#!/usr/bin/env python
"""Change bundles of every kind as a stranger could, one seeded mutation at a time, and take each through every verb.

A bundle of each kind is trained first. Each mutation changes one file of a copy (or adds, takes away or renames one);
half of them write the digests anew, as whoever makes a bundle can. Then `hub verify`, `hub list`, `hub show`,
`evaluate`, `train --inter`, `compose` and `export` are given the copy, in a fork of this process, with a stand-in for
the package ``kernels`` on the path, whose calls are noted. Wrong are: such a call, a question asked (input read), an
exception that is none of ours, a control character or bidi override in what is printed, whatever a library prints past
us, a verb that takes more than
5 s, and a file made, changed or lost outside of the store, the cache and the named output. What is accepted although it
was changed is counted by kind of mutation and file, with why that is harmless. A control run takes the bundles as they
are.

Prints one JSON value; leaves with 0 where nothing went wrong.

    scripts/mutate_bundles.py --data DATA --base DIR --mutations 60
    scripts/mutate_bundles.py --data DATA --base DIR --all --jobs 2 --out benchmarks/results/mutate_bundles.json
"""

from __future__ import annotations

import argparse
import builtins
import contextlib
import importlib
import io
import json
import os
import pickle
import random
import re
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

ALL = 2_200
LIMIT_SECONDS = 5.0
HANGS_AFTER = 120
# What must not reach a terminal: control characters but line feed, carriage return and tab, and bidi overrides.
RAW = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
TOLD = re.compile(r"^error: |^\S+ failed: ", re.MULTILINE)
"""What every refusal says, before a stage runs or of one."""
LOADED = (
    "adapters", "peft", "transformers.models.xlm_roberta.modeling_xlm_roberta", "adapter_stilts.stages.executors.local",
    "adapter_stilts.cli.hub", "adapter_stilts.cli.compose", "adapter_stilts.cli.evaluate", "adapter_stilts.cli.export",
)  # fmt: skip
VERBS = ("verify", "list", "show", "evaluate", "train", "compose", "export")


@dataclass(frozen=True)
class Kind:
    """A kind of bundle: how it is trained, what it can be evaluated on, and the form it can be exported to."""

    mode: str
    task: str
    train: tuple[str, ...]
    target: str = "xquad"
    form: str = "transformers"


_POOLED = ("--set", "formats.pair_classification.pooler=true")
_SNLI = ("--target", "xnli", "--set", "target.train_task=snli")
_TWO = ("--inter", "hellaswag", "--inter", "snli", "--target", "xquad")
KINDS: Mapping[str, Kind] = {
    "full": Kind("full", "squad_v1", ("--target", "xquad")),
    "full, several heads": Kind(
        "full", "hellaswag+snli", ("--inter", "hellaswag,snli", "--target", "tatoeba"), "xnli"
    ),
    "full, pooler": Kind("full", "snli", (*_SNLI, *_POOLED), "xnli"),
    "lora": Kind("lora", "squad_v1", ("--target", "xquad")),
    "lora, pooler": Kind("lora", "snli", (*_SNLI, *_POOLED), "xnli"),
    "lora, several heads": Kind(
        "lora", "hellaswag+snli", ("--inter", "hellaswag,snli", "--target", "tatoeba"), "xnli"
    ),
    "dora": Kind("dora", "udpos", ("--target", "udpos"), "udpos"),
    "ia3": Kind("ia3", "squad_v1", ("--target", "xquad")),
    "adapter": Kind("adapter", "squad_v1", ("--target", "xquad"), form="adapterhub"),
    "prefix": Kind(
        "adapter",
        "squad_v1",
        ("--target", "xquad", "--set", "tuning.adapter.architecture=prefix"),
        form="adapterhub",
    ),
    "adapter stack": Kind("adapter", "squad_v1", (*_TWO, "--combine", "stack"), form="adapterhub"),
    "adapter fusion": Kind("adapter", "squad_v1", (*_TWO, "--combine", "fuse"), form="adapterhub"),
}


# --- mutations -------------------------------------------------------------------------------------------------------

Mutation: TypeAlias = Callable[[Path, random.Random], str]
"""Changes a bundle's folder; returns the file that it changed."""

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 10**9, 2**70, 1e308, float("nan"), [], {}, [[]], "", "x" * 5000, "../../../etc/passwd",
    "/etc/passwd", "https://example.org/x", "[bold red]x[/bold red]", "[/x]", "\x1b[2J\x1b]0;x\x07", "a\rb\nc",
    "\u202egnp.exe", "\ud83d", "somebody/kernel", "eval", "os.system", {"a": {"b": 1}},
)  # fmt: skip
CODE: tuple[tuple[str, Any], ...] = (
    ("_attn_implementation", "somebody/kernel"), ("_attn_implementation_internal", "somebody/kernel"),
    ("attn_implementation", "somebody/kernel"), ("_experts_implementation", "somebody/kernel"),
    ("auto_map", {"AutoModel": "somebody/code--m.M"}), ("auto_map", {"AutoTokenizer": ["somebody/code--m.M", None]}),
    ("custom_pipelines", {"x": {"impl": "m.M"}}), ("quantization_config", {"quant_method": "bitsandbytes"}),
    ("trust_remote_code", True), ("use_kernels", True), ("kernel_config", {"a": "somebody/kernel"}),
    ("text_config", {"_attn_implementation": "somebody/kernel"}), ("base_model_name_or_path", "somebody/model"),
    ("modules_to_save", ["encoder"]), ("corda_config", {"a": 1}), ("megatron_config", {}),
)  # fmt: skip


STAND_IN = """
import os, pathlib

class Harmless:
    '''What Transformers makes of the package for itself when it is imported, whatever anybody's config says.'''
    def __init__(self, *args, **kwargs): pass
    def __call__(self, *args, **kwargs): return args[0] if args and callable(args[0]) else self
    def __getattr__(self, name):
        if name.startswith("__"): raise AttributeError(name)
        return Harmless()
    def __or__(self, other): return self

def __getattr__(name):
    if name.startswith("__"): raise AttributeError(name)
    if "kernel" not in name or name.startswith(("register_", "replace_", "use_")):
        return Harmless if name[0].isupper() and name != "Mode" else Harmless()
    def fetch(*args, **kwargs):
        pathlib.Path(os.environ["KERNEL_CALLS"]).touch()
        raise RuntimeError("the stand-in for kernels was called: " + name)
    return fetch
"""


class _Pickled:
    """Notes that it was unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("touch unpickled",)


def json_code(folder: Path, dice: random.Random) -> str:
    """A field that names code, or another way of loading."""

    def change(values: Any) -> None:
        places = [place for place in _objects(values) if isinstance(place, dict)]
        key, value = dice.choice(CODE)
        dice.choice(places or [values])[key] = value

    return _change_json(folder, dice, change)


def json_value(folder: Path, dice: random.Random) -> str:
    """A value of another kind, or beyond all measure."""

    def change(values: Any) -> None:
        place = dice.choice([place for place in _objects(values) if place] or [values])
        key = dice.choice(list(place) if isinstance(place, dict) else range(len(place)))
        place[key] = dice.choice(ODD)

    return _change_json(folder, dice, change)


def json_key(folder: Path, dice: random.Random) -> str:
    """A field gone, new, or under another name."""

    def change(values: Any) -> None:
        place = dice.choice([p for p in _objects(values) if isinstance(p, dict) and p] or [values])
        key = dice.choice(list(place))
        what = dice.randrange(3)
        if what == 0:
            del place[key]
        elif what == 1:
            place[dice.choice(["x", "__class__", "[red]", "\x1b[31m", "", "a" * 300])] = dice.choice(ODD)
        else:
            place[f"{key}_"] = place.pop(key)

    return _change_json(folder, dice, change)


def json_text(folder: Path, dice: random.Random) -> str:
    """JSON that is none, or that readers differ about."""
    path = _any_of(folder, dice, ".json")
    text = path.read_text(encoding="utf-8")
    path.write_bytes(
        dice.choice(
            (
                b"",
                b"[" * 100_000,
                b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
                b"\xef\xbb\xbf" + text.encode(),
                text.encode("utf-16"),
                text.replace("{", '{"model_type": "x", "model_type": "y", ', 1).encode(),
                text.replace(":", ": NaN, ", 1).encode(),
                text[: len(text) // 2].encode(),
                text.encode() + b"\x00",
                b"null",
                b"9" * 10_000,
                b'"' + b"x" * 5_000_000 + b'"',
            )
        )
    )
    return path.name


def any_bytes(folder: Path, dice: random.Random) -> str:
    """Some bytes of a file turned, cut off, or noise."""
    path = _any_of(folder, dice, "")
    content = bytearray(path.read_bytes())
    place = dice.randrange(max(1, len(content)))
    what = dice.randrange(3)
    if what == 0 and content:
        content[place] ^= 1 << dice.randrange(8)
    elif what == 1:
        del content[place:]
    else:
        content[place : place + 16] = dice.randbytes(16)
    path.write_bytes(bytes(content))
    return path.name


def tensor_header(folder: Path, dice: random.Random) -> str:
    """A safetensors header that says something else of the same bytes."""
    path = _any_of(folder, dice, ".safetensors")
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    name = dice.choice([name for name in header if name != "__metadata__"])
    what = dice.randrange(7)
    if what == 0:
        header[name]["dtype"] = dice.choice(["I64", "U8", "F64", "F16", "BOOL", "X", "F8_E4M3"])
    elif what == 1:
        header[name]["shape"] = dice.choice([[], [0], [-1], [2**62, 2**62], header[name]["shape"][::-1], "x"])
    elif what == 2:
        header[name]["data_offsets"] = dice.choice([[0, 4], [0, 2**63], [-8, 0], [8, 0], []])
    elif what == 3:
        header[dice.choice(["x", "\x1b[31m", f"{name}.x", "[red]x"])] = header.pop(name)
    elif what == 4:
        header["__metadata__"] = dice.choice([{"format": "tf"}, {"format": 1}, [], {"\x1b": "\x1b[2J"}])
    elif what == 5:
        header[f"{name}_again"] = dict(header[name])
    text = json.dumps(header).encode()
    size = len(text) if what != 6 else dice.choice([0, 1, 2**40, 2**63, len(text) - 1])
    path.write_bytes(struct.pack("<Q", size) + text + data)
    return path.name


def tensor_numbers(folder: Path, dice: random.Random) -> str:
    """Numbers that are none, or other numbers; tensors gone, new, or of another shape."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    path = _any_of(folder, dice, ".safetensors")
    tensors = load_file(path)
    name = dice.choice(sorted(tensors))
    what = dice.randrange(6)
    if what in (0, 1):
        flat = tensors[name].reshape(-1).copy()
        flat[dice.randrange(len(flat))] = (np.nan, np.inf)[what]
        tensors[name] = flat.reshape(tensors[name].shape)
    elif what == 2:
        tensors[name] = tensors[name] * dice.choice([2.0, -1.0, 1e30, 0.0]).__float__()
        tensors[name] = tensors[name].astype(np.float32)
    elif what == 3:
        del tensors[name]
    elif what == 4:
        tensors["encoder.layer.99.extra.weight"] = np.zeros((2, 2), np.float32)
    else:
        tensors[name] = np.concatenate([tensors[name], tensors[name]])
    save_file(tensors, path, metadata={"format": "pt"})
    return path.name


def text_on_terminals(folder: Path, dice: random.Random) -> str:
    """Texts of bundle.json and the card that a terminal would take for commands, or that are long."""
    odd = dice.choice([text for text in ODD if isinstance(text, str)])
    if dice.random() < 0.4:
        path = folder / "README.md"
        path.write_text(f"# {odd}\n" * dice.choice([1, 1_000, 200_000]), encoding="utf-8", errors="replace")
        return path.name
    path = folder / "bundle.json"
    values = json.loads(path.read_text())
    key = dice.choice(
        ["task", "base", "base_revision", "tuning", "format", "command", "labels", "versions", "metrics"]
    )
    values[key] = {"labels": [odd, odd], "versions": {odd: odd}, "metrics": {odd: 1.0}}.get(key, odd)
    path.write_text(json.dumps(values))
    return path.name


def listing(folder: Path, dice: random.Random) -> str:
    """SHA256SUMS that lists less, more, twice, or elsewhere. Its digests are not written anew."""
    path = folder / "SHA256SUMS"
    lines = path.read_text().splitlines()
    row = dice.randrange(len(lines))
    new = dice.choice(
        [
            "",
            lines[row].replace("  ", "  ../", 1),
            lines[row].replace("  ", "  /etc/", 1),
            lines[row][:40],
            lines[row].upper(),
            f"{'0' * 64}  \x1b[31mx",
            f"{lines[row]}\n{lines[row]}",
            "x" * 2_000_000,
        ]
    )
    lines[row] = new
    path.write_text("\n".join(lines) + "\n")
    return path.name


def files(folder: Path, dice: random.Random) -> str:
    """A file gone, renamed, or one that no bundle holds: pickles, code, links, pipes, folders."""
    path = _any_of(folder, dice, "")
    what = dice.randrange(10)
    name = dice.choice(
        ("pytorch_model.bin", "adapter_model.bin", "pytorch_adapter.bin", "training_args.bin", "x.pt")
    )
    if what == 0:
        path.unlink()
        return path.name
    if what == 1:
        path.rename(path.with_name(f"x{path.name}"))
        return path.name
    if what == 2:
        path.unlink()
        path.symlink_to(dice.choice(["/etc/passwd", "../other/bundle.json", path.name, "/dev/zero"]))
        return f"{path.name}, a link"
    if what == 3:
        path.unlink()
        os.mkfifo(path)
        return f"{path.name}, a pipe"
    if what == 4:
        path.unlink()
        path.mkdir()
        return f"{path.name}, a folder"
    if what == 5:
        (folder / name).write_bytes(pickle.dumps(_Pickled()))
        return name
    if what == 6:
        name = dice.choice(("modeling_x.py", "tokenization_x.py", "x.so", "conftest.py", "setup.py"))
        (folder / name).write_text("import pathlib; pathlib.Path('code-ran').touch()\n")
        return name
    if what == 7:
        name = dice.choice(
            ("config.json", "adapter_config.json", "tokenizer_config.json", "generation_config.json")
        )
        (folder / name).write_text(
            json.dumps({"_attn_implementation": "somebody/kernel", "auto_map": {"a": "b--c.D"}})
        )
        return f"{name}, new"
    if what == 8:
        name = dice.choice(
            (".hidden", "a b.json", "\x1b[31mx.json", "[red]x.md", "-rf.json", "deep/er/x.json")
        )
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
        return name
    with path.open("r+b") as file:  # sparse: as large as it says, and no more on the disk
        file.truncate(dice.choice([10**8, 3 * 10**8]))
    return f"{path.name}, large"


MUTATIONS: tuple[Mutation, ...] = (
    json_code, json_value, json_key, json_text, any_bytes, tensor_header, tensor_numbers, text_on_terminals, listing,
    files,
)  # fmt: skip

HARMLESS = {
    "digests": "the change left every file that is read as it was, or the digests were written anew as their maker can",
    "json_code": "a field that no class of ours reads, in a place where nothing reads it; it is left out when built",
    "json_value": "a value that a model, a setting or a text may have; text is shown escaped",
    "json_key": "a field that has a default, or that nothing reads",
    "json_text": "the same values written otherwise",
    "any_bytes": "another finite number, another text, or another piece of the vocabulary",
    "tensor_header": "metadata, or names in an order of their own",
    "tensor_numbers": "other finite numbers of the same shapes: another model, as anybody may train one",
    "text_on_terminals": "texts are shown escaped and cut",
    "listing": "a line that says the same again",
    "files": "a card that is gone, or larger: it is shown in part, and nothing depends on it",
}


def _any_of(folder: Path, dice: random.Random, ending: str) -> Path:
    found = sorted(p for p in folder.rglob(f"*{ending}") if p.is_file() and p.name != "SHA256SUMS")
    return dice.choice(found)


def _objects(values: Any) -> list[Any]:
    """All objects and lists of a JSON value that are not endless lists of pieces."""
    found, rest = [], [values]
    while rest:
        value = rest.pop()
        if isinstance(value, (dict, list)):
            found.append(value)
            rest += list(value.values() if isinstance(value, dict) else value)[:40]
    return found


def _change_json(folder: Path, dice: random.Random, change: Callable[[Any], None]) -> str:
    path = _any_of(folder, dice, ".json")
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(json.dumps(values), encoding="utf-8")
    return path.name


def reseal(folder: Path) -> None:
    """Digests of what is there now, as a stranger writes them."""
    from adapter_stilts.io import sha256_file

    found = sorted(
        p for p in folder.rglob("*") if p.is_file() and not p.is_symlink() and p.name != "SHA256SUMS"
    )
    lines = [f"{sha256_file(path)}  {path.relative_to(folder).as_posix()}\n" for path in found]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8", errors="replace")


# --- running ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """What every mutation is tried in."""

    root: Path
    data: Path
    base: Path
    bundles: Path

    def common(self, store: Path) -> list[str]:
        return ["--data", str(self.data), "--base", str(self.base), "--store", str(store), "--device", "cpu"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Change bundles and take them through every verb.")
    parser.add_argument(
        "--data", type=Path, required=True, help="release files: hellaswag, snli, squad, xquad, xnli, ud"
    )
    parser.add_argument("--base", type=Path, required=True, help="the encoder: a small one")
    parser.add_argument("--mutations", type=int, default=60, help="[60]")
    parser.add_argument("--kinds", help="of bundles, of these alone: a,b [all]")
    parser.add_argument("--seed", type=int, default=0, help="[0]")
    parser.add_argument("--jobs", type=int, default=1, help="[1]")
    parser.add_argument("--all", action="store_true", help=f"{ALL:,} mutations")
    parser.add_argument("--out", type=Path, help="write the JSON there, too")
    options = parser.parse_args()
    names = tuple(options.kinds.split("|")) if options.kinds else tuple(KINDS)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _stand_in(root)
        world = World(root, options.data.resolve(), options.base.resolve(), root / "bundles")
        for module in LOADED:  # before the first fork, so that no child pays for it
            importlib.import_module(module)
        began = time.perf_counter()
        for name in names:
            _make(world, name)
        result = tell(world, names, ALL if options.all else options.mutations, options.seed, options.jobs)
        result["seconds"] = round(time.perf_counter() - began, 1)
    told = json.dumps(result, indent=2, ensure_ascii=True) + "\n"
    if options.out:
        options.out.write_text(told, encoding="utf-8")
    sys.stdout.write(told)
    sys.stdout.flush()
    return 1 if any(result["wrong"].values()) or result["control"]["wrong"] else 0


def _stand_in(root: Path) -> None:
    """A package `kernels` that notes its import, where Transformers would look for it; no hub; no question answered."""
    package = root / "path" / "kernels"
    package.mkdir(parents=True)
    metadata = root / "path" / "kernels-0.10.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: kernels\nVersion: 0.10.0\n")
    (package / "__init__.py").write_text(STAND_IN)
    sys.path.insert(0, str(root / "path"))
    calls = str(root / "kernels-called")
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(root / "hub"), "KERNEL_CALLS": calls}


def _make(world: World, name: str) -> None:
    kind, store = KINDS[name], world.root / "made" / name
    steps = [part for p in ("intermediate", "target") for part in ("--set", f"{p}.max_steps=3")]
    arguments = [
        "train",
        *kind.train,
        "--mode",
        kind.mode,
        *steps,
        "--limit-eval",
        "2",
        "--json",
    ]
    ran = _forked(lambda: _run([*arguments, *world.common(store)]), world.root / "made")
    if ran["code"] != 0:
        raise SystemExit(f"cannot make {name}: {ran['text'] or ran['raised']}")
    stage = next(
        s for s in json.loads(ran["out"])["stages"] if (s["kind"], s["task"]) == ("train", kind.task)
    )
    if " stack" in name or "fusion" in name:
        stage = [s for s in json.loads(ran["out"])["stages"] if s["kind"] == "train"][-1]
    shutil.copytree(Path(stage["dir"]) / "bundle", world.bundles / name)


def _run(arguments: list[str]) -> dict[str, Any]:
    """A command in this process: how it ended, and what it printed."""
    from adapter_stilts.cli.main import run

    out, err = io.StringIO(), io.StringIO()
    began = time.perf_counter()
    raised = ""
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = run(arguments)
        except BaseException:
            code, raised = 70, traceback.format_exc(limit=-3)
    text = out.getvalue() + err.getvalue()
    seconds = time.perf_counter() - began
    return {"code": code, "raised": raised, "out": out.getvalue(), "text": text, "seconds": seconds}


def _forked(work: Callable[[], Any], where: Path, limit: float = HANGS_AFTER) -> Any:
    """What a fork of this process returns, which has loaded all it needs; None where it hangs or dies."""
    where.mkdir(parents=True, exist_ok=True)
    answer = where.parent / f"{where.name}.answer"
    child = os.fork()
    if not child:
        code = 0
        try:
            os.chdir(where)
            noise = os.open(where.parent / f"{where.name}.noise", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(noise, 1)
            os.dup2(noise, 2)
            answer.write_text(json.dumps(work()), encoding="utf-8")
        except BaseException:
            traceback.print_exc()
            code = 70
        finally:
            sys.stderr.flush()
            os._exit(code)
    ends = time.monotonic() + limit
    while time.monotonic() < ends:
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            break
        time.sleep(0.01)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    found = json.loads(answer.read_text(encoding="utf-8")) if answer.exists() else None
    answer.unlink(missing_ok=True)
    return found


def verbs(world: World, kind: Kind, bundle: Path, place: Path) -> dict[str, list[str]]:
    """The command lines that a bundle is taken through."""
    short = ["--languages", "en", "--limit-eval", "2"]
    where = [*world.common(place / "store"), *short]
    if kind.mode == "full":  # which brings its own encoder
        evaluated = ["--data", str(world.data), "--store", str(place / "store"), "--device", "cpu", *short]
    else:
        evaluated = where
    step = ["--set", "intermediate.max_steps=1", "--set", "target.max_steps=1", "--limit-train", "4"]
    target = "xquad" if kind.task != "squad_v1" else "udpos"
    other = str(place / "other")
    return {
        "verify": ["hub", "verify", str(bundle)],
        "list": ["hub", "list", str(bundle.parent)],
        "show": ["hub", "show", str(bundle)],
        "evaluate": ["evaluate", str(bundle), "--target", kind.target, *evaluated],
        "train": ["train", "--inter", str(bundle), "--target", target, "--mode", kind.mode, *where, *step],
        "compose": ["compose", f"0.5*{bundle} + 0.5*{other}", "--out", str(place / "out" / "composed")],
        "export": ["export", str(bundle), "--to", kind.form, "--out", str(place / "out" / "exported")],
    }


def try_one(world: World, name: str, change: Callable[[Path], str | None]) -> dict[str, Any]:
    """One changed copy through all verbs: what each did, and what was wrong."""
    place = Path(tempfile.mkdtemp(dir=world.root, prefix="try-"))
    bundle = place / "shelf" / "bundle"
    shutil.copytree(world.bundles / name, bundle)
    shutil.copytree(world.bundles / name, place / "other")
    for made in ("out", "cwd", "home"):
        (place / made).mkdir()
    file = change(bundle)
    before = _listing(place)

    def work() -> dict[str, Any]:
        calls, asked = place / "kernels-called", place / "asked"
        os.environ |= {
            "KERNEL_CALLS": str(calls), "HOME": str(place / "home"), "TMPDIR": str(place / "home"),
            "ADAPTER_STILTS_CACHE": str(place / "cache"),
        }  # fmt: skip
        tempfile.tempdir = None

        def ask(*_: Any) -> str:
            asked.touch()
            raise EOFError

        builtins.input = ask
        sys.stdin = type("Asked", (io.StringIO,), {"read": ask, "readline": ask, "__next__": ask})()
        found = {}
        for verb, arguments in verbs(world, KINDS[name], bundle, place).items():
            ran = found[verb] = _run(arguments)
            ran.pop("out")
            ran["raw"] = sorted({repr(one) for one in RAW.findall(ran["text"])})
            ran["kernels"], ran["asked"] = calls.exists(), asked.exists()
            calls.unlink(missing_ok=True)
            asked.unlink(missing_ok=True)
        return found

    found = _forked(work, place / "cwd")
    # What libraries write past Python's own streams.
    noise = (place / "cwd.noise").read_bytes().decode(errors="replace")
    after = _listing(place)
    shutil.rmtree(place)
    outside = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return {"file": file, "verbs": found, "outside": outside, "noise": noise}


def _listing(place: Path) -> dict[str, Any]:
    """All files but those of the store, the cache and the named output, with what would tell a change."""
    mine = ("store", "cache", "out", "cwd.noise", "cwd.answer")
    found = {}
    for path in place.rglob("*"):
        top = path.relative_to(place).parts[0]
        if top not in mine:
            status = path.lstat()
            found[str(path.relative_to(place))] = (status.st_mode, status.st_size if path.is_file() else 0)
    return found


WRONG = ("kernels", "asked", "tracebacks", "raw", "noise", "slow", "outside", "died")


def faults(tried: Mapping[str, Any], what: str) -> dict[str, list[str]]:
    wrong: dict[str, list[str]] = {key: [] for key in WRONG}
    if tried["verbs"] is None:
        wrong["died"].append(what)
        return wrong
    for verb, ran in tried["verbs"].items():
        where = f"{what}: {verb}"
        if ran["raised"] or "Traceback (most recent" in ran["text"]:
            wrong["tracebacks"].append(f"{where}: {ran['raised'] or ran['text'][-600:]}")
        if ran["code"] not in (0, 1, 2) or (
            ran["code"] and not TOLD.search(ran["text"]) and not ran["raised"]
        ):
            wrong["tracebacks"].append(f"{where}: leaves with {ran['code']}: {ran['text'][-300:]}")
        if ran["raw"]:
            wrong["raw"].append(f"{where}: {', '.join(ran['raw'])}")
        if ran["seconds"] > LIMIT_SECONDS:
            wrong["slow"].append(f"{where}: {ran['seconds']:.1f} s")
        for key in ("kernels", "asked"):
            if ran[key]:
                wrong[key].append(where)
    if RAW.search(tried["noise"]) or "Traceback (most recent" in tried["noise"]:
        wrong["raw"].append(f"{what}: past the streams: {tried['noise'][-600:]!r}")
    if tried["noise"]:
        wrong["noise"].append(f"{what}: {tried['noise'][:200]!r}")
    wrong["outside"] += [f"{what}: {path}" for path in tried["outside"]]
    return wrong


def tell(world: World, names: tuple[str, ...], count: int, seed: int, jobs: int) -> dict[str, Any]:
    """The control, and so many mutations, kinds of bundles and of changes in turn."""
    warm = {name: try_one(world, name, lambda bundle: None) for name in names}
    control: dict[str, Any] = {"accepted": {}, "wrong": [], "stand_in_is_called": stand_in_is_called(world)}
    for name, tried in warm.items():
        found = faults(tried, name)
        control["wrong"] += [fault for key in WRONG if key != "slow" for fault in found[key]]
        ran = tried["verbs"] or {}
        control["accepted"][name] = [verb for verb in VERBS if verb in ran and ran[verb]["code"] == 0]
        refused = {verb: ran[verb]["text"].strip()[-160:] for verb in ran if ran[verb]["code"]}
        if refused:
            control.setdefault("refused", {})[name] = refused
    parts = [range(job, count, jobs) for job in range(jobs)]
    shares = [world.root / f"share{job}.json" for job in range(jobs)]
    children = []
    for part, share in zip(parts, shares, strict=True):
        child = os.fork()
        if not child:
            code = 70
            try:
                share.write_text(json.dumps([_numbered(world, names, number, seed) for number in part]))
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(codes):
        raise SystemExit(f"a job died: {codes}")
    return _summary([one for share in shares for one in json.loads(share.read_text())], count, control)


def _numbered(world: World, names: tuple[str, ...], number: int, seed: int) -> dict[str, Any]:
    dice = random.Random(f"{seed} {number}")
    name = names[number % len(names)]
    mutation = MUTATIONS[number // len(names) % len(MUTATIONS)]
    anew = bool(number // (len(names) * len(MUTATIONS)) % 2 == 0) and mutation is not listing

    def change(bundle: Path) -> str:
        file = mutation(bundle, dice)
        if anew:
            reseal(bundle)
        return file

    tried = try_one(world, name, change)
    what = f"{number}: {name}, {mutation.__name__}{', digests anew' if anew else ''}: {tried['file']!r}"
    ran = tried["verbs"] or {}
    return {
        "mutation": mutation.__name__,
        "file": tried["file"],
        "anew": anew,
        "accepted": [verb for verb in VERBS if verb in ran and ran[verb]["code"] == 0],
        "wrong": faults(tried, what),
        "seconds": max((one["seconds"] for one in ran.values()), default=0.0),
    }


def _summary(found: list[dict[str, Any]], count: int, control: Mapping[str, Any]) -> dict[str, Any]:
    verbs_of: Counter[str] = Counter()
    accepted: dict[str, Counter[str]] = defaultdict(Counter)
    unsealed: Counter[str] = Counter()
    for one in found:
        verbs_of.update(one["accepted"])
        # `hub list` and `hub show` tell what a bundle says it is, and use nothing of it.
        used = [verb for verb in one["accepted"] if verb not in ("list", "show")]
        if used and one["anew"]:
            accepted[one["mutation"]][one["file"]] += 1
        elif used:
            unsealed[f"{one['mutation']}: {one['file']}"] += 1
    return {
        "mutations": count,
        "digests_anew": sum(one["anew"] for one in found),
        "accepted_by_verb": {verb: verbs_of[verb] for verb in VERBS},
        "accepted_with_digests_anew": {
            name: {"why_harmless": HARMLESS[name], "files": dict(files.most_common())}
            for name, files in sorted(accepted.items())
        },
        "accepted_without": dict(unsealed.most_common()),
        "slowest_seconds": round(max(one["seconds"] for one in found), 2),
        "wrong": {key: [fault for one in found for fault in one["wrong"][key]] for key in WRONG},
        "control": control,
    }


def stand_in_is_called(world: World) -> bool | str:
    """Whether Transformers alone, given a config that names a kernel, calls the stand-in; else its silence is empty."""
    folder = world.root / "control"
    shutil.copytree(world.base, folder)
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "_attn_implementation": "somebody/kernel"}))
    calls = world.root / "control-called"

    def work() -> str:
        os.environ["KERNEL_CALLS"] = str(calls)
        from transformers import AutoModel

        try:
            AutoModel.from_pretrained(folder, trust_remote_code=False)
        except BaseException as error:
            return f"{type(error).__name__}: {error}"
        return "loaded"

    told = _forked(work, world.root / "control-cwd")
    return True if calls.exists() else str(told)


if __name__ == "__main__":
    sys.exit(main())
