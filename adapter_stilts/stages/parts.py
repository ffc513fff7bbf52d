"""The settings of each kind of stage, resolved and typed. A part's JSON is what its stage's key hashes.

Keys of stages outlive this code: a field that came later is left out of the JSON where it says what was always so
(`tests/stages/test_golden_keys.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from adapter_stilts.formats import get_format
from adapter_stilts.formats.base import FormatSettings
from adapter_stilts.model.merge import Merge
from adapter_stilts.model.tuning.base import TuningSettings
from adapter_stilts.recipe import MixtureSettings, Optimizer, Robust, TrainingSettings
from adapter_stilts.stages.graph import Part, Stage
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.base import Split

ROBUST_FORMAT = "pair_classification"
"""What robust training is made for (Huang et al. 2021)."""
ROBUST_KEYS = {"adversarial": ("norm", "step_size", "steps"), "smoothing": ("deviation",)}


@dataclass(frozen=True)
class Reading:
    """How a task's rows become features.

    Args:
        settings: of its format.
        options: every option of the task, with its value.
    """

    task: str
    settings: FormatSettings
    options: Mapping[str, str]

    def to_json(self, trains: bool) -> dict[str, Any]:
        """What a key says of it.

        Args:
            trains: whether a new head is trained, which the settings may say something of.
        """
        encoded = get_format(get_task(self.task).format).SCHEMA
        return {
            "format": self.settings.part() if trains else self.settings.reading(),
            # Rows that are encoded otherwise train and score otherwise.
            **({"encoding": encoded} if encoded > 1 else {}),
            "options": dict(self.options),
        }


@dataclass(frozen=True)
class DevSplit:
    """A dev split that has a say in which checkpoint is kept.

    Args:
        reading: of the task that is trained, or of the target it is trained for.
        fingerprint: of the split.
    """

    reading: Reading
    language: str
    fingerprint: str

    def to_json(self) -> dict[str, Any]:
        read = {"task": self.reading.task, "options": dict(self.reading.options)}
        return {**read, "language": self.language, "data": self.fingerprint}


@dataclass(frozen=True)
class TrainedTask:
    """The train and dev splits of one task.

    Args:
        train: fingerprint of the train split in each language.
        dev: English, or the languages asked for, sorted; empty where there is none.
        drawn: of languages in which only some examples are taken, how many; the stage's seed draws them.
    """

    reading: Reading
    train: Mapping[str, str]
    dev: tuple[DevSplit, ...] = ()
    drawn: Mapping[str, int] = field(default_factory=dict)

    @property
    def task(self) -> str:
        return self.reading.task

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"train": dict(self.train), **self.dev_json()}
        if self.drawn:
            data["drawn"] = dict(self.drawn)
        return {"task": self.task, **self.reading.to_json(trains=True), "data": data}

    def dev_json(self) -> dict[str, Any]:
        """The key of the dev splits: a fingerprint alone where they are the task's own English one."""
        if not self.dev:
            return {}
        if [(split.reading.task, split.language) for split in self.dev] == [(self.task, "en")]:
            return {"dev": self.dev[0].fingerprint}
        return {"dev": [split.to_json() for split in self.dev]}


@dataclass(frozen=True)
class Member:
    """A task of a train stage; a union (``anli_plus``) is one task made of several.

    Args:
        head: the name of the head that answers it, where a stage has several.
    """

    name: str
    head: str
    tasks: tuple[TrainedTask, ...]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "head": self.head, "parts": [task.to_json() for task in self.tasks]}


@dataclass(frozen=True)
class TrainedText:
    """Text that a train stage models.

    Args:
        name: ``mlm`` or ``tlm``.
        settings: of the format masked_lm.
        weight: steps on it for each step on the tasks.
        smoothing: a language is drawn by its number of lines to this power.
        data: fingerprint of each language's text.
    """

    name: str
    settings: FormatSettings
    weight: float
    smoothing: float
    data: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "format": self.settings.part(),
            "weight": self.weight,
            "smoothing": self.smoothing,
            "data": dict(self.data),
        }


@dataclass(frozen=True)
class TrainPart(Part):
    """A train stage: what it trains on, as a mixture, of one task alone where that is all, and how.

    Args:
        base: fingerprint of the encoder.
        members: tasks, sorted by name.
        combine: ``stack`` or ``fuse``: how it takes its parents' modules together; None goes on with the one parent's.
        nested: whether a parent brings several adapters in one bundle.
        robust: None where nothing is perturbed.
        sampling: how the task of each step is drawn; None of one task.
        after: the languages of the training that it goes on with, head and all; empty where it makes a head of its own.
    """

    KIND: ClassVar[str] = "train"
    SCHEMA: ClassVar[int] = 1

    base: str
    precision: str
    mode: str
    tuning: TuningSettings
    optimizer: Optimizer
    gradient_checkpointing: bool
    seed: int
    training: TrainingSettings
    members: tuple[Member, ...] = ()
    texts: tuple[TrainedText, ...] = ()
    combine: str | None = None
    nested: bool = False
    robust: Robust | None = None
    sampling: MixtureSettings | None = None
    after: tuple[str, ...] = ()

    @property
    def heads(self) -> tuple[str, ...]:
        """The names of its heads but that of language modelling."""
        return tuple(dict.fromkeys(member.head for member in self.members))

    @property
    def several(self) -> bool:
        """Whether the model has several heads, or that of language modelling."""
        return len(self.heads) > 1 or bool(self.texts)

    @property
    def languages(self) -> frozenset[str]:
        """The languages that its tasks are trained in."""
        return frozenset(
            language for member in self.members for task in member.tasks for language in task.train
        )

    @property
    def init_seed(self) -> int:
        """Of new heads and modules."""
        chosen = self.training.init_seed
        return self.seed if chosen is None else chosen

    @property
    def dev_languages(self) -> tuple[str, ...]:
        """The languages whose dev splits choose the checkpoint, or judge a mean; none where the last weights stay."""
        splits = [split for member in self.members for task in member.tasks for split in task.dev]
        return tuple(sorted({split.language for split in splits}))

    @property
    def drawn(self) -> dict[str, int]:
        """Language -> examples, of those languages in which only some are taken."""
        tasks = [task for member in self.members for task in member.tasks]
        return {language: count for task in tasks for language, count in task.drawn.items()}

    @property
    def told(self) -> str:
        """The languages it trains in, where they are not English alone."""
        whole = sorted(self.languages - self.drawn.keys())
        few = [f"{language}={count}" for language, count in self.drawn.items()]
        return "" if not few and whole in ([], ["en"]) else ", ".join([*whole, *few])

    @property
    def only_task(self) -> TrainedTask | None:
        """The task of a stage that trains one in English, and nothing beside it."""
        if len(self.members) != 1 or self.texts or len(self.members[0].tasks) != 1:
            return None
        task = self.members[0].tasks[0]
        english = set(task.train) == {"en"} and not task.drawn and not self.after
        return task if english and self.members[0].name == task.task else None

    def to_json(self) -> dict[str, Any]:
        """The part with the base's and the data's fingerprints."""
        return {"base": self.base, **self.settings(), **self._data()}

    def settings(self) -> dict[str, Any]:
        """All that a person may have chosen, for `bundle.json`; of a stage of one task its reading at the top."""
        tuning = self.tuning.part()
        only = self.only_task
        return {
            "precision": self.precision,
            "mode": self.mode,
            **({"tuning": tuning} if tuning else {}),
            "optimizer": self.optimizer,
            "gradient_checkpointing": self.gradient_checkpointing,
            "seed": self.seed,
            "training": self.training.part(),
            **({"combine": self.combine} if self.combine else {}),
            # A key of its own: such stages once took one adapter of several.
            **({"nested": True} if self.nested else {}),
            **({"after": list(self.after)} if self.after else {}),
            **({"dev_languages": list(dev)} if (dev := self.dev_languages) not in ((), ("en",)) else {}),
            **_robust(self.robust),
            **(only.reading.to_json(trains=True) if only is not None else {"mixture": self._mixture()}),
        }

    def _data(self) -> dict[str, Any]:
        """The fingerprints of a stage of one task; a mixture's stand in its members."""
        only = self.only_task
        if only is None:
            return {}
        return {"data": {"train": only.train["en"], **only.dev_json()}}

    def _mixture(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "tasks": [member.to_json() for member in self.members],
            "texts": [text.to_json() for text in self.texts],
        }
        if self.sampling is not None:
            kept = self.sampling.model_dump(mode="json")
            found["sampling"] = {
                name: value
                for name, value in kept.items()
                if name != "temperature" or kept["sampling"] == name
            }
        return found


@dataclass(frozen=True)
class EvaluatePart(Part):
    """An evaluate stage.

    Args:
        base: fingerprint of the encoder.
        bundle: digest of the bundle that is evaluated; None evaluates the parent's, or the base itself.
        limit: first examples of a language; None takes all.
        data: fingerprint of the split of each language.
        beside: of what else is looked at, by split and language (`evaluation/judging.py`).
        split: that is evaluated.
    """

    KIND: ClassVar[str] = "evaluate"
    SCHEMA: ClassVar[int] = 3
    MADE_AGAIN: ClassVar[bool] = True
    READ_AGAIN: ClassVar[tuple[str, ...]] = ("stage.json", "metrics.json")

    base: str
    precision: str
    reading: Reading
    limit: int | None
    data: Mapping[str, str]
    beside: Mapping[tuple[str, str], str] = field(default_factory=dict)
    bundle: str | None = None
    split: Split = "test"

    @property
    def told(self) -> str:
        """The split, where it is not test."""
        return "" if self.split == "test" else self.split

    def to_json(self) -> dict[str, Any]:
        return {
            "base": self.base,
            "precision": self.precision,
            **self.reading.to_json(trains=False),
            **({} if self.split == "test" else {"split": self.split}),
            **({} if self.bundle is None else {"bundle": self.bundle}),
            "limit": self.limit,
            "data": dict(self.data),
            **({"beside": {"/".join(part): v for part, v in self.beside.items()}} if self.beside else {}),
        }


@dataclass(frozen=True)
class ComposePart(Part):
    """A compose stage: several intermediate bundles as one, without training.

    Args:
        base: fingerprint of the encoder.
    """

    KIND: ClassVar[str] = "compose"
    SCHEMA: ClassVar[int] = 2

    base: str
    mode: str
    merge: Merge

    def to_json(self) -> dict[str, Any]:
        return {"base": self.base, "mode": self.mode, "merge": self.merge.settings()}


@dataclass(frozen=True)
class FetchPart(Part):
    """A fetch stage: a bundle of somewhere else.

    Args:
        bundle: its digest, so that it does not matter where it came from.
    """

    KIND: ClassVar[str] = "fetch"
    SCHEMA: ClassVar[int] = 1

    bundle: str

    def to_json(self) -> dict[str, Any]:
        return {"bundle": self.bundle}


def tasks_of(stage: Stage) -> set[str]:
    """The tasks that a stage reads."""
    part = stage.part
    if isinstance(part, EvaluatePart):
        return {part.reading.task}
    if not isinstance(part, TrainPart):
        return set()
    read = [task for member in part.members for task in member.tasks]
    return {task.task for task in read} | {split.reading.task for task in read for split in task.dev}


def _robust(robust: Robust | None) -> dict[str, Any]:
    if robust is None:
        return {}
    values = robust.model_dump(mode="json")
    return {"robust": {key: values[key] for key in ("kind", *ROBUST_KEYS[robust.kind])}}
