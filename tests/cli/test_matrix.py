"""`matrix`, `status` and `stage`: one plan, which `train` shares; what it prints, and what it refuses."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.stages.data import SplitData

Cli = Callable[..., Any]
Tiny = Callable[..., list[str]]
Listing = Callable[[Path], list[str]]
CELL = ("inter", "target", "mode", "precision", "combine", "base", "seed", "label", "stage", "results")


@pytest.fixture
def matrix(tiny: Tiny) -> Tiny:
    """Arguments of a short `matrix` on the tiny world."""
    return lambda *more: ["matrix", *tiny(*more)[1:]]


@pytest.fixture
def lora(matrix: Tiny) -> list[str]:
    """Of two cells, in a plan of five stages."""
    return matrix("--inter", "none,hellaswag", "--target", "xquad", "--mode", "lora")


@pytest.fixture
def plan(finished: Any, tmp_path: Path) -> Path:
    """A plan of hellaswag, xquad and udpos, in a store where the last two stages are missing."""
    shutil.copytree(finished.store, tmp_path / "store")
    for path in (tmp_path / "store").glob("*-udpos-*"):
        shutil.rmtree(path)
    (found,) = (tmp_path / "store" / "plans").iterdir()
    return found


def test_what_train_left_is_found(cli: Cli, matrix: Tiny, finished: Any, copy: Any, base_name: str) -> None:
    store = copy()
    ran = cli(*matrix("--store", store, "--inter", "hellaswag", "--target", "xquad,udpos"))
    assert ran.code == 0, ran.err
    assert set(ran.json) == {"plan", "stages", "cells"}
    assert set(ran.statuses()) == {"cached"}
    trained = [{**stage, "dir": None} for stage in finished.printed["stages"]]
    assert [{**stage, "dir": None} for stage in ran.json["stages"]] == [
        {**stage, "status": "cached"} for stage in trained
    ]
    assert Path(ran.json["plan"]).parent == store / "plans"
    for cell in ran.json["cells"]:
        assert set(CELL) <= set(cell)
        assert cell["results"] == finished.printed["results"][cell["target"]]
        assert cell["stage"] in [stage["key"] for stage in ran.json["stages"]]
    told = [[cell[name] for name in CELL[:-2]] for cell in ran.json["cells"]]
    assert told == [
        ["hellaswag", target, "full", "fp32", "continue", base_name, 0, "hellaswag"]
        for target in ("xquad", "udpos")
    ]


@pytest.fixture
def base_name(tiny_base: Path) -> str:
    return str(tiny_base)


def test_equal_stages_are_trained_once_and_train_finds_them(cli: Cli, matrix: Tiny, tiny: Tiny) -> None:
    asked = ("--inter", "none,hellaswag", "--target", "xquad,tatoeba", "--mode", "lora", "--limit-train", "8")
    ran = cli(*matrix(*asked, "--seeds", "2"))
    assert ran.code == 0, ran.err
    assert [(cell["inter"], cell["target"], cell["seed"]) for cell in ran.json["cells"]] == [
        (inter, target, seed)
        for seed in (0, 1)
        for inter in ("none", "hellaswag")
        for target in ("xquad", "tatoeba")
    ]
    assert set(ran.statuses()) == {"ran"}
    # Of each seed hellaswag, squad_v1 twice and three evaluations; of both together that of the untrained encoder.
    assert len(ran.statuses()) == 2 * (1 + 2 + 3) + 1
    of_one = cli(
        *tiny(
            "--inter", "hellaswag", "--target", "xquad", "--mode", "lora", "--limit-train", "8", "--seed", "1"
        )
    )
    assert set(of_one.statuses()) == {"cached"}
    (cell,) = (
        c for c in ran.json["cells"] if (c["inter"], c["target"], c["seed"]) == ("hellaswag", "xquad", 1)
    )
    assert of_one.json["results"]["xquad"] == cell["results"]


def test_one_cell(cli: Cli, tmp_path: Path) -> None:
    words = ("matrix", "--recipe", "miniature", "--target", "tatoeba", "--store", tmp_path / "runs")
    assert "1 cell, 1 stage, 0 of them in the store" in cli(*words, "--dry-run").out


def test_a_dry_run_counts_and_makes_nothing(cli: Cli, lora: list[str], tmp_path: Path) -> None:
    text = [word for word in lora if word != "--json"]
    ran = cli(*text, "--dry-run")
    assert ran.code == 0, ran.err
    assert "2 cells, 5 stages, 0 of them in the store" in ran.out
    assert re.search(r"memory of the largest training: lora fp32 \d+\.\d GiB", ran.out)
    assert "hours: not known of 5 stages; --dry-run --calibrate measures" in ran.out
    told = cli(*lora, "--dry-run").json
    assert (set(told), told["plan"]) == ({"plan", "stages", "cells", "forecast"}, None)
    assert told["forecast"]["hours"] is None
    assert told["forecast"]["unknown"] == 5
    keys = [stage["key"] for stage in told["stages"]]
    for number, stage in enumerate(told["stages"]):
        assert stage["status"] == "to run"
        assert set(stage["parents"]) <= set(keys[:number])
    assert [len(stage["parents"]) for stage in told["stages"]] == [0, 1, 0, 1, 1]
    assert not (tmp_path / "store").exists()


def test_a_dry_run_refuses_what_a_run_does(cli: Cli, lora: list[str]) -> None:
    for more, told in (
        (("--device", "tpu"), "--device tpu: choices are"),
        (("--track", "x"), "unknown tracker 'x'"),
    ):
        ran = cli(*lora, "--dry-run", *more)
        assert (ran.code, ran.out) == (2, "")
        assert told in ran.err


def test_calibration_measures_and_trains_nothing(
    cli: Cli, lora: list[str], tmp_path: Path, listing: Listing
) -> None:
    ran = cli(*lora, "--dry-run", "--calibrate")
    assert ran.code == 0, ran.err
    assert ran.json["forecast"]["unknown"] == 0
    assert ran.json["forecast"]["hours"] is not None
    assert listing(tmp_path / "store") == ["speeds.json", "store.json"]
    # Kept: the next dry run knows without measuring.
    assert cli(*lora, "--dry-run").json["forecast"]["hours"] == ran.json["forecast"]["hours"]


def test_the_next_step_of_a_store_with_a_space_can_be_pasted(cli: Cli, matrix: Tiny, tmp_path: Path) -> None:
    store = tmp_path / "my store"
    words = matrix("--store", store, "--inter", "none", "--target", "xquad", "--mode", "lora")
    ran = cli(*words, "--executor", "slurm", "--slurm", "time=60", "--dry-run")
    assert ran.code == 0, ran.err
    (line,) = [line for line in ran.err.splitlines() if line.startswith("next:")]
    verb, script = shlex.split(line)[1:]
    assert (verb, Path(script).parent.parent) == ("bash", store / "slurm")
    assert Path(script).is_file()


def test_nothing_is_counted_in_vain(cli: Cli, lora: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing was measured no example is read; what a sample told is not asked of the examples again."""
    with monkeypatch.context() as patch:
        patch.setattr(SplitData, "size", property(lambda split: pytest.fail(f"{split.task.name} is counted")))
        assert cli(*lora, "--dry-run").json["forecast"]["unknown"] == 5
    measured = cli(*lora, "--dry-run", "--calibrate").json["forecast"]["hours"]
    with monkeypatch.context() as patch:
        patch.setattr(
            SplitData, "examples", property(lambda split: pytest.fail(f"{split.task.name} is read"))
        )
        assert cli(*lora, "--dry-run").json["forecast"]["hours"] == measured


def test_status_tells_how_far_a_plan_is(cli: Cli, plan: Path) -> None:
    told = cli("status", plan.parent.parent, "--json")
    assert told.code == 0, told.err
    assert told.json == {
        "plan": str(plan),
        "cells": {"all": 2, "done": 1},
        "stages": {"all": 5, "done": 3, "waiting": 2},
        "running": [],
        "failed": [],
        "seconds_left": None,
    }
    assert "1 of 2 cells, 3 of 5 stages, 0 running, 2 waiting" in cli("status", plan.parent.parent).out
    for named in (plan, plan.stem[:4]):
        assert cli("status", plan.parent.parent, "--plan", named, "--json").json == told.json


def test_without_a_terminal_status_watches_to_the_end(cli: Cli, finished: Any) -> None:
    ran = cli("status", finished.store, "--watch")
    assert (ran.code, ran.err) == (0, "")
    assert "5 of 5 stages, 0 running, 0 waiting" in ran.out
    assert ran.out.endswith("\n")
    both = cli("status", finished.store, "--watch", "--json")
    assert (both.code, both.out) == (2, "")
    assert "--watch and --json: a value is told once; give one of the two" in both.err


def test_stages_by_hand(cli: Cli, plan: Path, finished: Any, listing: Listing) -> None:
    """What a cluster's jobs do, one after another."""
    stages = json.loads(plan.read_text())["stages"]
    train, evaluate = [s["name"] for s in stages if s["task"] == "udpos"]
    early = cli("stage", plan, evaluate, "--device", "cpu")
    assert early.code == 2
    assert (
        f"{evaluate} starts from {train}, which the store {plan.parent.parent} lacks: run that first"
        in early.err
    )
    for key in (train, next(s["key"] for s in stages if s["name"] == evaluate)):
        ran = cli("stage", plan, key, "--device", "cpu")
        assert (ran.code, ran.out) == (0, ""), ran.err
        assert ": ran in" in ran.err
    assert ": cached" in cli("stage", plan, evaluate[-12:], "--device", "cpu").err
    assert listing(plan.parent.parent) == listing(finished.store)
    for path in finished.store.glob("evaluate-*/metrics.json"):
        assert (plan.parent.parent / path.relative_to(finished.store)).read_bytes() == path.read_bytes()


WRONG = [
    ("--workers 0", "0 is not in the range x>=1"),
    ("--workers 2 --workers 3", "--workers is given 2 times, 2 and 3: it takes one value"),
    ("--seed x", "--seed x: takes numbers, e.g. --seed 0,1,2; or --seeds 3"),
    ("--seed 1,,2", "--seed '': takes numbers"),
    ("--seeds 0", "0 is not in the range x>=1"),
    ("--seeds 2 --seed 3", "seed = [3] and seeds = 2: seeds counts from 0; leave one of them out"),
    ("--calibrate", "--calibrate measures for --dry-run: give both, or leave it out"),
    ("--next 2 --dry-run", "--next 2 runs nothing by itself: leave out --dry-run"),
    ("--next 0", "0 is not in the range x>=1"),
    (
        "--next 2",
        "--next 2: a matrix of 2 intermediate entries besides none and 1 column (a target in a mode, precision and",
    ),
    ("--target nosuch", "unknown target task 'nosuch'. Choices: all,"),
    ("--target xquad,", "--target 'xquad,': holds an empty name"),
    ("--inter hellaswag,nosuch", "unknown intermediate task 'nosuch'. Choices: none, all, each,"),
    ("--mode lora,lorra", "unknown mode 'lorra'; did you mean 'lora'? Choices:"),
    (
        "--precision fp32,9bit",
        "unknown precision '9bit'; did you mean '8bit'? Choices: fp32, bf16, 8bit, 4bit.",
    ),
    ("--combine continue,glue", "unknown way to combine 'glue'. Choices: continue, stack, fuse, merge."),
    ("--combine continue,merge:glue", "unknown merge method 'glue'. Choices: linear,"),
    ("--recipe nosuch", "unknown recipe 'nosuch'. Choices:"),
    ("--mode full --precision 8bit", "--mode full cannot train 8bit weights"),
    ("--track nosuch", "unknown tracker 'nosuch'. Choices:"),
    ("--track nosuch --workers 2", "unknown tracker 'nosuch'. Choices:"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=[words for words, _ in WRONG])
def test_wrong_use_is_one_message(
    matrix: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    from adapter_stilts.cli.main import run  # `cli` keeps the last of an option's values

    given = words.split()
    for name, value in (("--target", "xquad"), ("--inter", "hellaswag,snli"), ("--mode", "lora")):
        given += [] if name in given else [name, value]
    code = run([*matrix(), *given])
    found = capsys.readouterr()
    assert (code, found.out) == (2, "")
    assert message in found.err
    assert "Traceback" not in found.err
    assert not (tmp_path / "store").exists()


def test_without_a_target_or_an_intermediate_task(cli: Cli, matrix: Tiny) -> None:
    for inter in ((), ("--inter", "none")):
        ran = cli(*matrix(*inter))
        assert ran.code == 2
        assert "no target task: name one or several with --target, or all (choices:" in ran.err


def test_targets_that_the_data_do_not_hold(cli: Cli, matrix: Tiny, tiny_data: Path) -> None:
    ran = cli(*matrix("--target", "xquad,panx"))
    assert ran.code == 1
    assert f"{tiny_data}: holds no test split of 'panx' in any of its languages" in ran.err


def test_what_is_no_plan_is_not_to_be_removed(cli: Cli, plan: Path, tiny_base: Path) -> None:
    store = plan.parent.parent
    for path in (store, tiny_base / "config.json", store / "store.json"):
        ran = cli("stage", path, "train-x")
        assert ran.code == 2
        assert f"{path} is no plan file" in ran.err
        assert "remove" not in ran.err
    missing = cli("stage", store / "plans" / "x.json", "train-x")
    assert (missing.code, "no such plan file" in missing.err) == (2, True)
    unknown = cli("stage", plan, "train-x")
    assert unknown.code == 2
    assert "unknown stage of the plan 'train-x'. Choices: train-" in unknown.err
    plan.write_text("{")
    damaged = cli("status", store)
    assert damaged.code == 1
    assert f"{plan} cannot be read" in damaged.err
    assert "remove it" in damaged.err


def test_an_unknown_stage_of_a_large_plan_names_the_nearest(cli: Cli, plan: Path) -> None:
    value = json.loads(plan.read_text())
    first = value["stages"][0]
    value["stages"] += [{**first, "name": f"train-mnli-{n:012x}", "key": f"{n:064x}"} for n in range(5000)]
    plan.write_text(json.dumps(value))
    ran = cli("stage", plan, "train-mnli-z00000001387")
    assert ran.code == 2
    assert "did you mean 'train-mnli-000000001387'?" in ran.err
    assert f"And 4995 more, in {plan}." in ran.err
    assert len(ran.err) < 1000


def test_status_of_no_store_and_of_one_without_a_plan(cli: Cli, tmp_path: Path) -> None:
    assert "no such store; name the folder after --store" in cli("status", tmp_path / "nowhere").err


@pytest.mark.parametrize(
    "words",
    [("status",), ("submit", "--out", "out", "--store"), ("store", "export", "0d7e5b22516c", "out", "--store"),
     ("store", "ls"), ("matrix", "--recipe", "miniature", "--inter", "none", "--target", "xnli", "--store")],
)  # fmt: skip
def test_a_zip_file_in_the_place_of_a_store_is_told(cli: Cli, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "results.zip").write_bytes(b"PK")
    ran = cli(*words, tmp_path / "results.zip")
    assert ran.code != 0
    assert (
        "is a file, and a store is a folder: name one. Exported results in a zip file are read by" in ran.err
    )
    ran = cli("status", tmp_path)
    assert ran.code == 2
    assert "no plan in its folder plans/; `adapter-stilts matrix` and `train` write one" in ran.err


def test_a_recipe_with_axes(cli: Cli, matrix: Tiny, tiny: Tiny, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text('[matrix]\ninter = ["none", "hellaswag"]\ntarget = ["xquad"]\nseeds = 2\n')
    refused = cli(*tiny("--recipe", recipe))
    assert refused.code == 2
    assert f"use adapter-stilts matrix --recipe {recipe}" in refused.err
    cells = cli(*matrix("--recipe", recipe, "--dry-run")).json["cells"]
    assert [(cell["inter"], cell["seed"]) for cell in cells] == [
        ("none", 0), ("hellaswag", 0), ("none", 1), ("hellaswag", 1)
    ]  # fmt: skip
    cells = cli(*matrix("--recipe", recipe, "--seed", "3", "--inter", "none", "--dry-run")).json["cells"]
    assert [(cell["inter"], cell["seed"]) for cell in cells] == [("none", 3)]
    recipe.write_text("matrix = 3\n")
    assert "matrix = 3: should be a section [matrix]" in cli(*matrix("--recipe", recipe)).err
    recipe.write_text('[matrix]\ntargets = ["xquad"]\n')
    assert "unknown matrix key 'targets'; did you mean 'target'?" in cli(*matrix("--recipe", recipe)).err


def test_what_cannot_be_is_left_out_also_by_who_runs_a_stage(cli: Cli, matrix: Tiny, tmp_path: Path) -> None:
    """One recipe, of whose cells one cannot be: the plan of its file has to leave out the same."""
    asked = ("--inter", "hellaswag", "--inter", "snli", "--combine", "stack", "--mode", "lora")
    ran = cli(*matrix(*asked, "--target", "xquad,tatoeba", "--dry-run"))
    assert "'tatoeba' trains nothing" in ran.err
    assert [cell["target"] for cell in ran.json["cells"]] == ["xquad"]
    ran = cli(*matrix(*asked, "--target", "xquad,tatoeba", "--limit-train", "8"))
    assert ran.code == 0, ran.err
    last = ran.json["cells"][0]["stage"]
    shutil.rmtree(next((tmp_path / "store").glob(f"evaluate-*-{last[:12]}")))
    again = cli("stage", ran.json["plan"], last, "--device", "cpu")
    assert again.code == 0, again.err
    assert (
        cli(*matrix(*asked, "--target", "xquad,tatoeba", "--limit-train", "8")).json["cells"]
        == ran.json["cells"]
    )


def test_next_names_what_is_missing_and_its_command_runs_it(cli: Cli, matrix: Tiny, tmp_path: Path) -> None:
    axes = ("--inter", "none,hellaswag,squad_v1", "--target", "xquad,udpos", "--mode", "lora")
    asked = matrix(*axes, "--limit-train", "8", "--set", "evaluation.limit=4")
    ran = cli(*asked, "--next", "2")
    assert (ran.code, ran.out) == (2, "")
    assert "--next 2: the store holds none of the 6 cells" in ran.err
    assert not (tmp_path / "store").exists()
    whole = cli(*asked)
    assert whole.code == 0, whole.err
    ran = cli(*asked, "--next", "2")
    assert (ran.code, ran.out) == (2, "")
    assert "--next 2: every one of the 6 cells is finished" in ran.err
    cells = {(cell["inter"], cell["target"]): cell for cell in whole.json["cells"]}
    directories = {stage["key"]: Path(stage["dir"]) for stage in whole.json["stages"]}
    gone = directories[cells["none", "udpos"]["stage"]]
    shutil.rmtree(gone)
    found = cli(*asked, "--next", "2").json
    assert (found["known"], found["cells"], found["rank"]) == (5, 6, None)
    (cell,) = found["next"]
    assert (cell["inter"], cell["target"], cell["mode"], cell["gain"]) == ("none", "udpos", "lora", None)
    (command,) = found["commands"]
    words = shlex.split(command)
    assert words[:8] == ["adapter-stilts", "matrix", "--inter", "none", "--target", "udpos", "--mode", "lora"]
    assert "--next" not in words
    ran = cli(*words[1:], "--json")
    assert ran.code == 0, ran.err
    assert gone.is_dir()
    assert sorted(set(ran.statuses())) == ["cached", "ran"]


def test_next_of_two_modes_says_which_and_tells_how_well(cli: Cli, matrix: Tiny, tmp_path: Path) -> None:
    axes = ("--inter", "none,hellaswag,squad_v1", "--target", "xquad,udpos", "--mode", "lora,ia3")
    asked = matrix(*axes, "--limit-train", "4", "--set", "evaluation.limit=2")
    whole = cli(*asked)
    assert whole.code == 0, whole.err
    directories = {stage["key"]: Path(stage["dir"]) for stage in whole.json["stages"]}
    for cell in whole.json["cells"]:
        if (cell["inter"], cell["target"]) == ("hellaswag", "udpos"):
            shutil.rmtree(directories[cell["stage"]])
    text = [word for word in asked if word != "--json"]
    ran = cli(*text, "--next", "9")
    assert ran.code == 0, ran.err
    assert "Cells to run next, of 2 that are missing" in ran.out
    assert "known           10 of 12 cells; each known gain, told by the others alone, is off by" in ran.out
    assert (
        ran.out.count("next            adapter-stilts matrix --inter hellaswag --target udpos --mode ") == 2
    )
    assert {"lora", "ia3"} <= set(ran.out.split())
