"""`train --inter A,B,...` and its switches, end to end on the tiny world."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

Cli = Callable[..., Any]
Tiny = Callable[..., list[str]]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("text")
    lines = [f"The lamp of {place} was lit." for place in ("Riga", "Lagos", "Quito", "Hanoi")]
    (root / "en.txt").write_text("\n".join(lines * 3))
    (root / "de.txt").write_text("Lampe in Riga: angezündet.\nTurm in Quito: verkauft.\n")
    (root / "de-en.tsv").write_text("Turm\ttower\nUhr in Perth\tclock of Perth\n" * 3)
    return root


def directory(ran: Any, task: str) -> Path:
    return next(Path(s["dir"]) for s in ran.json["stages"] if s["kind"] == "train" and s["task"] == task)


def bundle(ran: Any, task: str) -> Path:
    return directory(ran, task) / "bundle"


def weights(ran: Any, task: str) -> dict[str, Any]:
    found: dict[str, Any] = load_file(bundle(ran, task) / "model.safetensors")
    return found


def log(ran: Any, task: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory(ran, task) / "log.jsonl").read_text().splitlines()]


def test_three_tasks_in_one_stage(cli: Cli, tiny: Tiny, tmp_path: Path) -> None:
    arguments = tiny("--inter", "snli,squad_v1,hellaswag", "--target", "xquad,tatoeba", "--seed", 1)
    arguments += ["--set", "intermediate.max_steps=9", "--set", "target.learning_rate=1e-12"]
    ran = cli(*arguments)
    assert ran.code == 0, ran.err
    task = "hellaswag+snli+squad_v1"
    assert [(s["kind"], s["task"]) for s in ran.json["stages"]] == [
        ("train", task),
        ("train", "squad_v1"),
        ("evaluate", "xquad"),
        ("evaluate", "tatoeba"),
    ]
    record = json.loads((directory(ran, task) / "stage.json").read_text())
    assert set(record["dev"]) == {"hellaswag", "snli", "squad_v1"}
    assert sum(portion["steps"] for portion in record["mixture"].values()) == 9
    drawn = [row["task"] for row in log(ran, task)]
    assert {name: drawn.count(name) for name in record["mixture"]} == {
        name: portion["steps"] for name, portion in record["mixture"].items()
    }
    info = json.loads((bundle(ran, task) / "bundle.json").read_text())
    assert (info["format"], info["labels"], info["task"]) == ("multitask", [], task)
    assert info["heads"]["snli"] == {
        "format": "pair_classification",
        "labels": ["entailment", "neutral", "contradiction"],
        "tasks": ["snli"],
    }
    assert "- head `squad_v1`: span_qa (squad_v1)" in (bundle(ran, task) / "README.md").read_text()
    # The target stage, whose learning rate is next to nothing, still has the intermediate stage's encoder.
    before, after = weights(ran, task), weights(ran, "squad_v1")
    assert all(
        float((after[f"roberta.{name}"] - tensor).abs().max()) < 1e-6 for name, tensor in before.items()
    )
    assert cli(*arguments).statuses() == ["cached"] * 4
    store = tmp_path / "elsewhere"
    again = cli(*arguments, "--store", store, "--checkpoint-seconds", 0, "--micro-batch-tokens", 10_000)
    assert (bundle(again, task) / "SHA256SUMS").read_bytes() == (
        bundle(ran, task) / "SHA256SUMS"
    ).read_bytes()


def test_a_bundle_of_several_heads_is_evaluated_by_the_one_that_fits(
    cli: Cli, tiny: Tiny, tiny_data: Path, tmp_path: Path
) -> None:
    ran = cli(*tiny("--inter", "squad_v1,hellaswag", "--target", "tatoeba"))
    found = bundle(ran, "hellaswag+squad_v1")
    common = ("--data", tiny_data, "--store", tmp_path / "evaluated", "--device", "cpu", "--json")
    for target in ("xquad", "tatoeba"):
        evaluated = cli("evaluate", found, "--target", target, *common)
        assert evaluated.code == 0, evaluated.err
        assert set(evaluated.json["results"]) == {target}
    refused = cli("evaluate", found, "--target", "udpos", *common)
    assert refused.code == 1
    assert "its head cannot answer 'udpos' (tagging)" in refused.err
    assert "xquad" in refused.err.split("Targets it can be evaluated on:")[1]


def test_a_cards_command_asks_for_nothing_else(cli: Cli, tiny: Tiny, tiny_data: Path, tmp_path: Path) -> None:
    """What an intermediate stage was made by makes it again where the data hold no target."""
    data = Path(
        shutil.copytree(tiny_data, tmp_path / "data", ignore=shutil.ignore_patterns("tatoeba", "x*", "ud"))
    )
    ran = cli(*tiny("--inter", "hellaswag", "--data", data))
    assert ran.code == 0, ran.err
    command = json.loads((bundle(ran, "hellaswag") / "bundle.json").read_text(encoding="utf-8"))["command"]
    words = [str(data) if word == "DIR" else word for word in shlex.split(command)[1:]]
    again = cli(*words, "--store", tmp_path / "store", "--dry-run", "--json")
    assert again.statuses() == ["cached"], again.err


def test_text_beside_and_before(cli: Cli, tiny: Tiny, text: Path) -> None:
    keys = ["--set", f"intermediate.mlm.text={text}", "--set", f"intermediate.tlm.text={text}"]
    beside = cli(
        *tiny("--inter", "mlm,tlm,snli", "--target", "tatoeba", "--set", "intermediate.max_steps=12", *keys)
    )
    assert beside.code == 0, beside.err
    assert {row["task"] for row in log(beside, "snli+mlm+tlm")} == {"snli", "mlm", "tlm"}
    assert "holds no head for language modelling: a new one is trained" in beside.err
    heads = json.loads((bundle(beside, "snli+mlm+tlm") / "bundle.json").read_text())["heads"]
    assert heads["masked_lm"] == {"format": "masked_lm", "labels": [], "tasks": ["mlm", "tlm"]}
    before = ["--set", "intermediate.mlm.weight=1", "--set", "intermediate.mlm.when=before"]
    ran = cli(
        *tiny("--inter", "snli", "--target", "tatoeba", "--set", "intermediate.mlm.steps=3", *before, *keys)
    )
    assert ran.code == 0, ran.err
    assert [s["task"] for s in ran.json["stages"]] == ["mlm", "snli", "tatoeba"]
    assert len(log(ran, "mlm")) == 3
    info = json.loads((bundle(ran, "snli") / "bundle.json").read_text())
    assert info["format"] == "pair_classification"  # one task is a bundle as ever
    # Language modelling that goes on after it goes on with its head.
    on = cli(
        *tiny("--inter", "snli,tlm", "--target", "tatoeba", "--set", "intermediate.text_steps=3", *before, *keys),
        "--set", "intermediate.learning_rate=1e-12",
    )  # fmt: skip
    assert on.code == 0, on.err
    assert on.err.count("holds no head for language modelling") == 1
    first, second = (load_file(bundle(on, name) / "heads.safetensors") for name in ("mlm", "snli+tlm"))
    assert float((first["masked_lm.dense.weight"] - second["masked_lm.dense.weight"]).abs().max()) < 1e-6


def test_text_that_the_miniature_writes(cli: Cli, tiny: Tiny) -> None:
    ran = cli(
        *tiny("--inter", "mlm", "--target", "tatoeba", "--limit-train", 5),
        *("--set", "intermediate.mlm.text=miniature", "--set", "intermediate.mlm.languages=['en', 'qaa']"),
    )
    assert ran.code == 0, ran.err
    record = json.loads((directory(ran, "mlm") / "stage.json").read_text())
    assert record["examples"] == 10
    assert set(record["part"]["mixture"]["texts"][0]["data"]) == {"en", "qaa"}


@pytest.mark.parametrize("kind", ["adversarial", "smoothing"])
def test_robust_training(cli: Cli, tiny: Tiny, kind: str) -> None:
    arguments = ["--inter", "snli", "--target", "tatoeba", "--set", "intermediate.warmup_ratio=0.0"]
    plain, robust = (
        cli(*tiny(*arguments)),
        cli(*tiny(*arguments, "--set", f"intermediate.robust.kind={kind}")),
    )
    assert robust.code == 0, robust.err
    assert directory(plain, "snli") != directory(robust, "snli")
    assert [row["loss"] for row in log(plain, "snli")] != [row["loss"] for row in log(robust, "snli")]
    settings = json.loads((bundle(robust, "snli") / "bundle.json").read_text())["settings"]
    assert settings["robust"]["kind"] == kind
    assert "robust" not in json.loads((bundle(plain, "snli") / "bundle.json").read_text())["settings"]


def test_languages_of_the_intermediate_task(cli: Cli, tiny: Tiny, own_data: Path) -> None:
    folder = own_data / "snli" / "translated" / "de"
    folder.mkdir(parents=True)
    rows = (own_data / "snli" / "snli_1.0_train.jsonl").read_text().replace("The ", "Das ")
    (folder / "snli_1.0_train.jsonl").write_text(rows)
    common = tiny("--data", own_data, "--inter", "snli", "--target", "tatoeba")
    both = cli(*common, "--inter-languages", "en,de")
    assert both.code == 0, both.err
    record = json.loads((directory(both, "snli") / "stage.json").read_text())
    assert record["examples"] == 2 * 72
    assert set(record["dev"]) == {"accuracy"}
    german = cli(*common, "--inter-languages", "de")
    assert json.loads((directory(german, "snli") / "stage.json").read_text())["examples"] == 72
    # One task and head: a bundle of Transformers' task class, whatever the languages.
    assert "classifier.out_proj.weight" in weights(german, "snli")
    shown = cli("tasks", "snli", "--data", own_data, "--json")
    assert shown.json[0]["at_hand"]["train"] == ["en", "de"]
    refused = cli(*common, "--inter-languages", "fr")
    assert refused.code == 1
    assert "holds no train split of 'snli' in fr; it holds: en, de" in refused.err


def test_a_baseline_beside_a_mixture(cli: Cli, tiny: Tiny) -> None:
    ran = cli(*tiny("--inter", "none", "--inter", "hellaswag, snli", "--target", "tatoeba"))
    assert ran.code == 0, ran.err
    assert [cell["inter"] for cell in ran.json["cells"]] == ["none", "hellaswag,snli"]


def test_damaged_text_is_told_with_its_line(cli: Cli, tiny: Tiny, text: Path, tmp_path: Path) -> None:
    shutil.copytree(text, tmp_path / "damaged")
    (tmp_path / "damaged" / "de-en.tsv").write_text("Turm\ttower\nUhr\n")
    ran = cli(
        *tiny(
            "--inter", "tlm", "--target", "tatoeba", "--set", f"intermediate.tlm.text={tmp_path / 'damaged'}"
        )
    )
    assert ran.code == 1
    assert "de-en.tsv:2: holds 1 columns" in ran.err
