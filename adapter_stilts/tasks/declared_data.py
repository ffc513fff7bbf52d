"""A look at a declared task's data: how much there is, and what will make its scores say little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapter_stilts.errors import DataError
from adapter_stilts.formats.examples import Example, TextRegressionExample, label_names
from adapter_stilts.tasks.base import Split, Task
from adapter_stilts.tasks.declaration import SPLITS
from adapter_stilts.tasks.declared_rows import SHAPES
from adapter_stilts.tasks.sources import Source


@dataclass(frozen=True)
class Look:
    """What a declared task's data hold.

    Args:
        counts: examples by split and language.
        classes: labels of these with how often each stands there; empty where a format has none.
        first: the first examples of the first split that has any.
        ranges: of a format of numbers, the least and the greatest of these; empty where a format has none.
    """

    counts: Mapping[Split, Mapping[str, int]]
    classes: Mapping[Split, Mapping[str, Mapping[str, int]]]
    first: Sequence[Example]
    notices: tuple[str, ...]
    ranges: Mapping[Split, Mapping[str, tuple[float, float]]] = field(default_factory=dict)


def look_at(task: Task, source: Source, first: int = 3) -> Look:
    """Read all of a task's splits.

    Args:
        first: examples to keep.

    Raises:
        DataError: a row cannot be used, or the train split holds one class or one number only.
    """
    text = SHAPES[task.format].text
    counts: dict[Split, dict[str, int]] = {}
    ranges: dict[Split, dict[str, tuple[float, float]]] = {}
    classes: dict[Split, dict[str, dict[str, int]]] = {}
    trained: set[object] = set()
    kept: list[Example] = []
    notices: list[str] = []
    for split in SPLITS:
        for language in source.languages(task, split):
            examples = source.examples(task, split, language, {})
            kept = kept or examples[:first]
            counts.setdefault(split, {})[language] = len(examples)
            found = Counter(name for example in examples for name in label_names(example))
            classes.setdefault(split, {})[language] = dict(sorted(found.items()))
            numbers = [
                each.label
                for each in examples
                if isinstance(each, TextRegressionExample) and each.label is not None
            ]
            if numbers:
                ranges.setdefault(split, {})[language] = (min(numbers), max(numbers))
            notices += _one_class(task, split, language, found or Counter(numbers), source)
            texts = [text(example) for example in examples]
            if split == "train":
                trained.update(texts)
            elif (again := sum(each in trained for each in texts)) > 0:
                notices.append(
                    f"{task.name}: {again} of {len(texts)} {split} texts ({language}) stand in the train split too: "
                    "scores on them say little; take them out of one of the two"
                )
    listed = task.labels if SHAPES[task.format].labels else ()
    unseen = [name for name in listed if all(name not in held for held in classes.get("train", {}).values())]
    if unseen and "train" in classes:
        notices.append(f"{task.name}: no train example of: {', '.join(unseen)}")
    return Look(counts, classes, kept, tuple(notices), ranges)


def _one_class(
    task: Task, split: Split, language: str, found: Mapping[Any, int], source: Source
) -> list[str]:
    """What is to be told where all examples are of one class, or have one number."""
    if len(found) != 1:
        return []
    (only,) = found
    kind = "classes" if isinstance(only, str) else "numbers"
    told = f"every {split} example ({language}) of {task.name} is {only!r}"
    if split == "train" and len(task.trained_in) == 1:
        place = source.place if task.home is None else task.home
        raise DataError(
            place, None, f"{told}: there is nothing to tell apart; give it examples of other {kind}"
        )
    return [f"{told}: a score there says little"]
