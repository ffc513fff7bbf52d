"""Training rows of an embedding table: as dense AdamW on the steps in which a token occurs, and nothing elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from adapter_stilts.errors import UsageError
from adapter_stilts.model.tuning import full
from adapter_stilts.recipe import TrainingSettings
from adapter_stilts.training.checkpoint import read_checkpoint, write_checkpoint
from adapter_stilts.training.optim import build_optimizer, build_schedule
from adapter_stilts.training.sparse_rows import WithSparseRows, clipped

# Tokens of each step; 1 is padding, 7 occurs in every one, 9 in two.
STEPS = ([[2, 7, 7, 1], [7, 3, 2, 1]], [[7, 9, 4, 4]], [[7, 7, 7, 1]], [[9, 7, 2, 5]])
SETTINGS = TrainingSettings(learning_rate=1e-2, weight_decay=0.1)


class Words(nn.Module):
    """A table with a layer on it."""

    def __init__(self, sparse: bool, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(20, 6, padding_idx=1, sparse=sparse, dtype=dtype)
        self.layer = nn.Linear(6, 3)

    def forward(self, ids: Any) -> torch.Tensor:
        states = self.table(torch.tensor(ids)).float()
        return (self.layer(states) ** 2).sum() + 0.1 * states.sum()


def stepped(model: Words, optimizer: torch.optim.Optimizer, steps: Any, norm: float = 1e9) -> None:
    for ids in steps:
        for passed in ids:  # a micro-batch each
            model([passed]).backward()
        torch.nn.utils.clip_grad_norm_(clipped(optimizer, model.parameters()), norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


@pytest.mark.parametrize("norm", [1e9, 0.5], ids=["unclipped", "clipped"])
def test_a_row_that_always_occurs_is_trained_as_by_dense_adamw(norm: float) -> None:
    steps = [STEPS[0]] * 5
    dense, sparse = Words(False), Words(True)
    stepped(dense, build_optimizer(dense, SETTINGS, "adamw"), steps, norm)
    stepped(sparse, build_optimizer(sparse, SETTINGS, "adamw"), steps, norm)
    for row in (2, 3, 7):
        torch.testing.assert_close(sparse.table.weight[row], dense.table.weight[row], rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(sparse.layer.weight, dense.layer.weight, rtol=1e-5, atol=1e-7)


def test_a_row_is_trained_as_by_adamw_over_the_steps_in_which_it_occurs() -> None:
    """Row 9 occurs in the second and fourth step: its two gradients, given to AdamW one after the other."""
    model = Words(True)
    optimizer = build_optimizer(model, SETTINGS, "adamw")
    alone = nn.Parameter(model.table.weight.detach()[9].clone())
    reference = torch.optim.AdamW([alone], lr=1e-2, weight_decay=0.1)
    before = model.table.weight.detach().clone()
    for ids in STEPS:
        for passed in ids:
            model([passed]).backward()
        gradient = model.table.weight.grad.to_dense()[9]  # type: ignore[union-attr]
        optimizer.step()
        optimizer.zero_grad()
        if any(9 in passed for passed in ids):
            alone.grad = gradient
            reference.step()
    torch.testing.assert_close(model.table.weight[9], alone, rtol=1e-5, atol=1e-7)
    never = [row for row in range(20) if row not in (2, 3, 4, 5, 7, 9)]
    assert torch.equal(model.table.weight[never], before[never])
    assert not torch.isclose(model.table.weight[[2, 3, 4, 5, 7, 9]], before[[2, 3, 4, 5, 7, 9]]).any()


def test_only_rows_that_occurred_have_state() -> None:
    model = Words(True)
    optimizer = build_optimizer(model, SETTINGS, "adamw")
    assert isinstance(optimizer, WithSparseRows)
    stepped(model, optimizer, STEPS[:2])
    state = optimizer.state_dict()
    table = state["state"][state["param_groups"][-1]["params"][0]]
    assert sorted(table["rows"].tolist()) == [2, 3, 4, 7, 9]
    assert dict(zip(table["rows"].tolist(), table["steps"].tolist(), strict=True))[7] == 2
    assert table["first"].shape == table["second"].shape == (5, 6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_resumed_run_ends_with_the_same_bits(dtype: torch.dtype, tmp_path: Path) -> None:
    kind: Any = "adamw" if dtype == torch.float32 else "adamw8bit"

    def start() -> tuple[Words, Any, Any]:
        model = Words(True, dtype)
        optimizer = build_optimizer(model, SETTINGS, kind)
        return model, optimizer, build_schedule(optimizer, 0.5, 8)

    def go(made: tuple[Words, Any, Any], steps: Any) -> None:
        for step in steps:
            stepped(made[0], made[1], [step])
            made[2].step()

    whole, broken, resumed = start(), start(), start()
    go(whole, STEPS)
    go(broken, STEPS[:2])
    write_checkpoint(
        tmp_path, 2, dict(broken[0].state_dict()), broken[1], {"schedule": broken[2].state_dict()}
    )
    found = read_checkpoint(tmp_path, print)
    assert found is not None
    resumed[0].load_state_dict(found.model)
    resumed[1].load_state_dict(found.optimizer)
    resumed[2].load_state_dict(found.loop["schedule"])
    go(resumed, STEPS[2:])
    for name, tensor in whole[0].state_dict().items():
        assert torch.equal(tensor, resumed[0].state_dict()[name]), name
    assert resumed[1].param_groups[-1]["lr"] == whole[1].param_groups[-1]["lr"]


def test_small_steps_move_rows_in_bf16() -> None:
    moved = {}
    for dtype in (torch.float32, torch.bfloat16):
        model = nn.Embedding(4, 4096, sparse=True, dtype=dtype)
        with torch.no_grad():
            model.weight.fill_(0.0625)
        optimizer = build_optimizer(model, TrainingSettings(learning_rate=1e-5), "adamw8bit")
        for _ in range(20):
            model(torch.tensor([1, 2])).float().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        moved[dtype] = float((model.weight.detach().double()[1:3] - 0.0625).mean())
        assert torch.equal(model.weight[[0, 3]], torch.full((2, 4096), 0.0625, dtype=dtype))
    assert moved[torch.float32] == pytest.approx(-20e-5, rel=0.02)
    assert moved[torch.bfloat16] == pytest.approx(-20e-5, rel=0.05)


def test_what_occurs_often_is_summed_exactly() -> None:
    """A thousand parts of a bf16 gradient: a sum in bf16 would stop at 256."""
    table = nn.Embedding(3, 2, sparse=True, dtype=torch.bfloat16)
    optimizer = WithSparseRows(
        torch.optim.SGD([nn.Parameter(torch.zeros(1))]),
        [table.weight],
        lr=1.0,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0.0,
    )
    table(torch.zeros(1000, dtype=torch.long)).sum().backward()
    (holder,) = optimizer.gather()
    assert holder.grad is not None
    assert holder.grad.tolist() == [[1000.0, 1000.0]]


def test_the_switch_is_refused_where_it_means_nothing(build: Callable[..., Any], tiny_base: Path) -> None:
    from adapter_stilts.formats import get_format
    from adapter_stilts.model.backbone import load_encoder
    from adapter_stilts.model.language_head import LanguageHead
    from adapter_stilts.model.task_model import TaskModel
    from adapter_stilts.model.tuning import tuning_settings

    with pytest.raises(UsageError, match="set one of them"):
        tuning_settings("full", {"full": {"freeze_embeddings": True, "sparse_embeddings": True}})
    encoder = load_encoder(str(tiny_base), None, None, False)
    model = TaskModel(encoder, LanguageHead(encoder.config, 0), get_format("masked_lm"))
    with pytest.raises(UsageError, match="masked language modelling reads every row"):
        full.attach(model, full.Settings(sparse_embeddings=True))


MEASURED = """
import json, sys
from pathlib import Path
import torch
from torch import nn
from adapter_stilts.recipe import TrainingSettings
from adapter_stilts.training.optim import build_optimizer
from adapter_stilts.training.sparse_rows import clipped

table = nn.Embedding(100_000, 128, sparse=sys.argv[1] == "sparse")
optimizer = build_optimizer(table, TrainingSettings(), "adamw")


def peak():  # of this process: getrusage's is inherited
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024


before = peak()
for step in range(3):
    table(torch.arange(step, 2000 + step)).sum().backward()
    torch.nn.utils.clip_grad_norm_(clipped(optimizer, table.parameters()), 1.0)
    optimizer.step()
    optimizer.zero_grad()
print(json.dumps(peak() - before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_memory_is_that_of_the_rows() -> None:
    """A table of 51 MB with 2,000 rows of it in use: dense training takes a gradient and two moments of its size."""
    taken = {}
    for kind in ("sparse", "dense"):
        ran = subprocess.run(
            [sys.executable, "-c", MEASURED, kind], capture_output=True, text=True, check=True
        )
        taken[kind] = json.loads(ran.stdout)
    assert taken["dense"] > 140
    assert taken["sparse"] < 40


def test_training_leaves_rows_of_absent_tokens(
    build: Callable[..., Any], encoded: Callable[..., Any], tmp_path: Path
) -> None:
    """Through the real loop, in checkpointed passes."""
    from accelerate import Accelerator

    from adapter_stilts.training.learner import Learner
    from adapter_stilts.training.loop import Speed, train
    from adapter_stilts.training.mixture import alone
    from adapter_stilts.training.watch import LoopWatch

    model = build("squad_v1")
    full.attach(model, full.Settings(sparse_embeddings=True))
    features = encoded("squad_v1")
    before = model.encoder.embeddings.word_embeddings.weight.detach().clone()
    settings = TrainingSettings(learning_rate=1e-2, max_steps=3, batch_size=4)
    learner = Learner(model, full, settings, "adamw", None, tmp_path)
    mixture = alone(features, model.format, settings, 0)
    train(learner, mixture, 0, Speed(128, 32, 0.0), Accelerator(cpu=True), LoopWatch())
    after = model.encoder.embeddings.word_embeddings.weight.detach()
    moved = set((after != before).any(1).nonzero()[:, 0].tolist())
    occurring = set(np.unique(features.input_ids.values).tolist())
    assert len(moved) > 0
    assert moved <= occurring
    assert len(occurring) < len(before)
