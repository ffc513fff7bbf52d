"""The store: whole stages or none, one worker a stage, nothing left over."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter_stilts.errors import StoreError
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.parts import FetchPart
from adapter_stilts.stages.record import read_stage
from adapter_stilts.stages.store import Store

Listing = Callable[[Path], list[str]]
STAGE = Stage("squad_v1", FetchPart("0"))


RECORD = {"key": STAGE.key, "kind": "fetch", "task": "squad_v1", "part": {"bundle": "0"}, "parents": []}
FINISHED = [*(f"{STAGE.name}/{name}" for name in ("SHA256SUMS", "result", "stage.json")), "store.json"]


def commit(store: Store, stage: Stage = STAGE, text: str = "x") -> None:
    with store.commit(stage, {**RECORD, "key": stage.key}) as directory:
        (directory / "result").write_text(text)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.open()
    return store


def test_reading_makes_nothing(tmp_path: Path) -> None:
    assert Store(tmp_path / "deep" / "store").find(STAGE) is None
    assert list(tmp_path.iterdir()) == []


def test_commit_and_find(store: Store, listing: Listing) -> None:
    work = store.work(STAGE)
    (work / "checkpoint-00000001").mkdir(parents=True)
    with store.lock(STAGE, pytest.fail):
        assert store.find(STAGE) is None
        commit(store)
    directory = store.find(STAGE)
    assert directory == store.root / STAGE.name
    assert read_stage(store.root / STAGE.name) == RECORD
    assert listing(store.root) == FINISHED
    assert not (store.root / "work").exists()
    assert Store(store.root).find(STAGE) == directory


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt()])
def test_a_stage_that_fails_is_not_there(store: Store, listing: Listing, error: BaseException) -> None:
    def fail() -> None:
        with store.commit(STAGE, RECORD) as directory:
            (directory / "result").write_text("half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert store.find(STAGE) is None
    assert listing(store.root) == ["store.json"]


def test_a_killed_commit_leaves_nothing_behind_the_next(store: Store, listing: Listing) -> None:
    partial = store.root / f"{STAGE.name}.partial-0123abcd"
    partial.mkdir()
    (partial / "result").write_text("half")
    assert store.find(STAGE) is None
    commit(store)
    assert listing(store.root) == FINISHED


def test_tidy_after_a_kill_right_after_the_commit(store: Store, listing: Listing) -> None:
    commit(store)
    (store.work(STAGE) / "checkpoint-00000001").mkdir(parents=True)
    (store.work(STAGE) / "log.jsonl").write_text("")
    (store.root / "work" / f"{STAGE.name}.lock").write_text("")
    store.tidy(STAGE)
    assert listing(store.root) == FINISHED
    assert not (store.root / "work").exists()


def test_tidy_leaves_other_stages_work(store: Store, listing: Listing) -> None:
    commit(store)
    other = Stage("squad_v1", FetchPart("1"))
    store.work(other).mkdir(parents=True)
    (store.work(other) / "log.jsonl").write_text("")
    (store.root / "work" / f"{STAGE.name}.lock").write_text("")
    store.tidy(STAGE)
    assert f"work/{other.name}/log.jsonl" in listing(store.root)
    assert f"work/{STAGE.name}.lock" not in listing(store.root)


def test_one_works_the_others_wait(store: Store, listing: Listing) -> None:
    said: list[str] = []
    waiting = threading.Event()
    worked: list[int] = []

    def say(message: str) -> None:
        said.append(message)
        waiting.set()

    def work(number: int) -> None:
        with Store(store.root).lock(STAGE, say):
            if store.find(STAGE) is None:
                worked.append(number)
                commit(store)

    with store.lock(STAGE, pytest.fail):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        assert waiting.wait(10)
        assert worked == []
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert len(worked) == 1
    assert set(said) == {f"another process works on {STAGE.name}; waiting for it"}
    assert listing(store.root) == FINISHED
    assert not (store.root / "work").exists()


def test_the_lock_goes_with_its_holder(store: Store) -> None:
    with pytest.raises(RuntimeError), store.lock(STAGE, pytest.fail):
        raise RuntimeError
    with store.lock(STAGE, pytest.fail):
        pass


BAD_MARKERS = {
    "newer": (json.dumps({"schema": 2}), r"has schema 2, this version reads up to 1: upgrade adapter-stilts"),
    "not json": ("{", "not a store's marker"),
    "not an object": ("[]", "not a store's marker"),
    "no schema": ("{}", "not a store's marker"),
    "odd schema": ('{"schema": "one"}', "not a store's marker"),
    "not text": ("\udc80", "not a store's marker"),
}


@pytest.mark.parametrize(("marker", "message"), BAD_MARKERS.values(), ids=BAD_MARKERS)
def test_markers_that_cannot_be_read(tmp_path: Path, marker: str, message: str) -> None:
    (tmp_path / "store.json").write_bytes(marker.encode("utf-8", "surrogateescape"))
    with pytest.raises(StoreError, match=message):
        Store(tmp_path)


def test_a_store_has_to_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file, and a store is a folder: name one"):
        Store(tmp_path / "file")
    with pytest.raises(StoreError, match="file"):
        Store(tmp_path / "file" / "below").open()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"key": 3}', ""])
def test_a_damaged_stage_is_told(store: Store, text: str) -> None:
    commit(store)
    (store.root / STAGE.name / "stage.json").write_text(text)
    with pytest.raises(StoreError, match="remove"):
        store.find(STAGE)


def test_equal_short_keys_are_told(store: Store) -> None:
    commit(store)
    path = store.root / STAGE.name / "stage.json"
    path.write_text(json.dumps({**RECORD, "key": STAGE.key[:12] + "0" * 52}))
    with pytest.raises(StoreError, match="another stage with the same short key"):
        store.find(STAGE)


def test_lock_rounds_of_many_processes(tmp_path: Path) -> None:
    """`work/` and its lock files come and go beneath other processes' feet."""
    script = Path(__file__).resolve().parents[2] / "scripts" / "lock_rounds.py"
    ran = subprocess.run(
        [sys.executable, str(script), "--rounds", "800", "--processes", "8"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout
    result = json.loads(ran.stdout)
    assert (result["rounds"], result["errors"], result["lost_counts"], result["left_over"]) == (800, 0, 0, [])
    assert result["waited"] > 0


def test_a_lock_is_released_where_the_stage_is_damaged(store: Store) -> None:
    commit(store)
    with store.lock(STAGE, pytest.fail):
        (store.root / STAGE.name / "stage.json").write_text("{")
    with store.lock(STAGE, pytest.fail):
        pass


def test_a_lock_whose_file_was_replaced_is_taken_anew(store: Store) -> None:
    """Who waits on the removed file of a holder that is gone does not hold the new one."""
    path = store.root / "work" / f"{STAGE.name}.lock"
    first = store.take(STAGE)
    assert first is not None
    path.unlink()
    second = store.take(STAGE)
    assert second is not None
    assert store.take(STAGE) is None
    second.release()
    second.release()
    assert not path.exists()


@pytest.mark.parametrize("link", [False, True])
def test_a_file_in_the_place_of_work_is_told(store: Store, link: bool) -> None:
    if link:
        (store.root / "work").symlink_to("nowhere")
    else:
        (store.root / "work").write_text("")
    with pytest.raises(StoreError, match="a part of the path is a file"):
        store.take(STAGE)
