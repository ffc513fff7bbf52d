"""Nothing of a stranger runs: what a bundle's or a base's files say is refused by its name before anything is built."""

from __future__ import annotations

import ast
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import adapter_stilts
from adapter_stilts.errors import BundleError, UsageError
from adapter_stilts.hub.verify import verify
from adapter_stilts.io import sha256_file
from adapter_stilts.model import door
from adapter_stilts.model.backbone import load_encoder, load_tokenizer, resolve_base
from adapter_stilts.model.bundle import read_bundle
from adapter_stilts.model.strict_json import DEEPEST, read_json
from adapter_stilts.model.tensor_files import check_tensors, read_header
from adapter_stilts.recipe import Base

Bundled = Callable[..., tuple[Path, Any]]


def reseal(directory: Path) -> None:
    """The digests of a stranger who can write them as well."""
    names = sorted(path.name for path in directory.iterdir() if path.name != "SHA256SUMS")
    (directory / "SHA256SUMS").write_text("".join(f"{sha256_file(directory / n)}  {n}\n" for n in names))


def say(directory: Path, name: str, **values: Any) -> None:
    path = directory / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


KERNEL = "somebody/some-kernel"
CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "kernel": ({"_attn_implementation": KERNEL}, "_attn_implementation = .*CVE-2026-4372"),
    "inner kernel": (
        {"_attn_implementation_internal": KERNEL},
        "_attn_implementation_internal.*CVE-2026-4372",
    ),
    "public kernel": ({"attn_implementation": KERNEL}, "attn_implementation = .*never followed"),
    "kernel within": (
        {"text_config": {"_attn_implementation": KERNEL}},
        "_attn_implementation.*CVE-2026-4372",
    ),
    "experts": ({"_experts_implementation": KERNEL}, "_experts_implementation.*CVE-2026-4372"),
    "code": ({"auto_map": {"AutoModel": "x/y--m.M"}}, "auto_map = .*never followed"),
    "pipelines": ({"custom_pipelines": {"x": {"impl": "m.M"}}}, "custom_pipelines = .*never followed"),
    "quantised": ({"quantization_config": {"load_in_8bit": True}}, "quantization_config = .*never followed"),
    "depth": ({"num_hidden_layers": 10**9}, "num_hidden_layers = 1000000000.*1 to 1,000"),
    "vocabulary": ({"vocab_size": 2**40}, "vocab_size = .*whole number"),
    "width": ({"hidden_size": -1}, "hidden_size = -1.*whole number"),
    "no heads": ({"num_attention_heads": 0}, "num_attention_heads = 0.*whole number"),
    "odd heads": ({"num_attention_heads": 5}, "num_attention_heads = 5 does not divide hidden_size = 32"),
    "half a layer": ({"num_hidden_layers": 1.5}, "num_hidden_layers = 1.5"),
    "true layers": ({"num_hidden_layers": True}, "num_hidden_layers = True"),
    "activation": ({"hidden_act": "os.system"}, "hidden_act = 'os.system'.*choices: "),
    "rate": ({"hidden_dropout_prob": 7}, "hidden_dropout_prob = 7.*rate from 0 to 1"),
    "padding": ({"pad_token_id": 10**6}, "pad_token_id = 1000000 is beyond vocab_size"),
    "no type": ({"model_type": None}, "model_type is None"),
}


@pytest.mark.parametrize(("values", "message"), CONFIGS.values(), ids=CONFIGS)
def test_what_a_config_may_not_say(bundled: Bundled, tiny_base: Path, values: Any, message: str) -> None:
    """`hub verify`, reading a folder of one's own and loading a base refuse the same."""
    directory, _ = bundled(tiny_base, "span_qa")
    say(directory, "config.json", **values)
    reseal(directory)
    for read in (verify, read_bundle):
        with pytest.raises((BundleError, UsageError), match=message):
            read(directory)
    with pytest.raises((BundleError, UsageError), match=message):
        load_encoder(str(directory), None, None, False)
    with pytest.raises((BundleError, UsageError), match=message):
        load_tokenizer(resolve_base(Base(id=str(directory))))


def test_a_type_of_model_that_is_no_encoder(bundled: Bundled, tiny_base: Path) -> None:
    directory, _ = bundled(tiny_base, "span_qa")
    for name in ("gpt2", "no-such-type"):
        say(directory, "config.json", model_type=name)
        reseal(directory)
        with pytest.raises(
            UsageError, match=f"a model of type {name!r} is no encoder|knows no model of type {name!r}"
        ):
            verify(directory)


TOKENIZERS: dict[str, tuple[dict[str, Any], str]] = {
    "class": ({"tokenizer_class": "Evil"}, "tokenizer_class = 'Evil' is no class of Transformers"),
    "code": (
        {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["some/repo--t.X", None]}},
        "auto_map = .*never followed",
    ),
    "another file": ({"vocab_file": "/etc/passwd"}, "vocab_file = '/etc/passwd': names a file elsewhere"),
    "list for a class": ({"tokenizer_class": ["a"]}, "tokenizer_class"),
}


@pytest.mark.parametrize(("values", "message"), TOKENIZERS.values(), ids=TOKENIZERS)
def test_what_a_tokenizer_may_not_say(bundled: Bundled, tiny_base: Path, values: Any, message: str) -> None:
    directory, _ = bundled(tiny_base, "span_qa")
    say(directory, "tokenizer_config.json", **values)
    reseal(directory)
    for read in (verify, read_bundle):
        with pytest.raises(BundleError, match=message):
            read(directory)
    with pytest.raises(UsageError, match=message):
        load_tokenizer(resolve_base(Base(id=str(directory))))


def test_fields_that_no_encoder_reads_have_no_effect(bundled: Bundled, tiny_base: Path) -> None:
    """Fields of every config that change what its model returns, or that nobody knows, are left out."""
    directory, _ = bundled(tiny_base, "span_qa")
    values = {
        "return_dict": False,
        "torchscript": True,
        "output_attentions": True,
        "anything": [1],
        "_x": "y",
    }
    say(directory, "config.json", **values)
    reseal(directory)
    read_bundle(directory)
    config = load_encoder(str(directory), None, None, False).config
    assert config.use_return_dict
    assert not getattr(config, "torchscript", False)  # Transformers 5 has no such field
    assert not config.output_attentions
    assert not hasattr(config, "anything")
    assert not hasattr(config, "_x")


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_fields_that_the_code_reads_without_its_config_knowing_them_stay() -> None:
    """mDeBERTa's positions stand in buckets, which its config class has no parameter for."""
    values = {"model_type": "deberta-v2", "position_buckets": 256, "share_att_key": True, "hidden_size": 64}
    values |= {"num_attention_heads": 2, "norm_rel_ebd": "layer_norm", "pos_att_type": "p2c|c2p"}
    config = door.build_config(values, "here")
    assert (config.position_buckets, config.share_att_key, config.norm_rel_ebd) == (256, True, "layer_norm")


def change(
    directory: Path, edit: Callable[[dict[str, np.ndarray]], Any], name: str = "model.safetensors"
) -> None:
    tensors = load_file(directory / name)
    edit(tensors)
    save_file(tensors, directory / name, metadata={"format": "pt"})
    reseal(directory)


def first(tensors: dict[str, np.ndarray], ending: str = "query.weight") -> str:
    return next(name for name in sorted(tensors) if name.endswith(ending))


def not_finite(tensors: dict[str, np.ndarray]) -> None:
    tensors[first(tensors)][0, 0] = np.nan


WEIGHTS: dict[str, tuple[Callable[[dict[str, np.ndarray]], Any], str]] = {
    "nan": (not_finite, r"query\.weight holds values that are not finite"),
    "integers": (lambda t: t.update({first(t): t[first(t)].astype(np.int8)}), r"query\.weight is of type I8"),
    "bool": (lambda t: t.update({first(t): t[first(t)] > 0}), r"query\.weight is of type BOOL"),
    "missing": (lambda t: t.pop(first(t)), r"1 tensors are missing, e\.g\. .*query\.weight"),
    "one more": (lambda t: t.update({"x": np.zeros(2, np.float32)}), r"1 tensors have no place.* x"),
    "shape": (lambda t: t.update({first(t): t[first(t)][:3].copy()}), r"query\.weight has shape \(3, 32\)"),
    "head": (lambda t: t.pop(first(t, "qa_outputs.bias")), r"tensors are missing, e\.g\. qa_outputs\.bias"),
}


@pytest.mark.parametrize(("edit", "message"), WEIGHTS.values(), ids=WEIGHTS)
def test_weights_are_those_of_the_config(bundled: Bundled, tiny_base: Path, edit: Any, message: str) -> None:
    directory, _ = bundled(tiny_base, "span_qa")
    change(directory, edit)
    for read in (verify, read_bundle):
        with pytest.raises(BundleError, match=message):
            read(directory)


def test_files_that_send_libraries_elsewhere(bundled: Bundled, tiny_base: Path) -> None:
    directory, _ = bundled(tiny_base, "span_qa")
    (directory / "adapter_config.json").write_text('{"base_model_name_or_path": "some/model"}')
    reseal(directory)
    with pytest.raises(BundleError, match=r"adapter_config\.json is none of a whole model's files"):
        verify(directory)
    with pytest.raises(
        UsageError, match=r"holds adapter_config\.json, which sends Transformers to another base"
    ):
        resolve_base(Base(id=str(directory)))


def test_a_base_with_a_pipe_or_a_link_to_nothing(tiny_base: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_base, tmp_path / "base")
    os.mkfifo(tmp_path / "base" / "added_tokens.json")
    with pytest.raises(UsageError, match=r"added_tokens\.json is not a plain file"):
        resolve_base(Base(id=str(tmp_path / "base")))


def stored(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(begin: int, end: int, shape: Any = (1,), dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


HEADERS: dict[str, tuple[Any, bytes, str]] = {
    "overlap": ({"a": entry(0, 4), "b": entry(2, 6)}, b"\0" * 6, "do not begin where those before them end"),
    "hole": ({"a": entry(0, 4), "b": entry(8, 12)}, b"\0" * 12, "do not begin where those before them end"),
    "shared": ({"a": entry(0, 4), "b": entry(0, 4)}, b"\0" * 4, "do not begin where those before them end"),
    "cut": ({"a": entry(0, 4)}, b"\0" * 2, "do not end where the file does"),
    "overflow": ({"a": entry(0, 4, [2**62, 4])}, b"\0" * 4, "does not take the 4 bytes"),
    "negative": ({"a": entry(0, 4, [-1])}, b"\0" * 4, "of no tensor"),
    "type": ({"a": entry(0, 4, [1], "PICKLE")}, b"\0" * 4, "of type 'PICKLE'; choices: F64"),
    "twice": (b'{"a": {}, "a": {}}', b"", "not a safetensors file.*the key 'a' is given twice"),
    "deep": (b"[" * 100_000, b"", "not a safetensors file"),
    "list": ([], b"", "not a safetensors file"),
    "more keys": ({"a": entry(0, 4) | {"code": 1}}, b"\0" * 4, "should have dtype, shape and data_offsets"),
    "about": ({"__metadata__": {"format": 1}}, b"", "__metadata__ is no text"),
}


@pytest.mark.parametrize(("header", "data", "message"), HEADERS.values(), ids=HEADERS)
def test_headers_say_where_each_byte_belongs_once(
    tmp_path: Path, header: Any, data: bytes, message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        read_header(stored(tmp_path / "x.safetensors", header, data))


@pytest.mark.parametrize(
    ("dtype", "bits"), [("BF16", b"\x80\x7f"), ("F16", b"\x00\x7c"), ("F64", b"\0" * 6 + b"\xf0\x7f")]
)
def test_numbers_are_finite_in_every_type(tmp_path: Path, dtype: str, bits: bytes) -> None:
    width = len(bits)
    path = stored(tmp_path / "x.safetensors", {"a": entry(0, 2 * width, [2], dtype)}, b"\0" * width + bits)
    with pytest.raises(BundleError, match="a holds values that are not finite"):
        check_tensors(path)
    check_tensors(stored(path, {"a": entry(0, 2 * width, [2], dtype)}, b"\0" * 2 * width))


JSON: dict[str, tuple[bytes, str]] = {
    "key twice": (b'{"a": 1, "a": 2}', "the key 'a' is given twice"),
    "no number": (b'{"a": NaN}', "NaN is no number"),
    "infinite": (b'{"a": 1e999}', "beyond all numbers"),
    "deep": (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), "nested more than"),
    "deeper": (b"[" * 200_000, "not JSON"),
    "latin": (b'{"a": "\xe9"}', "not JSON"),
}


@pytest.mark.parametrize(("content", "message"), JSON.values(), ids=JSON)
def test_json_is_read_with_limits(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(BundleError, match=message):
        read_json(tmp_path / "x.json")
    (tmp_path / "x.json").write_bytes(b"[" * DEEPEST + b"]" * DEEPEST)
    read_json(tmp_path / "x.json")
    with pytest.raises(BundleError, match="128 bytes, where at most 100 are read"):
        read_json(tmp_path / "x.json", 100)


def test_every_way_into_transformers_says_what_it_may_not_do() -> None:
    """No call that reads a repository leaves it to a config which code runs: searched for in the source."""
    ways = {"from_pretrained", "from_config", "for_model", "load_adapter", "get_kernel", "from_dict"}
    found = []
    root = Path(adapter_stilts.__file__).parent
    for path in sorted(root.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        for function in ast.walk(ast.parse(source)):
            if not isinstance(function, ast.FunctionDef):
                continue
            text = ast.get_source_segment(source, function) or ""
            for node in ast.walk(function):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in ways
                    and ast.unparse(node.func) != "torch.library.get_kernel"  # torch's own, not the hub's
                ):
                    found.append((path.relative_to(root).as_posix(), function.name))
                    assert "trust_remote_code" in text, f"{path}:{node.lineno}"
                    tokenizer = "AutoTokenizer" in (ast.get_source_segment(source, node) or "")
                    assert tokenizer or "attn_implementation" in text, f"{path}:{node.lineno}"
    assert sorted(set(found)) == [
        ("model/backbone.py", "load_encoder"),
        ("model/backbone.py", "load_tokenizer"),
        ("model/language_head.py", "pretrained_weights"),
        ("model/pooler.py", "pretrained_pooler"),
    ]


def test_tokens_without_an_embedding_row_are_told(tiny_base: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    shutil.copytree(tiny_base, tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base")
    tokenizer.add_tokens(["<new-1>", "<new-2>"])
    tokenizer.save_pretrained(tmp_path / "base")
    with pytest.raises(
        UsageError, match=r"2 tokens that its encoder has no embedding row for, e\.g\. '<new-2>'"
    ):
        load_tokenizer(resolve_base(Base(id=str(tmp_path / "base"))))


def test_segments_that_the_encoder_has_none_of_are_left_out(
    tiny_base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    shutil.copytree(tiny_base, tmp_path / "base")
    backend = Tokenizer.from_file(str(tmp_path / "base" / "tokenizer.json"))
    ends = [(token, backend.token_to_id(token)) for token in ("<s>", "</s>")]
    backend.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=ends
    )
    backend.save(str(tmp_path / "base" / "tokenizer.json"))
    names = ["input_ids", "token_type_ids", "attention_mask"]
    say(
        tmp_path / "base",
        "tokenizer_config.json",
        tokenizer_class="PreTrainedTokenizerFast",
        model_input_names=names,
    )
    tokenizer = load_tokenizer(resolve_base(Base(id=str(tmp_path / "base"))))
    assert "its tokenizer tells segments apart, which its encoder has 1 of: they are left out" in caplog.text
    assert "token_type_ids" not in tokenizer("a", "a")


def test_a_whole_model_without_a_tokenizer(bundled: Bundled, tiny_base: Path) -> None:
    directory, _ = bundled(tiny_base, "span_qa")
    (directory / "tokenizer.json").unlink()
    reseal(directory)
    with pytest.raises(BundleError, match=r"no tokenizer \(tokenizer.json, vocab.json, vocab.txt\)"):
        verify(directory)


PIECES = {
    "tokenizer_config.json": {"added_tokens_decoder": {"5": {"content": "<x>", "\x1b[2J": True}}},
    "special_tokens_map.json": {"mask_token": {"content": "<mask>", "\x1b[2J": True}},
}


@pytest.mark.parametrize(("name", "values"), PIECES.items(), ids=PIECES)
def test_fields_that_no_piece_has(bundled: Bundled, tiny_base: Path, name: str, values: Any) -> None:
    """The library behind would print their names as they are, past everything that escapes them."""
    directory, _ = bundled(tiny_base, "span_qa")
    path = directory / name
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **values}))
    reseal(directory)
    for read in (verify, lambda d: load_tokenizer(resolve_base(Base(id=str(d))))):
        with pytest.raises((BundleError, UsageError), match=r"has a field '\\x1b\[2J', which no piece has"):
            read(directory)


def test_fields_that_no_piece_has_in_the_vocabulary(bundled: Bundled, tiny_base: Path) -> None:
    directory, _ = bundled(tiny_base, "span_qa")
    values = json.loads((directory / "tokenizer.json").read_text())
    values["added_tokens"][0]["odd"] = 1
    (directory / "tokenizer.json").write_text(json.dumps(values))
    reseal(directory)
    with pytest.raises(BundleError, match="has a field 'odd', which no piece has"):
        verify(directory)


def test_half_a_pair_of_surrogates_is_no_text(bundled: Bundled, tiny_base: Path) -> None:
    """Nothing that is read could not be written again."""
    directory, _ = bundled(tiny_base, "span_qa")
    say(directory, "bundle.json", command="\ud83d\ude00")
    reseal(directory)
    assert read_bundle(directory).command == "\U0001f600"
    say(directory, "bundle.json", command="\ud83d")
    reseal(directory)
    with pytest.raises(BundleError, match=r"not JSON .*surrogates not allowed"):
        read_bundle(directory)


@pytest.mark.parametrize("values", [{"format": "poetry"}, {"tuning": "../full"}, {"format": "\x1b[2J"}])
def test_names_that_nothing_has(bundled: Bundled, tiny_base: Path, values: dict[str, str]) -> None:
    directory, _ = bundled(tiny_base, "span_qa")
    say(directory, "bundle.json", **values)
    reseal(directory)
    with pytest.raises(BundleError, match=f"{next(iter(values))} = .*; known here are"):
        read_bundle(directory)


def test_a_bundle_that_changed_is_looked_at_again(bundled: Bundled, tiny_base: Path) -> None:
    directory, _ = bundled(tiny_base, "span_qa")
    read_bundle(directory)
    path = directory / "README.md"
    status = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # as one who hides it would
    with pytest.raises(BundleError, match=r"README.md: its digest differs"):
        read_bundle(directory)


@pytest.mark.parametrize("framework", ["tf", "flax"])
def test_weights_of_another_framework(bundled: Bundled, tiny_base: Path, framework: str) -> None:
    """Transformers would ask that framework for them."""
    directory, _ = bundled(tiny_base, "span_qa")
    path = directory / "model.safetensors"
    save_file(load_file(path), path, metadata={"format": framework})
    reseal(directory)
    for read in (verify, lambda d: load_encoder(str(d), None, None, False)):
        with pytest.raises(BundleError, match=f"written by {framework}, .* save it from PyTorch"):
            read(directory)


def test_bitsandbytes_fetches_no_code_when_it_is_imported(tmp_path: Path) -> None:
    """On processors with bf16 units it asks `kernels` for code from the hub, in every mode, as PEFT imports it."""
    (tmp_path / "bitsandbytes.py").write_text(
        "try:\n    import kernels\n    kernels.get_kernel('somebody/kernel')\nexcept Exception:\n    fetched = False\n"
        "else:\n    fetched = True\n"
    )
    (tmp_path / "kernels.py").write_text("def get_kernel(name):\n    pass\n")
    script = (
        "from adapter_stilts.model.quantisation import prepare_bitsandbytes\n"
        "prepare_bitsandbytes()\n"
        "import bitsandbytes, kernels\n"
        "print(bitsandbytes.fetched, kernels.__name__)\n"
    )
    paths = [str(tmp_path), str(Path(adapter_stilts.__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False kernels\n"
