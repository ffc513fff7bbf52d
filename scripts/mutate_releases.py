#!/usr/bin/env python
"""Damage release files of every task, one seeded mutation at a time, and count what reading them then gives.

The releases are the hand-written ones of the tests, or those under --data. After each mutation every split and language
of the task is read again. Right are: an error of this package's own (with the file), or examples that lack no more text
than the file does. Wrong are: another exception, and examples with less text than the mutation took out of the file,
unless a notice counts the rows. Prints one JSON value; leaves with 0 where nothing went wrong.

    scripts/mutate_releases.py --mutations 200
    scripts/mutate_releases.py --all --out benchmarks/results/mutate_releases.json
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeAlias

from adapter_stilts.errors import AdapterStiltsError, DataError
from adapter_stilts.tasks import all_tasks
from adapter_stilts.tasks.base import Split, Task
from adapter_stilts.tasks.files import FileSource
from adapter_stilts.tasks.rows import _tell_lost

ALL = 2_400
TESTS = Path(__file__).resolve().parents[1] / "tests" / "tasks" / "conftest.py"

Texts: TypeAlias = dict[tuple[Split, str], tuple[int, frozenset[str]]]
"""How many examples each split and language of a task has, and their different texts."""

Mutation: TypeAlias = Callable[[bytes, random.Random], tuple[bytes, int]]
"""Content and dice to the content changed, and how many bytes of the old one are gone."""


def flip(content: bytes, dice: random.Random) -> tuple[bytes, int]:
    place = dice.randrange(len(content))
    return content[:place] + bytes([content[place] ^ (1 << dice.randrange(8))]) + content[place + 1 :], 1


def hole(content: bytes, dice: random.Random) -> tuple[bytes, int]:
    return _replaced(content, dice, lambda length: bytes(length))


def blanks(content: bytes, dice: random.Random) -> tuple[bytes, int]:
    return _replaced(content, dice, lambda length: b" " * length)


def taken(content: bytes, dice: random.Random) -> tuple[bytes, int]:
    return _replaced(content, dice, lambda length: b"")


def noise(content: bytes, dice: random.Random) -> tuple[bytes, int]:
    return _replaced(content, dice, dice.randbytes)


def cut(content: bytes, dice: random.Random) -> tuple[bytes, int]:
    place = dice.randrange(len(content))
    return content[:place], len(content) - place


def emptied(content: bytes, dice: random.Random) -> tuple[bytes, int]:
    return b"", 0  # an empty file beside whole ones must not pass for a short one


def line_doubled(content: bytes, dice: random.Random) -> tuple[bytes, int]:
    lines = content.splitlines(keepends=True)
    row = dice.randrange(len(lines))
    return b"".join([*lines[: row + 1], *lines[row:]]), 0


def line_moved(content: bytes, dice: random.Random) -> tuple[bytes, int]:
    lines = content.splitlines(keepends=True)
    lines.insert(dice.randrange(len(lines)), lines.pop(dice.randrange(len(lines))))
    return b"".join(lines), 0


def separators(content: bytes, dice: random.Random) -> tuple[bytes, int]:
    old, new = dice.choice(
        [(b"\t", b" "), (b"\t", b"  "), (b" ", b"\t"), (b",", b";"), (b"\n", b"\r"), (b'"', b"'")]
    )
    return content.replace(old, new, dice.choice([1, 3, -1])), 0


def value(content: bytes, dice: random.Random) -> tuple[bytes, int]:
    """A JSON value, or a word, becomes one of another kind."""
    words = [
        b"null",
        b"-1",
        b"1e999",
        b"true",
        b"[]",
        b"{}",
        b'""',
        b"9" * 5000,
        b"[" * 3000,
        b"\\ud800",
        b"-",
        b"_",
    ]
    start = dice.randrange(len(content))
    stop = min(len(content), start + dice.choice([0, 1, 4, 9]))
    return content[:start] + dice.choice(words) + content[stop:], stop - start


def utf16(content: bytes, dice: random.Random) -> tuple[bytes, int]:
    return content.decode(errors="replace").encode(dice.choice(["utf-16", "utf-16-le", "utf-16-be"])), 0


KINDS: tuple[Mutation, ...] = (
    flip, hole, blanks, taken, noise, cut, emptied, line_doubled, line_moved, separators, value, utf16,
)  # fmt: skip


def _replaced(content: bytes, dice: random.Random, new: Callable[[int], bytes]) -> tuple[bytes, int]:
    length = dice.choice([1, 2, 8, 64, 512])
    start = dice.randrange(len(content))
    gone = len(content[start : start + length])
    return content[:start] + new(gone) + content[start + gone :], gone


class Notices(logging.Handler):
    """Keeps what is told beside the examples."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


def main() -> int:
    parser = argparse.ArgumentParser(description="Damage release files and read them.")
    parser.add_argument("--mutations", type=int, default=200, help="of all tasks together [200]")
    parser.add_argument("--seed", type=int, default=0, help="[0]")
    parser.add_argument("--data", type=Path, help="a folder of releases [the tests' own]")
    parser.add_argument("--all", action="store_true", help=f"{ALL} mutations")
    parser.add_argument("--out", type=Path, help="write the JSON there, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = options.data or _write_releases(Path(folder) / "releases")
        result = mutate(
            root, Path(folder) / "damaged", ALL if options.all else options.mutations, options.seed
        )
    told = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
    if options.out:
        options.out.write_text(told, encoding="utf-8")
    sys.stdout.write(told)
    return 0 if not result["tracebacks"] and not result["lost"] else 1


def _write_releases(root: Path) -> Path:
    spec = importlib.util.spec_from_file_location("releases", TESTS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for write in module.WRITERS:
        write(root)
    return root


def mutate(root: Path, damaged: Path, count: int, seed: int) -> dict[str, Any]:
    """So many mutations, tasks and kinds in turn."""
    notices = Notices()
    logging.getLogger("adapter_stilts").addHandler(notices)
    logging.getLogger("adapter_stilts").propagate = False
    tasks = [task for task in all_tasks() if (root / (task.folder or task.name)).is_dir()]
    whole = {task.name: texts(FileSource(root), task) for task in tasks}
    began = time.perf_counter()
    outcomes: dict[str, Counter[str]] = {kind.__name__: Counter() for kind in KINDS}
    wrong: dict[str, list[str]] = {"tracebacks": [], "lost": []}
    for number in range(count):
        task = tasks[number % len(tasks)]
        kind = KINDS[number // len(tasks) % len(KINDS)]
        dice = random.Random(f"{seed} {number}")
        top = task.folder or task.name
        shutil.rmtree(damaged, ignore_errors=True)
        shutil.copytree(root / top, damaged / top)
        files = sorted(path for path in (damaged / top).rglob("*") if path.is_file() and path.stat().st_size)
        path = dice.choice(files)
        content, gone = kind(path.read_bytes(), dice)
        path.write_bytes(content)
        notices.told.clear()
        _tell_lost.cache_clear()
        what = f"{kind.__name__} {number}: {task.name} {path.relative_to(damaged)}"
        try:
            outcome = _outcome(whole[task.name], texts(FileSource(damaged), task), gone, notices.told)
        except AdapterStiltsError as error:
            outcome = "refused" if isinstance(error, DataError) else f"refused ({type(error).__name__})"
        except Exception:
            outcome = "traceback"
            wrong["tracebacks"].append(f"{what}: {traceback.format_exc(limit=-2)}")
        if outcome == "lost":
            wrong["lost"].append(what)
        outcomes[kind.__name__][outcome] += 1
    total: Counter[str] = sum(outcomes.values(), Counter())
    return {
        "mutations": count,
        "tasks": len(tasks),
        "seconds": round(time.perf_counter() - began, 1),
        "outcomes": dict(total.most_common()),
        "by_kind": {kind: dict(counted.most_common()) for kind, counted in outcomes.items()},
        **wrong,
    }


def _outcome(before: Texts, after: Texts, gone: int, told: list[str]) -> str:
    if after == before:
        return "same examples"
    if told:
        return "counted in a notice"
    lost = _length(before) - _length(after)
    if sum(count for count, _ in after.values()) < sum(count for count, _ in before.values()) and lost > gone:
        return "lost"
    return "other text" if lost <= 0 else "text gone from the file"


def _length(found: Texts) -> int:
    return sum(len(text) for _, held in found.values() for text in held)


def texts(source: FileSource, task: Task) -> Texts:
    found: Texts = {}
    for split in task.files:
        for language in source.languages(task, split):
            examples = source.examples(task, split, language, {})
            found[split, language] = (
                len(examples),
                frozenset(text for example in examples for text in _texts_of(example)),
            )
    return found


def _texts_of(example: Any) -> Iterator[str]:
    for name in (field.name for field in fields(example)):
        held = getattr(example, name)
        if name == "words":
            yield "".join(held)
        elif isinstance(held, str) and name not in ("id", "label", "pair", "side"):
            yield held
        elif name == "choices":
            yield from held


if __name__ == "__main__":
    sys.exit(main())
