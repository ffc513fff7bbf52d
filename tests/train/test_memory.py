"""Memory that really ends: a process with an address-space limit, in which torch's own allocator fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
from adapter_stilts.train.loop import Speed, Watch, train

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


class Recorder(Watch):
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
    found = train(model, full, chosen, None, settings, "adamw", 0, Speed(10**6, 10**6, 1e9),
                  Path(sys.argv[1]) / name, accelerator, watch)
    return watch, found, full.state(model)


run("warm", True)
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 160 * 2**20, resource.RLIM_INFINITY))
scarce, found, weights = run("scarce", False)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
ample, whole, expected = run("ample", False)
print(json.dumps({
    "said": scarce.said, "losses": [scarce.losses, ample.losses], "ample_said": ample.said,
    "budget": found.micro_batch_tokens,
    "difference": max(float((weights[n] - expected[n]).abs().max()) for n in weights),
}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs an address-space limit")
def test_a_step_that_does_not_fit_is_halved_until_it_does(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert result["ample_said"] == []
    assert len(result["said"]) >= 1
    budgets = [4096 // 2**power for power in range(1, len(result["said"]) + 1)]
    assert result["said"] == [
        f"out of memory: micro-batch halved to {budget} tokens, accumulation doubled; the result does not change"
        for budget in budgets
    ]
    assert result["budget"] == budgets[-1]
    assert result["losses"][0] == pytest.approx(result["losses"][1], rel=1e-5)
    assert result["difference"] < 1e-5
