"""What the command line's verbs do, as functions: keywords are its long flags, recipe keys go through `settings`.

They raise what goes wrong, return values, and print nothing. Many take more keywords than functions here do elsewhere:
each is one flag, with the flag's meaning and default, so that a command and a call say the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.recipe import Base, Recipe, load_recipe, overrides
from adapter_stilts.runtime import Runtime, default_cache, default_device, size_of, total_memory

if TYPE_CHECKING:
    from adapter_stilts.loaded import LoadedBundle
    from adapter_stilts.stages.watch import Watch
    from adapter_stilts.study import Results, Study
    from adapter_stilts.training.memory import Fit

Names: TypeAlias = str | Sequence[str] | None
"""One name, several with commas between, or several."""
Settings: TypeAlias = Mapping[str, Any] | Iterable[str]
"""Recipe keys with their values, or ``KEY=VALUE`` texts."""

FewShot: TypeAlias = Mapping[str, int] | Iterable[str] | None
"""Examples by language, or ``LANG=N`` texts."""

Note: TypeAlias = Callable[[str], object]

_log = logging.getLogger(__name__)


def train(watch: Watch | None = None, **flags: Any) -> Results:
    """Train on intermediate tasks, then on target tasks; evaluate in every language.

    Training is in English, or in the languages that flags or a declared task name. What the store holds is not
    computed again.

    Args:
        watch: is told what happens.
        flags: as `plan_train` takes them: ``inter``, ``target``, ``mode``, ``recipe`` …

    Raises:
        AdapterStiltsError: what was asked for cannot be, or a stage failed.
    """
    from adapter_stilts.axes import refuse_matrix

    refuse_matrix(_text("recipe", flags.get("recipe")))
    return plan_train(**flags).run(watch)


def plan_train(
    inter: Names = None,
    target: Names = None,
    *,
    inter_task: Names = None,
    inter_languages: Names = None,
    train_languages: Names = None,
    few_shot: FewShot = None,
    dev_language: Names = None,
    benchmark: str | None = None,
    mode: str | None = None,
    combine: str | None = None,
    recipe: str | Path | None = None,
    base: str | Path | None = None,
    precision: str | None = None,
    data: str | Path | None = None,
    fill_from_hub: bool = False,
    store: str | Path = "runs",
    seed: int | None = None,
    languages: Names = None,
    split: str | None = None,
    limit_train: int | None = None,
    limit_eval: int | None = None,
    settings: Settings = (),
    tasks: str | Path | None = None,
    device: str | None = None,
    micro_batch_tokens: int | None = None,
    checkpoint_seconds: float = 60.0,
    track: Names = (),
) -> Study:
    """The study of a `train`, to be planned or run.

    Args:
        inter: intermediate tasks; an entry of several, with commas between, is one stage. Entries are cells.
        inter_task: what plain adapters of PEFT or AdapterHub among them were trained on, in their order.
        target: target tasks, or ``all``; a TOML file declares one of your own. None trains intermediate tasks alone.
        few_shot: examples by language, e.g. ``{"sw": 32}``.
        settings: any recipe keys, e.g. ``{"target.epochs": 2}``.
        data: folder of release files; None reads the hub.
        fill_from_hub: whether what the folder lacks is read from the hub.
        store: folder of finished stages, or an address that fsspec knows.
        tasks: folder of task files of your own, ``*.py`` and ``*.toml``.
        track: trackers of accelerate's.

    The other keywords are the flags of `adapter-stilts train`, which is why there are so many.

    Raises:
        UsageError: no such recipe, key or value, or a key given twice.
    """
    from adapter_stilts.stages.precision import of_intermediates
    from adapter_stilts.stages.remote import local_store
    from adapter_stilts.study import Study

    add_tasks(tasks)
    flags = {
        "intermediate.tasks": None if inter is None else _entries(inter),
        "intermediate.trained_on": _names(inter_task),
        "intermediate.languages": _names(inter_languages),
        "target.tasks": _names(target),
        "target.languages": _names(train_languages),
        "target.few_shot": _few_shot(few_shot),
        "target.dev_languages": _names(dev_language),
        "benchmark": benchmark,
        "mode": mode,
        "combine": combine,
        "base.id": _text("base", base),
        "precision": precision,
        "seed": seed,
        "evaluation.languages": _names(languages),
        "evaluation.split": split,
        "evaluation.limit": limit_eval,
        "intermediate.limit_train": limit_train,
        "target.limit_train": limit_train,
    }
    asked, said = _laid(recipe, flags, settings)
    resolved, told = of_intermediates(asked, said)
    places = (local_store(store, default_cache()), default_cache(), _text("data", data))
    trackers = tuple(_names(track) or ())
    runtime = Runtime(*places, device, micro_batch_tokens, checkpoint_seconds, trackers, fill_from_hub)
    return Study(resolved, runtime, told=_told(told))


def evaluate(
    bundle: LoadedBundle | str | Path, target: str, watch: Watch | None = None, **flags: Any
) -> Results:
    """Evaluate a trained bundle on a target task, zero-shot.

    Args:
        bundle: one that was loaded, a folder, or ``hf://ORG/NAME``.
        watch: is told what happens.
        flags: as `plan_evaluate` takes them: ``languages``, ``data``, ``recipe`` …

    Raises:
        AdapterStiltsError: what was asked for cannot be, or the evaluation failed.
    """
    return plan_evaluate(bundle, target, **flags).run(watch)


def plan_evaluate(
    bundle: LoadedBundle | str | Path,
    target: str,
    *,
    benchmark: str | None = None,
    recipe: str | Path | None = None,
    base: str | Path | None = None,
    precision: str | None = None,
    data: str | Path | None = None,
    fill_from_hub: bool = False,
    store: str | Path = "runs",
    languages: Names = None,
    split: str | None = None,
    limit_eval: int | None = None,
    settings: Settings = (),
    tasks: str | Path | None = None,
    device: str | None = None,
) -> Study:
    """The study of an `evaluate`; its many keywords are the flags of `adapter-stilts evaluate`.

    Raises:
        UsageError: no such recipe, key or value, or a base beside a bundle that holds its own encoder.
        BundleError, SourceUnavailableError: the bundle is damaged, or cannot be fetched.
    """
    from adapter_stilts.loaded import LoadedBundle, check_own_encoder
    from adapter_stilts.model.bundle import base_of, read_bundle
    from adapter_stilts.model.tuning import get_tuning
    from adapter_stilts.stages.adopting import locate_any
    from adapter_stilts.stages.precision import of_bundle
    from adapter_stilts.stages.remote import local_store
    from adapter_stilts.study import Study
    from adapter_stilts.tasks import add_bundled, all_tasks, is_file

    add_tasks(tasks)
    notices: list[str] = []
    if isinstance(bundle, LoadedBundle):
        base = base or (None if get_tuning(bundle.info.tuning).WHOLE else bundle.base.id)
        precision = precision or bundle.precision
        name, directory = str(bundle.directory), bundle.directory
    else:
        name, directory = str(bundle), locate_any(str(bundle), _base(base), notices.append)
    info = read_bundle(directory)
    check_own_encoder(name, info, _text("base", base))
    if not is_file(target) and target in info.declared and target not in {task.name for task in all_tasks()}:
        add_bundled(info.declared[target], directory)
    found = base_of(directory, info)
    flags = {
        "target.tasks": [target],
        "benchmark": benchmark,
        "mode": info.tuning,
        "base.id": _text("base", base) or found.id,
        "base.revision": None if base else found.revision,
        "precision": precision,
        "evaluation.languages": _names(languages),
        "evaluation.split": split,
        "evaluation.limit": limit_eval,
    }
    asked, said = _laid(recipe, flags, settings)
    resolved, told = of_bundle(asked, name, info, said)
    runtime = Runtime(
        local_store(store, default_cache()),
        default_cache(),
        _text("data", data),
        device,
        fill_from_hub=fill_from_hub,
    )
    return Study(resolved, runtime, directory, (*notices, *_told(told)))


def fit(
    *,
    recipe: str | Path | None = None,
    base: str | Path | None = None,
    geometry: str | None = None,
    mode: str | None = None,
    precision: str | None = None,
    batch: int | None = None,
    length: int = 384,
    gpu_memory: str | int | None = None,
    settings: Settings = (),
    note: Note | None = None,
) -> Fit:
    """The memory of training steps, told without weights: what they take, and with which micro-batch they fit.

    Its many keywords are the flags of `adapter-stilts fit`.

    Args:
        base: the encoder; its config.json is enough.
        geometry: in its place, published sizes: ``xlmr-base`` or ``xlmr-large``.
        batch: sequences a step; None is the recipe's examples.
        length: tokens of each.
        gpu_memory: of a GPU, bytes or e.g. ``"8GiB"``; None is the GPU's here, or the machine's.
        note: is told where published sizes stand in for a hub that is out of reach; None logs a warning.

    Raises:
        UsageError: the settings do not fit the encoder, or a size is none.
        SourceUnavailableError: the encoder's config.json cannot be fetched, and its sizes are not published here.
    """
    flags = {"mode": mode, "precision": precision, "base.id": _text("base", base)}
    resolved = load_recipe(_text("recipe", recipe), overrides(flags, settings))
    if base is not None and geometry is not None:
        raise UsageError(f"--base {base} and --geometry {geometry}: give one of the two")
    memory = size_of(gpu_memory) if isinstance(gpu_memory, str) else gpu_memory

    from adapter_stilts.model.encoders import max_length
    from adapter_stilts.model.skeleton import encoder_config, geometries
    from adapter_stilts.stages.context import shipped

    if geometry is not None and geometry not in geometries():
        raise UnknownNameError("geometry", geometry, geometries())
    config = (
        geometries()[geometry]
        if geometry is not None
        else encoder_config(shipped(resolved.base), note or _log.warning)
    )
    longest = max_length(config)
    if longest is not None and length > longest:
        raise UsageError(
            f"--length {length}: this encoder has positions for {longest} tokens; --length {longest}"
        )

    from adapter_stilts.model.tuning import tuning_settings
    from adapter_stilts.training import memory as fitting

    # A size that is named is a GPU's, whatever this machine has.
    device = "cuda" if memory is not None else default_device()
    training = fitting.Training(
        config,
        resolved.mode,
        tuning_settings(resolved.mode, resolved.tuning),
        resolved.precision,
        resolved.optimizer,
        resolved.gradient_checkpointing,
        device,
        resolved.frozen_under,
    )
    available = total_memory(device) if memory is None else memory
    return fitting.fit(training, batch or resolved.target.batch_size, length, available)


def score(
    predictions: str | Path, labels: str | Path, *, benchmark: str = "xtreme", note: Note | None = None
) -> dict[str, Any]:
    """Scores of a folder of predictions against a folder of labels, as XTREME's official scorer gives them.

    Args:
        predictions, labels: in XTREME's submission format, ``TASK/test-LANG.{tsv,json,jsonl}``.
        benchmark: ``xtreme`` or ``xtreme-r``.
        note: is told what is left out, or scored 0 for want of a prediction; None logs a warning.

    Returns:
        ``{"tasks": {task: {"languages", "average"}}, "groups", "overall"}``, in percent.

    Raises:
        DataError: a file is missing or malformed.
        UsageError: the benchmark has no official scorer.
    """
    from adapter_stilts.evaluation import xtreme

    return xtreme.score_folders(Path(predictions), Path(labels), benchmark, note or _log.warning)  # type: ignore[arg-type]


def add_tasks(tasks: str | Path | None) -> None:
    """Make the tasks of a folder known."""
    from adapter_stilts.tasks import add_folder

    if tasks is not None:
        add_folder(tasks)


def _laid(recipe: str | Path | None, flags: Mapping[str, Any], settings: Settings) -> tuple[Recipe, bool]:
    """The recipe under flags and settings, with the names of declared tasks; and whether they say a precision."""
    from adapter_stilts.stages.planning.declared import with_files

    laid = overrides(flags, settings)
    return with_files(load_recipe(_text("recipe", recipe), laid)), "precision" in dict(laid)


def _names(given: Names) -> list[str] | None:
    if given is None:
        return None
    texts = [given] if isinstance(given, str) else given
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]


def several(flag: str, given: Any) -> list[Any]:
    """The values after a flag: of one value a list, of text its parts between commas.

    Raises:
        UsageError: a part is empty.
    """
    listed = [given] if isinstance(given, (str, int, Path)) else list(given or ())
    found = [part for one in listed for part in (one.split(",") if isinstance(one, str) else [one])]
    values = [
        part.strip() if isinstance(part, str) else str(part) if isinstance(part, Path) else part
        for part in found
    ]
    if "" in values:
        raise UsageError(
            f"--{flag} {','.join(map(str, listed))!r}: holds an empty name; leave out the comma, or the option"
        )
    return values


def _entries(inter: str | Sequence[str]) -> list[str]:
    """One entry a cell; the names of one stage stay joined by commas."""
    given = [inter] if isinstance(inter, str) else inter
    return list(dict.fromkeys(",".join(_names(entry) or [entry]) for entry in given))


def _few_shot(given: FewShot) -> dict[str, Any] | None:
    """Raises UsageError where a text is no ``LANG=N``, or names a language again."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        return dict(given)
    found: dict[str, Any] = {}
    for text in [given] if isinstance(given, str) else given:
        language, equals, count = (part.strip() for part in text.partition("="))
        if not (language and equals and count.isdecimal()):
            raise UsageError(f"--few-shot {text}: takes LANG=N, e.g. --few-shot sw=32")
        if language in found:
            raise UsageError(
                f"--few-shot {language} is given twice, {found[language]} and {count}: leave one out"
            )
        found[language] = int(count)
    return found


def _base(base: str | Path | None) -> Base | None:
    return None if base is None else Base(id=str(base))


def _text(name: str, value: str | Path | None) -> str | None:
    """What a keyword names. Raises UsageError where that is an empty text, which as a path is the current folder."""
    if isinstance(value, str) and not value.strip():
        raise UsageError(f"{name} = {value!r} is empty: name one, or leave it out")
    return None if value is None else str(value)


def _told(notice: str | None) -> tuple[str, ...]:
    return () if notice is None else (notice,)
