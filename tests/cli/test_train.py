"""`adapter-stilts train`: what it prints and keeps; every bad input is one message and leaves nothing half done."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Cli = Callable[..., Any]
Tiny = Callable[..., list[str]]
Listing = Callable[[Path], list[str]]

BUNDLE = [
    "README.md",
    "SHA256SUMS",
    "bundle.json",
    "config.json",
    "model.safetensors",
    *(["special_tokens_map.json"] if version("transformers") < "5" else []),  # in tokenizer_config.json since
    "tokenizer.json",
    "tokenizer_config.json",
]


def test_one_json_value(finished: Any) -> None:
    printed = finished.printed
    assert set(printed) == {"benchmark", "stages", "results"}
    kinds = [(stage["kind"], stage["task"]) for stage in printed["stages"]]
    assert kinds == [
        ("train", "hellaswag"),
        ("train", "squad_v1"),
        ("evaluate", "xquad"),
        ("train", "udpos"),
        ("evaluate", "udpos"),
    ]
    for stage in printed["stages"]:
        assert set(stage) == {"key", "kind", "task", "status", "dir"}
        assert re.fullmatch("[0-9a-f]{64}", stage["key"])
        assert stage["status"] == "ran"
        assert stage["dir"] == str(finished.store / f"{stage['kind']}-{stage['task']}-{stage['key'][:12]}")
    assert list(printed["results"]) == ["xquad", "udpos"]
    for task, metrics in (("xquad", {"exact_match", "f1"}), ("udpos", {"f1"})):
        result = printed["results"][task]
        assert set(result["languages"]) == {"en", "de"}
        assert set(result["average"]) == metrics
        about = ("inter", "mode", "precision", "base", "seed", "limits")
        limits = dict.fromkeys(("intermediate", "target", "evaluation"))
        base = finished.arguments[finished.arguments.index("--base") + 1]
        assert [result[key] for key in about] == ["hellaswag", "full", "fp32", base, 0, limits]
        for metric in metrics:
            values = [language[metric] for language in result["languages"].values()]
            assert all(0 <= value <= 100 for value in values)
            assert result["average"][metric] == pytest.approx(sum(values) / 2)


def test_exactly_these_files(finished: Any, listing: Listing) -> None:
    expected = ["store.json"]
    for stage in finished.printed["stages"]:
        name = Path(stage["dir"]).name
        files = ["SHA256SUMS", "stage.json"]
        if stage["kind"] == "train":
            files += ["log.jsonl", *(f"bundle/{file}" for file in BUNDLE)]
        else:
            ending = {"xquad": "json", "udpos": "tsv"}[stage["task"]]
            files += ["metrics.json", "scores/de.jsonl", "scores/en.jsonl"]
            files += [f"predictions/{stage['task']}/test-{language}.{ending}" for language in ("de", "en")]
        expected += [f"{name}/{file}" for file in files]
    plans = [name for name in listing(finished.store) if name.startswith("plans/")]
    assert len(plans) == 1
    assert listing(finished.store) == sorted([*expected, *plans])
    assert not (finished.store / "work").exists()


def test_a_stage_says_how_it_was_computed(finished: Any) -> None:
    directory = finished.directory("train", "squad_v1")
    record = json.loads((directory / "stage.json").read_text())
    assert record["part"]["training"]["max_steps"] == 4
    assert record["parents"] == [finished.directory("train", "hellaswag").name]
    assert record["steps"] == record["best_step"] == 4
    assert set(record["dev"]) == {"exact_match", "f1"}
    assert record["evaluations"][-1] == {"step": 4, "dev": record["dev"]}
    assert 0 < record["real_token_share"] <= 1
    assert record["peak_memory"]["resident"] > 0
    assert {"torch", "transformers"} <= record["versions"].keys()
    log = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in log] == [1, 2, 3, 4]
    assert set(log[0]) == {"step", "loss", "learning_rate", "tokens", "padded_tokens", "tokens_per_second"}


def test_again_all_is_cached(cli: Cli, finished: Any, listing: Listing) -> None:
    before = listing(finished.store)
    again = cli(*finished.arguments)
    assert (again.code, again.statuses()) == (0, ["cached"] * 5)
    assert again.json["results"] == finished.printed["results"]
    assert listing(finished.store) == before
    quicker = cli(*finished.arguments, "--micro-batch-tokens", "64", "--checkpoint-seconds", "0")
    assert quicker.statuses() == ["cached"] * 5


def test_shared_stages_run_once(cli: Cli, finished: Any, copy: Callable[[], Path]) -> None:
    more = cli(*finished.arguments, "--store", copy(), "--inter", "none", "--inter", "hellaswag")
    assert (more.code, more.err.count(": ran in")) == (0, 4)
    by_status = {stage["status"]: 0 for stage in more.json["stages"]}
    for stage in more.json["stages"]:
        by_status[stage["status"]] += 1
    assert by_status == {"ran": 4, "cached": 5}
    cells = more.json["cells"]
    assert [cell["inter"] for cell in cells] == ["hellaswag", "none"]
    assert cells[0]["results"] == finished.printed["results"] == more.json["results"]


def test_target_given_twice_means_both(cli: Cli, finished: Any) -> None:
    at = finished.arguments.index("xquad,udpos")
    before, after = finished.arguments[:at], finished.arguments[at + 1 :]
    twice = cli(*before, "xquad", "--target", "udpos", *after)
    assert (twice.code, twice.json) == (0, cli(*finished.arguments).json)


def test_tables_for_people(cli: Cli, finished: Any) -> None:
    shown = cli(*(argument for argument in finished.arguments if argument != "--json"))
    rows = [line.replace("│", " ").split() for line in shown.out.splitlines()]
    average = finished.printed["results"]["xquad"]["average"]
    assert ["average", f"{average['exact_match']:.2f}", f"{average['f1']:.2f}"] in rows
    assert "xquad, zero-shot after hellaswag" in shown.out


def test_a_dry_run_writes_nothing(cli: Cli, tiny: Tiny, finished: Any, tmp_path: Path) -> None:
    ran = cli(*tiny("--inter", "hellaswag", "--target", "xquad", "--dry-run"))
    assert (ran.code, ran.statuses()) == (0, ["to run"] * 3)
    assert list(tmp_path.iterdir()) == []
    assert cli(*finished.arguments, "--dry-run").statuses() == ["cached"] * 5
    table = cli(*(a for a in finished.arguments if a != "--json"), "--dry-run").out
    assert table.count("cached") == 5


def test_leftovers_of_a_kill_right_after_the_commit_are_tidied(
    cli: Cli, finished: Any, copy: Callable[[], Path], listing: Listing
) -> None:
    store = copy()
    for kind, task in (("evaluate", "udpos"), ("train", "squad_v1")):
        name = finished.directory(kind, task).name
        (store / "work" / name).mkdir(parents=True)
        (store / "work" / name / "log.jsonl").write_text("")
        (store / "work" / f"{name}.lock").write_text("")
    ran = cli(*finished.arguments, "--store", store)
    assert ran.statuses() == ["cached"] * 5
    assert listing(store) == listing(finished.store)
    assert not (store / "work").exists()


def test_one_process_of_a_launch_prints(process: Cli, finished: Any) -> None:
    ran = process(*finished.arguments, env={"RANK": "1"})
    assert (ran.code, ran.out, ran.err) == (0, "", "")


REFUSED: dict[str, tuple[list[str], int, str]] = {
    "no target": ([], 2, "no target task: name one or several with --target"),
    "task": (["--target", "xqad"], 2, "unknown target task 'xqad'; did you mean 'xquad'?"),
    "intermediate": (["--target", "xquad", "--inter", "helaswag"], 2, "did you mean 'hellaswag'?"),
    "the baseline with a task": (
        ["--target", "xquad", "--inter", "none,snli"],
        2,
        "'none' is the baseline and stands alone",
    ),
    "text that is not given": (
        ["--target", "xquad", "--inter", "snli,mlm"],
        2,
        "--set intermediate.mlm.text=DIR",
    ),
    "language": (["--target", "xquad", "--languages", "de,xx"], 2, "unknown language of xquad 'xx'"),
    "language not at hand": (
        ["--target", "xquad", "--languages", "th"],
        1,
        "holds no xquad test split in th",
    ),
    "recipe": (["--target", "xquad", "--recipe", "studdy"], 2, "did you mean 'study'?"),
    "recipe file": (["--target", "xquad", "--recipe", "a/b.toml"], 2, "no recipe file at 'a/b.toml'"),
    "recipe key": (
        ["--target", "xquad", "--set", "target.learning_rat=1"],
        2,
        "did you mean 'target.learning_rate'?",
    ),
    "malformed --set": (["--target", "xquad", "--set", "target.epochs"], 2, "--set takes KEY=VALUE"),
    "mode": (["--target", "xquad", "--mode", "ful"], 2, "unknown mode 'ful'; did you mean 'full'?"),
    "precision": (["--target", "xquad", "--precision", "fp16"], 2, "valid: 'fp32'"),
    "full in 8 bits": (
        ["--target", "xquad", "--mode", "full", "--precision", "8bit"],
        2,
        "--precision bf16 with --set optimizer=adamw8bit",
    ),
    "device": (["--target", "xquad", "--device", "tpu"], 2, "--device tpu: choices are cpu and cuda"),
    "tracker": (["--target", "xquad", "--track", "nosuch"], 2, "unknown tracker 'nosuch'"),
    "time before": (
        ["--target", "xquad", "--checkpoint-seconds", "-1"],
        2,
        "--checkpoint-seconds -1: should be 0",
    ),
    "no time": (
        ["--target", "xquad", "--checkpoint-seconds", "nan"],
        2,
        "--checkpoint-seconds nan: should be 0",
    ),
    "device, dry": (
        ["--target", "xquad", "--device", "tpu", "--dry-run"],
        2,
        "--device tpu: choices are cpu",
    ),
    "base folder": (["--target", "xquad", "--base", "./nowhere"], 2, "--base ./nowhere: no such folder"),
    "data folder": (["--target", "xquad", "--data", "./nowhere"], 1, "nowhere"),
    "no data of the task": (["--target", "tydiqa"], 1, "holds no test split of 'tydiqa'"),
    "longer than the encoder": (
        ["--target", "xquad", "--set", "formats.span_qa.max_length=2000"],
        2,
        "has positions for 512 tokens; --set formats.span_qa.max_length=512",
    ),
}


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_before_anything_is_written(
    cli: Cli, tiny: Tiny, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    ran = cli(*tiny(*arguments))
    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err
    errors = [line for line in ran.err.splitlines() if not line.startswith("note: ")]
    assert len(errors) == 1, ran.err
    assert errors[0].startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_a_base_that_is_no_encoder(cli: Cli, tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    ran = cli(*tiny("--target", "xquad", "--base", tmp_path / "base"))
    assert (ran.code, ran.out) == (2, "")
    assert "needs config.json and model.safetensors" in ran.err


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


BESIDE_STAGES = ("store.json", "plans/", "failed/", "work/")
"""What a store holds where no stage was finished."""

# (file, what is done to it, target and more, what is told with file and line)
DAMAGED: dict[str, tuple[str, Callable[[Path], Any], list[str], str]] = {
    "missing train file": (
        "squad/train-v1.1.json",
        Path.unlink,
        ["--target", "xquad"],
        "holds no English train split of 'squad_v1'",
    ),
    "missing test file": (
        "xquad/xquad.de.json",
        Path.unlink,
        ["--target", "xquad", "--languages", "de"],
        "holds no xquad test split in de; it holds en",
    ),
    "truncated train file": (
        "hellaswag/hellaswag_train.jsonl",
        lambda path: edit(path, lambda text: text[: len(text) // 2]),
        ["--inter", "hellaswag", "--target", "xquad"],
        r"hellaswag_train\.jsonl:\d+: is not JSON: .*; the file may be truncated",
    ),
    "truncated squad": (
        "squad/train-v1.1.json",
        lambda path: edit(path, lambda text: text[:-40]),
        ["--target", "xquad"],
        r"train-v1\.1\.json:1: is not JSON: .*; the file may be truncated",
    ),
    "malformed row": (
        "hellaswag/hellaswag_train.jsonl",
        lambda path: edit(path, lambda text: text.replace('"ctx_b"', '"ctx_c"', 1)),
        ["--inter", "hellaswag", "--target", "xquad"],
        r"hellaswag_train\.jsonl:1: .*column 'ctx_b' is missing",
    ),
    "malformed json": (
        "hellaswag/hellaswag_val.jsonl",
        lambda path: edit(path, lambda text: text.replace("{", "[", 1)),
        ["--inter", "hellaswag", "--target", "xquad"],
        r"hellaswag_val\.jsonl:1: is not JSON",
    ),
    "label outside the set": (
        "snli/snli_1.0_train.jsonl",
        lambda path: edit(path, lambda text: text.replace('"neutral"', '"perhaps"', 1)),
        ["--inter", "snli", "--target", "xquad"],
        r"snli_1\.0_train\.jsonl:2: label 'perhaps' in column 'gold_label' is not one of: entailment",
    ),
    "tag outside the set": (
        "ud/UD_English-EWT/en_ewt-ud-train.conllu",
        lambda path: edit(path, lambda text: text.replace("\tDET\t", "\tDETT\t", 1)),
        ["--target", "udpos"],
        r"en_ewt-ud-train\.conllu:\d+: .*'DETT'",
    ),
    "choice outside the set": (
        "hellaswag/hellaswag_train.jsonl",
        lambda path: edit(path, lambda text: text.replace('"label": ', '"label": 9', 1)),
        ["--inter", "hellaswag", "--target", "xquad"],
        r"hellaswag_train\.jsonl:1: label 9\d in column 'label' is not one of: 0, 1, 2, 3",
    ),
    "answer elsewhere": (
        "squad/train-v1.1.json",
        lambda path: edit(path, lambda text: text.replace('"answer_start": ', '"answer_start": 1', 1)),
        ["--target", "xquad"],
        r"train-v1\.1\.json.*answer_start",
    ),
    "not utf-8": (
        "hellaswag/hellaswag_train.jsonl",
        lambda path: path.write_bytes(path.read_bytes().replace(b"People", b"P\xff", 1)),
        ["--inter", "hellaswag", "--target", "xquad"],
        r"hellaswag_train\.jsonl:1: is not UTF-8",
    ),
    "empty file": (
        "hellaswag/hellaswag_train.jsonl",
        lambda path: path.write_text(""),
        ["--inter", "hellaswag", "--target", "xquad"],
        r"hellaswag_train\.jsonl: holds no row",
    ),
}


@pytest.mark.parametrize(("file", "damage", "arguments", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_data(
    cli: Cli, tiny: Tiny, own_data: Path, tmp_path: Path, listing: Listing,
    file: str, damage: Callable[[Path], Any], arguments: list[str], message: str,
) -> None:  # fmt: skip
    damage(own_data / file)
    ran = cli(*tiny("--data", own_data, *arguments))
    assert ran.code == 1
    assert re.search(message, ran.err), ran.err
    assert "Traceback" not in ran.err
    # No stage is half there: at most the marker, the plan, the record, lock and log of what failed.
    store = tmp_path / "store"
    left = listing(store) if store.exists() else []
    assert not [name for name in left if not name.startswith(BESIDE_STAGES)]
    assert not [name for name in left if "partial" in name]


def test_a_failing_target_leaves_the_others_alone(
    cli: Cli, tiny: Tiny, own_data: Path, finished: Any, tmp_path: Path
) -> None:
    file = own_data / "xquad" / "xquad.de.json"
    intact = file.read_text()
    file.write_text(intact[:-30])
    arguments = tiny("--data", own_data, "--inter", "hellaswag", "--target", "xquad,udpos")
    ran = cli(*arguments)
    assert ran.code == 1
    assert ran.statuses() == ["ran", "ran", "failed", "ran", "ran"]
    assert ran.json["results"] == {"udpos": finished.printed["results"]["udpos"]}
    failed = ran.json["stages"][2]
    assert "xquad.de.json:1: is not JSON" in failed["error"]
    assert f"{Path(failed['dir']).name} failed: " in ran.err
    file.write_text(intact)
    mended = cli(*arguments)
    assert (mended.code, mended.statuses()) == (0, ["cached", "cached", "ran", "cached", "cached"])
    assert mended.json["results"] == finished.printed["results"]


def test_descendants_of_a_failed_stage_are_skipped(cli: Cli, tiny: Tiny, own_data: Path) -> None:
    edit(own_data / "squad" / "train-v1.1.json", lambda text: text[:-30])
    ran = cli(
        *tiny("--data", own_data, "--inter", "none", "--inter", "hellaswag", "--target", "xquad,tatoeba")
    )
    assert ran.code == 1
    statuses = {(s["kind"], s["task"]): s["status"] for s in ran.json["stages"]}
    assert statuses == {
        ("train", "squad_v1"): "failed",
        ("evaluate", "xquad"): "skipped",
        ("evaluate", "tatoeba"): "ran",
        ("train", "hellaswag"): "ran",
    }
    assert [set(cell["results"]) for cell in ran.json["cells"]] == [{"tatoeba"}, {"tatoeba"}]


def test_a_loss_that_is_no_number(cli: Cli, tiny: Tiny, tmp_path: Path, listing: Listing) -> None:
    settings = ("--set", "target.learning_rate=1e30", "--set", "target.max_steps=20")
    ran = cli(*tiny("--target", "xquad", *settings, "--set", "target.warmup_ratio=0.0"))
    assert (ran.code, ran.statuses()) == (1, ["failed", "skipped"])
    assert re.search(r"the loss is (nan|inf) at step \d+ of 20, learning rate [0-9.e+]+: lower", ran.err)
    assert ran.json["results"] == {}


def test_debug_shows_the_traceback_of_a_stage(
    tiny: Tiny, process: Cli, own_data: Path, tmp_path: Path
) -> None:
    edit(own_data / "hellaswag" / "hellaswag_train.jsonl", lambda text: text[:-30])
    ran = process(*tiny("--data", own_data, "--inter", "hellaswag", "--target", "tatoeba", "--debug"))
    assert (ran.code, ran.statuses()) == (1, ["failed", "skipped"])
    assert "Traceback (most recent call last)" in ran.err
    assert "DataError: " in ran.err


def test_a_newer_store(cli: Cli, tiny: Tiny, tmp_path: Path, listing: Listing) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").write_text('{"schema": 7}')
    ran = cli(*tiny("--target", "xquad"))
    assert (ran.code, ran.out) == (1, "")
    assert "has schema 7, this version reads up to 1: upgrade adapter-stilts" in ran.err
    assert listing(tmp_path) == ["store/store.json"]


@pytest.mark.parametrize("below", [[], ["store"]])
def test_a_store_that_is_a_file(cli: Cli, tiny: Tiny, tmp_path: Path, below: list[str]) -> None:
    (tmp_path / "file").write_text("mine")
    ran = cli(*tiny("--target", "xquad", "--store", tmp_path.joinpath("file", *below)))
    assert (ran.code, ran.out) == (1, "")
    assert "file" in ran.err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_damaged_cache_is_made_again(
    cli: Cli, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADAPTER_STILTS_CACHE", str(tmp_path / "cache"))
    first = cli(*tiny("--target", "udpos"))
    arrays = list((tmp_path / "cache").rglob("arrays.bin"))
    assert arrays
    for path in arrays:
        path.write_bytes(path.read_bytes()[:50])
    again = cli(*tiny("--target", "udpos", "--store", tmp_path / "other"))
    assert again.statuses() == ["ran", "ran"]
    assert again.json["results"] == first.json["results"]


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def test_a_disk_that_takes_no_more(tiny: Tiny, tmp_path: Path, listing: Listing) -> None:
    """The largest file allowed is smaller than the weights."""
    ran = subprocess.run(
        [sys.executable, "-m", "adapter_stilts", *tiny("--target", "xquad")],
        capture_output=True,
        text=True,
        preexec_fn=limited,
    )
    assert ran.returncode == 1, ran.stderr
    assert "Traceback" not in ran.stderr
    assert "cannot write" in ran.stderr
    assert "the allowed size" in ran.stderr
    assert str(tmp_path / "store") in ran.stderr
    store = listing(tmp_path / "store")
    assert not [name for name in store if not name.startswith(BESIDE_STAGES)], store
    assert not [name for name in store if "partial" in name], store


@pytest.mark.parametrize("what", ["base", "data"])
def test_without_a_network(process: Cli, tiny_base: Path, tiny_data: Path, tmp_path: Path, what: str) -> None:
    base = "FacebookAI/xlm-roberta-large" if what == "base" else tiny_base
    arguments = ["train", "--base", base, "--target", "xquad", "--store", tmp_path / "store", "--json"]
    arguments += [] if what == "data" else ["--data", tiny_data]
    env = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
    ran = process(*arguments, env=env)
    assert (ran.code, ran.out) == (1, "")
    assert "Traceback" not in ran.err
    errors = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, ran.err
    assert ("--base" if what == "base" else "--data") in errors[0]
    assert not (tmp_path / "store").exists()


def test_interrupted_and_resumed(
    tiny: Tiny, process: Cli, cli: Cli, tmp_path: Path, listing: Listing
) -> None:
    """Ctrl-C stops after the step with a checkpoint; the same command goes on to the same bits."""
    steps = ("--set", "target.max_steps=80")
    arguments = tiny("--target", "xquad", *steps)
    running = subprocess.Popen(
        [sys.executable, "-m", "adapter_stilts", *arguments, "--checkpoint-seconds", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list((tmp_path / "store").glob("work/*/checkpoint-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (130, ""), err
    assert "interrupted; the same command resumes from the last checkpoint" in err
    assert "Traceback" not in err
    assert list((tmp_path / "store").glob("work/*/checkpoint-*"))
    assert not list((tmp_path / "store").rglob("*.partial-*"))
    resumed = cli(*arguments)
    assert (resumed.code, resumed.statuses()) == (0, ["ran", "ran"])
    assert "resuming at step " in resumed.err
    cli(*arguments, "--store", tmp_path / "whole")
    assert listing(tmp_path / "store") == listing(tmp_path / "whole")
    weights = [
        next((tmp_path / store).glob("train-*/bundle/model.safetensors")).read_bytes()
        for store in ("store", "whole")
    ]
    assert weights[0] == weights[1]


def test_two_at_once(tiny: Tiny, tmp_path: Path, listing: Listing, finished: Any) -> None:
    """Two processes asked for the same stages: each stage is computed by one of them."""
    arguments = tiny("--inter", "hellaswag", "--target", "xquad,udpos")
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "adapter_stilts", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    printed = []
    for running in both:
        out, err = running.communicate(timeout=120)
        assert running.returncode == 0, err
        printed.append(json.loads(out))
    for first, second in zip(printed[0]["stages"], printed[1]["stages"], strict=True):
        assert sorted((first["status"], second["status"])) == ["cached", "ran"]
    assert printed[0]["results"] == printed[1]["results"] == finished.printed["results"]
    assert listing(tmp_path / "store") == listing(finished.store)
    assert not (tmp_path / "store" / "work").exists()


def test_another_kind_of_encoder(cli: Cli, tiny: Tiny, tiny_bert: Path) -> None:
    ran = cli(*tiny("--base", tiny_bert, "--inter", "hellaswag", "--target", "xquad,udpos,tatoeba"))
    assert (ran.code, set(ran.statuses())) == (0, {"ran"})


def test_every_setting_that_changes_speed_alone(cli: Cli, tiny: Tiny, finished: Any, tmp_path: Path) -> None:
    """Small micro-batches give the same scores under the same keys."""
    ran = cli(*finished.arguments, "--store", tmp_path / "store", "--micro-batch-tokens", "40")
    assert [s["key"] for s in ran.json["stages"]] == [s["key"] for s in finished.printed["stages"]]
    assert set(ran.statuses()) == {"ran"}


@pytest.mark.parametrize(
    "settings",
    [
        ["--precision", "bf16"],
        ["--set", "optimizer=adamw8bit"],
        ["--precision", "bf16", "--set", "optimizer=adamw8bit", "--set", "gradient_checkpointing=true"],
        ["--set", "target.step_order=length_grouped", "--set", "target.dropout=0.0"],
    ],
    ids=lambda settings: " ".join(settings),
)
def test_settings_run(cli: Cli, tiny: Tiny, settings: list[str]) -> None:
    ran = cli(*tiny("--target", "udpos", *settings))
    assert (ran.code, ran.statuses()) == (0, ["ran", "ran"]), ran.err


def test_trackers(cli: Cli, tiny: Tiny, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    ran = cli(*tiny("--target", "udpos", "--track", "tensorboard"))
    assert ran.code == 0
    assert list((tmp_path / "store" / "trackers").rglob("events.out*"))


def test_real_slices(cli: Cli, data_dir: Path, base_dir: Path, tmp_path: Path) -> None:
    short = ("--set", "intermediate.max_steps=4", "--set", "target.max_steps=4")
    short += ("--set", "intermediate.dev_examples=4", "--set", "target.dev_examples=4")
    short += ("--limit-train", "24", "--limit-eval", "8", "--languages", "en,de,th")
    ran = cli("train", "--base", base_dir, "--data", data_dir, "--store", tmp_path / "store", "--json",
              "--device", "cpu", "--inter", "hellaswag", "--target", "xquad,udpos", *short)  # fmt: skip
    assert ran.code == 0, ran.err
    assert set(ran.json["results"]["xquad"]["languages"]) == {"en", "de", "th"}
    assert set(ran.json["results"]["udpos"]["languages"]) == {"en", "de", "th"}
