"""Damaged files and interruptions of a run: told, made again where that costs an evaluation, never a traceback."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.io import PARTIAL_MARK, _host
from adapter_stilts.stages import record
from adapter_stilts.stages.kinds import train as training
from adapter_stilts.stages.locking import take

pytestmark = pytest.mark.slow

Cli = Callable[..., Any]
Tiny = Callable[..., list[str]]


def flip_digit(path: Path) -> None:
    text = path.read_text()
    place = next(match for match in re.finditer(r"\d\.\d", text)).start()
    path.write_text(f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}")


def empty(path: Path) -> None:
    path.write_text("")


def not_utf8(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40] + b"\xff" + path.read_bytes()[40:])


DAMAGE = {
    "a digit of metrics.json": ("metrics.json", flip_digit),
    "metrics.json cut": ("metrics.json", empty),
    "metrics.json no UTF-8": ("metrics.json", not_utf8),
    "metrics.json gone": ("metrics.json", Path.unlink),
    "a row's score": ("scores/de.jsonl", empty),
    "a prediction": ("predictions/xquad/test-de.json", flip_digit),
    "its record": ("stage.json", empty),
    "the listing cut": ("SHA256SUMS", empty),
    "the listing gone": ("SHA256SUMS", Path.unlink),
}


@pytest.mark.parametrize(("name", "damage"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_evaluation_is_made_again(
    cli: Cli, finished: Any, copy: Callable[[], Path], name: str, damage: Callable[[Path], None]
) -> None:
    store = copy()
    directory = next(path.parent for path in store.glob("evaluate-xquad-*/stage.json"))
    if name.startswith("predictions") and not re.search(r"\d\.\d", (directory / name).read_text()):
        damage = empty
    damage(directory / name)
    arguments = [*finished.arguments, "--store", store]
    ran = cli(*arguments)
    assert ran.code == 0, ran.err
    assert ran.json["results"] == finished.printed["results"]
    stages = {f"{s['kind']} {s['task']}": s["status"] for s in ran.json["stages"]}
    assert stages.pop("evaluate xquad") == "ran"
    assert set(stages.values()) == {"cached"}
    assert f"{directory.name}: " in ran.err
    assert "evaluated again" in ran.err
    assert set(cli(*arguments).statuses()) == {"cached"}


def test_a_damaged_train_stage_is_told_with_what_to_do(
    cli: Cli, finished: Any, copy: Callable[[], Path]
) -> None:
    store = copy()
    directory = next(path.parent for path in store.glob("train-hellaswag-*/stage.json"))
    flip_digit(directory / "stage.json")
    ran = cli(*finished.arguments, "--store", store)
    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert f"{directory}: stage.json is damaged: remove the directory, and the same command" in ran.err


def test_submit_refuses_a_damaged_evaluation(cli: Cli, copy: Callable[[], Path], tmp_path: Path) -> None:
    store = copy()
    directory = next(path.parent for path in store.glob("evaluate-xquad-*/stage.json"))
    empty(directory / "predictions/xquad/test-de.json")
    ran = cli("submit", directory, "--out", tmp_path / "submission")
    assert ran.code == 1
    assert f"{directory}: predictions/xquad/test-de.json is damaged" in ran.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_a_train_stage_commits_stops_before_the_next_stage(
    cli: Cli, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int, code: int
) -> None:
    whole = training.write_bundle

    def interrupted(*arguments: Any) -> Any:
        os.kill(os.getpid(), number)
        return whole(*arguments)

    monkeypatch.setattr(training, "write_bundle", interrupted)
    ran = cli(*tiny("--target", "xquad"))
    assert (ran.code, ran.out) == (code, ""), ran.err
    assert "stopping after this step (again to stop at once)" in ran.err
    assert "interrupted; the same command resumes" in ran.err
    assert [path.parent.name.split("-")[0] for path in (tmp_path / "store").glob("*/stage.json")] == ["train"]
    monkeypatch.undo()
    assert cli(*tiny("--target", "xquad")).statuses() == ["cached", "ran"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_an_evaluation_stops_at_once_and_leaves_nothing(
    cli: Cli, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int, code: int
) -> None:
    def interrupted(*arguments: Any, **options: Any) -> Any:
        os.kill(os.getpid(), number)
        time.sleep(60)  # the handler ends it

    monkeypatch.setattr(record, "summarise", interrupted)
    ran = cli(*tiny("--target", "xquad"))
    assert ran.code == code, ran.err
    assert "Traceback" not in ran.err
    assert not list((tmp_path / "store").glob("evaluate-*"))


def test_a_signal_in_a_dev_evaluation_stops_in_its_middle(
    cli: Cli, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The step's checkpoint is kept, and the same command judges its weights and goes on."""
    from adapter_stilts.evaluation import predict as predicting

    arguments = tiny("--target", "xquad", "--set", "target.eval_every_steps=2")
    alone = cli(*arguments, "--store", tmp_path / "alone")
    whole, batches = predicting._run, 0

    def interrupted(*values: Any) -> Any:
        nonlocal batches
        batches += 1
        assert batches == 1, "it went on to the next batch"
        os.kill(os.getpid(), signal.SIGINT)
        return whole(*values)

    monkeypatch.setattr(predicting, "_run", interrupted)
    ran = cli(*arguments)
    assert (ran.code, ran.out) == (130, ""), ran.err
    monkeypatch.undo()
    again = cli(*arguments)
    assert "resuming at step 2" in again.err
    assert again.scores() == alone.scores()


def test_sigterm_before_anything_runs(process: Cli, tiny: Tiny, tmp_path: Path) -> None:
    """A handler of the command's own: the exit code and the message of an interruption, not a silent death."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "import adapter_stilts.recipe as recipe\n"
        "recipe.load_recipe = lambda *a, **k: os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    ran = process(
        *tiny("--target", "xquad"), env={"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    )
    assert ran.code == 143, ran.err
    assert "interrupted" in ran.err


def test_a_stage_that_another_process_works_on_is_passed_over(
    cli: Cli, tiny: Tiny, finished: Any, tmp_path: Path
) -> None:
    """The order of what is printed stays that of the plan."""
    arguments = tiny("--inter", "hellaswag", "--target", "xquad,udpos")
    wanted = [stage["key"] for stage in finished.printed["stages"]]
    held = next(stage for stage in finished.printed["stages"] if stage["task"] == "squad_v1")
    store = tmp_path / "store"
    lock = take(store / "work" / f"{Path(held['dir']).name}.lock")
    assert lock is not None

    def let_go() -> None:
        deadline = time.monotonic() + 100
        while not list(store.glob("evaluate-udpos-*/stage.json")) and time.monotonic() < deadline:
            time.sleep(0.02)
        lock.release()

    releasing = threading.Thread(target=let_go)
    releasing.start()
    ran = cli(*arguments)
    releasing.join()
    assert ran.code == 0, ran.err
    busy = f"another process works on {Path(held['dir']).name}; "
    # Told once, however often it is passed over; it may be waited for where it is held to the last moment.
    assert ran.err.count(f"{busy}going on with what is free") == 1
    assert ran.err.count(busy) <= 2
    assert [stage["key"] for stage in ran.json["stages"]] == wanted
    assert set(ran.statuses()) == {"ran"}
    assert ran.json["results"] == finished.printed["results"]


def test_what_killed_runs_left_goes_at_the_next_start(
    cli: Cli, finished: Any, copy: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, store = tmp_path / "cache", copy()
    monkeypatch.setenv("ADAPTER_STILTS_CACHE", str(cache))
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    dead, alive = (f"{PARTIAL_MARK}{_host()}-{number}-0123abcd" for number in (child, os.getpid()))
    elsewhere = f"{PARTIAL_MARK}ffffff-{child}-0123abcd"
    places = (
        cache / "features/ab/abcd",
        store / "evaluate-xquad-000",
        store / "work/train-x/checkpoint-00000001",
    )
    for place in places:
        for mark in (dead, alive, elsewhere):
            place.with_name(place.name + mark).mkdir(parents=True)
    next(store.glob("evaluate-xquad-*/metrics.json")).unlink()  # something to do
    assert cli(*finished.arguments, "--store", store).code == 0
    for place in places:
        left = {mark for mark in (dead, alive, elsewhere) if place.with_name(place.name + mark).exists()}
        assert left == {alive, elsewhere}, place


def test_a_full_cache_disk_names_the_cache(
    cli: Cli, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from adapter_stilts.formats.features import Features

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("ADAPTER_STILTS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Features, "save", full)
    ran = cli(*tiny("--target", "xquad"))
    assert ran.code == 1
    assert "the disk is full: free space, or choose another place with $ADAPTER_STILTS_CACHE" in ran.err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "clearml",
            "--track clearml: its package is not installed, so nothing would be tracked: pip install clearml",
        ),
        ("comet_ml", "pip install comet-ml"),
        ("tensorbord", "unknown tracker 'tensorbord'; did you mean 'tensorboard'?"),
    ],
)
def test_a_tracker_that_cannot_track_is_refused_before_training(
    cli: Cli, tiny: Tiny, tmp_path: Path, name: str, message: str
) -> None:
    ran = cli(*tiny("--target", "xquad", "--track", name))
    assert ran.code == 2
    assert message in ran.err
    assert not list((tmp_path / "store").glob("*/stage.json"))
