"""Stages on two nodes of Ray: equal bit for bit to one process, whatever is lost on the way."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.matrices import plan_matrix
from adapter_stilts.stages.executors.ray_cluster import RayCluster
from adapter_stilts.stages.locking import read_held
from adapter_stilts.stages.reporting import Report, read_report
from adapter_stilts.stages.watch import Watch
from adapter_stilts.study import Results, Study


def needs_ray(test: Callable[..., None]) -> Callable[..., None]:
    """Skipped by name where Ray is not installed."""
    missing = importlib.util.find_spec("ray") is None
    skipped = pytest.mark.skipif(missing, reason="Ray is not installed: pip install -e '.[ray]'")
    return pytest.mark.slow(skipped(test))


FOUND_AT_ONCE = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 2,
}
SHORT = {"max_steps": 50, "batch_size": 2, "dev_examples": 4, "eval_every_steps": 25}
RECORDS = ("stage.json", "log.jsonl", "SHA256SUMS")


def study(store: Path) -> Study:
    """Two chains of two trainings and an evaluation; a step takes some hundredths of a second."""
    planned = plan_matrix(
        recipe="miniature", inter="none,hellaswag", target="tydiqa", mode="lora", languages="en,qaa",
        limit_train=24, limit_eval=4, store=store, device="cpu", checkpoint_seconds=0,
        settings={f"{part}.{key}": value for part in ("intermediate", "target") for key, value in SHORT.items()},
    )  # fmt: skip
    return replace(planned, runtime=replace(planned.runtime, retries=(0.1,) * 20))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of the plan run in this process."""
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    study(store).run()
    return store


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that runs nothing, and two nodes with a CPU each."""
    from ray.cluster_utils import Cluster

    found = Cluster(True, head_node_args={"num_cpus": 0, "_system_config": FOUND_AT_ONCE})
    for _ in range(2):
        found.add_node(num_cpus=1)
    yield found
    found.shutdown()


class Heard(Watch):
    """Keeps what is said, and says when to stop."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.stop = threading.Event()

    @property
    def interrupted(self) -> bool:
        return self.stop.is_set()

    def say(self, message: str) -> None:
        self.said.append(message)


def in_training(store: Path) -> Report:
    """Waits for a stage that is some steps into its training."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for path in store.glob("work/train-*.lock"):
            report = read_report(read_held(path) or "")
            if report is not None and report.doing == "training" and report.done:
                return report
        time.sleep(0.02)
    raise AssertionError("no stage trained")


def run_disturbed(
    store: Path, executor: RayCluster, disturb: Callable[[Report], object]
) -> tuple[Results, Heard]:
    watch, failed = Heard(), []

    def wait_and_disturb() -> None:
        try:
            disturb(in_training(store))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=wait_and_disturb)
    thread.start()
    results = study(store).run(watch, check=False, executor=executor)
    thread.join()
    assert failed == []
    return results, watch


def assert_equal(store: Path, undisturbed: Path, listing: Callable[[Path], list[str]]) -> None:
    assert listing(store) == listing(undisturbed)
    for path in undisturbed.rglob("*"):
        if path.is_file() and path.name not in RECORDS and "plans" not in path.parts:
            other = store / path.relative_to(undisturbed)
            if (
                path.name == "adapter_config.json"
            ):  # PEFT writes a set, in an order that each process has for itself
                assert _unordered(other) == _unordered(path), other
            else:
                assert other.read_bytes() == path.read_bytes(), other


def _unordered(config: Path) -> dict[str, Any]:
    read = json.loads(config.read_text())
    return {**read, "target_modules": sorted(read["target_modules"])}


Listing = Callable[[Path], list[str]]


@needs_ray
def test_two_nodes_give_what_one_process_gives(
    cluster: Any, undisturbed: Path, listing: Listing, tmp_path: Path
) -> None:
    results = study(tmp_path / "store").run(Watch(), executor=RayCluster(cluster.address))
    assert [state.status for state in results.stages] == ["ran"] * 5
    assert_equal(tmp_path / "store", undisturbed, listing)


@needs_ray
def test_an_actor_that_is_killed_is_made_anew(
    cluster: Any, undisturbed: Path, listing: Listing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    results, watch = run_disturbed(
        store, RayCluster(cluster.address, 1), lambda at: os.kill(at.process, signal.SIGKILL)
    )
    assert [state.status for state in results.stages] == ["ran"] * 5
    (told,) = [line for line in watch.said if "its worker was lost" in line]
    assert "(ActorDiedError: The actor is dead because its worker process has died." in told
    assert told.endswith("; tried again in 0.1 s")
    assert "\n" not in told
    assert capsys.readouterr().out == ""  # where results go, whatever Ray has to say
    assert_equal(store, undisturbed, listing)


@needs_ray
def test_a_stage_that_fails_keeps_its_descendants_back_alone(
    cluster: Any, undisturbed: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    stages = study(store).plan().stages
    first = next(stage for stage in stages if stage.task == "hellaswag")
    (store / "work").mkdir(parents=True)
    (store / "work" / first.name).write_text("no folder")
    watch = Heard()
    results = study(store).run(watch, check=False, executor=RayCluster(cluster.address, 1))
    after = {state.stage: state.status for state in results.stages}
    assert [after[stage] for stage in stages if stage.task == "hellaswag"] == ["failed"]
    assert [status for stage, status in after.items() if first in stage.parents] == ["skipped"]
    assert sorted(after.values()) == ["failed", "ran", "ran", "skipped", "skipped"]
    (result,) = [result for result in results.cells if result.metrics is not None]
    other = undisturbed / result.directory.name / "metrics.json"
    assert (result.directory / "metrics.json").read_bytes() == other.read_bytes()


@needs_ray
def test_asked_to_stop_it_leaves_checkpoints_for_whoever_goes_on(
    cluster: Any, undisturbed: Path, listing: Listing, tmp_path: Path
) -> None:
    store, watch = tmp_path / "store", Heard()
    thread = threading.Thread(target=lambda: (in_training(store), watch.stop.set()))
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        study(store).run(watch, executor=RayCluster(cluster.address, 1))
    thread.join()
    assert list(store.glob("work/train-*/checkpoint-*"))
    assert list(store.glob("work/*.lock")) == []
    study(store).run()
    assert_equal(store, undisturbed, listing)


@needs_ray
def test_a_node_that_is_lost(cluster: Any, undisturbed: Path, listing: Listing, tmp_path: Path) -> None:
    """The last: the cluster has a node less behind it."""

    def remove(at: Report) -> None:
        raylet = int(Path(f"/proc/{at.process}/stat").read_text().rpartition(")")[2].split()[1])
        (node,) = [node for node in cluster.worker_nodes if raylet_of(node) == raylet]
        cluster.remove_node(node, allow_graceful=False)

    results, watch = run_disturbed(tmp_path / "store", RayCluster(cluster.address), remove)
    assert [state.status for state in results.stages] == ["ran"] * 5
    assert any("its worker was lost" in line for line in watch.said)
    assert_equal(tmp_path / "store", undisturbed, listing)


def raylet_of(node: Any) -> int:
    (raylet,) = node.all_processes["raylet"]
    return int(raylet.process.pid)


def test_without_ray_the_extra_is_named(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    ran = cli("matrix", "--recipe", "miniature", "--target", "tydiqa", "--executor", "ray")
    assert ran.code == 2
    assert "pip install 'adapter-stilts[ray]'" in ran.err


def test_an_address_without_the_executor_is_refused(cli: Callable[..., Any]) -> None:
    ran = cli("matrix", "--recipe", "miniature", "--target", "tydiqa", "--ray-address", "auto")
    assert ran.code == 2
    assert "--ray-address auto: goes with --executor ray, not local" in ran.err


@needs_ray
def test_an_address_at_which_nobody_answers(tmp_path: Path) -> None:
    from adapter_stilts.errors import UsageError

    with pytest.raises(UsageError, match=r"--ray-address .*no cluster of Ray can be used there"):
        study(tmp_path / "store").run(executor=RayCluster("127.0.0.1:1"))
