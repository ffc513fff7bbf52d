"""What a declaration cannot say: each check raises UsageError with file and line, and with what to change."""

from __future__ import annotations

import re
import string
from pathlib import PurePosixPath

from adapter_stilts.errors import UnknownNameError
from adapter_stilts.tasks.base import LANGUAGE
from adapter_stilts.tasks.declaration import READERS, SPLITS, Declaration, Where
from adapter_stilts.tasks.declared_rows import EVERYWHERE, OPTIONAL, SHAPES


def check(declared: Declaration, where: Where) -> None:
    """Raises UsageError where columns, labels, places or languages do not go with the format or with each other."""
    _check_columns(declared, where)
    _check_labels(declared, where)
    _check_metric(declared, where)
    _check_places(declared, where)
    _check_languages(declared, where)


def _check_columns(declared: Declaration, where: Where) -> None:
    shape, more = SHAPES[declared.format], OPTIONAL.get(declared.format, ())
    known = (*shape.fields, *more, *EVERYWHERE)
    for field, names in declared.columns.items():
        if field not in known:
            kind = f"column of {declared.format}"
            raise where.error(f"columns.{field}", str(UnknownNameError(kind, field, known)))
        if not names or (len(names) > 1 and field != "choices"):
            raise where.error(f"columns.{field}", f"columns.{field} names {len(names)} columns; it is in one")
    given = [field for field in more if field in declared.columns]
    if given and len(given) < len(more):
        raise where.error(f"columns.{given[0]}", f"columns: name all of {', '.join(more)}, or none of them")


def _check_labels(declared: Declaration, where: Where) -> None:
    wanted, labels = SHAPES[declared.format].labels, declared.labels
    if wanted and len(labels) < 2:
        raise where.error(
            "labels",
            f"labels = {list(labels)}: a task of format {declared.format} chooses among two or more; list them: "
            'labels = ["...", "..."]',
        )
    if wanted is False and labels:
        raise where.error("labels", f"labels: tasks of format {declared.format} have none; leave them out")
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise where.error("labels", f"labels lists {', '.join(twice)} twice")


def _check_metric(declared: Declaration, where: Where) -> None:
    """Those that are counted together are declared together: a score is the mean of them all."""
    together = SHAPES[declared.format].metric
    if len(together) > 1 and set(declared.metric) != set(together):
        raise where.error(
            "metric",
            f"metric = {list(declared.metric)}: tasks of format {declared.format} are scored by "
            f"{' and '.join(together)} together, whose mean chooses the checkpoint; leave metric out",
        )


def _check_places(declared: Declaration, where: Where) -> None:
    files = {split: getattr(declared.files, split) for split in SPLITS if getattr(declared.files, split)}
    hub = {split: getattr(declared.hub, split) for split in SPLITS if getattr(declared.hub, split)}
    if files and (hub or declared.hub.dataset):
        raise where.error("hub", "names files and a data set of the hub: leave [files] or [hub] out")
    if hub and not declared.hub.dataset:
        raise where.error("hub", 'hub: name the data set: dataset = "ORG/NAME"')
    if not files and not hub:
        raise where.error(
            "files",
            "names no data: give [files] with train, dev and test, or [hub] with dataset and its splits' names",
        )
    if "train" in (files or hub) and declared.train_task is not None:
        raise where.error(
            "train_task", "train_task: it has a train split of its own; leave one of the two out"
        )
    for split, names in files.items():
        key = f"files.{split}"
        for name in names:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or " + " in name:
                raise where.error(
                    key,
                    f"{key} = {name!r}: files lie beside the task's file or in folders there; move it, or them",
                )
            if declared.files.reader is None and path.suffix not in READERS:
                choices = ", ".join(f"{suffix}" for suffix in READERS)
                raise where.error(
                    key, f"{key} = {name!r}: how is it read? Known ends are {choices}; or say files.reader"
                )
        if len({declared.reader(name) for name in names}) > 1:
            raise where.error(key, f"{key} names files of several kinds; one split's are of one kind")
    templates = {f"files.{split}": name for split, names in files.items() for name in names}
    templates |= {f"hub.{split}": name for split, name in hub.items()}
    templates |= {"hub.config": declared.hub.config} if declared.hub.config else {}
    for key, template in templates.items():
        _check_template(key, template, where)


def _check_template(key: str, template: str, where: Where) -> None:
    try:
        # With a format or a conversion behind it, a field would not be its value.
        fields = [
            f"{field}{'!' if conversion else ''}{':' if spec else ''}"
            for _, field, spec, conversion in string.Formatter().parse(template)
            if field is not None
        ]
    except ValueError as error:
        raise where.error(key, f"{key} = {template!r}: {error}") from None
    for field in fields:
        if field not in ("language", "code"):
            raise where.error(key, f"{key} = {template!r}: {{{field}}} is not one of {{language}}, {{code}}")


def _check_languages(declared: Declaration, where: Where) -> None:
    for key in ("train_languages", "languages"):
        for language in getattr(declared, key):
            if not LANGUAGE.fullmatch(language):
                raise where.error(key, f"{key}: {language!r} is no language's code, such as en or pt-BR")
    known = {*declared.train_languages, *declared.languages}
    for language, code in declared.codes.items():
        if language not in known:
            raise where.error(
                f"codes.{language}", f"codes: {language!r} is in neither of the lists of languages"
            )
        if not re.fullmatch(r"[\w.-]*\w[\w.-]*", code):
            raise where.error(f"codes.{language}", f"codes: {code!r} would be no plain part of a name")
    for split, languages in (
        ("train", declared.train_languages),
        ("test", declared.languages),
    ):
        names = [*getattr(declared.files, split), getattr(declared.hub, split) or ""]
        told = " ".join([*names, declared.hub.config or ""])
        if not names[0] or "{" in told or len(set(languages)) < 2 or "language" in declared.columns:
            continue
        key = f"hub.{split}" if declared.hub.dataset else f"files.{split}"
        raise where.error(
            key,
            f"{key} = {names[0]!r} is one for {', '.join(languages)}: put {{language}} into it, or name the column "
            'that tells a row\'s: [columns] language = "..."',
        )
