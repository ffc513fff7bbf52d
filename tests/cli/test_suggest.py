"""`adapter-stilts suggest`: a ranking without training, what it costs and does not claim, one error for bad input."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts import tasks
from adapter_stilts.errors import UsageError
from adapter_stilts.runtime import seconds_of
from adapter_stilts.select import reading
from adapter_stilts.select.estimators import ESTIMATORS
from adapter_stilts.select.record import record
from adapter_stilts.select.short_runs import short_run
from adapter_stilts.select.suggestion import Clock
from adapter_stilts.suggesting import SAMPLE
from adapter_stilts.tasks.base import Task

Cli = Callable[..., Any]

MINIATURE = ("suggest", "--recipe", "miniature", "--device", "cpu", "--examples", "16")
FEW = ("--among", "mnli,squad_v1,hellaswag,ccg")

DECLARED = """
format = "text_classification"
labels = ["bad", "good"]
languages = ["en"]

[files]
train = "reviews.csv"
test = "reviews.csv"

[columns]
text = "text"
label = "label"
"""


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test makes known stays in it."""
    monkeypatch.setattr(tasks, "_added", {})
    monkeypatch.setattr(tasks, "_named", set())


@pytest.fixture
def real(tiny_base: Path, tiny_data: Path) -> tuple[object, ...]:
    """Release files and an encoder in folders."""
    return ("suggest", "--base", tiny_base, "--data", tiny_data, "--device", "cpu")


def test_sources_are_ranked_and_the_command_trains_the_first_three(cli: Cli) -> None:
    ran = cli(*MINIATURE, "--target", "tydiqa", *FEW, "--mode", "lora", "--json")
    assert (ran.code, ran.err) == (0, "")
    found = ran.json
    assert (found["target"], found["trained_on"], found["base"]) == ("tydiqa", "tydiqa", "miniature")
    assert (found["mode"], found["device"], found["examples"]) == ("lora", "cpu", 16)
    assert list(found["estimators"]) == list(ESTIMATORS)
    rows = {row["source"]: row for row in found["ranking"]}
    assert sorted(rows) == ["ccg", "hellaswag", "mnli", "squad_v1"]
    assert [row["rank"] for row in found["ranking"]] == sorted(row["rank"] for row in found["ranking"])
    assert rows["squad_v1"]["scores"]["same_format"] == 1.0
    assert rows["squad_v1"]["ranks"]["same_format"] == 1.0
    assert rows["mnli"]["ranks"]["same_format"] == 3.0  # of three that are equal
    for row in rows.values():
        mean = sum(1 / rank for rank in row["ranks"].values()) / len(ESTIMATORS)
        assert row["mean_reciprocal"] == pytest.approx(mean, abs=1e-4)
    assert list(found["seconds"]) == ["reading", "embedding"]
    first = ",".join(["none", *(row["source"] for row in found["ranking"][:3])])
    words = ["adapter-stilts", "matrix", "--inter", first, "--target", "tydiqa", "--mode", "lora"]
    assert shlex.split(found["command"]) == [*words, "--recipe", "miniature", "--seeds", "3"]


def test_the_table_says_what_each_estimator_is_and_how_well_it_did(cli: Cli) -> None:
    ran = cli(*MINIATURE, "--target", "tydiqa", *FEW)
    assert ran.code == 0
    for name, estimator in ESTIMATORS.items():
        assert f"{name} " in ran.out
        assert estimator.WHAT in ran.out
    assert "squad_v1" in ran.out
    assert "cost " in ran.out
    # XNLI alone, in two of three seeds; the other five not.
    told = "so far          on the miniature, full, 9 tasks: the best was among the first three for 2 of 6 targets"
    assert told in ran.out
    assert "adapter-stilts matrix --inter none," in ran.out
    assert "points" in ran.out
    assert "predicted" not in ran.out


def test_the_command_it_prints_is_one(cli: Cli) -> None:
    command = cli(*MINIATURE, "--target", "tydiqa", *FEW, "--json").json["command"]
    ran = cli(*shlex.split(command)[1:], "--dry-run", "--json")
    assert ran.code == 0, ran.err


def test_release_files_and_what_trains_the_target(cli: Cli, real: tuple[object, ...]) -> None:
    ran = cli(*real, "--target", "xquad", "--among", "squad_v1,hellaswag,snli", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["trained_on"] == "squad_v1"
    assert ran.json["ranking"][0]["source"] == "squad_v1"
    assert "note: squad_v1 holds the train set of xquad itself" in ran.err
    sizes = {row["source"]: row["examples"] for row in ran.json["ranking"]}
    assert sizes == {"squad_v1": 48, "hellaswag": 24, "snli": 72}


def test_each_is_what_the_data_hold(cli: Cli, real: tuple[object, ...]) -> None:
    ran = cli(*real, "--target", "udpos", "--json")
    assert ran.code == 0, ran.err
    assert {row["source"] for row in ran.json["ranking"]} == {"anli_plus", "squad_v1", "hellaswag"}
    assert (
        ran.err.count("anli_plus of each: left out anli (no train split at hand), mnli (no train split") == 1
    )
    assert "note: anli_plus: left out" not in ran.err


def test_limits_of_a_recipe_hold(cli: Cli, real: tuple[object, ...]) -> None:
    limited = ("--set", "intermediate.limit_train=5")
    ran = cli(*real, "--target", "udpos", "--among", "squad_v1,hellaswag", *limited, "--json")
    assert [row["examples"] for row in ran.json["ranking"]] == [5, 5]
    assert "--set intermediate.limit_train=5" in ran.json["command"]


def test_a_task_of_one_s_own(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "reviews.toml").write_text(DECLARED, encoding="utf-8")
    rows = [f"a fine day number {n},good\nan awful day number {n},bad\n" for n in range(8)]
    (tmp_path / "reviews.csv").write_text("text,label\n" + "".join(rows), encoding="utf-8")
    file = tmp_path / "reviews.toml"
    ran = cli(*MINIATURE, "--target", file, "--among", "mnli,ccg", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["target"], ran.json["trained_on"]) == ("reviews", "reviews")
    assert f"--target {file}" in ran.json["command"]


def test_a_budget_leaves_the_encoder_out_and_says_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, "embedded", 2.0)
    ran = cli(*MINIATURE, "--target", "tydiqa", *FEW, "--budget", "1m", "--json")
    assert "text_embedding" in ran.json["estimators"]
    slow(monkeypatch, "embedded", 25.0)
    ran = cli(*unmeasured(12), "--target", "tydiqa", *FEW, "--budget", "1m", "--json")
    assert ran.code == 0
    assert list(ran.json["estimators"]) == ["size", "same_format", "vocabulary", "lengths"]
    assert (
        "text_embedding left out: --budget 60s leaves no time to run the encoder on 5 train sets" in ran.err
    )
    assert "in all. What was measured is kept" in ran.err


def test_steps_add_task_embeddings_unless_the_budget_is_too_short(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = (*MINIATURE, "--target", "tydiqa", "--among", "squad_v1,mnli", "--steps", "2")
    ran = cli(*asked, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert list(ran.json["estimators"]) == [*ESTIMATORS, "task_embedding"]
    assert list(ran.json["seconds"]) == ["reading", "embedding", "training"]
    assert "--steps" not in ran.json["command"]
    assert ran.json["record"]["kind"] == "tasks with a short training"
    slow(monkeypatch, "trained", 50.0)
    ran = cli(*asked, "--budget", "1m", "--json")
    assert list(ran.json["estimators"]) == list(ESTIMATORS)
    assert "task_embedding left out: --budget 60s leaves no time to train on 3 train sets" in ran.err
    assert ran.json["record"]["kind"] == "tasks"


def test_fitted_weights_are_of_other_targets(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = (*MINIATURE, "--target", "tydiqa", "--among", "squad_v1,mnli,ccg", "--weights", "fitted")
    ran = cli(*asked, "--json")
    assert ran.code == 0
    assert (
        "note: weights fitted on the miniature's xnli, pawsx, udpos, panx, xquad, mlqa (results " in ran.err
    )
    weighted = [row["weighted"] for row in ran.json["ranking"]]
    assert weighted == sorted(weighted, reverse=True)
    assert ran.json["record"]["kind"] == "tasks by fitted weights"
    assert "weighted" in cli(*asked).out
    assert cli(*asked[:-2], "--json").json["ranking"][0]["weighted"] is None
    slow(monkeypatch, "embedded", 30.0)
    ran = cli(*asked, "--budget", "1m")
    assert ran.code == 2
    assert "--weights fitted: text_embedding has a weight, and --budget 60s left no time for it" in ran.err


def unmeasured(examples: int) -> tuple[object, ...]:
    """The same with another number of examples, of which the cache holds nothing: one number a test."""
    return (*MINIATURE[:-1], examples)


def test_a_budget_is_held_where_the_cache_has_a_part(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the cache held told that the rest would be as quick."""
    asked = (*unmeasured(11), "--target", "tydiqa", "--steps", "2", "--json", "--among")
    assert cli(*asked, "mnli,squad_v1").code == 0
    slow(monkeypatch, "trained", 25.0, lambda task: task.name in ("hellaswag", "ccg"))
    ran = cli(*asked, FEW[1], "--budget", "40s")
    assert ran.code == 0, ran.err
    assert list(ran.json["estimators"]) == list(ESTIMATORS)
    assert "note: task_embedding left out: --budget 40s leaves no time to train on 5 train sets. " in ran.err


def slow(
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    seconds: float,
    which: Callable[[Any], bool] = lambda task: True,
) -> None:
    """Each call, of the tasks that are meant, moves the clock by so many seconds; nobody waits."""
    passed = [0.0]
    plain = getattr(reading.TrainSets, method)
    plain = getattr(plain, "plain", plain)

    def slower(*arguments: Any) -> Any:
        passed[0] += seconds * any(isinstance(one, Task) and which(one) for one in arguments)
        return plain(*arguments)

    slower.plain = plain  # type: ignore[attr-defined]
    monkeypatch.setattr(reading.TrainSets, method, slower)
    monkeypatch.setattr(Clock, "taken", property(lambda clock: passed[0]))


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "retrieval": (
        ("--target", "tatoeba"),
        "'tatoeba' has no English train set: nothing is trained for it, and every estimator compares sources with what "
        "trains the target. Trained sources can be evaluated on it as they are: adapter-stilts matrix --inter "
        "none,each --target tatoeba --recipe miniature --seeds 3",
    ),
    "all": (("--target", "all"), "sources are ranked for one target at a time"),
    "two targets": (("--target", "xnli,tydiqa"), "sources are ranked for one target at a time"),
    "empty target": (("--target", ""), "--target '' is empty"),
    "no target": (("--target", "tydika"), "did you mean 'tydiqa'?"),
    "one source": (
        ("--target", "tydiqa", "--among", "mnli"),
        "one source leaves nothing to rank; name several",
    ),
    "no source": (("--target", "tydiqa", "--among", "mnli,squad"), "unknown intermediate task 'squad'"),
    "baseline": (("--target", "tydiqa", "--among", "mnli,none"), "--among none: is the baseline"),
    "one stage": (("--target", "tydiqa", "--among", "mnli,all"), "--among all: is one stage"),
    "text": (("--target", "tydiqa", "--among", "mnli,tlm"), "--among tlm: is text, not a task"),
    "empty": (("--target", "tydiqa", "--among", "mnli,"), "holds an empty name"),
    "no time": (
        ("--target", "tydiqa", *FEW, "--budget", "soon"),
        "--budget 'soon': should be a time such as 90s",
    ),
    "empty time": (
        ("--target", "tydiqa", *FEW, "--budget", ""),
        "--budget '' is empty",
    ),
    "empty own": (
        ("--target", "tydiqa", *FEW, "--own", ""),
        "--own '' is empty",
    ),
    "too short": (
        ("--target", "tydiqa", *FEW, "--budget", "0s"),
        "--budget 0s is too short for any estimator",
    ),
    "own of tasks": (
        ("--target", "tydiqa", *FEW, "--own", "runs/x"),
        "--own 'runs/x': a bundle of the target is held against bundles, and --among names tasks",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_message(cli: Cli, case: str) -> None:
    arguments, message = BAD[case]
    ran = cli(*MINIATURE, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert ran.err.count("error:") == 1


def test_steps_are_counted_from_one(cli: Cli) -> None:
    ran = cli(*MINIATURE, "--target", "tydiqa", *FEW, "--steps", "0")
    assert ran.code == 2
    assert "Invalid value for '--steps': 0 is not in the range x>=1" in ran.err


def test_a_budget_too_short_says_how_much_is_needed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, "measure", 30.0)
    ran = cli(*unmeasured(13), "--target", "tydiqa", *FEW, "--budget", "1m")
    assert ran.code == 2
    assert "in 60.0 s 2 of 5 train sets were read; give about 151s" in ran.err


def test_bad_input_is_told_without_torch() -> None:
    code = (
        "import sys; from adapter_stilts.cli.main import run; "
        "print(run(['suggest', '--recipe', 'miniature', '--target', 'tydiqa', '--among', 'mnli']), "
        "'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout == "2 False\n", ran.stderr


def test_times() -> None:
    assert [seconds_of(text) for text in ("90", "90s", "10m", "1.5h")] == [90, 90, 600, 5400]
    with pytest.raises(UsageError, match="10 days"):
        seconds_of("10 days")


def test_the_record_is_never_of_the_cell_at_hand() -> None:
    found = record("tasks", "tydiqa", "full")
    assert found is not None
    assert "tydiqa" not in found.targets
    assert len(found.targets) == 6
    other = record("tasks", "none of these", "full")
    assert other is not None
    assert len(other.targets) == 7
    lora = record("tasks", "tydiqa", "lora")
    assert lora is not None
    assert (lora.mode, lora.targets) == ("lora", ("xnli", "pawsx", "udpos", "panx", "xquad", "mlqa"))
    for mode, held in (("lora", 4), ("adapter", 3)):
        nine = record("bundles", "tydiqa", mode)
        assert nine is not None
        told = f"on the miniature, {mode}, 9 bundles: the best was among the first three for {held} of 6"
        assert str(nine).startswith(told)
    unknown = record("tasks", "tydiqa", "ia3")
    assert unknown is not None
    assert unknown.mode == "full"


def test_help_says_how_many_examples_are_measured(cli: Cli) -> None:
    ran = cli("suggest", "--help")
    assert f"[default: {SAMPLE};" in " ".join(ran.out.split())


SHELF = Path(__file__).resolve().parents[2] / "adapters_hub"


def test_bundles_are_ranked_by_what_their_states_tell(cli: Cli) -> None:
    ran = cli(*MINIATURE, "--target", "tydiqa", "--among", SHELF, "--mode", "lora", "--json")
    assert (ran.code, ran.err) == (0, "")
    found = ran.json
    assert list(found["estimators"]) == ["logme", "h_score", "nleep", "transrate"]
    places = [str(SHELF / f"{task}-lora") for task in ("hellaswag", "mnli", "squad_v1")]
    assert sorted(row["source"] for row in found["ranking"]) == places
    assert found["ranking"][0]["source"].endswith("squad_v1-lora")
    assert found["mode"] == "lora"
    words = shlex.split(found["command"])
    assert words[words.index("--inter") + 1].split(",")[1] == str(SHELF / "squad_v1-lora")
    assert words[words.index("--mode") + 1] == "lora"
    assert list(found["seconds"]) == ["reading", "running bundles"]


def test_steps_compare_updates_and_transfer_a_few_shots(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = (*MINIATURE, "--target", "tydiqa", "--among", SHELF, "--mode", "lora", "--steps", "2")
    ran = cli(*asked, "--json")
    assert (ran.code, ran.err) == (0, "")
    every = ["logme", "h_score", "nleep", "transrate", "update_cosine", "arrow", "few_shot", "training_curve"]
    assert list(ran.json["estimators"]) == every
    assert list(ran.json["seconds"])[2:] == ["training", "comparing updates", "short runs"]
    assert ran.json["record"]["kind"] == "bundles with a short training"
    monkeypatch.setattr(Clock, "taken", property(lambda clock: 100.0 if "training" in clock.seconds else 0.0))
    ran = cli(*asked, "--budget", "1m", "--json")
    assert ran.code == 0, ran.err
    assert list(ran.json["estimators"]) == every[:4]
    assert "note: update_cosine, arrow left out: --budget 60s leaves no time for 3 bundles" in ran.err
    assert "note: few_shot, training_curve left out: --budget 60s leaves no time for 3 bundles" in ran.err
    assert ran.json["record"]["kind"] == "bundles"


def test_a_target_without_a_dev_split_still_has_a_training_curve(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(short_run, "dev_of", lambda target, sets: None)
    asked = ("--target", "tydiqa", "--among", SHELF, "--mode", "adapter", "--steps", "1", "--examples", "16")
    ran = cli(*MINIATURE, *asked, "--json")
    assert ran.code == 0, ran.err
    assert list(ran.json["estimators"])[4:] == ["training_curve"]
    assert "note: few_shot left out: tydiqa has no dev split at hand" in ran.err


def test_an_own_bundle_stands_for_the_target_s_update(cli: Cli) -> None:
    own = SHELF / "squad_v1-lora"
    asked = (*MINIATURE, "--target", "xquad", "--among", SHELF, "--mode", "lora", "--own")
    ran = cli(*asked, own, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert not {"few_shot", "training_curve"} & set(ran.json["estimators"])
    assert ran.json["record"]["kind"] == "bundles"  # its own bundle was trained before
    rows = {row["source"]: row["scores"] for row in ran.json["ranking"]}
    assert rows[str(own)]["arrow"] == rows[str(own)]["update_cosine"] == 1.0
    assert rows[str(SHELF / "mnli-lora")]["update_cosine"] < 0.2
    ran = cli(*asked, SHELF / "mnli-lora")
    assert ran.code == 2
    assert "mnli-lora: trained on mnli, and the target is trained on squad_v1" in ran.err


def test_an_own_bundle_of_another_mode_is_told_what_decides_the_mode(cli: Cli) -> None:
    """Given or not: --mode chooses among bundles, and what is ranked in the end has one."""
    named = f"{SHELF / 'mnli-lora'},{SHELF / 'squad_v1-lora'}"
    for among in (("--among", named), ("--among", SHELF, "--mode", "lora")):
        ran = cli(*MINIATURE, "--target", "xquad", *among, "--own", SHELF / "squad_v1-full")
        assert (ran.code, ran.out) == (2, "")
        told = "of mode full, and the bundles after --among are of lora, which its update is held against: name one of "
        assert f"--own {SHELF / 'squad_v1-full'}: {told}mode lora, or rank bundles of mode full" in ran.err
        assert "--mode is" not in ran.err


def test_bundles_that_change_no_weights_have_no_updates(cli: Cli) -> None:
    asked = ("--target", "tydiqa", "--among", SHELF, "--mode", "adapter", "--steps", "1")
    ran = cli(*MINIATURE, *asked, "--json")
    assert ran.code == 0
    assert list(ran.json["estimators"])[4:] == ["few_shot", "training_curve"]
    assert "note: update_cosine, arrow left out: bottlenecks, prefixes and fusions" in ran.err


def test_a_task_s_name_is_no_folder_s(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mnli").mkdir()
    monkeypatch.chdir(tmp_path)
    ran = cli(*MINIATURE, "--target", "tydiqa", "--among", "mnli,squad_v1", "--json")
    assert ran.code == 0, ran.err
    assert {row["source"] for row in ran.json["ranking"]} == {"mnli", "squad_v1"}


def test_the_mode_of_bundles_need_not_be_said(cli: Cli) -> None:
    among = f"{SHELF / 'mnli-full'},{SHELF / 'squad_v1-full'}"
    ran = cli(*MINIATURE, "--target", "panx", "--among", among)
    assert ran.code == 0, ran.err
    assert "--mode full" in ran.out
    assert "LogME: evidence" in ran.out


BAD_BUNDLES: dict[str, tuple[tuple[object, ...], str]] = {
    "weights": (
        ("--mode", "lora", "--among", SHELF, "--weights", "fitted"),
        "--weights fitted: weights were fitted for what estimators say of tasks; of bundles each has one vote",
    ),
    "several modes": (
        ("--among", SHELF),
        "bundles of several modes (adapter, dora, full, ia3, lora, rslora)",
    ),
    "another mode": (
        ("--mode", "lora", "--among", f"{SHELF / 'mnli-lora'},{SHELF / 'mnli-full'}"),
        "mnli-full: of mode full, and --mode is lora",
    ),
    "one": (
        ("--among", SHELF / "mnli-lora"),
        "mnli-lora of the encoder miniature, which leaves nothing to rank",
    ),
    "tasks beside": (("--among", f"{SHELF / 'mnli-lora'},mnli"), "mnli are tasks, and the others bundles"),
    "no such": (("--among", SHELF / "mnli-lor"), "did you mean"),
}


@pytest.mark.parametrize("case", BAD_BUNDLES)
def test_bad_bundles_are_one_message(cli: Cli, case: str) -> None:
    arguments, message = BAD_BUNDLES[case]
    ran = cli(*MINIATURE, "--target", "tydiqa", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_bundles_of_another_base(cli: Cli, real: tuple[object, ...]) -> None:
    among = ("--target", "xquad", "--among", f"{SHELF / 'mnli-lora'},{SHELF / 'squad_v1-lora'}")
    ran = cli(*real, *among)
    assert ran.code == 2
    assert "mnli-lora: trained on the base 'miniature' (fingerprint f7f0ae3fc186)" in ran.err
    assert "give --base, or the --recipe, with its own" in ran.err
    ran = cli(*real, "--target", "xquad", "--among", SHELF)
    assert ran.code == 2
    assert "no bundle of the encoder" in ran.err


def test_numbers_have_no_classes(cli: Cli, tmp_path: Path) -> None:
    declared = DECLARED.replace("text_classification", "text_regression")
    declared = declared.replace('labels = ["bad", "good"]', "")
    (tmp_path / "stars.toml").write_text(declared.replace("reviews.csv", "stars.csv"), encoding="utf-8")
    rows = [f"day number {n},{n}.5\n" for n in range(8)]
    (tmp_path / "stars.csv").write_text("text,label\n" + "".join(rows), encoding="utf-8")
    among = ("--among", SHELF, "--mode", "lora")
    ran = cli(*MINIATURE, "--target", tmp_path / "stars.toml", *among)
    assert ran.code == 2, ran.err
    assert "is of format text_regression" in ran.err
    assert "Name tasks after --among in their place" in ran.err


def test_a_budget_too_short_for_bundles(cli: Cli) -> None:
    ran = cli(*MINIATURE, "--target", "tydiqa", "--among", SHELF, "--mode", "lora", "--budget", "0s")
    assert ran.code == 2
    assert "--budget 0s is too short" in ran.err
