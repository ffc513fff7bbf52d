"""Release files as a source: a folder holding data sets as their authors published them."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from adapter_stilts.errors import DataError, UsageError
from adapter_stilts.formats.examples import Example
from adapter_stilts.tasks.base import LANGUAGE, Files, Split, Task
from adapter_stilts.tasks.lines import cannot_be_read, is_blank
from adapter_stilts.tasks.readers import READERS
from adapter_stilts.tasks.rows import (
    Located,
    alternatives,
    dev_languages,
    gather,
    label_check,
    serves,
    split_languages,
    template_fields,
    train_languages,
)

_NOTHING = "holds no row; fetch the file again, or put it aside"

TRANSLATED = "translated"
"""Folder of translated train sets, one folder a language."""


@dataclass(frozen=True)
class _Match:
    """The files of one split in one language.

    Args:
        spec: the task's description of them.
        fields: values for the description's templates.
        paths: each file, followed by those read beside it.
        one_language: whether all rows should be in one language (else rows name theirs).
        translated: whether they are someone's translation of the release.
    """

    spec: Files
    fields: dict[str, str]
    paths: tuple[tuple[Path, ...], ...]
    one_language: bool
    translated: bool

    def flat(self) -> list[Path]:
        return [path for paths in self.paths for path in paths]


class FileSource:
    """Reads tasks from release files under ``root``; each task's file says which ones.

    A data set is looked for in its own folder (``root/hellaswag``) and then in ``root`` itself, so ``root``
    may be a folder of data sets or that of one. A train set that someone translated is found in ``translated/de/``
    beside the original, under the original's file names and in its format.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.place = str(root)
        # Files that hold several languages are parsed once, not once a language.
        self._grouped: dict[str, dict[str, list[Example]]] = {}
        self._digests: dict[tuple[str, int, int], str] = {}

    levels: Mapping[str, str] = MappingProxyType({})
    constructed = False

    def wanted(self, task: Task) -> tuple[str, ...]:
        """XTREME's languages."""
        return task.languages

    def offered(self, task: Task) -> tuple[str, ...]:
        """XTREME's languages, and those that XTREME-R adds."""
        return task.all_languages

    def further(self, task: Task, language: str) -> bool:
        """Whether files named after the language are here, though no benchmark has the task in it."""
        known = language in task.all_languages or "test" not in task.files
        if known or not LANGUAGE.fullmatch(language):
            return False
        return any(
            self._match(task, "test", {"language": language, **options}) is not None
            for options in _choices(task)
        )

    def languages(self, task: Task, split: Split) -> tuple[str, ...]:
        """The languages found here, under any options, of those that the split is used in, in the task's order.

        Raises:
            DataError: a file holding several languages is malformed.
        """
        if split not in task.files:
            return ()
        wanted = split_languages(task, split)
        return tuple(language for language in wanted if self._holds(task, split, language))

    def training_languages(self, task: Task) -> tuple[str, ...]:
        """English where its train split is here, then the languages of other train splits, sorted."""
        if "train" not in task.files:
            return ()
        used = self.languages(task, "train")
        others = sorted(set(self._translated(task)) - set(task.trained_in))
        return (*used, *(language for language in others if self._holds(task, "train", language)))

    def dev_languages(self, task: Task) -> tuple[str, ...]:
        """Those found here, under any options, in the task's order, its own first."""
        told, own = _dev_told(task), task.trained_in[0]
        order = dict.fromkeys([*((own,) if own in told else ()), *told])
        return tuple(language for language in order if self._holds(task, "dev", language))

    def fingerprint(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> str:
        """sha256 over the bytes of the files read, in order, and over what is taken from them."""
        match = self._find(task, split, language, options)
        digest = hashlib.sha256(json.dumps(task.taken(split, match.fields), sort_keys=True).encode())
        for path in match.flat():
            digest.update(self._digest(path).encode())
        return digest.hexdigest()

    def examples(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> list[Example]:
        """The split's examples in one language, in the order of the files.

        Raises:
            DataError: no file, or a malformed one.
            UsageError: the task has no such split, language or option.
        """
        match = self._find(task, split, language, options)
        found = self._read(task, split, match)
        if not found[language]:
            held = [other for other, examples in found.items() if examples]
            why = (
                f"it holds {', '.join(held)}"
                if held
                else "it holds none of the languages wanted, or no row to use"
            )
            raise DataError(
                match.paths[0][0], None, f"no {language!r} examples of {task.name} {split}: {why}"
            )
        return list(found[language])

    def holds(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> bool:
        """Whether a split is here under these options.

        Raises:
            DataError: a file holding several languages is malformed.
        """
        try:
            fields = self._fields(task, split, language, options)
        except UsageError:  # no such split, language or option
            return False
        match = self._match(task, split, fields)
        return match is not None and (match.one_language or bool(self._read(task, split, match)[language]))

    def _holds(self, task: Task, split: Split, language: str) -> bool:
        return any(self.holds(task, split, language, options) for options in _choices(task))

    def _find(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> _Match:
        fields = self._fields(task, split, language, options)
        match = self._match(task, split, fields)
        if match is None:
            raise DataError(self.root, None, self._absent(task, split, fields))
        return match

    def _fields(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> dict[str, str]:
        others: Collection[str] = self._translated(task) if split == "train" else ()
        if split == "dev":
            others = _dev_told(task)
        # Where nothing is trained, dev is what a threshold is chosen on, in each language by itself.
        if (split == "test" or (split == "dev" and task.train_task is None)) and self.further(task, language):
            others = (language,)
        return template_fields(task, split, language, options, task.files, others)

    def _translated(self, task: Task) -> list[str]:
        """Languages that a train split is said or seen to be in."""
        said = [
            language
            for spec in alternatives(task.files.get("train", ()))
            for language in train_languages(task, spec.languages, spec.patterns)
        ]
        seen = [
            path.name
            for folder in (f"{task.folder or task.name}/", "")
            for path in sorted((self.root / folder / TRANSLATED).glob("*"))
            if path.is_dir()
        ]
        return list(dict.fromkeys([*said, *seen]))

    def _absent(self, task: Task, split: Split, fields: dict[str, str]) -> str:
        """Why no file matches, and what to do."""
        wanted = f"{task.name} {split} for {fields['language']!r}"
        for name, values in task.options.items():
            held = [value for value in values if self._match(task, split, {**fields, name: value})]
            if held:
                return (
                    f"holds {wanted} with {name} = {', '.join(map(repr, held))} only, not {fields[name]!r}: "
                    f"--set options.{task.name}.{name}={held[0]}"
                )
        tried = ", ".join(name for _, _, name in _candidates(task, split, _with_code(task, fields)))
        return (
            f"no file of {wanted} in this folder; tried: {tried}. Put the release files of {task.dataset} "
            "there"
            + (
                ", or leave out --data to read from the hub (--fill-from-hub reads there only what the folder lacks)."
                if task.hub
                else "."
            )
        )

    def _match(self, task: Task, split: Split, fields: dict[str, str]) -> _Match | None:
        fields, incomplete = _with_code(task, fields), None
        for spec, pattern, name in _candidates(task, split, fields):
            paths = self._paths(spec, name, fields)
            if not paths:
                continue
            translated = f"{TRANSLATED}/" in name
            named = _names_language(pattern) or translated
            match = _Match(spec, fields, paths, named or spec.language is None, translated)
            if all(path.is_file() for path in match.flat()):
                return match
            # Another description may do without the missing file; else reading this one tells its name.
            incomplete = incomplete or match
        return incomplete

    def _paths(self, spec: Files, name: str, fields: dict[str, str]) -> tuple[tuple[Path, ...], ...]:
        """The files that a path, wildcard or `` + `` of several names; none where one of several is missing."""
        found: list[Path] = []
        for part in name.split(" + "):
            # Only "*" is a wildcard: brackets in a folder's name are not.
            matched = sorted(self.root.glob(part)) if "*" in part else [self.root / part]
            files = [path for path in matched if path.is_file()]
            if not files:
                return ()
            found += files
        beside = [other.format_map(fields) for other in spec.beside]
        return tuple((path, *map(path.with_name, beside)) for path in found)

    def _read(self, task: Task, split: Split, match: _Match) -> dict[str, list[Example]]:
        spec = match.spec
        if match.one_language:
            languages: tuple[str, ...] = (match.fields["language"],)
            return gather(
                _rows(match),
                spec.example,
                spec.language,
                languages,
                skip_others=False,
                check=label_check(task, split),
                translated=match.translated,
            )
        states = [_state(path) for path in match.flat()]
        used = split_languages(task, split)
        # English dev is read alone, as it is used alone unless others are asked for.
        wide = split == "dev" and match.fields["language"] not in used
        key = json.dumps([task.name, split, {**match.fields, "language": "", "code": ""}, wide, states])
        if key not in self._grouped:
            languages = spec.languages or (task.all_languages if wide else used)
            self._grouped[key] = gather(
                _rows(match),
                spec.example,
                spec.language,
                languages,
                skip_others=True,
                known=(*task.all_languages, *languages),
                check=label_check(task, split),
            )
        return self._grouped[key]

    def _digest(self, path: Path) -> str:
        state = _state(path)
        if state not in self._digests:
            digest = hashlib.sha256()
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
            self._digests[state] = digest.hexdigest()
        return self._digests[state]


def _with_code(task: Task, fields: dict[str, str]) -> dict[str, str]:
    return {**fields, "code": task.codes.get(fields["language"], fields["language"])}


def _candidates(task: Task, split: Split, fields: Mapping[str, str]) -> Iterator[tuple[Files, str, str]]:
    """(description, its pattern, the path or wildcard to try), in order of preference."""
    language = fields["language"]
    for spec in alternatives(task.files[split]):
        served = train_languages(task, spec.languages, spec.patterns)
        other = split == "train" and language not in served
        if not serves(spec, fields) or (other and served != ("en",)):
            continue
        listed = language in task.all_languages
        if spec.further and listed:
            continue
        if split == "dev" and task.train_task is not None and language not in _dev_of(task, spec):
            continue
        place = f"{TRANSLATED}/{language}/" if other else ""
        for pattern in spec.patterns:
            if split != "train" and not listed and not _names_language(pattern):
                continue  # files of several languages hold the task's
            parts = pattern.format_map(fields).split(" + ")
            for folder in (f"{task.folder or task.name}/", ""):
                yield spec, pattern, " + ".join(folder + place + part for part in parts)


def _names_language(pattern: str) -> bool:
    return "{language}" in pattern or "{code}" in pattern


def _dev_told(task: Task) -> tuple[str, ...]:
    """Languages that a dev split is said to be in."""
    specs = alternatives(task.files.get("dev", ()))
    return tuple(dict.fromkeys(language for spec in specs for language in _dev_of(task, spec)))


def _dev_of(task: Task, spec: Files) -> tuple[str, ...]:
    return dev_languages(task, spec, spec.patterns)


def _choices(task: Task) -> Iterator[dict[str, str]]:
    """Every way to choose the task's options, the defaults first."""
    for values in itertools.product(*task.options.values()):
        yield dict(zip(task.options, values, strict=True))


def _rows(match: _Match) -> Iterator[Located]:
    options = {
        name: value.format_map(match.fields) if isinstance(value, str) else value
        for name, value in match.spec.options.items()
    }
    for paths in match.paths:
        for path in paths:
            if is_blank(path):
                raise DataError(path, None, _NOTHING)
        line = 0
        for line, row in READERS[match.spec.reader](*paths, **options):
            yield Located(paths[0], line, row)
        if not line:
            raise DataError(paths[0], None, _NOTHING)


def _state(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise cannot_be_read(path, error) from None
    return str(path), found.st_size, found.st_mtime_ns
