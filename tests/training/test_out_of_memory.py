"""Memory that really ends: a process with an address-space limit, in which torch's own allocator fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.slow

SCRIPT = """
import json, resource, sys
from pathlib import Path
import numpy as np, torch
from accelerate import Accelerator
from transformers import XLMRobertaConfig, XLMRobertaModel
from adapter_stilts.formats import get_format
from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.model.heads import Head
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import full
from adapter_stilts.recipe import TrainingSettings
from adapter_stilts.training.learner import Learner
from adapter_stilts.training.loop import Speed, train
from adapter_stilts.training.mixture import alone
from adapter_stilts.training.watch import LoopWatch

config = XLMRobertaConfig(
    vocab_size=200, hidden_size=128, num_hidden_layers=4, num_attention_heads=4, intermediate_size=512,
    max_position_embeddings=300, type_vocab_size=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)
random = np.random.default_rng(0)
lengths = np.full(16, 256)
ids = random.integers(5, 200, size=lengths.sum()).astype(np.int32)
features = Features(
    Ragged.from_lengths(ids, lengths), np.arange(17), per_example={"label": random.integers(0, 3, size=16)}
)
format = get_format("pair_classification")
settings = TrainingSettings(
    learning_rate=1e-3, max_steps=2, batch_size=16, warmup_ratio=0.0, adam_epsilon=1e-3, dropout=0.0
)
accelerator = Accelerator(cpu=True)


class Recorder(LoopWatch):
    def __init__(self):
        self.losses, self.said = [], []

    def step(self, step):
        self.losses.append(step.loss)

    def say(self, message):
        self.said.append(message)


def run(name, few):
    torch.manual_seed(0)
    encoder = XLMRobertaModel(config, add_pooling_layer=False)
    model = TaskModel(encoder, Head(format.head_shape(["a", "b", "c"]), 128, 0.0, 0.02, seed=0), format)
    full.attach(model)
    watch = Recorder()
    chosen = features.select(np.arange(1)) if few else features
    learner = Learner(model, full, settings, "adamw", None, Path(sys.argv[1]) / name)
    mixture = alone(chosen, format, settings, 0)
    found = train(learner, mixture, 0, Speed(10**6, 10**6, 1e9), accelerator, watch)
    return watch, found, full.state(model)


if sys.argv[2] == "scarce":
    run("warm", True)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 160 * 2**20, resource.RLIM_INFINITY))
watch, found, weights = run(sys.argv[2], False)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
torch.save(weights, Path(sys.argv[1]) / f"{sys.argv[2]}.pt")
print(json.dumps({"said": watch.said, "losses": watch.losses, "budget": found.micro_batch_tokens}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs an address-space limit")
def test_a_step_that_does_not_fit_is_halved_until_it_does(tmp_path: Path) -> None:
    # Each in a process of its own: once oneDNN has failed to get memory for a compiled product, it was seen to fail
    # for every new one, although the limit was lifted (torch 2.13).
    scarce, ample = trained("scarce", tmp_path), trained("ample", tmp_path)
    assert ample["said"] == []
    assert len(scarce["said"]) >= 1
    budgets = [4096 // 2**power for power in range(1, len(scarce["said"]) + 1)]
    assert scarce["said"] == [
        f"out of memory: micro-batch halved to {budget} tokens, accumulation doubled; the result does not change"
        for budget in budgets
    ]
    assert scarce["budget"] == budgets[-1]
    assert scarce["losses"] == pytest.approx(ample["losses"], rel=1e-5)
    found, expected = (torch.load(tmp_path / f"{memory}.pt") for memory in ("scarce", "ample"))
    assert max(float((found[name] - expected[name]).abs().max()) for name in expected) < 1e-5


def trained(memory: str, folder: Path) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), memory], capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    result: dict[str, Any] = json.loads(ran.stdout)
    return result
