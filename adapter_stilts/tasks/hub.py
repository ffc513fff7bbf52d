"""The Hugging Face hub as a source, through `datasets` and its cache."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from adapter_stilts.errors import DataError, SourceUnavailableError, UsageError, cause_of
from adapter_stilts.formats.examples import Example
from adapter_stilts.tasks.base import LANGUAGE, Hub, Split, Task
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

_Address: TypeAlias = tuple[str, str | None, str, str | None]
"""Data set, configuration, split and revision."""

_BATCH_ROWS = 1000
_ANSWER_SECONDS = 10.0

_log = logging.getLogger(__name__)


class HubSource:
    """Reads tasks from hub data sets: from the network once, from the cache of `datasets` afterwards.

    Args:
        cache_dir: the cache of `datasets`; its own default where None.
    """

    def __init__(self, cache_dir: str | None = None) -> None:
        self.cache_dir = cache_dir
        self._loaded: dict[_Address, Any] = {}
        self._configurations: dict[tuple[str, str | None], tuple[str, ...]] = {}
        # Data sets that hold several languages are parsed once, not once a language.
        self._grouped: dict[tuple[str, str, str], dict[str, list[Example]]] = {}

    place = "the hub"
    levels: Mapping[str, str] = MappingProxyType({})
    constructed = False

    def wanted(self, task: Task) -> tuple[str, ...]:
        """XTREME's languages."""
        return task.languages

    def offered(self, task: Task) -> tuple[str, ...]:
        """XTREME's languages, and those that XTREME-R adds."""
        return task.all_languages

    def further(self, task: Task, language: str) -> bool:
        """Whether a data set with a configuration a language has one of this, though the task does not list it.

        The hub is asked then, and only then. Where it gives no answer, and the cache has no copy, none is held, with a
        warning.
        """
        known = language in task.all_languages or "test" not in task.hub
        if known or not LANGUAGE.fullmatch(language):
            return False
        return any(self._has(_address(hub, fields)) for hub, fields in _named_after(task, language))

    def languages(self, task: Task, split: Split) -> tuple[str, ...]:
        """The languages that the split is used in; the hub holds each, and is not asked.

        Raises:
            UsageError: the hub cannot serve the task.
        """
        _check_served(task)
        return _held(task, split) if split in task.hub else ()

    def training_languages(self, task: Task) -> tuple[str, ...]:
        """English, and what the task's file says of train sets in other languages on the hub."""
        return tuple(dict.fromkeys([*self.languages(task, "train"), *_translated(task)]))

    def dev_languages(self, task: Task) -> tuple[str, ...]:
        """English, and what the task's file says of dev sets in other languages on the hub."""
        return tuple(dict.fromkeys([*self.languages(task, "dev"), *_dev_told(task)]))

    def fingerprint(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> str:
        """sha256 over data set, config, split, the cached data's fingerprint and what is taken from it.

        The cached data's fingerprint follows the data set's revision on the hub.
        """
        hub, fields = self._find(task, split, language, options)
        address = _address(hub, fields)
        cached = str(self._load(address)._fingerprint)
        taken = [task.taken(split, fields), *address[:3], cached]
        return hashlib.sha256(json.dumps(taken, sort_keys=True).encode()).hexdigest()

    def examples(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> list[Example]:
        """The split's examples in one language, in the order of the hub's rows.

        Raises:
            SourceUnavailableError: the hub refuses or cannot be reached, and the cache has no copy.
            DataError: a row is malformed.
            UsageError: the task has no such split, language or option, or the hub cannot serve the option.
        """
        hub, fields = self._find(task, split, language, options)
        address = _address(hub, fields)
        name = "/".join(filter(None, address[:3]))
        check = label_check(task, split)
        if hub.language is None:
            loaded = self._load(address)
            rows = _rows(loaded, name)
            found = gather(rows, hub.example, None, (language,), skip_others=False, check=check)
        else:
            held = _held(task, split)
            # English dev is read alone, as it is used alone unless others are asked for.
            wide = split == "dev" and language not in held
            key = (task.name, split, json.dumps([{**fields, "language": "", "code": ""}, wide]))
            if key not in self._grouped:
                rows = _rows(self._load(address), name)
                languages = hub.languages or (_dev_told(task) if wide else held)
                self._grouped[key] = gather(
                    rows, hub.example, hub.language, languages, skip_others=True, check=check
                )
            found = self._grouped[key]
        if not found[language]:
            raise DataError(name, None, f"no {language!r} examples of {task.name} {split}")
        return list(found[language])

    def _find(
        self, task: Task, split: Split, language: str, options: Mapping[str, str]
    ) -> tuple[Hub, dict[str, str]]:
        _check_served(task)
        told = {"train": _translated, "dev": _dev_told}
        others = told[split](task) if split in told else ()
        if split == "test" and self.further(task, language):
            others = (language,)
        fields = template_fields(task, split, language, options, task.hub, others)
        if language not in (*_held(task, split), *others):
            raise UsageError(
                f"the hub's copy of {task.name} has no {language!r}, which XTREME-R adds. Pass --data DIR with "
                f"the release files, or choose among: {', '.join(_held(task, split))}."
            )
        fields["code"] = _code(task, language)
        hubs = alternatives(task.hub[split])
        for hub in hubs:
            other = split == "train" and language not in _train_languages(task, hub)
            if split == "dev" and task.train_task is not None:
                other = language not in _dev_languages(task, hub)
            if serves(hub, fields) and not other:
                return hub, fields
        option, served = next((option, hub.only[option]) for hub in hubs for option in hub.only)
        raise UsageError(
            f"the hub's copy of {task.name} has {option}={served[0]!r} only, not {fields[option]!r}. "
            f"Pass --data DIR with the release files, or leave {option!r} at {served[0]!r}."
        )

    def _has(self, address: _Address) -> bool:
        """Whether a data set has a configuration, by the hub's word or the cache's."""
        dataset, config, split, revision = address
        if (dataset, revision) not in self._configurations:
            try:
                self._configurations[dataset, revision] = configurations(dataset, revision)
            except SourceUnavailableError as error:
                try:
                    _load_cached(dataset, config, split, self.cache_dir)
                except Exception:  # of many kinds; see `load_split`
                    _log.warning("%s; whether it has a configuration %r is not known", error, config)
                    self._configurations[dataset, revision] = ()
                else:
                    return True
        return config in self._configurations[dataset, revision]

    def _load(self, address: _Address) -> Any:
        if address not in self._loaded:
            dataset, config, split, revision = address
            self._loaded[address] = load_split(dataset, config, split, self.cache_dir, revision)
        return self._loaded[address]


def _check_served(task: Task) -> None:
    if task.declared and not task.hub:
        raise UsageError(
            f"{task.name!r} is declared with files of its own: pass --data DIR with those that it names, or name its "
            f"TOML file beside them: --target {task.name}.toml"
        )
    if not task.hub:
        raise UsageError(
            f"the hub cannot serve {task.name!r}: {task.no_hub}. Pass --data DIR with its release files; "
            f"`adapter-stilts tasks {task.name}` tells where they are from."
        )


def _train_languages(task: Task, hub: Hub) -> tuple[str, ...]:
    return train_languages(task, hub.languages, (hub.config or "",))


def _translated(task: Task) -> tuple[str, ...]:
    """Languages beside English that a train split is said to be in."""
    hubs = alternatives(task.hub["train"]) if "train" in task.hub else ()
    return tuple(dict.fromkeys(language for hub in hubs for language in _train_languages(task, hub)))


def _dev_languages(task: Task, hub: Hub) -> tuple[str, ...]:
    """Of a description of a dev split; the hub's copies are in XTREME's languages."""
    told = dev_languages(task, hub, (hub.config or "",))
    return tuple(language for language in told if language not in task.added_languages)


def _dev_told(task: Task) -> tuple[str, ...]:
    """Languages that a dev split is said to be in."""
    hubs = alternatives(task.hub["dev"]) if "dev" in task.hub else ()
    return tuple(dict.fromkeys(language for hub in hubs for language in _dev_languages(task, hub)))


def _held(task: Task, split: Split) -> tuple[str, ...]:
    """The languages of the hub's copies, which are XTREME's, of those a split is used in."""
    return tuple(
        language for language in split_languages(task, split) if language not in task.added_languages
    )


def _code(task: Task, language: str) -> str:
    return (task.hub_codes or task.codes).get(language, language)


def _named_after(task: Task, language: str) -> Iterator[tuple[Hub, dict[str, str]]]:
    """The descriptions of a test split whose configuration is named after the language, with their fields."""
    options = {name: values[0] for name, values in task.options.items()}
    fields = {**options, "language": language, "code": _code(task, language)}
    for hub in alternatives(task.hub["test"]):
        named = "{language}" in (hub.config or "") or "{code}" in (hub.config or "")
        if named and serves(hub, fields):
            yield hub, fields


def configurations(dataset: str, revision: str | None = None) -> tuple[str, ...]:
    """The names of a data set's configurations, by the hub.

    Raises:
        SourceUnavailableError: the hub refuses or cannot be reached.
    """
    import datasets

    try:
        if datasets.config.HF_HUB_OFFLINE:
            raise ConnectionError("offline, by HF_HUB_OFFLINE")
        _ask(dataset)
        return tuple(datasets.get_dataset_config_names(dataset, revision=revision))
    except Exception as error:  # of many kinds; see `load_split`
        raise SourceUnavailableError(f"{dataset}: the hub gives no answer ({cause_of(error)})") from error


def load_split(
    dataset: str,
    config: str | None,
    split: str,
    cache_dir: str | None = None,
    revision: str | None = None,
) -> Any:
    """`datasets.load_dataset`, but quick to fail, and every failure told in one way.

    Where the hub does not answer or refuses, the cached copy is read, with a warning, if there is one.

    Raises:
        SourceUnavailableError: names the data set, the cause in one line, and what to do.
    """
    import datasets

    # datasets, huggingface_hub, requests and fsspec each raise kinds of their own: hence `except Exception`.
    try:
        if not datasets.config.HF_HUB_OFFLINE:
            _ask(dataset)
    except Exception as refusal:
        try:
            cached = _load_cached(dataset, config, split, cache_dir)
        except Exception:
            raise _unavailable(dataset, config, split, refusal) from refusal
        _log.warning("%s: the hub gives no answer (%s); reading the cached copy", dataset, cause_of(refusal))
        return cached
    try:
        return datasets.load_dataset(dataset, config, split=split, cache_dir=cache_dir, revision=revision)
    except Exception as error:
        raise _unavailable(dataset, config, split, error) from error


def _ask(dataset: str) -> None:
    """One request without retries: `load_dataset` alone repeats a refused connection for half a minute."""
    import datasets
    from huggingface_hub import HfApi

    HfApi(endpoint=datasets.config.HF_ENDPOINT).dataset_info(dataset, timeout=_ANSWER_SECONDS)


def _load_cached(dataset: str, config: str | None, split: str, cache_dir: str | None) -> Any:
    """The newest prepared copy, which `load_dataset` itself reads in offline mode."""
    from datasets.packaged_modules.cache.cache import Cache

    builder = Cache(
        repo_id=dataset,
        dataset_name=dataset.split("/")[-1],
        config_name=config,
        version="auto",
        hash="auto",
        cache_dir=cache_dir,
    )
    return builder.as_dataset(split=split)


def _unavailable(dataset: str, config: str | None, split: str, error: Exception) -> SourceUnavailableError:
    where = f"{dataset} (config {config!r}, split {split!r})"
    return SourceUnavailableError(
        f"cannot read {where} from the hub: {cause_of(error)}. Pass --data DIR with the release files, or "
        "run once online to fill the cache and then set HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1."
    )


def _address(hub: Hub, fields: Mapping[str, str]) -> _Address:
    config = hub.config.format_map(fields) if hub.config else None
    return hub.dataset, config, hub.split.format_map(fields), hub.revision


def _rows(loaded: Any, name: str) -> Iterator[Located]:
    names = {column: _label_names(feature) for column, feature in loaded.features.items()}
    number = 0
    for batch in loaded.iter(batch_size=_BATCH_ROWS):
        for values in zip(*batch.values(), strict=True):
            number += 1
            row = {
                column: _named(value, labels) if (labels := names[column]) else value
                for column, value in zip(batch, values, strict=True)
            }
            yield Located(name, number, row)


def _label_names(feature: Any) -> list[str] | None:
    """The names of a ClassLabel, or of a list of them."""
    return getattr(feature, "names", None) or getattr(getattr(feature, "feature", None), "names", None)


def _named(label: Any, names: list[str]) -> Any:
    if isinstance(label, list):
        return [_named(each, names) for each in label]
    # -1 is the hub's way to say that a row has no label.
    return names[label] if isinstance(label, int) and 0 <= label < len(names) else None
