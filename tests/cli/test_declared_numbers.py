"""Texts and their numbers in a CSV of one's own: checked, trained on, shared, evaluated, predicted and exported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import adapter_stilts as stilts
from adapter_stilts import tasks
from adapter_stilts.evaluation.aggregation import aggregate
from adapter_stilts.formats.examples import TextRegressionExample
from adapter_stilts.stages.record import read_scores

# Transformers and both libraries warn of heads that start at random and are loaded a moment later.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*:UserWarning")]

Cli = Callable[..., Any]

DECLARED = """format = "text_regression"

[files]
train = "train.csv"
dev = "dev.csv"
test = "test.csv"

[columns]
text = "sentence1"
second_text = "sentence2"
label = "score"
"""
THINGS = ("lamp", "boat", "net", "cart", "knife", "door")
QUICK = ("--recipe", "miniature", "--device", "cpu")
STEPS = ("--set", "target.max_steps=60", "--set", "target.batch_size=4", "--set", "target.learning_rate=1e-3")


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test makes known stays in it."""
    monkeypatch.setattr(tasks, "_added", {})
    monkeypatch.setattr(tasks, "_named", set())


def rows(things: tuple[str, ...]) -> list[tuple[str, str, float]]:
    """Like sentences have 5, unlike ones 0.5."""
    alike = [(f"The {thing} was mended", f"The {thing} was mended", 5.0) for thing in things]
    return alike + [(f"The {thing} was mended", "Mira went to the river", 0.5) for thing in things]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "similar.toml").write_text(DECLARED, encoding="utf-8")
    for name, things in {"train": THINGS, "dev": ("lamp", "net"), "test": ("boat", "door")}.items():
        text = "".join(f"{first},{second},{score}\n" for first, second, score in rows(things))
        (tmp_path / "own" / f"{name}.csv").write_text("sentence1,sentence2,score\n" + text, encoding="utf-8")
    return tmp_path / "own" / "similar.toml"


@pytest.fixture
def trained(cli: Cli, own: Path, tmp_path: Path) -> Callable[[str], tuple[Any, Path]]:
    """What a run printed, and its bundle."""

    def call(mode: str) -> tuple[Any, Path]:
        ran = cli(
            "train", "--target", own, "--mode", mode, "--store", tmp_path / "runs", "--json", *QUICK, *STEPS
        )
        assert ran.code == 0, ran.err
        found = next(Path(stage["dir"]) for stage in ran.json["stages"] if stage["kind"] == "train")
        return ran, found / "bundle"

    return call


def test_a_check_shows_three_examples_and_what_the_numbers_are(cli: Cli, own: Path) -> None:
    seen = cli("tasks", own)
    assert seen.code == 0, seen.err
    assert "train, en        12: from 0.5 to 5\n" in seen.out
    assert "example 3        id 2; 5.0; tokens: " in seen.out
    (row,) = cli("tasks", own, "--json").json
    assert row["ranges"]["test"] == {"en": [0.5, 5.0]}
    assert [example["gold"] for example in row["examples"]] == [5.0] * 3


def test_from_a_csv_to_a_number(
    cli: Cli, own: Path, trained: Callable[[str], tuple[Any, Path]], tmp_path: Path
) -> None:
    ran, bundle = trained("full")
    result = ran.json["results"]["similar"]
    assert result["average"]["pearson"] > 90, "like and unlike are told apart"
    assert set(result["average"]) == {"pearson", "spearman"}
    evaluated = next(Path(stage["dir"]) for stage in ran.json["stages"] if stage["kind"] == "evaluate")
    stored = read_scores(evaluated, "en")
    assert aggregate(stored) == result["languages"]["en"], "stored rows give the metric again"
    lines = (evaluated / "predictions" / "similar" / "test-en.tsv").read_text(encoding="utf-8").splitlines()
    assert [float(line) for line in lines] == [row["predicted"] for row in stored]

    info = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    assert (info["format"], info["labels"]) == ("text_regression", ["similar"])
    assert set(info["metrics"]) == {"pearson", "spearman"}
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert "English dev, which chose the checkpoint, in percent: pearson " in card
    assert "metrics: [pearson, spearman]\n" in card
    assert "`similar` is a task of its maker's own (text_regression)" in card
    assert "- labels" not in card

    loaded = stilts.load_bundle(bundle, device="cpu")
    asked = [TextRegressionExample("a", first, None, second) for first, second, _ in rows(("boat", "door"))]
    told = loaded.predict(asked)
    assert told == pytest.approx([float(line) for line in lines], abs=1e-5)
    assert min(told[:2]) > max(told[2:])
    with pytest.raises(stilts.UsageError, match="1 of 2 examples have a second text"):
        loaded.predict([asked[0], TextRegressionExample("b", "The lamp", None)])

    # Somebody else, who has the bundle and the test file.
    tasks._added.clear()
    real = ("--set", "data=real", "--data", own.parent, "--store", tmp_path / "other", "--json")
    again = cli("evaluate", bundle, "--target", "similar", *QUICK, *real)
    assert again.code == 0, again.err
    assert again.scores() == ran.scores()


@pytest.mark.parametrize(
    ("mode", "form"),
    [("full", "transformers"), ("lora", "transformers"), ("lora", "peft"), ("adapter", "adapterhub")],
)
def test_an_export_tells_the_same_numbers(
    cli: Cli, trained: Callable[[str], tuple[Any, Path]], tmp_path: Path, mode: str, form: str
) -> None:
    """By the lines on its card; Transformers' pipeline takes no sigmoid of what is a number."""
    from transformers import AutoTokenizer, pipeline

    _, bundle = trained(mode)
    out = tmp_path / "out"
    assert cli("export", bundle, "--to", form, "--out", out).code == 0
    asked = rows(("boat", "door"))
    ours = stilts.load_bundle(bundle, device="cpu").predict(
        [TextRegressionExample("a", first, None, second) for first, second, _ in asked]
    )
    card = (out / "README.md").read_text(encoding="utf-8")
    code = card.split("```python\n")[1].split("```")[0].replace('"DIR"', repr(str(out)))
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["model"].config.problem_type == "regression"
    assert names["model"].config.id2label == {0: "similar"}
    told = pipeline("text-classification", model=names["model"], tokenizer=AutoTokenizer.from_pretrained(out))
    theirs = told([{"text": first, "text_pair": second} for first, second, _ in asked])
    # Transformers 5 leaves the miniature's encoder in the half precision that it is stored in; a sigmoid is below 1.
    half = names["model"].dtype == torch.float16
    assert [each["score"] for each in theirs] == pytest.approx(ours, abs=1e-2 if half else 1e-4)
    assert {each["label"] for each in theirs} == {"similar"}


def test_two_numbers_in_one_stage_have_a_head_each(cli: Cli, own: Path, tmp_path: Path) -> None:
    other = own.with_name("rated.toml")
    other.write_text(DECLARED, encoding="utf-8")
    ran = cli(
        *("train", "--inter", f"{own},{other}", "--mode", "lora", "--store", tmp_path / "runs", "--json"),
        *(*QUICK, "--set", "data=real", "--set", "intermediate.max_steps=4"),
    )
    assert ran.code == 0, ran.err
    (bundle,) = ran.json["bundles"]
    info = json.loads((Path(bundle["bundle"]) / "bundle.json").read_text(encoding="utf-8"))
    assert {name: head["labels"] for name, head in info["heads"].items()} == {
        "rated": ["rated"],
        "similar": ["similar"],
    }
    assert set(bundle["metrics"]) == {"rated", "similar"}


def test_few_examples_are_drawn_as_they_come(cli: Cli, own: Path, tmp_path: Path) -> None:
    """There are no classes to balance."""
    own.write_text(
        'train_languages = ["en", "de"]\nlanguages = ["en", "de"]\n'
        + DECLARED.replace('"train.csv"', '"train-{language}.csv"').replace(
            '"test.csv"', '"test-{language}.csv"'
        ),
        encoding="utf-8",
    )
    for name in ("train", "test"):
        for language in ("en", "de"):
            (own.parent / f"{name}-{language}.csv").write_bytes((own.parent / f"{name}.csv").read_bytes())
    few = ("--train-languages", "en", "--few-shot", "de=5", "--set", "target.few_shot_epochs=1")
    steps = ("--set", "target.max_steps=2")
    ran = cli(
        "train",
        "--target",
        own,
        "--mode",
        "lora",
        "--store",
        tmp_path / "runs",
        "--json",
        *QUICK,
        *few,
        *steps,
    )
    assert ran.code == 0, ran.err
    stages = [Path(stage["dir"]) for stage in ran.json["stages"] if stage["kind"] == "train"]
    records = [json.loads((stage / "stage.json").read_text(encoding="utf-8")) for stage in stages]
    (drawn,) = [record["drawn"] for record in records if "drawn" in record]
    assert len(set(drawn["de"])) == 5
