"""`export` of what `train` and `compose` leave."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

Cli = Callable[..., Any]
Tiny = Callable[..., list[str]]

# Transformers warns of a pooler that nothing reads.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*:UserWarning")]


def bundle(store: Path, task: str) -> Path:
    return next(store.glob(f"train-{task}-*")) / "bundle"


@pytest.fixture
def evaluated(cli: Cli, tiny_data: Path, tmp_path: Path) -> Callable[..., Any]:
    def call(found: Path, target: str) -> Any:
        more = ("--data", tiny_data, "--store", tmp_path / "store", "--device", "cpu", "--json")
        ran = cli("evaluate", found, "--target", target, *more)
        assert ran.code == 0, ran.err
        return ran.json["results"][target]["languages"]

    return call


@pytest.mark.parametrize("mode", ["lora", "ia3"])
def test_a_plain_checkpoint_answers_as_the_bundle_does(
    cli: Cli, tiny: Tiny, tmp_path: Path, evaluated: Callable[..., Any], mode: str
) -> None:
    from transformers import AutoModelForQuestionAnswering

    trained = cli(*tiny("--target", "xquad", "--mode", mode, "--set", "target.learning_rate=1e-2"))
    assert trained.code == 0, trained.err
    found, out = bundle(tmp_path / "store", "squad_v1"), tmp_path / "plain"
    ran = cli("export", found, "--to", "transformers", "--out", out, "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["export"], ran.json["tuning"], ran.json["task"]) == (str(out), "full", "squad_v1")
    model, loading = AutoModelForQuestionAnswering.from_pretrained(out, output_loading_info=True)
    assert loading["missing_keys"] == loading["unexpected_keys"] == []
    assert model.dtype == torch.float32
    assert evaluated(out, "xquad") == evaluated(found, "xquad")
    card = (out / "README.md").read_text()
    made = next(line for line in card.splitlines() if line.startswith("adapter-stilts export"))
    assert shlex.split(made) == [
        "adapter-stilts",
        "export",
        str(found),
        "--to",
        "transformers",
        "--out",
        "DIR",
    ]
    assert f"The change of a `{mode}` bundle is merged" in card
    assert cli("hub", "verify", out).code == 0
    again = cli("export", found, "--to", "transformers", "--out", out)
    assert (again.code, "is there already; name a new folder" in again.err) == (2, True)


def test_a_composed_bundle_without_a_head(
    cli: Cli, tiny: Tiny, tmp_path: Path, evaluated: Callable[..., Any]
) -> None:
    """The README's line: a stack of bundles of two tasks, as an encoder alone."""
    cli(*tiny("--target", "xquad,udpos", "--mode", "lora", "--set", "target.learning_rate=1e-2"))
    one, two = (bundle(tmp_path / "store", task) for task in ("squad_v1", "udpos"))
    mixed, out = tmp_path / "mixed.bundle", tmp_path / "plain"
    assert cli("compose", f"stack({one}, 0.5*{two})", "--out", mixed).code == 0
    ran = cli("export", mixed, "--to", "transformers", "--out", out)
    assert (ran.code, ran.out) == (0, f"{out}: squad_v1+udpos for transformers\n"), ran.err
    assert json.loads((out / "config.json").read_text())["architectures"] == ["XLMRobertaModel"]
    assert evaluated(out, "tatoeba") == evaluated(mixed, "tatoeba")
    peft = tmp_path / "peft"
    assert cli("export", mixed, "--to", "peft", "--out", peft).code == 0
    assert evaluated(peft, "tatoeba") == evaluated(mixed, "tatoeba")


def test_a_merge_of_what_was_trained_on_integers_says_so(cli: Cli, tiny: Tiny, tmp_path: Path) -> None:
    cli(*tiny("--target", "xquad,udpos", "--mode", "lora", "--precision", "8bit"))
    one, two = (bundle(tmp_path / "store", task) for task in ("squad_v1", "udpos"))
    assert cli("compose", f"0.5*{one} + 0.5*{two}", "--out", tmp_path / "mixed").code == 0
    assert cli("export", tmp_path / "mixed", "--to", "transformers", "--out", tmp_path / "plain").code == 0
    assert "trained under `--precision 8bit`" in (tmp_path / "plain" / "README.md").read_text()


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_of_several_heads(
    cli: Cli, tiny: Tiny, tmp_path: Path, evaluated: Callable[..., Any], mode: str
) -> None:
    cli(*tiny("--inter", "squad_v1,hellaswag", "--target", "tatoeba", "--mode", mode))
    found = bundle(tmp_path / "store", "hellaswag+squad_v1")
    every, one = tmp_path / "every", tmp_path / "one"
    assert cli("export", found, "--to", "transformers", "--out", every).code == 0
    assert (every / "heads.safetensors").is_file()
    ran = cli("export", found, "--to", "transformers", "--head", "squad_v1", "--out", one, "--json")
    assert ran.code == 0, ran.err
    assert json.loads((one / "config.json").read_text())["architectures"] == [
        "XLMRobertaForQuestionAnswering"
    ]
    assert not (one / "heads.safetensors").exists()
    expected = evaluated(found, "xquad")
    assert evaluated(every, "xquad") == evaluated(one, "xquad") == expected
    ran = cli("export", found, "--to", "transformers", "--head", "squad", "--out", tmp_path / "none")
    assert ran.code == 2
    assert (
        "unknown head of this bundle 'squad'; did you mean 'squad_v1'? Choices: hellaswag, squad_v1, none."
        in ran.err
    )


def test_what_cannot_be_written_leaves_nothing(cli: Cli, tiny: Tiny, tiny_base: Path, tmp_path: Path) -> None:
    more = ("--set", "tuning.adapter.reduction_factor=4")
    cli(*tiny("--target", "xquad", "--mode", "adapter", *more))
    found, out = bundle(tmp_path / "store", "squad_v1"), tmp_path / "out"
    refused = cli("export", found, "--to", "transformers", "--out", out)
    assert refused.code == 2
    assert "no checkpoint of Transformers alone computes them. Choices: adapterhub" in refused.err
    unknown = cli("export", found, "--to", "adapter-hub", "--out", out)
    assert unknown.code == 2
    assert "did you mean 'adapterhub'?" in unknown.err
    other = Path(shutil.copytree(tiny_base, tmp_path / "other"))
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "hidden_dropout_prob": 0.2}))
    based = cli("export", found, "--to", "adapterhub", "--base", other, "--out", out)
    assert based.code == 1
    assert f"was trained on the base '{tiny_base}'" in based.err
    (found / "adapter.safetensors").write_bytes(b"")
    damaged = cli("export", found, "--to", "adapterhub", "--out", out)
    assert damaged.code == 1
    assert "differs from SHA256SUMS" in damaged.err
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("out")] == []
    cli(*tiny("--target", "xquad"))
    whole = next(
        path for path in (tmp_path / "store").glob("*/bundle") if (path / "model.safetensors").exists()
    )
    own = cli("export", whole, "--to", "transformers", "--base", tiny_base, "--out", out)
    assert own.code == 2
    assert "holds its own encoder (--mode full); leave --base out" in own.err


@pytest.mark.parametrize(
    ("mode", "form"), [("lora", "peft"), ("adapter", "adapterhub"), ("full", "transformers")]
)
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_the_card_of_a_miniature_bundle_loads(cli: Cli, tmp_path: Path, mode: str, form: str) -> None:
    """`from_pretrained("miniature")` would ask the hub for a model of that name."""
    shelf = Path(__file__).resolve().parents[2] / "adapters_hub"
    out = tmp_path / "out"
    assert cli("export", shelf / f"mnli-{mode}", "--to", form, "--out", out).code == 0
    card = (out / "README.md").read_text(encoding="utf-8")
    code = card.split("```python\n")[1].split("```")[0]
    assert "adapter_stilts." not in code
    names: dict[str, Any] = {}
    exec(code.replace('"DIR"', repr(str(out))), names)
    assert names["model"].config.id2label == {0: "entailment", 1: "neutral", 2: "contradiction"}


def test_on_the_miniature(cli: Cli, tmp_path: Path) -> None:
    """A fusion of two LoRAs, as one plain model, on the encoder that ships."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from adapter_stilts.formats import get_format
    from adapter_stilts.formats.features import Features, Ragged
    from adapter_stilts.model.backbone import load_encoder
    from adapter_stilts.model.heads import Head
    from adapter_stilts.model.task_model import TaskModel
    from adapter_stilts.model.tuning import lora
    from adapter_stilts.model.weights import fill
    from adapter_stilts.recipe import Base
    from adapter_stilts.stages.context import find_base

    command = "train --recipe miniature --inter mnli --inter snli --target pawsx --mode lora --combine fuse"
    short = "--limit-train 12 --limit-eval 4 --languages en,qaa --device cpu --json"
    keys = ("intermediate.baseline=false", "intermediate.learning_rate=1e-2", "target.dev_examples=4")
    more = ["--store", tmp_path / "store", *(word for key in keys for word in ("--set", key))]
    trained = cli(*command.split(), *short.split(), *more)
    assert trained.code == 0, trained.err
    found, out = bundle(tmp_path / "store", "pawsx"), tmp_path / "plain"
    assert cli("export", found, "--to", "transformers", "--out", out).code == 0

    base = find_base(Base(id="miniature"))
    format, tuning = get_format("pair_classification"), lora.TUNING
    shape = format.head_shape(("0", "1"))
    assert shape is not None
    model = TaskModel(load_encoder(base.location, None, None, False), Head(shape, 128, 0.0, 0.02, 0), format)
    tuning.load_modules(model, found)
    assert model.head is not None
    fill(model.head.state_dict(), tuning.load(found, "pair_classification"), found)
    tokenizer = AutoTokenizer.from_pretrained(out)
    theirs = AutoModelForSequenceClassification.from_pretrained(out).eval()
    texts = ["the old man gave the woman a lamp", "who lives here"]
    with torch.inference_mode():
        logits = theirs(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    rows = [np.asarray(tokenizer(text)["input_ids"], dtype=np.int32) for text in texts]
    ragged = Ragged.from_lengths(np.concatenate(rows), [len(row) for row in rows])
    ours = model.eval().predict(Features(ragged, np.arange(3)), np.arange(2))
    assert float((ours - logits).abs().max()) <= 1e-5
    plain = TaskModel(load_encoder(base.location, None, None, False), model.head, format).eval()
    assert float((plain.predict(Features(ragged, np.arange(3)), np.arange(2)) - logits).abs().max()) > 1e-4


def test_vectors_for_sentence_transformers(
    cli: Cli, tiny: Tiny, tiny_data: Path, tmp_path: Path, evaluated: Callable[..., Any]
) -> None:
    """What is exported is evaluated as the bundle is, at the layer that its card names."""
    trained = cli(*tiny("--target", "xquad", "--mode", "lora", "--set", "target.learning_rate=1e-2"))
    assert trained.code == 0, trained.err
    found, out = bundle(tmp_path / "store", "squad_v1"), tmp_path / "vectors"
    ran = cli("export", found, "--to", "sentence-transformers", "--layer", "2", "--out", out, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["settings"]["export"]["layer"] == 2
    more = (
        "--target",
        "tatoeba",
        "--data",
        tiny_data,
        "--store",
        tmp_path / "store",
        "--device",
        "cpu",
        "--json",
    )
    at = ("--set", "formats.retrieval.layer=2")
    scores = [
        cli("evaluate", each, *more, *at).json["results"]["tatoeba"]["languages"] for each in (out, found)
    ]
    assert scores[0] == scores[1]
    card = (out / "README.md").read_text()
    assert "--to sentence-transformers --layer 2" in card
    ran = cli("export", found, "--to", "sentence-transformers", "--layer", "3", "--out", tmp_path / "more")
    assert (ran.code, ran.out) == (2, "")
    assert "--layer 3: an encoder of 2 layers has states after its layers 1 to 2" in ran.err
    assert not (tmp_path / "more").exists()
