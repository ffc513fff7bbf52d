"""The miniature's data, generated once a run: what is meant (items) and what is said (examples)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from random import Random

import pytest

from adapter_stilts.formats.examples import Example
from adapter_stilts.miniature.catalogue import COUNTERPARTS
from adapter_stilts.miniature.constructed import grammar
from adapter_stilts.miniature.items import Item, collect
from adapter_stilts.tasks.base import Split, Task

Items = Callable[[str, Split], list[Item]]
Examples = Callable[[str, Split, str], list[Example]]


@pytest.fixture(scope="session")
def items() -> Items:
    """(task, split) -> its items, as `MiniatureSource(0)` has them."""

    @functools.cache
    def call(name: str, split: Split) -> list[Item]:
        return collect(COUNTERPARTS[name], split, Random(f"0/{name}/{split}"))

    return call


@pytest.fixture(scope="session")
def examples(items: Items) -> Examples:
    """(task, split, language) -> its examples."""

    @functools.cache
    def call(name: str, split: Split, language: str) -> list[Example]:
        tongue = grammar(language)
        return [
            example
            for number, item in enumerate(items(name, split))
            for example in item.render(tongue, str(number))
        ]

    return call


@pytest.fixture(scope="session")
def task() -> Callable[[str], Task]:
    """A task by name only: the miniature needs no more, and has some that the registry has not."""

    def call(name: str, **fields: object) -> Task:
        return Task(name, "target", "retrieval", ("accuracy",), ("en",), None, "", "", "", **fields)  # type: ignore[arg-type]

    return call
