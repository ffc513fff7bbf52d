"""Two processes under accelerate: the same result as one, to rounding, and one set of outputs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

SETTINGS = [
    *("--set", "intermediate.dropout=0.0", "--set", "target.dropout=0.0"),
    # AdamW's own epsilon would blow rounding up to whole steps where a gradient is zero.
    *("--set", "intermediate.adam_epsilon=1e-3", "--set", "target.adam_epsilon=1e-3"),
    *("--set", "target.batch_size=5", "--set", "intermediate.learning_rate=1e-3"),
    *("--set", "target.eval_every_steps=2"),
]
# Of the first test: its intermediate stage keeps the best on dev, its targets a mean.
MEAN = ("--set", "target.average=2")


def test_two_processes_equal_one(
    tiny: Callable[..., list[str]],
    cli: Callable[..., object],
    listing: Callable[[Path], list[str]],
    tmp_path: Path,
) -> None:
    arguments = tiny(
        "--inter", "hellaswag", "--target", "xquad,udpos", *SETTINGS, *MEAN, "--store", tmp_path / "two"
    )
    # accelerate's `--cpu --num_processes 2` starts a single process; its `--multi_gpu` starts two, and our
    # `--device cpu` keeps them on the CPU, where they exchange gradients with gloo.
    launch = ["--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"]
    launch += ["--dynamo_backend", "no", "--main_process_port", "0"]
    ran = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", *launch, "-m", "adapter_stilts", *arguments],
        capture_output=True, text=True, timeout=180, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    two = json.loads(ran.stdout)
    one = cli(*arguments, "--store", tmp_path / "one").json  # type: ignore[attr-defined]
    assert [stage["key"] for stage in two["stages"]] == [stage["key"] for stage in one["stages"]]
    assert [stage["status"] for stage in two["stages"]] == ["ran"] * 5
    assert listing(tmp_path / "two") == listing(tmp_path / "one")
    assert two["results"].keys() == one["results"].keys() == {"xquad", "udpos"}
    for stage in one["stages"]:
        name = Path(stage["dir"]).name
        if stage["kind"] == "train":
            weights = [
                load_file(tmp_path / run / name / "bundle" / "model.safetensors") for run in ("one", "two")
            ]
            assert weights[0].keys() == weights[1].keys()
            for key in weights[0]:
                assert float((weights[0][key] - weights[1][key]).abs().max()) < 1e-5, key
            logs = [(tmp_path / run / name / "log.jsonl").read_text().splitlines() for run in ("one", "two")]
            losses = [[json.loads(line)["loss"] for line in log] for log in logs]
            assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    record = json.loads((tmp_path / "two" / name / "stage.json").read_text())
    assert record["processes"] == 2
    assert "[5/5]" in ran.stderr
    assert ran.stderr.count("[5/5] evaluate udpos after hellaswag: ran") == 1


def test_two_processes_equal_one_in_a_mixture(
    tiny: Callable[..., list[str]], cli: Callable[..., object], tmp_path: Path
) -> None:
    """Each step leaves all heads but one without a gradient, which DDP alone would not bear."""
    more = ("--set", "intermediate.max_steps=10", "--set", "intermediate.mlm.text=miniature")
    common = (*SETTINGS, "--limit-train", "9", "--store", tmp_path / "two", *more)
    arguments = tiny("--inter", "mlm,hellaswag,snli", "--target", "tatoeba", *common)
    launch = ["--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"]
    launch += ["--dynamo_backend", "no", "--main_process_port", "0"]
    ran = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", *launch, "-m", "adapter_stilts", *arguments],
        capture_output=True, text=True, timeout=180, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    one = cli(*arguments, "--store", tmp_path / "one").json  # type: ignore[attr-defined]
    name = Path(one["stages"][0]["dir"]).name
    assert name.startswith("train-hellaswag+snli+mlm-")
    for file in ("model.safetensors", "heads.safetensors"):
        first, second = (load_file(tmp_path / run / name / "bundle" / file) for run in ("one", "two"))
        assert first.keys() == second.keys()
        for key in first:
            assert float((first[key] - second[key]).abs().max()) < 1e-5, key
    logs = [(tmp_path / run / name / "log.jsonl").read_text().splitlines() for run in ("one", "two")]
    rows = [[json.loads(line) for line in log] for log in logs]
    assert [row["task"] for row in rows[0]] == [row["task"] for row in rows[1]]
    assert {row["task"] for row in rows[0]} == {"hellaswag", "snli", "mlm"}
    assert [row["loss"] for row in rows[1]] == pytest.approx([row["loss"] for row in rows[0]], rel=1e-4)
