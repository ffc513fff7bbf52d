"""A store at an address: stages published and fetched whole, each worked on by one machine. A machine is a mirror."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.registry import known_implementations

from adapter_stilts.errors import StoreError, UsageError
from adapter_stilts.stages import leasing, remote
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.leasing import EXPIRE_SECONDS, Lease
from adapter_stilts.stages.parts import FetchPart
from adapter_stilts.stages.remote import Remote, is_address, local_store
from adapter_stilts.stages.store import Store

STAGE = Stage("squad_v1", FetchPart("0"))
MARKER = f"finished/{STAGE.name}.json"
Listing = Callable[[Path], list[str]]
Machine = Callable[[str], Store]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An S3 server of moto's, with a bucket."""
    servers = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    s3fs = pytest.importorskip("s3fs")
    running = servers.ThreadedMotoServer("127.0.0.1", port=0)
    running.start()
    with pytest.MonkeyPatch.context() as patch:
        host, port = running.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem(skip_instance_cache=True).mkdir("bucket")
        yield "s3://bucket"
    running.stop()


@pytest.fixture(params=["memory", "s3"])
def address(request: pytest.FixtureRequest) -> str:
    """An address that nothing is at."""
    root = request.getfixturevalue("server") if request.param == "s3" else "memory://"
    return f"{root}/{secrets.token_hex(4)}"


@pytest.fixture(autouse=True)
def _looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "LISTING_SECONDS", -1.0)
    monkeypatch.setattr(leasing, "LOOK_SECONDS", 0.0)


@pytest.fixture
def machine(address: str, tmp_path: Path) -> Machine:
    """A machine's store, by its name; again of the same name is another process of it."""

    def call(name: str) -> Store:
        store = Store(local_store(address, tmp_path / name))
        store.open()
        return store

    return call


def commit(store: Store, text: str = "x") -> None:
    record = {"key": STAGE.key, "kind": "fetch", "task": STAGE.task, "part": {"bundle": "0"}, "parents": []}
    with store.commit(STAGE, record) as directory:
        (directory / "bundle").mkdir()
        (directory / "bundle" / "weights").write_text(text)
        (directory / "log.jsonl").write_text("")


def content(store: Store) -> dict[str, bytes]:
    folder = store.root / STAGE.name
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def objects(store: Store) -> list[str]:
    """All that is at the address."""
    assert store.remote is not None
    system, root = store.remote._system
    return sorted(str(path).removeprefix(root).lstrip("/") for path in system.find(root))


def test_what_one_machine_finished_another_fetches(machine: Machine, listing: Listing) -> None:
    one, other = machine("one"), machine("other")
    assert other.has(STAGE) is None
    commit(one)
    assert one.find(STAGE) == one.root / STAGE.name
    assert other.has(STAGE) == other.root / STAGE.name
    assert listing(other.root) == ["store.json"], "looking fetches nothing"
    assert other.find(STAGE) == other.root / STAGE.name
    assert content(other) == content(one)
    assert set(content(one)) == {"SHA256SUMS", "bundle/weights", "log.jsonl", "stage.json"}
    assert listing(other.root) == listing(one.root)
    files = [name.rpartition("/")[0] for name in objects(one)]
    assert files.count("finished") == 1
    assert "store.json" in objects(one)
    assert machine("third").find(STAGE)


@pytest.mark.parametrize("damage", [b"y", None])
def test_a_damaged_file_is_refused(machine: Machine, listing: Listing, damage: bytes | None) -> None:
    one, other = machine("one"), machine("other")
    commit(one)
    assert one.remote is not None
    (name,) = (name for name in objects(one) if name.endswith("bundle/weights"))
    if damage is None:
        one.remote.remove(name)
    else:
        one.remote.write(name, damage)
    with pytest.raises(StoreError, match=f"bundle/weights is missing or damaged: remove .*{STAGE.name}.json"):
        other.find(STAGE)
    assert listing(other.root) == ["store.json"]
    # What the message says helps.
    one.remote.remove(MARKER)
    assert other.find(STAGE) is None


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        (b"{", "cannot be read"),
        (b"[]", "it is no object"),
        (b"{}", "is damaged"),
        ({"key": "0", "at": "stages/x", "files": {}}, "another stage with the same short key"),
        ({"key": STAGE.key, "at": "stages/x", "files": {"../../etc": ""}}, "files outside of the stage"),
        ({"key": STAGE.key, "at": "../other", "files": {}}, "files outside of the stage"),
        ({"key": STAGE.key, "at": "stages/x", "files": {"/etc/x": ""}}, "files outside of the stage"),
    ],
)
def test_a_marker_that_is_wrong_is_refused(
    machine: Machine, listing: Listing, marker: Any, told: str
) -> None:
    store = machine("one")
    assert store.remote is not None
    store.remote.create(MARKER, marker if isinstance(marker, bytes) else json.dumps(marker).encode())
    with pytest.raises(StoreError, match=told):
        store.find(STAGE)
    assert listing(store.root) == ["store.json"]


def test_what_is_half_published_is_not_seen(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = machine("one"), machine("other")

    def fail(self: Remote, name: str, content: bytes) -> bool:
        raise StoreError(f"cannot write {name}")

    with monkeypatch.context() as patch:
        patch.setattr(Remote, "create", fail)
        with pytest.raises(StoreError, match="cannot write finished/"):
            commit(one)
    assert any("bundle/weights" in name for name in objects(one))
    assert other.has(STAGE) is None
    assert other.find(STAGE) is None
    # The machine has it, and the same command publishes it.
    assert one.find(STAGE)
    one.tidy(STAGE)
    assert other.find(STAGE)


def test_what_is_published_first_stays(machine: Machine) -> None:
    one, other = machine("one"), machine("other")
    commit(one, "first")
    before = objects(one)
    commit(other, "second")
    assert content(other) == content(one)
    assert content(other)["bundle/weights"] == b"first"
    assert objects(one) == before, "nothing is left of the second"
    # Both at once: the second looked before the first's marker was there.
    assert other.remote is not None
    (other.root / STAGE.name / "bundle" / "weights").write_text("third")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Remote, "exists", lambda self, name: False)
        assert not other.remote.publish(other.root / STAGE.name, STAGE.key)
    assert objects(one) == before


def test_a_lost_answer_is_no_other_machine(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that tries again meets what its first try wrote."""
    one = machine("one")
    create = Remote.create

    def twice(self: Remote, name: str, content: bytes) -> bool:
        create(self, name, content)
        return create(self, name, content)

    monkeypatch.setattr(Remote, "create", twice)
    held = one.take(STAGE)
    assert held is not None
    commit(one)
    held.release()
    assert machine("other").find(STAGE)


def test_one_machine_works_on_a_stage(machine: Machine, listing: Listing) -> None:
    one, other = machine("one"), machine("other")
    held = one.take(STAGE)
    assert held is not None
    assert other.take(STAGE) is None
    assert machine("one").take(STAGE) is None, "nor another process of the same"
    assert listing(other.root) == ["store.json"]
    held.release()
    held.release()
    later = other.take(STAGE)
    assert later is not None
    assert one.take(STAGE) is None
    commit(other)
    later.release()
    assert not [name for name in objects(one) if name.startswith("leases/")], "a finished stage has no lease"
    free = one.take(STAGE)
    assert free is not None
    assert one.find(STAGE)
    free.release()


def test_of_many_machines_at_once_one_takes_it(machine: Machine) -> None:
    stores = [machine(f"machine{number}") for number in range(8)]
    barrier, taken = threading.Barrier(len(stores)), []

    def work(store: Store) -> None:
        barrier.wait()
        held = store.take(STAGE)
        if held is not None:
            taken.append(held)

    for _ in range(3):
        threads = [threading.Thread(target=work, args=(store,)) for store in stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == 1
        taken.pop().release()


def test_a_lease_that_is_not_renewed_runs_out(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(leasing.time, "monotonic", lambda: now)
    one, other = machine("one"), machine("other")
    held = one.take(STAGE)
    assert isinstance(held, Lease)
    assert other.take(STAGE) is None
    now += EXPIRE_SECONDS - 1
    held.renew()
    assert other.take(STAGE) is None
    now += EXPIRE_SECONDS - 1
    assert other.take(STAGE) is None, "it was renewed"
    now += 2
    later = other.take(STAGE)
    assert later is not None
    # The first, which was only cut off, disturbs nobody.
    held.renew()
    assert machine("third").take(STAGE) is None
    held.release()
    assert machine("third").take(STAGE) is None
    later.release()


def test_a_machine_takes_over_from_its_killed_process(machine: Machine) -> None:
    held = machine("one").take(STAGE)
    assert isinstance(held, Lease)
    held._lock.release()  # the system lets go of a killed process's lock; nobody frees its lease
    assert machine("other").take(STAGE) is None
    again = machine("one").take(STAGE)
    assert again is not None
    again.release()
    held._ended.set()


def test_a_renewal_tells_how_far_it_is(machine: Machine) -> None:
    store = machine("one")
    held = store.take(STAGE)
    assert isinstance(held, Lease)
    held.write("step 3")
    held.renew()
    assert store.remote is not None
    assert store.remote.read_json(f"leases/{STAGE.name}/1")["report"] == "step 3"
    assert (store.root / "work" / f"{STAGE.name}.lock").read_text() == "step 3"
    held.release()


def test_the_first_plan_file_stays(machine: Machine) -> None:
    for name in ("one", "other"):
        store = machine(name)
        (store.root / "plans").mkdir()
        (store.root / "plans" / "0.json").write_text(name)
        store.publish_plan(store.root / "plans" / "0.json")
        assert store.remote is not None
        assert store.remote.read("plans/0.json") == b"one"


def test_folders_are_folders(tmp_path: Path) -> None:
    assert not is_address("runs/s3:/x")
    assert local_store(str(tmp_path / "runs"), tmp_path / "cache") == tmp_path / "runs"
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        UsageError, match=r"--store s4://bucket: .*name a folder, or e\.g\. s3://BUCKET/PREFIX"
    ):
        local_store("s4://bucket", tmp_path)
    with pytest.raises(UsageError, match=f"a folder: name it without a scheme, {tmp_path}/x"):
        local_store(f"file://{tmp_path}/x", tmp_path)
    with pytest.raises(UsageError, match="--store s3://: names no place: name a folder, or e"):
        local_store("s3://", tmp_path)
    with pytest.raises(
        UsageError, match=r"two slashes .* s3://BUCKET/PREFIX; a folder of that name is \./s3:/bucket"
    ):
        local_store(Path("s3://bucket"), tmp_path)  # as a path has it
    absent = {"class": "absent_package.FileSystem", "err": "Install absent_package"}
    monkeypatch.setitem(known_implementations, "absent", absent)
    with pytest.raises(UsageError, match=r"Install absent_package.*pip install 'adapter-stilts\[remote\]'"):
        local_store("absent://bucket/x", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_that_is_not_there(server: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"s3://elsewhere/x is not there .*make the bucket") as caught:
        local_store("s3://elsewhere/x", tmp_path)
    assert not caught.value.passes
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_overwrites_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    def pipe_file(self: Any, path: str, value: bytes, mode: str = "overwrite") -> None:
        self.open(path, "wb", data=value)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", pipe_file)
    with pytest.raises(StoreError, match="is overwritten by who asks to create it"):
        local_store(f"memory://{secrets.token_hex(4)}", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_newer_store_is_refused(address: str, tmp_path: Path) -> None:
    Remote(address).create("store.json", b'{"schema": 2}')
    with pytest.raises(StoreError, match="has schema 2, this version reads 1"):
        local_store(address, tmp_path)


def test_what_cannot_be_reached_may_pass(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Remote(address)
    system, _ = found._system

    def fail(*args: Any, **more: Any) -> None:
        raise failure

    monkeypatch.setattr(system, "cat_file", fail, raising=False)
    failure: Exception = ConnectionResetError(104, "Connection reset by peer")
    with pytest.raises(StoreError, match=r"cannot be reached .*Connection reset") as caught:
        found.read("x")
    assert caught.value.passes
    failure = PermissionError("Access Denied")
    with pytest.raises(StoreError, match=r"refuses .*Access Denied.*credentials") as caught:
        found.read("x")
    assert not caught.value.passes
    assert os.listdir(tmp_path) == []
