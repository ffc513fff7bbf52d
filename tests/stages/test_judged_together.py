"""Evaluations that look beyond their test splits: what their keys hold, and what they compute of the miniature."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts import tasks
from adapter_stilts.evaluation.judging import gold_pairs
from adapter_stilts.miniature.languages import CODES
from adapter_stilts.miniature.source import MiniatureSource
from adapter_stilts.model.backbone import load_encoder, load_tokenizer, resolve_base
from adapter_stilts.recipe import Base, load_recipe
from adapter_stilts.runtime import Runtime
from adapter_stilts.stages.planning.plan import Plan, plan
from adapter_stilts.stages.store import Store

TWO = CODES[:2]


class Counting(MiniatureSource):
    """The miniature with a dev split that a test may exchange for another one."""

    def __init__(self, dev_seed: int = 0) -> None:
        super().__init__()
        self.dev = MiniatureSource(dev_seed)

    def fingerprint(self, task: Any, split: Any, language: str, options: Any) -> str:
        source = self.dev if split == "dev" else super()
        return source.fingerprint(task, split, language, options)


@pytest.fixture(autouse=True)
def _mining_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mining task in the languages of the miniature, whatever the registry holds."""
    mining = dataclasses.replace(
        tasks.get_task("tatoeba"), name="bucc2018", metric=("f1",), languages=CODES, files={}, hub={}
    )
    monkeypatch.setitem(tasks._registry(), "bucc2018", mining)


@pytest.fixture
def planned(tiny_base: Path) -> Callable[..., Plan]:
    def call(*overrides: tuple[str, Any], source: Any = None) -> Plan:
        asked = [("target.tasks", ["bucc2018"]), ("evaluation.languages", list(TWO)), *overrides]
        recipe = load_recipe(None, asked)
        return plan(recipe, lambda: resolve_base(Base(id=str(tiny_base))), source or MiniatureSource())

    return call


def test_the_dev_pairs_are_part_of_the_key(planned: Callable[..., Plan]) -> None:
    (stage,) = planned().stages
    assert list(stage.part.to_json()["data"]) == list(TWO)
    assert list(stage.part.to_json()["beside"]) == [f"dev/{language}" for language in TWO]
    (other,) = planned(source=Counting(dev_seed=1)).stages
    assert (other.part.to_json()["data"], other.key == stage.key) == (stage.part.to_json()["data"], False)
    assert planned(source=Counting()).stages[0].key == stage.key
    assert planned(("formats.retrieval.pairs", "intersect")).stages[0].key != stage.key


def test_a_stage_mines_each_language_with_its_own_threshold(
    planned: Callable[..., Plan], tiny_base: Path, tmp_path: Path
) -> None:
    from accelerate import Accelerator

    from adapter_stilts.formats import get_format
    from adapter_stilts.model.task_model import TaskModel
    from adapter_stilts.stages.context import Machine
    from adapter_stilts.stages.data import CachedTokenizer, SplitData
    from adapter_stilts.stages.kinds.evaluate import evaluate_splits
    from adapter_stilts.stages.record import summarise
    from adapter_stilts.stages.watch import Watch

    (stage,) = planned(("evaluation.limit", 60)).stages
    base = resolve_base(Base(id=str(tiny_base)))
    runtime = Runtime(tmp_path / "store", tmp_path / "cache")
    tokenizer = CachedTokenizer(load_tokenizer(base), tmp_path / "cache")
    source = MiniatureSource()
    machine = Machine(Accelerator(cpu=True), runtime, Store(runtime.store), Watch())
    task, settings = tasks.get_task("bucc2018"), stage.part.reading.settings
    model = TaskModel(load_encoder(base.location, None, None, False), None, get_format("retrieval"))
    tests, devs = (
        [SplitData(task, split, language, source, {}, settings, tokenizer, 60) for language in TWO]
        for split in ("test", "dev")
    )
    results = evaluate_splits(model, tests, devs, machine)
    assert list(results) == list(TWO)
    for split, result in zip(tests, results.values(), strict=True):
        gold = gold_pairs(split.examples)
        right = gold & set(result.submission)
        assert len(gold) >= 10
        wanted = 200 * len(right) / (len(gold) + len(result.submission))
        assert result.metrics == {"f1": pytest.approx(wanted)}
    assert len({result.beside["threshold"] for result in results.values()}) == 2
    told = summarise(task, results, source)
    assert told["beside"][TWO[0]].keys() == {"precision", "recall", "threshold", "dev_f1"}
