"""`MiniatureSource`: what it holds, that it is the same everywhere and always, and how it refuses."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.miniature import CODES, MiniatureSource
from adapter_stilts.miniature.catalogue import COUNTERPARTS
from adapter_stilts.miniature.constructed import grammar
from adapter_stilts.miniature.items import Item
from adapter_stilts.miniature.source import SCHEMA
from adapter_stilts.miniature.text import documents
from adapter_stilts.tasks import all_tasks, get_task
from adapter_stilts.tasks.base import Split, Task
from adapter_stilts.tasks.sources import Source

MakeTask = Callable[..., Task]
Items = Callable[[str, Split], list[Item]]

# Of the first examples of all tasks in all languages, and of the text. Where this changes, results do: raise
# SCHEMA with it.
PINNED = (2, "25a60cbcf19781c5")
ADDED = {
    "sib200": "fbcb51849433acd7",
    "belebele": "f33900cdf7bcddcc",
    "uner": "ab2c32a4e07c8324",
    "masakhaner2": "f6357a7127378eca",
    "masakhapos": "0dd8c94033f710fe",
    "afrixnli": "4d24b9dff29ffa33",
}
"""Tasks that came later, each with a digest of its own."""

DIGEST = """
import hashlib, sys
from adapter_stilts.miniature import MiniatureSource
from adapter_stilts.tasks import get_task
source = MiniatureSource(3)
told = [source.examples(get_task(n), "test", c, {})[:50] for n in ("xnli", "tatoeba") for c in ("qab", "qaf")]
print(hashlib.sha256(repr(told).encode()).hexdigest())
"""


def test_every_task_of_the_registry_has_its_miniature() -> None:
    source: Source = MiniatureSource()
    for task in all_tasks():
        assert task.name in COUNTERPARTS
        train = COUNTERPARTS[task.train_task or task.name]
        if task.train_task:
            assert train.sizes["train"]
            assert train.sizes["dev"]
        if task.labels and task.format == "pair_classification":
            assert set(COUNTERPARTS[task.name].labels) == set(task.labels)
        assert source.languages(task, "test")


def test_languages(task: MakeTask) -> None:
    source = MiniatureSource()
    assert source.languages(task("xnli"), "test") == ("en", *CODES)
    assert source.languages(task("xnli"), "dev") == ("en",)
    assert source.languages(task("xnli"), "train") == ()
    assert source.languages(task("mnli"), "train") == ("en",)
    assert source.training_languages(task("mnli")) == ("en", *CODES)
    assert source.training_languages(task("xnli")) == ()
    assert source.languages(task("tatoeba"), "test") == CODES
    assert source.languages(task("bucc2018"), "dev") == CODES
    assert source.languages(task("nosuch"), "test") == ()


def test_dev_is_there_in_every_language(task: MakeTask) -> None:
    source = MiniatureSource()
    assert len(source.examples(task("xcopa"), "dev", "qag", {})) == COUNTERPARTS["xcopa"].sizes["dev"]


@pytest.mark.slow
def test_nothing_changes_unnoticed(items: Items) -> None:
    digest = hashlib.sha256()
    for name in COUNTERPARTS:
        if name not in ADDED:
            _say_first(name, items, digest)
    for code in ("en", *CODES):
        digest.update(repr(list(documents(code, 0, 20))).encode())
    assert (SCHEMA, digest.hexdigest()[:16]) == PINNED, "raise SCHEMA and pin the new digest"


@pytest.mark.parametrize("name", ADDED)
def test_nothing_of_a_later_task_changes_unnoticed(name: str, items: Items) -> None:
    digest = hashlib.sha256()
    _say_first(name, items, digest)
    assert digest.hexdigest()[:16] == ADDED[name], "raise SCHEMA and pin the new digest"


def _say_first(name: str, items: Items, digest: Any) -> None:
    """The first examples of a task in every language."""
    for split in ("train", "test"):
        chosen = items(name, split)[:20] if COUNTERPARTS[name].sizes[split] else []
        for code in ("en", *CODES):
            told = [item.render(grammar(code), str(number)) for number, item in enumerate(chosen)]
            digest.update(repr(told).encode())


def test_source_yields_what_is_pinned(task: MakeTask, examples: Callable[..., list[object]]) -> None:
    source = MiniatureSource(0)
    assert source.examples(task("siqa"), "train", "en", {}) == examples("siqa", "train", "en")
    for code in ("qaa", "qad"):
        assert source.examples(task("siqa"), "test", code, {}) == examples("siqa", "test", code)


def test_same_examples_in_any_process() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(digests) == 1


def test_seeds_differ(task: MakeTask) -> None:
    one, other = (MiniatureSource(seed).examples(task("copa"), "dev", "en", {}) for seed in (0, 1))
    assert one != other


def test_fingerprints_tell_everything_apart_and_generate_nothing(task: MakeTask) -> None:
    source = MiniatureSource()
    found = {
        MiniatureSource(seed).fingerprint(task(name), split, code, {})
        for seed in (0, 1)
        for name in ("mnli", "squad_v1")
        for split in ("dev", "test")
        for code in ("en", "qaa")
    }
    assert len(found) == 16
    assert source.fingerprint(task("mnli"), "test", "en", {}) in found
    assert not source._items


def test_a_real_language_is_refused_by_name(task: MakeTask) -> None:
    with pytest.raises(UnknownNameError) as caught:
        MiniatureSource().examples(task("xnli"), "test", "de", {})
    assert all(code in str(caught.value) for code in CODES)
    with pytest.raises(UnknownNameError):
        MiniatureSource().fingerprint(task("tatoeba"), "test", "en", {})


def test_other_refusals(task: MakeTask) -> None:
    with pytest.raises(UsageError, match="no miniature"):
        MiniatureSource().examples(task("nosuch"), "test", "en", {})
    with pytest.raises(UsageError, match="no train split"):
        MiniatureSource().examples(task("xnli"), "train", "en", {})
    with pytest.raises(UnknownNameError, match="option"):
        MiniatureSource().examples(get_task("udpos"), "test", "qaa", {"wrods": "fused"})
    with pytest.raises(UnknownNameError, match="value of option"):
        MiniatureSource().examples(get_task("udpos"), "test", "qaa", {"words": "fusde"})
    assert MiniatureSource().examples(get_task("udpos"), "test", "qaa", {"words": "fused"})


def test_importing_generates_nothing() -> None:
    code = (
        "import sys; import adapter_stilts.miniature.text\n"
        "from adapter_stilts.miniature import stories, constructed\n"
        "assert stories.scripts.cache_info().misses == constructed.grammar.cache_info().misses == 0\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
