"""The study in the miniature: its effects are there, and a broken piece shows in the numbers.

Every check is made twice: on the code as it is, and with one piece broken on purpose, where it has to fail.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from adapter_stilts.formats.examples import Example, PairClassificationExample, TextExample
from adapter_stilts.miniature import CODES, MiniatureSource
from adapter_stilts.miniature.corpus import MiniatureText
from adapter_stilts.recipe import load_recipe
from adapter_stilts.runtime import Runtime
from adapter_stilts.stages.context import Context
from adapter_stilts.stages.graph import Stage
from adapter_stilts.study import Study
from adapter_stilts.tasks.base import Split, Task

pytestmark = pytest.mark.slow

Scores = dict[str, float]
Run = Callable[..., Scores]


class Changed(MiniatureSource):
    """The miniature with its examples changed; its fingerprints say so."""

    change = ""

    def fingerprint(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> str:
        return f"{self.change} {super().fingerprint(task, split, language, options)}"


class ShuffledLabels(Changed):
    """Train labels belong to other examples."""

    change = "shuffled"

    def examples(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> list[Example]:
        found = super().examples(task, split, language, options)
        if split != "train":
            return found
        pairs = [example for example in found if isinstance(example, PairClassificationExample)]
        assert len(pairs) == len(found)
        labels = [example.label for example in pairs]
        Random(0).shuffle(labels)
        return [replace(example, label=label) for example, label in zip(pairs, labels, strict=True)]


class PermutedLanguages(Changed):
    """The first language is served as the last, and so on."""

    change = "permuted"

    def examples(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> list[Example]:
        served = dict(zip(CODES, reversed(CODES), strict=True)).get(language, language)
        return super().examples(task, split, served, options)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study") / "store"


@pytest.fixture(scope="module")
def run(store: Path) -> Run:
    """Scores by language of a target after an intermediate task."""

    def call(
        inter: str,
        target: str,
        source: MiniatureSource | None = None,
        where: Path = store,
        **lengths: int,
    ) -> Scores:
        overrides: list[tuple[str, Any]] = [
            ("intermediate.tasks", [inter]),
            ("target.tasks", [target]),
            ("intermediate.baseline", False),
        ]
        names = {
            "text_steps": "intermediate.text_steps",
            "target_steps": "target.max_steps",
            "intermediate_epochs": "intermediate.epochs",
            "target_epochs": "target.epochs",
        }
        overrides += [(names[name], count) for name, count in lengths.items()]
        recipe = load_recipe("miniature", overrides)
        runtime = Runtime(where, where / "cache", None, "cpu")
        study = Study(recipe, runtime)
        if source is not None:
            vars(study)["source"] = source  # what it would find itself
        metrics = study.run().cells[-1].metrics
        assert metrics is not None
        return {code: sum(each.values()) / len(each) for code, each in metrics["languages"].items()}

    return call


def average(scores: Scores) -> float:
    """Zero-shot: over the languages the model had no labels in."""
    return sum(scores[code] for code in CODES) / len(CODES)


def fall(scores: Scores) -> float:
    """How far the languages of low resources score below those of high."""
    of: dict[str, list[float]] = {}
    for code in CODES:
        of.setdefault(MiniatureSource.levels[code], []).append(scores[code])
    return sum(of["high"]) / len(of["high"]) - sum(of["low"]) / len(of["low"])


INTER, TARGET, PAIRS, RETRIEVAL = "squad_v1", "tydiqa", "pawsx", "tatoeba"
GAIN, ABOVE_CHANCE, FALL = 3.0, 5.0, 20.0
SMALLER_GAIN, LOSS = 1.5, 5.0
CHANCE = 50.0


def test_an_intermediate_task_helps_and_only_with_its_weights(
    run: Run, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = {
        "intermediate_epochs": 1,
        "target_epochs": 1,
    }  # of the recipe's four, which gain more; these gain seven
    baseline, trained = run("none", TARGET, **once), run(INTER, TARGET, **once)
    assert average(trained) - average(baseline) >= GAIN

    # A few steps on the target tell whether it began from the intermediate task's weights.
    few = {"intermediate_epochs": 1, "target_steps": 100}
    baseline, trained = run("none", TARGET, **few), run(INTER, TARGET, **few)
    assert trained != baseline
    monkeypatch.setattr(Context, "bundle_of", _without_intermediate(Context.bundle_of))
    shutil.copytree(store, tmp_path / "lost", ignore=shutil.ignore_patterns(f"*-{TARGET}-*"))
    assert run(INTER, TARGET, where=tmp_path / "lost", **few) == baseline


def _without_intermediate(bundle_of: Callable[[Context, Stage], Path | None]) -> Callable[..., Path | None]:
    """A target stage that starts from the base, as if its parent's weights were never read."""

    def lost(context: Context, stage: Stage) -> Path | None:
        return bundle_of(context, stage) if stage.kind == "evaluate" else None

    return lost


def test_labels_are_learned_and_only_from_their_own_examples(run: Run, tmp_path: Path) -> None:
    assert average(run("none", PAIRS)) >= CHANCE + ABOVE_CHANCE
    assert average(run("none", PAIRS, ShuffledLabels())) < CHANCE + ABOVE_CHANCE


def test_scores_fall_with_resources_and_only_in_the_languages_as_they_are(run: Run) -> None:
    assert fall(run("none", RETRIEVAL)) >= FALL
    assert fall(run("none", RETRIEVAL, PermutedLanguages())) < FALL


def test_translations_bring_languages_together_and_only_those_of_the_same_sentence(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    baseline = average(run("none", RETRIEVAL))
    # Of the recipe's 2,000 steps, half: they gain three points, all of them seven.
    assert average(run("tlm", RETRIEVAL, text_steps=1000)) - baseline >= SMALLER_GAIN

    monkeypatch.setattr(MiniatureText, "examples", _of_another_sentence(MiniatureText.examples))
    # An eighth of the steps already loses ten points, where translations of the same sentences lose none.
    assert average(run("tlm", RETRIEVAL, where=tmp_path / "mismatched", text_steps=250)) - baseline < -LOSS


def _of_another_sentence(examples: Callable[..., list[TextExample]]) -> Callable[..., list[TextExample]]:
    """Parallel text whose every sentence has the next one's translation."""

    def mismatched(text: MiniatureText, language: str, limit: int | None) -> list[TextExample]:
        found = examples(text, language, limit)
        return [
            replace(one, translation=other.translation)
            for one, other in zip(found, [*found[1:], found[0]], strict=True)
        ]

    return mismatched
