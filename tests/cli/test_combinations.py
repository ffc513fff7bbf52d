"""Every combination of the table of tunings trains and evaluates a pair of tasks of the miniature, as `train` does.

Two intermediate tasks, a target and its evaluation, on a dozen examples, in three steps each. Combinations share one
store, so that those of one mode, architecture and precision train the intermediate tasks once. Learning rates are
large: what is trained is to matter, so that a bundle that loses some of it on its way to the evaluation is seen.
"""

from __future__ import annotations

import gc
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapter_stilts.miniature import MiniatureSource
from adapter_stilts.model.backbone import load_encoder
from adapter_stilts.model.combinations import HOW, PRECISIONS, Combination, combinations, grid
from adapter_stilts.model.task_model import TaskModel

pytestmark = pytest.mark.slow

Cli = Callable[..., Any]
LANGUAGES = ("en", "qaa")
SMALL = {
    **{f"{stage}.{key}": value for stage in ("intermediate", "target") for key, value in (
        ("epochs", 1), ("batch_size", 4), ("warmup_ratio", 0), ("dev_examples", 4),
        ("learning_rate", 1e-2))},
    "intermediate.baseline": "false",
}  # fmt: skip
# What of an architecture does not fit an encoder as small as the miniature's unless it is told otherwise.
SIZES = {
    "compacter": {"reduction_factor": 8},
    "prefix": {"prefix_length": 4, "bottleneck_size": 16},
}
EXISTING = combinations()


@dataclass(frozen=True)
class Moved:
    """What one stage's training did to its model.

    Args:
        frozen: how many tensors it was not to touch.
        touched: those of them that changed after all.
        still: those it was to train that did not change.
    """

    frozen: int
    touched: list[str]
    still: list[str]


@dataclass
class Watched:
    """What a command's stages did.

    Args:
        moved: by training, in the order of the stages that ran.
        difference: the largest between the logits of the model as it was trained and as it is evaluated.
        effect: the largest between those of the model as it is evaluated and its head on the encoder alone.
    """

    moved: list[Moved]
    difference: float = math.nan
    effect: float = math.nan


def name_of(combination: Combination) -> str:
    return " ".join(str(part) for part in vars(combination).values() if part)


def arguments(combination: Combination, store: Path, inter: Sequence[str] = ()) -> list[str]:
    """One intermediate task to go on from, two to combine.

    Args:
        inter: other entries in their place.
    """
    inter = inter or (["mnli"] if combination.combine == "continue" else ["mnli", "snli"])
    settings = SMALL | {
        f"tuning.{combination.mode}.{key}": value
        for key, value in {
            **combination.tuning.get(combination.mode, {}),
            **SIZES.get(combination.architecture or "", {}),
        }.items()
    }
    return [
        *("train", "--recipe", "miniature", "--target", "pawsx", "--device", "cpu", "--json"),
        *("--limit-train", "12", "--limit-eval", "4"),
        *("--languages", ",".join(LANGUAGES), "--store", str(store), "--mode", combination.mode),
        *("--combine", combination.combine, "--precision", combination.precision),
        *(word for task in inter for word in ("--inter", task)),
        *(word for key, value in settings.items() for word in ("--set", f"{key}={value}")),
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("combinations") / "store"


@pytest.fixture(scope="module")
def source() -> MiniatureSource:
    """Each dev and test split is generated once."""
    return MiniatureSource()


@pytest.fixture(scope="module", autouse=True)
def _quick_collections() -> Iterator[None]:
    """Stages free a GPU's memory between them, for which Python looks through all it holds: here, the libraries'
    hundreds of thousands of objects, hundreds of times."""
    import adapters
    import peft

    assert adapters
    assert peft
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def watched(source: MiniatureSource, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Looks on while stages train and evaluate."""
    from adapter_stilts.recipe import Base
    from adapter_stilts.stages.context import find_base
    from adapter_stilts.stages.kinds import evaluate as evaluating
    from adapter_stilts.stages.kinds import train as training

    found = Watched([])
    models: list[TaskModel] = []
    train, evaluate_splits = training.train, evaluating.evaluate_splits

    def looking_on(learner: Any, *rest: Any) -> Any:
        model, tuning = learner.model, learner.tuning
        frozen = {n: p.detach().clone() for n, p in model.named_parameters() if not p.requires_grad}
        trained = {n: p.detach().clone() for n, p in tuning.state(model).items()}
        outcome = train(learner, *rest)
        after = dict(model.named_parameters())
        assert after.keys() == frozen.keys() | trained.keys()
        models.append(model)
        found.moved.append(Moved(
            len(frozen),
            # To the last bit (bitsandbytes widens a frozen bias to the type of what it is added to).
            [name for name, tensor in frozen.items() if not torch.equal(tensor.double(), after[name].double())],
            [name for name, tensor in trained.items() if torch.equal(tensor, after[name])],
        ))  # fmt: skip
        return outcome

    def comparing(model: Any, splits: Any, beside: Any, machine: Any) -> Any:
        features, base = splits[0].features, find_base(Base(id="miniature"))
        encoder = load_encoder(base.location, base.commit, None, False)
        trained, evaluated, without = (
            one.eval().predict(features, np.arange(features.num_sequences)).float()
            for one in (models[-1], model, TaskModel(encoder, model.head, model.format))
        )
        found.difference = float((trained - evaluated).abs().max())
        found.effect = float((evaluated - without).abs().max())
        return evaluate_splits(model, splits, beside, machine)

    monkeypatch.setattr(training, "train", looking_on)
    monkeypatch.setattr(evaluating, "evaluate_splits", comparing)
    monkeypatch.setattr("adapter_stilts.miniature.MiniatureSource", lambda: source)
    return found


def two_runs(cli: Cli, combination: Combination, store: Path, watched: Watched) -> list[str]:
    """Bundles of one task trained with two seeds, for a soup."""
    alone = replace(combination, combine="continue")
    found = []
    for seed in ("0", "1"):
        words = arguments(alone, store, ["mnli"])
        place = words.index("--target")
        del words[place : place + 2]
        ran = cli(*words, "--seed", seed, "--set", "intermediate.init_seed=0")
        assert ran.code == 0, ran.err
        found.append(str(ran.json["bundles"][0]["bundle"]))
    watched.moved.clear()
    return found


@pytest.mark.parametrize("combination", EXISTING, ids=name_of)
def test_it_trains_and_evaluates(cli: Cli, combination: Combination, store: Path, watched: Watched) -> None:
    inter = two_runs(cli, combination, store, watched) if combination.combine == "merge:soup" else ()
    ran = cli(*arguments(combination, store, inter))
    assert ran.code == 0, ran.err
    results = ran.json["results"]["pawsx"]["languages"]
    assert tuple(results) == LANGUAGES
    assert all(
        math.isfinite(value) and 0 <= value <= 100 for row in results.values() for value in row.values()
    )
    stages = [stage for stage in ran.json["stages"] if stage["kind"] == "train" and stage["status"] == "ran"]
    assert len(watched.moved) == len(stages) >= 1
    for stage in watched.moved:
        assert stage.touched == []
        assert (stage.frozen > 0) == (combination.mode != "full")
        # A key's bias moves all scores of a row alike, which the softmax takes away again.
        assert [name for name in stage.still if not name.endswith("key.bias")] == []
    # What a bundle holds as one, its training held as several: in fp32 alone they round alike.
    assert watched.difference <= (1e-5 if combination.precision == "fp32" else 2e-2)
    assert watched.effect > 2e-2


# Of what does not exist, each mode and architecture's combinations once, and each precision once.
MISSING = [
    combination
    for combination in grid()
    if combination not in EXISTING
    and (combination.precision == PRECISIONS[0] or combination.combine == HOW[0])
]


@pytest.mark.parametrize("combination", MISSING, ids=name_of)
def test_what_does_not_exist_is_refused_and_what_does_is_named(
    cli: Cli, combination: Combination, tmp_path: Path
) -> None:
    ran = cli(*arguments(combination, tmp_path / "store"))
    assert (ran.code, ran.out) == (2, "")
    assert not (tmp_path / "store").exists()
    assert ran.err == f"error: {combination.refusal()}\n"
    others = [
        one
        for one in EXISTING
        if (one.mode, one.architecture) == (combination.mode, combination.architecture)
    ]
    named = {one.combine.removeprefix("merge:") for one in others if one.precision == combination.precision}
    named |= {one.precision for one in others if one.combine == combination.combine}
    assert any(re.search(rf"\b{name}\b", ran.err) for name in named)


def test_each_mode_and_architecture_is_there() -> None:
    from adapter_stilts.model.tuning import tuning_names

    assert {one.mode for one in EXISTING} == set(tuning_names())
    assert {one.combine for one in EXISTING} == set(HOW)
    assert {one.precision for one in EXISTING} == set(PRECISIONS)
