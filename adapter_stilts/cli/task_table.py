"""The tables of docs/tasks.md: tasks, sources and languages, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from adapter_stilts.miniature.catalogue import COUNTERPARTS
from adapter_stilts.tasks.base import Task
from adapter_stilts.tasks.rows import alternatives


def markdown(tasks: Sequence[Task]) -> str:
    """Two tables: what each task is and which source holds which splits; and the languages of the targets."""
    sources = [
        [
            f"`{task.name}`",
            task.role,
            task.format,
            _trained_on(task),
            _languages(task),
            ", ".join(task.metric),
            ", ".join(task.files),
            _hub(task),
            _miniature(task),
        ]
        for task in tasks
    ]
    header = ["task", "role", "format", "trained on", "languages", "metric"]
    header += ["release files", "hub", "miniature"]
    languages = [
        [f"`{task.name}`", " ".join(task.languages), " ".join(task.added_languages) or "–"]
        for task in tasks
        if task.role == "target"
    ]
    return (
        markdown_table(header, sources)
        + "\n"
        + markdown_table(["target", "languages", "added by XTREME-R"], languages)
    )


def _trained_on(task: Task) -> str:
    if task.train_task is None:
        return "nothing"
    return "itself" if task.train_task == task.name else f"`{task.train_task}`"


def _languages(task: Task) -> str:
    if task.languages == ("en",):
        return "en"
    return f"{len(task.languages)}" + (f" + {len(task.added_languages)}" if task.added_languages else "")


def _hub(task: Task) -> str:
    if not task.hub:
        return "–"
    ids = dict.fromkeys(f"`{hub.dataset}`" for held in task.hub.values() for hub in alternatives(held))
    return f"{', '.join(ids)}: {', '.join(task.hub)}"


def _miniature(task: Task) -> str:
    counterpart = COUNTERPARTS.get(task.name)
    held = [split for split, size in counterpart.sizes.items() if size] if counterpart else []
    return ", ".join(held) or "–"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
