"""The command that `suggest` prints: `matrix` takes it as it stands, whatever was typed."""

from __future__ import annotations

import itertools
import os
import shlex
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.cli.main import _terminated
from adapter_stilts.select.reading import FILE, TrainSets
from adapter_stilts.select.train_set import TrainSet
from adapter_stilts.suggesting import suggest
from adapter_stilts.tasks.base import Task

Cli = Callable[..., Any]

MINIATURE = ("suggest", "--recipe", "miniature", "--device", "cpu", "--examples", "8", "--target", "tydiqa")
FEW = ("--among", "mnli,squad_v1")
SHELF = Path(__file__).resolve().parents[2] / "adapters_hub"
LORA = f"{SHELF / 'mnli-lora'},{SHELF / 'squad_v1-lora'}"


def settings_of(command: str) -> list[str]:
    words = shlex.split(command)
    return [word for before, word in itertools.pairwise(words) if before == "--set"]


def check_taken(cli: Cli, command: str) -> None:
    """The command plans a matrix."""
    ran = cli(*shlex.split(command)[1:], "--dry-run", "--json")
    assert ran.code == 0, ran.err


@pytest.mark.parametrize("typed", ["seed=3", "seed = 3"])
def test_a_seed_that_was_set_gives_way_to_three_seeds(cli: Cli, typed: str) -> None:
    asked = ("--set", typed, "--set", "target.epochs=1", "--json")
    command = cli(*MINIATURE, *FEW, *asked).json["command"]
    assert settings_of(command) == ["target.epochs=1"]
    assert command.endswith("--seeds 3")
    check_taken(cli, command)


def test_settings_of_a_mapping_are_told_once() -> None:
    found = suggest(
        "tydiqa",
        among="mnli,squad_v1",
        recipe="miniature",
        device="cpu",
        examples=8,
        settings={"seed": 3, "target.epochs": 1},
    )
    assert settings_of(found.command) == ["target.epochs=1"]
    head, *lines, last = str(found).splitlines()
    assert (head, last) == ("before tydiqa, full, miniature:", found.command)
    assert lines == ["1. squad_v1", "2. mnli"]


def test_settings_may_be_read_once_alone() -> None:
    texts = (text for text in ("seed=3", "target.epochs=1"))
    found = suggest(
        "tydiqa", among="mnli,squad_v1", recipe="miniature", device="cpu", examples=8, settings=texts
    )
    assert settings_of(found.command) == ["target.epochs=1"]


def test_the_mode_of_bundles_is_told_by_its_flag_alone(cli: Cli) -> None:
    command = cli(*MINIATURE, "--among", LORA, "--set", "mode=lora", "--json").json["command"]
    assert settings_of(command) == []
    assert command.count("lora --recipe") == command.count("--mode lora") == 1
    check_taken(cli, command)


def test_a_mode_that_was_set_stays_where_no_flag_says_it(cli: Cli) -> None:
    """A short training of tasks trains LoRA, whatever mode was set."""
    ran = cli(*MINIATURE, *FEW, "--set", "mode=adapter", "--steps", "1", "--json")
    assert ran.code == 0, ran.err
    assert settings_of(ran.json["command"]) == ["mode=adapter"]
    assert ran.json["mode"] == "adapter"
    assert "task_embedding" in ran.json["estimators"]
    check_taken(cli, ran.json["command"])


def test_bundles_of_a_single_name_are_told_as_addresses(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After --inter a word without a slash is a task."""
    monkeypatch.chdir(tmp_path)
    for name, task in (("soup.bundle", "mnli"), ("mnlib", "squad_v1")):
        Path(name).symlink_to(SHELF / f"{task}-lora")
    ran = cli(*MINIATURE, "--among", "soup.bundle,mnlib", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert {row["source"] for row in ran.json["ranking"]} == {"./soup.bundle", "./mnlib"}
    words = shlex.split(ran.json["command"])
    assert set(words[words.index("--inter") + 1].split(",")) == {"none", "./soup.bundle", "./mnlib"}
    check_taken(cli, ran.json["command"])


def test_a_bundle_of_several_addresses_is_ranked_once(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(SHELF.parent)
    (tmp_path / "link").symlink_to(SHELF / "mnli-lora")
    several = ("adapters_hub/mnli-lora", "adapters_hub/mnli-lora/", SHELF / "mnli-lora", tmp_path / "link")
    named = ",".join(map(str, several))
    ran = cli(*MINIATURE, "--among", f"{named},adapters_hub/squad_v1-lora", "--json")
    assert ran.code == 0, ran.err
    sources = sorted(row["source"] for row in ran.json["ranking"])
    assert sources == ["adapters_hub/mnli-lora", "adapters_hub/squad_v1-lora"]
    for again in several[1:]:
        assert f"note: {again} is the same bundle as adapters_hub/mnli-lora, and ranked once" in ran.err
    ran = cli(*MINIATURE, "--among", named)
    assert (ran.code, ran.out) == (2, "")
    assert "only adapters_hub/mnli-lora of the encoder miniature, which leaves nothing to rank (" in ran.err
    assert "adapters_hub/mnli-lora/ is the same bundle as adapters_hub/mnli-lora, and ranked once" in ran.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_measured_before_an_interruption_is_kept(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    monkeypatch.setenv("ADAPTER_STILTS_CACHE", str(tmp_path / "cache"))
    whole, measured = TrainSets.measure, []

    def measure(sets: TrainSets, task: Task, limit: int | None) -> TrainSet:
        if len(measured) == 2:
            os.kill(os.getpid(), number)
            time.sleep(60)  # the handler ends it
        measured.append(task.name)
        return whole(sets, task, limit)

    monkeypatch.setattr(TrainSets, "measure", measure)
    before = signal.signal(signal.SIGTERM, _terminated)
    # A shell's background job ignores it, and Python leaves that so.
    interrupted = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        ran = cli(*MINIATURE, *FEW)
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, interrupted)
    assert (ran.code, ran.out) == (128 + number, "")
    told = "interrupted; measured train sets and short trainings are kept, and the same command goes on\n"
    assert ran.err.endswith(told)
    assert len(list((tmp_path / "cache").rglob(FILE))) == 2


def test_a_device_that_is_none_is_told_before_anything_is_read(cli: Cli) -> None:
    asked = ("suggest", "--target", "tydiqa", "--recipe", "miniature")
    ran = cli(*asked, "--device", "tpu")
    assert (ran.code, ran.err.strip()) == (2, "error: --device tpu: choices are cpu and cuda")
