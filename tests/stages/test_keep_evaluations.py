"""Runs that keep their evaluations: every one is a bundle, and the best of each language is told as the oracle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from adapter_stilts.evaluation.scoring import Scored
from adapter_stilts.model.bundle import read_bundle
from adapter_stilts.recipe import load_recipe
from adapter_stilts.stages.record import oracle

Cli = Callable[..., Any]
Tiny = Callable[..., list[str]]
EVERY_OTHER = ("--inter", "none", "--target", "xquad", "--set", "target.eval_every_steps=2")
FAST = ("--set", "target.learning_rate=3e-3")
KEEP = ("--set", "target.keep_evaluations=true")


def told(row: dict[str, Any], name: str = "stage.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(row["dir"]) / name).read_text())
    return found


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_every_evaluation_is_a_bundle_that_scores_as_the_oracle_says(
    tiny: Tiny, cli: Cli, tmp_path: Path, mode: str
) -> None:
    ran = cli(*tiny(*EVERY_OTHER, *FAST, *KEEP, "--mode", mode))
    trained, evaluated = ran.json["stages"]
    kept = sorted((Path(trained["dir"]) / "evaluations").iterdir())
    assert [path.name for path in kept] == ["step-00000002", "step-00000004"]
    assert told(trained)["kept_evaluations"] == [2, 4]
    dev = {str(row["step"]): row["dev"] for row in told(trained)["evaluations"]}
    found = told(evaluated, "metrics.json")
    words = tiny()
    data = [str(words[words.index("--data") + n]) for n in (0, 1)]
    for step, bundle in zip(("2", "4"), kept, strict=True):
        info = read_bundle(bundle)
        assert (info.evaluation_step, info.metrics) == (int(step), dev[step])
        alone = cli("evaluate", bundle, "--target", "xquad", *data, "--store", tmp_path / step, "--json").json
        assert alone["results"]["xquad"]["languages"] == found["oracle"]["evaluations"][step]
    for language, best in found["oracle"]["languages"].items():
        scores = {step: sum(of[language].values()) / 2 for step, of in found["oracle"]["evaluations"].items()}
        assert scores[str(best["step"])] == max(scores.values())
        assert (best["exact_match"] + best["f1"]) / 2 == max(scores.values())
        assert max(scores.values()) >= sum(found["languages"][language].values()) / 2
    assert ran.json["results"]["xquad"]["oracle"] == found["oracle"]
    card = (kept[0] / "README.md").read_text()
    assert "The weights at step 2 of the run, kept to be compared" in card
    assert "which chose the checkpoint" not in card


def test_what_the_run_ends_with_is_the_same(tiny: Tiny, cli: Cli) -> None:
    """Keeping is looking on: the chosen weights and their scores do not change."""
    plain, keeping = (cli(*tiny(*EVERY_OTHER, *FAST, *more)).json["stages"] for more in ((), KEEP))
    assert plain[0]["key"] != keeping[0]["key"]
    one, other = (
        load_file(Path(rows[0]["dir"]) / "bundle" / "model.safetensors") for rows in (plain, keeping)
    )
    assert all(bool((one[name] == other[name]).all()) for name in one)
    first, second = (told(rows[1], "metrics.json") for rows in (plain, keeping))
    assert "oracle" not in first
    assert first["languages"] == second["languages"]
    best = Path(keeping[0]["dir"]) / "evaluations" / f"step-{told(keeping[0])['best_step']:08d}"
    weights = load_file(best / "model.safetensors")
    assert all(bool((other[name] == weights[name]).all()) for name in other)


def test_beside_a_mean_stand_the_steps_themselves(tiny: Tiny, cli: Cli) -> None:
    ran = cli(*tiny(*EVERY_OTHER, *KEEP, "--mode", "lora", "--set", "target.average=2"))
    trained, evaluated = ran.json["stages"]
    assert told(trained)["averaged_steps"] == [2, 4]
    ranks = {
        path.parent.name: json.loads(path.read_text())["r"]
        for path in Path(trained["dir"]).rglob("adapter_config.json")
    }
    assert ranks == {"bundle": 16, "step-00000002": 8, "step-00000004": 8}
    assert read_bundle(Path(trained["dir"]) / "evaluations" / "step-00000002").average is None
    assert told(evaluated, "metrics.json")["oracle"]["evaluations"].keys() == {"2", "4"}


def test_the_table_says_what_was_never_used(tiny: Tiny, cli: Cli) -> None:
    words = [word for word in tiny(*EVERY_OTHER, *KEEP) if word != "--json"]
    shown = " ".join(cli(*words).out.split())
    assert "oracle, the best of 2 checkpoints in each language by its own test set: exact_match" in shown
    assert "on average; never used" in shown


def test_of_equals_the_earliest_is_told_and_languages_of_no_benchmark_are_not_averaged() -> None:
    summary = {
        "languages": {"de": {"f1": 1.0}, "es": {}, "sv": {"f1": 1.0}},
        "average": {"f1": 1.0},
        "outside": ["sv"],
    }

    def scored(de: float, sv: float) -> dict[str, Any]:
        return {language: _scored(value) for language, value in (("de", de), ("es", None), ("sv", sv))}

    found = oracle(summary, {10: scored(40.0, 90.0), 20: scored(60.0, 80.0), 30: scored(60.0, 90.0)})
    assert found["languages"] == {"de": {"step": 20, "f1": 60.0}, "sv": {"step": 10, "f1": 90.0}}
    assert found["average"] == {"f1": 60.0}
    assert list(found["evaluations"]) == [10, 20, 30]


def _scored(value: float | None) -> Scored:
    """A language whose one row has a score; None has no row."""
    rows: list[Any] = [] if value is None else [{"id": "a", "f1": value}]
    return Scored(rows, None)


def test_the_setting_is_in_the_key_only_where_it_is_on() -> None:
    plain = load_recipe(None).target.part()
    assert not {"average", "init_seed", "keep_evaluations"} & plain.keys()
    asked = {"target.average": 3, "target.init_seed": 0, "target.keep_evaluations": True}
    found = load_recipe(None, list(asked.items())).target.part()
    assert {name: found[name] for name in found.keys() - plain.keys()} == {
        "average": 3, "init_seed": 0, "keep_evaluations": True,
    }  # fmt: skip
