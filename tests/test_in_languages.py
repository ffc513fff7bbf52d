"""Targets taught in other languages, in the miniature: what is trained, chosen, evaluated, and said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import adapter_stilts as stilts
from adapter_stilts.errors import UsageError
from adapter_stilts.stages.record import read_stage
from adapter_stilts.stages.submit import find_evaluations, write_submission

pytestmark = pytest.mark.slow

STEPS = {
    "target.max_steps": 3,
    "target.dev_examples": 8,
    "target.few_shot_epochs": 1,
    "target.batch_size": 4,
    "intermediate.max_steps": 2,
    "intermediate.dev_examples": 4,
    "intermediate.baseline": False,
}


@pytest.fixture
def quick(tmp_path: Path) -> dict[str, Any]:
    return {
        "recipe": "miniature",
        "store": tmp_path / "store",
        "device": "cpu",
        "limit_eval": 4,
        "languages": ["qaa", "qab"],
        "settings": STEPS,
    }


def weights(bundle: Path | None, name: str) -> Any:
    from safetensors.torch import load_file

    assert bundle is not None
    (path,) = bundle.glob(name)
    return load_file(path)


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_a_few_examples_go_on_from_english(quick: dict[str, Any], mode: str) -> None:
    """At a learning rate of next to nothing the stage ends where it began, head and all."""
    still = {**STEPS, "target.few_shot_learning_rate": 1e-30}
    plain = stilts.train(target="udpos", mode=mode, **quick)
    few = stilts.train(target="udpos", mode=mode, few_shot={"qaa": 6}, **{**quick, "settings": still})
    assert [state.status for state in few.stages] == ["cached", "ran", "ran"]
    english, after = plain.cell("none", "udpos"), few.cell("none", "udpos")
    assert few.cell("none, few-shot qaa=6", "udpos") is after
    assert english.bundle is not None
    assert after.bundle is not None
    card = (after.bundle / "README.md").read_text()
    assert "Trained on `udpos` in English, and then in qaa (6 examples) with" in card
    for file in english.bundle.glob("*.safetensors"):
        before, then = weights(english.bundle, file.name), weights(after.bundle, file.name)
        assert before.keys() == then.keys()
        assert all(before[name].equal(then[name]) for name in before), file.name
    assert english.metrics is not None
    assert after.metrics is not None
    assert after.metrics["languages"] == english.metrics["languages"]
    moved = stilts.train(target="udpos", mode=mode, few_shot={"qaa": 6}, **quick).cell("none", "udpos")
    for file in english.bundle.glob("*.safetensors"):
        then = weights(moved.bundle, file.name)
        heads = {name for name in then if "classifier" in name}
        assert heads
        for name, before in weights(english.bundle, file.name).items():
            assert name not in heads or not then[name].equal(before)


def test_which_examples_were_drawn_is_kept(quick: dict[str, Any]) -> None:
    def ids(**more: Any) -> list[str]:
        results = stilts.train(target="udpos", **{**quick, **more})
        (stage,) = (
            state for state in results.stages if "qaa" in state.stage.title and state.stage.kind == "train"
        )
        record = read_stage(stage.directory)
        assert record["examples"] == len(record["drawn"]["qaa"]) + (1500 if "mixed" in str(more) else 0)
        return list(record["drawn"]["qaa"])

    six = ids(few_shot=["qaa=6"])
    assert len(set(six)) == 6
    assert set(six) < set(ids(few_shot=["qaa=8"]))
    assert ids(few_shot=["qaa=6"], seed=1) != six
    assert ids(few_shot={"qaa": 6}, settings={**STEPS, "target.few_shot_when": "mixed"}) == six


def test_a_model_for_each_language(quick: dict[str, Any]) -> None:
    results = stilts.train(target="udpos", train_languages="each", dev_language="same", **quick)
    assert [result.cell.label for result in results.cells] == ["none, trained in qaa", "none, trained in qab"]
    frame = results.frame()
    assert list(
        frame[["trained", "few_shot", "dev", "split", "language"]].itertuples(index=False, name=None)
    ) == [
        ("qaa", "", "qaa", "test", "qaa"),
        ("qaa", "", "qaa", "test", "qab"),
        ("qab", "", "qab", "test", "qaa"),
        ("qab", "", "qab", "test", "qab"),
    ]
    told = results.to_json()
    assert [cell["label"] for cell in told["cells"]] == [result.cell.label for result in results.cells]
    for result in results.cells:
        info = json.loads((result.bundle / "bundle.json").read_text())  # type: ignore[operator]
        assert info["settings"]["dev_languages"] == list(result.cell.taught.languages)
        card = (result.bundle / "README.md").read_text()  # type: ignore[operator]
        assert f"{result.cell.taught.languages[0].capitalize()} dev, which chose the checkpoint" in card
    with pytest.raises(stilts.AdapterStiltsError, match="unknown cell 'none, udpos'"):
        results.cell("none", "udpos")


def test_a_bundle_says_how_it_was_taught(quick: dict[str, Any]) -> None:
    for taught in (
        {"few_shot": {"qaa": 6}},
        {"few_shot": {"qaa": 6}, "settings": {**STEPS, "target.few_shot_when": "mixed"}},
        {"train_languages": ["qab", "en"], "dev_language": ["qaa", "en"]},
    ):
        results = stilts.train(target="udpos", **{**quick, **taught})  # type: ignore[arg-type]
        (result,) = results.cells
        again = stilts.evaluate(
            result.bundle,
            "udpos",
            recipe="miniature",
            store=quick["store"],
            languages=["qaa"],
            device="cpu",  # type: ignore[arg-type]
        )
        (evaluated,) = again.cells
        assert evaluated.cell.taught == result.cell.taught
        assert evaluated.cell.dev == result.cell.dev


def test_its_card_names_the_command(quick: dict[str, Any]) -> None:
    import shlex

    from adapter_stilts.library import plan_train

    results = stilts.train(inter="snli", target="udpos", few_shot={"qaa": 6}, dev_language="same", **quick)
    (result,) = results.cells
    assert result.bundle is not None
    command = json.loads((result.bundle / "bundle.json").read_text())["command"]
    words = shlex.split(command)
    settings = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
    assert "target.few_shot.qaa=6" in settings
    study = plan_train(
        words[words.index("--inter") + 1],
        words[words.index("--target") + 1],
        mode=words[words.index("--mode") + 1],
        recipe=words[words.index("--recipe") + 1],
        settings=settings,
        store=quick["store"],
    )
    assert result.bundle.parent.name in {stage.name for stage in study.plan().stages}


def test_scores_on_dev(quick: dict[str, Any], tmp_path: Path) -> None:
    results = stilts.train(target="udpos,bucc2018", split="dev", **{**quick, "limit_eval": 120})
    for result in results.cells:
        assert result.metrics is not None
        assert result.metrics["split"] == result.to_json()["split"] == "dev"
        assert {path.stem for path in result.directory.glob("predictions/*/*")} == {"dev-qaa", "dev-qab"}
    assert set(results.frame()["split"]) == {"dev"}
    mined = results.cell("none", "bucc2018").metrics
    assert mined is not None
    for language, scores in mined["languages"].items():
        # The threshold is the best on what is evaluated.
        assert scores["f1"] == pytest.approx(mined["beside"][language]["dev_f1"])
    with pytest.raises(UsageError, match="udpos: evaluated on dev, and a submission is of test"):
        write_submission(find_evaluations([quick["store"]]), tmp_path / "out", "xtreme")
    test = stilts.train(target="udpos", **quick).cell("none", "udpos")
    again = find_evaluations([quick["store"]])
    assert sum(evaluation.task == "udpos" for evaluation in again) == 2
    # Beside a test evaluation that of dev is no second choice: what is said is of the former.
    with pytest.raises(UsageError, match="udpos: evaluated on the first 4 examples"):
        write_submission(again, tmp_path / "out", "xtreme")
    assert test.cell.split == "test"


def test_without_a_target(quick: dict[str, Any]) -> None:
    results = stilts.train(inter=["snli", "hellaswag"], **quick)
    assert results.cells == ()
    assert len(results.frame()) == 0
    assert [one.inter for one in results.trained] == ["snli", "hellaswag"]
    for one in results.trained:
        assert (one.bundle / "bundle.json").is_file()
        assert one.dev is not None
        assert set(one.dev) == {"accuracy"}
        assert one.languages == ("en",)
    told = results.to_json()
    assert (told["results"], [row["inter"] for row in told["bundles"]]) == ({}, ["snli", "hellaswag"])
    assert json.dumps(told)
    # The target's chain starts from what is there.
    after = stilts.train(inter="snli", target="udpos", **quick)
    assert [state.status for state in after.stages] == ["cached", "ran", "ran"]
