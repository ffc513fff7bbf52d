"""kill -9 at random moments: the same command goes on, ends with the same bits, and leaves nothing over."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
LONGER = [
    *("--set", "intermediate.max_steps=40", "--set", "target.max_steps=40"),
    *("--set", "intermediate.eval_every_steps=5", "--set", "target.eval_every_steps=5"),
]

# One process that has loaded everything and forks the command, so that a kill costs no start-up.
HARNESS = """
import json, os, random, signal, sys, time
from pathlib import Path
import adapter_stilts.stages.executors.local
import transformers.models.xlm_roberta.modeling_xlm_roberta
from adapter_stilts.cli.main import run

arguments, store, kills = json.loads(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
choose = random.Random(0)


def start(folder):
    child = os.fork()
    if child:
        return child
    os.setsid()
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1), os.dup2(quiet, 2)
    os._exit(run([*arguments, "--store", str(folder)]))


def checkpoints():
    return [path.name for path in sorted((store / "killed").glob("work/*/checkpoint-????????"))]


def steps():
    # How far the run is: finished stages, and the step of the one under way.
    return len(list((store / "killed").glob("*/stage.json"))) * 40 + int((checkpoints() or ["0"])[-1][-8:])


assert os.waitpid(start(store / "alone"), 0)[1] == 0
done = []
while len(done) < kills:
    child = start(store / "killed")
    # By progress, not by the clock: a busy machine's kills fall where a quiet one's do. Some fall while it loads.
    stood, further = steps(), choose.choice([0, 1, 2, 5])
    over = os.waitpid(child, os.WNOHANG)
    while over == (0, 0) and steps() < stood + further:
        time.sleep(0.001)
        over = os.waitpid(child, os.WNOHANG)
    time.sleep(choose.uniform(0, 0.05))
    if over != (0, 0):
        break
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    done.append([len(list((store / "killed").glob("*/stage.json"))), checkpoints()[-1:]])
assert os.waitpid(start(store / "killed"), 0)[1] == 0
print(json.dumps(done))
"""


MIXED = [
    *("--inter", "hellaswag,snli,mlm", "--target", "tatoeba", "--limit-train", "30"),
    *("--set", "intermediate.mlm.text=miniature", "--set", "intermediate.robust.kind=adversarial"),
    *("--set", "intermediate.keep_evaluations=true"),
]


def test_kills_at_any_moment(
    tiny: Callable[..., list[str]], listing: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    """Of a mixture with text and noise; `test_a_sample_of_killed_and_damaged_runs` has stages of one task each."""
    arguments = tiny(*MIXED, "--checkpoint-seconds", "0", *LONGER)
    store = arguments.index("--store")  # the harness has stores of its own
    del arguments[store : store + 2]
    ran = subprocess.run(
        [sys.executable, "-c", HARNESS, json.dumps(arguments), str(tmp_path), "10"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    kills = json.loads(ran.stdout)
    assert len(kills) >= 4
    assert any(steps for _, steps in kills), "no kill fell between two checkpoints"
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    assert listing(killed) == listing(alone)
    for path in alone.rglob("*"):
        records = [(name,) for name in ("stage.json", "log.jsonl", "SHA256SUMS")]
        if path.is_file() and path.relative_to(alone).parts[1:] not in records:
            assert (killed / path.relative_to(alone)).read_bytes() == path.read_bytes(), path


def test_the_script_that_does_it_at_full_size(tiny_base: Path, tiny_data: Path, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "kill_resume.py"), "--data", str(tiny_data), "--base",
         str(tiny_base), "--inter", "none", "--target", "xquad", "--kills", "1", "--work", str(tmp_path), *LONGER,
         "--set", "target.average=4"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr + ran.stdout
    result = json.loads(ran.stdout)
    assert result["identical"] is True
    assert (result["stray_files"], result["missing_files"], result["differing_files"]) == ([], [], [])
    assert 1 <= len(result["kills"]) <= 2
    assert len(result["weights"]) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_sample_of_killed_and_damaged_runs(tiny_base: Path, tiny_data: Path) -> None:
    """The whole: scripts/damage_runs.py --all."""
    ran = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "damage_runs.py"), "--data", str(tiny_data), "--base",
         str(tiny_base), "--kills", "2", "--flips", "8"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    result = json.loads(ran.stdout)
    assert (ran.returncode, result["kills"]["wrong"], result["damage"]["wrong"]) == (0, [], []), ran.stderr
    assert (result["kills"]["kills"], result["damage"]["damaged"]) == (2, 8)
    assert result["damage"]["outcomes"]["the undisturbed results"] > 0
