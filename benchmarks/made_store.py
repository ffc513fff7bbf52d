"""A store as a matrix leaves it, with made-up scores: what tests and the benchmark of reports read.

Records are written by the package's own writers; nothing is trained.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from adapter_stilts.evaluation.aggregation import Row, aggregate
from adapter_stilts.evaluation.scoring import Scored
from adapter_stilts.io import digest_of, seal, write_json
from adapter_stilts.stages.graph import KEY_DIGITS
from adapter_stilts.stages.plans import PLANS
from adapter_stilts.stages.record import write_evaluation, write_stage
from adapter_stilts.stages.store import NOT_LISTED
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.base import Task


@dataclass(frozen=True)
class MadeSource:
    """What `write_evaluation` asks a source of data.

    Args:
        languages: that the target should have.
        levels: resource level by language.
    """

    languages: tuple[str, ...]
    levels: Mapping[str, str] = field(default_factory=dict)

    def offered(self, task: Task) -> tuple[str, ...]:
        return self.languages

    def wanted(self, task: Task) -> tuple[str, ...]:
        return self.languages


class MadeStore:
    """A store under way.

    Args:
        root: its folder.
        steps: of each train stage, which has a log and ten dev evaluations; 0 leaves neither.
    """

    def __init__(self, root: Path, steps: int = 0) -> None:
        self.root, self._steps = root, steps
        self._cells: list[dict[str, Any]] = []
        self._stages: dict[str, dict[str, Any]] = {}
        root.mkdir(parents=True, exist_ok=True)
        write_json(root / "store.json", {"schema": 1}, "elsewhere")

    def cell(
        self,
        inter: str,
        target: str,
        rows: Mapping[str, Sequence[Row]],
        *,
        mode: str = "lora",
        seed: int | None = 0,
        epochs: float = 1.0,
        finished: bool = True,
        source: MadeSource | None = None,
        limits: Mapping[str, int | None] | None = None,
        kept: Mapping[int, Mapping[str, Sequence[Row]]] | None = None,
        **about: Any,
    ) -> Path:
        """Plan a cell, and write its evaluation where it is finished; returns the directory of that.

        Many parameters: each is a part of what a plan says of a cell.

        Args:
            rows: by language.
            epochs: of the target's training.
            kept: rows of other steps of the run, by step and language.
        """
        task = get_task(target)
        every = {"intermediate": None, "target": None, "evaluation": None, **(limits or {})}
        # Of mining a system adds rows of its own, of pairs that are none.
        data = {
            one: digest_of([row["id"] for row in some if row.get("gold", 1)]) for one, some in rows.items()
        }
        names: list[str] = []
        part = {"base": "b" * 64, "precision": "fp32", "mode": mode, "seed": seed}
        if inter != "none":
            names.append(self._trained(inter, {**part, "training": {"epochs": 2.0}}, []))
        if task.train_task is not None:
            names.append(self._trained(task.train_task, {**part, "training": {"epochs": epochs}}, names[-1:]))
        asked = {
            "base": "b" * 64,
            "precision": "fp32",
            "limit": every["evaluation"],
            "data": data,
            **({"evaluations": True} if kept else {}),
        }
        name = self._stage("evaluate", target, asked, names[-1:])
        directory = self.root / name
        if finished and not directory.exists():
            directory.mkdir()
            results = _scored(task, rows)
            others = {step: _scored(task, found) for step, found in (kept or {}).items()}
            given: Any = source or MadeSource(tuple(rows))
            write_evaluation(directory, task, results, given, "test", others)
            self._commit("evaluate", target, name, asked, names[-1:], 30.0)
        self._cells.append(
            {
                "inter": inter,
                "label": inter,
                "mode": mode,
                "precision": "fp32",
                "combine": "continue",
                "base": "made",
                "seed": seed,
                "limits": every,
                "train_languages": [] if task.train_task is None else ["en"],
                "few_shot": {},
                "few_shot_when": None,
                "dev": None if task.train_task is None else ["en"],
                "split": "test",
                **about,
                "target": target,
                "evaluate": name,
            }
        )
        return directory

    def plan(self, name: str = "made") -> Path:
        """Write the cells since the last plan as a plan's file."""
        path = self.root / PLANS / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        stages = list(self._stages.values())
        value = {"schema": 2, "recipes": [], "bundle": None, "inputs": {}, "cells": self._cells, "ends": {}}
        path.write_text(json.dumps({**value, "stages": stages}), encoding="utf-8")
        self._cells, self._stages = [], {}
        return path

    def _trained(self, task: str, part: Mapping[str, Any], parents: list[str]) -> str:
        name = self._stage("train", task, part, parents)
        if not (self.root / name).exists():
            bundle = self.root / name / "bundle"
            bundle.mkdir(parents=True)
            (bundle / "adapter_model.safetensors").write_bytes(bytes(1000))
            learnt = self._learnt(self.root / name, int(part["seed"] or 0)) if self._steps else {}
            self._commit("train", task, name, part, parents, 600.0, **learnt)
        return name

    def _stage(self, kind: str, task: str, part: Mapping[str, Any], parents: list[str]) -> str:
        key = digest_of([kind, task, part, parents])
        name = f"{kind}-{task}-{key[:KEY_DIGITS]}"
        about = {"name": name, "key": key, "kind": kind, "task": task, "title": task, "parents": parents}
        self._stages[name] = about
        return name

    def _learnt(self, directory: Path, seed: int) -> dict[str, Any]:
        """Write a log whose loss falls as 1 / step; what its record says of dev, the best but one the last."""
        lines = [
            {"step": step, "loss": round((1 + seed / 10) / step, 6), "learning_rate": 1e-5, "tokens": 100}
            for step in range(1, self._steps + 1)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (directory / "log.jsonl").write_text(text, encoding="utf-8")
        scores = [40.0 + 3 * number + seed for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 8.5)]
        evaluations = [
            {"step": self._steps * (place + 1) // 10, "dev": {"accuracy": score}}
            for place, score in enumerate(scores)
        ]
        best = evaluations[8]
        return {
            "steps": self._steps,
            "best_step": best["step"],
            "dev": best["dev"],
            "evaluations": evaluations,
        }

    def _commit(
        self,
        kind: str,
        task: str,
        name: str,
        part: Mapping[str, Any],
        parents: list[str],
        seconds: float,
        **more: Any,
    ) -> None:
        record = {
            "key": self._stages[name]["key"],
            "kind": kind,
            "task": task,
            "part": part,
            "parents": parents,
        }
        told = {**record, "peak_memory": {"resident": 2**30}, "seconds": seconds, **more}
        write_stage(self.root / name, told)
        seal(self.root / name, NOT_LISTED)


def _scored(task: Task, rows: Mapping[str, Sequence[Row]]) -> dict[str, Scored]:
    return {language: Scored(list(found), _submission(task, found)) for language, found in rows.items()}


def _submission(task: Task, rows: Sequence[Row]) -> Any:
    """Predictions in the form of the task's files, unlike one another."""
    if task.format == "span_qa":
        return {str(row["id"]): f"answer {place}" for place, row in enumerate(rows)}
    if task.format == "tagging":
        return [[["NOUN", "VERB"][place % 2]] for place in range(len(rows))]
    if task.format == "retrieval" and "f1" in task.metric:  # mined pairs
        return [str(row["id"]).split() for row in rows]
    if task.format == "multiple_choice":
        return [place % 2 for place in range(len(rows))]
    return [["entailment", "neutral"][place % 2] for place in range(len(rows))]


def right_and_wrong(right: str) -> list[Row]:
    """Rows of accuracy: ``"1101"`` is right, right, wrong, right."""
    return [{"id": f"q{place}", "accuracy": 100.0 * int(one)} for place, one in enumerate(right)]


def drawn(generator: np.random.Generator, task: str, examples: int, ability: float) -> list[Row]:
    """Rows of a task, drawn.

    Args:
        ability: the probability of being right.
    """
    found = get_task(task)
    right = generator.random(examples) < ability
    if found.format == "span_qa":
        partial = np.where(right, 100.0, np.round(generator.random(examples) * 60, 2))
        return [
            {"id": f"q{place}", "exact_match": 100.0 * bool(one), "f1": float(f1)}
            for place, (one, f1) in enumerate(zip(right, partial, strict=True))
        ]
    if found.format == "tagging":
        return [
            {"id": str(place), "gold": 3, "predicted": 3, "correct": 3 if one else 1}
            for place, one in enumerate(right)
        ]
    return [{"id": f"q{place}", "accuracy": 100.0 * bool(one)} for place, one in enumerate(right)]


def average(rows: Sequence[Row]) -> float:
    """The score of rows: the mean of their metrics."""
    found = aggregate(rows)
    return sum(found.values()) / len(found)


def matrix(
    root: Path,
    *,
    inters: Sequence[str] = ("none", "mnli", "hellaswag"),
    targets: Sequence[str] = ("xnli", "xquad"),
    modes: Sequence[str] = ("full", "lora"),
    seeds: int = 3,
    languages: int = 4,
    examples: int = 60,
    steps: int = 0,
) -> MadeStore:
    """A whole matrix, every intermediate task five points better than the one before it.

    Many parameters: how large it is along each axis.
    """
    store = MadeStore(root, steps)
    for number, target in enumerate(targets):
        named = get_task(target).languages[:languages]
        for way, mode in enumerate(modes):
            for place, inter in enumerate(inters):
                for seed in range(seeds):
                    generator = np.random.default_rng([number, place, seed, way])
                    ability = 0.5 + 0.05 * place
                    rows = {one: drawn(generator, target, examples, ability) for one in named}
                    store.cell(inter, target, rows, mode=mode, seed=seed)
    store.plan()
    return store
