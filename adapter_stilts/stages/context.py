"""What stages run with: inputs, which a recipe gives anywhere, and the machine they run on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adapter_stilts.errors import AdapterStiltsError, UnknownNameError, UsageError
from adapter_stilts.model.backbone import ResolvedBase, resolve_base
from adapter_stilts.model.bundle_info import EVALUATIONS
from adapter_stilts.recipe import MINIATURE, Base, Recipe
from adapter_stilts.runtime import Runtime, check_device, evaluation_tokens
from adapter_stilts.stages.data import CachedTokenizer, SplitData
from adapter_stilts.stages.drawing import Draw
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.kept import Kept
from adapter_stilts.stages.parts import EvaluatePart, Reading
from adapter_stilts.stages.store import Store
from adapter_stilts.stages.watch import Watch
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.base import Split
from adapter_stilts.tasks.sources import Source, WithDeclared, open_source, with_labels
from adapter_stilts.tasks.text import TextSource


@dataclass(frozen=True)
class Inputs:
    """What stages read.

    Args:
        bundles: folders of bundles that stages start from, by their digest in the stage's part.
        texts: text that stages train on, by name (``mlm``, ``tlm``).
    """

    base: ResolvedBase
    source: Source
    bundles: Mapping[str, Path] = field(default_factory=dict)
    texts: Mapping[str, TextSource] = field(default_factory=dict)


@dataclass(frozen=True)
class Machine:
    """Where stages run; nothing of it changes a result beyond rounding."""

    accelerator: Any
    runtime: Runtime
    store: Store
    watch: Watch

    @property
    def device(self) -> str:
        """``cpu`` or ``cuda``."""
        return str(self.accelerator.device.type)

    @property
    def writes(self) -> bool:
        """Whether this process is the one of its launch that writes."""
        return bool(self.accelerator.is_main_process)

    @property
    def evaluation_tokens(self) -> int:
        """Tokens of one forward pass."""
        return evaluation_tokens(self.device)


@dataclass(frozen=True)
class Context:
    """Both, with the tokenizer and what earlier stages left for later ones."""

    inputs: Inputs
    machine: Machine
    tokenizer: CachedTokenizer
    kept: Kept = field(default_factory=Kept)

    def bundle_of(self, stage: Stage) -> Path | None:
        """The bundle a stage starts from: its parent's, or one given by digest; None is the base."""
        part = stage.part
        if isinstance(part, EvaluatePart) and part.bundle is not None:
            return self.inputs.bundles[part.bundle]
        return self.bundle_at(stage.parents[0]) if stage.parents else None

    def bundle_at(self, stage: Stage) -> Path:
        """The bundle of a finished stage."""
        found = self.machine.store.find(stage)
        if found is None:
            raise AdapterStiltsError(f"{stage.name} is needed, and is not in the store")
        return found / "bundle"

    def evaluations_of(self, stage: Stage) -> dict[int, Path]:
        """The bundles that were kept of the evaluations of a finished train stage, by step; none of most."""
        found = self.bundle_at(stage).parent / EVALUATIONS
        return {int(path.name.removeprefix("step-")): path for path in sorted(found.glob("step-*"))}

    def split(
        self, reading: Reading, split: Split, language: str, limit: int | None, draw: Draw | None = None
    ) -> SplitData:
        """A split of a task, read as a stage reads it."""
        source = self.inputs.source
        task = with_labels(get_task(reading.task), source, reading.options)
        read = (reading.options, reading.settings, self.tokenizer, limit, draw)
        return self.kept.split(SplitData(task, split, language, source, *read))


class Contexts:
    """A context for the encoder of each stage; each encoder's tokenizer is loaded once.

    Args:
        bases: the encoders of a plan, by the fingerprint in its stages' parts.
        bundles, texts: as `Inputs` has them.
    """

    def __init__(
        self,
        bases: Mapping[str, ResolvedBase],
        source: Source,
        bundles: Mapping[str, Path],
        texts: Mapping[str, TextSource],
        machine: Machine,
    ) -> None:
        self._inputs = {key: Inputs(base, source, bundles, texts) for key, base in bases.items()}
        self._machine = machine
        self._found: dict[str, Context] = {}

    def __call__(self, stage: Stage) -> Context:
        """What a stage runs with; one that reads no encoder takes any."""
        key = getattr(stage.part, "base", None) or next(iter(self._inputs))
        if key not in self._found:
            from adapter_stilts.model.backbone import load_tokenizer

            inputs = self._inputs[key]
            tokenizer = CachedTokenizer(load_tokenizer(inputs.base), self._machine.runtime.cache)
            self._found[key] = Context(inputs, self._machine, tokenizer)
        return self._found[key]


def find_base(base: Base) -> ResolvedBase:
    """A base of a recipe or a bundle: a folder, a hub id, or the miniature's, which is made where it is missing."""
    found = resolve_base(shipped(base))
    return replace(found, id=MINIATURE) if base.id == MINIATURE else found


def shipped(base: Base) -> Base:
    """The base with the folder of the miniature's encoder in the place of its name."""
    if base.id != MINIATURE:
        return base
    from adapter_stilts.miniature.pretrained import encoder_folder

    return base.model_copy(update={"id": str(encoder_folder())})


def find_source(recipe: Recipe, data: str | None, fill: bool = False) -> Source:
    """The examples that a recipe means: the miniature's, release files, or the hub's; of declared tasks their own.

    Args:
        data: folder of release files.
        fill: whether what the folder lacks is read from the hub.

    Raises:
        UsageError: a folder, or the hub, beside a recipe that generates its data; or a hub without a folder.
        DataError: there is no such folder.
    """
    if recipe.data == "real":
        return WithDeclared(open_source(data, fill))
    if fill:
        raise UsageError(
            '--fill-from-hub: the recipe generates its data (data = "miniature"); leave it out, or read real data '
            "with --set data=real"
        )
    if data is not None:
        raise UsageError(
            f'--data {data}: the recipe generates its data (data = "miniature"); read the folder with --set data=real, '
            "or leave out --data"
        )
    from adapter_stilts.miniature import MiniatureSource

    return WithDeclared(MiniatureSource())


def build_accelerator(runtime: Runtime) -> Any:
    """accelerate's Accelerator for the chosen device; mixed precision is the model's own business.

    Raises:
        UsageError: no such device or tracker.
    """
    from accelerate import Accelerator

    check_runtime(runtime, here=True)
    try:
        return Accelerator(
            cpu=runtime.device == "cpu",
            log_with=list(runtime.trackers) or None,
            project_dir=str(runtime.store / "trackers") if runtime.trackers else None,
        )
    except (ValueError, ImportError) as error:
        raise UsageError(f"--track {','.join(runtime.trackers)}: {error}") from error


def check_runtime(runtime: Runtime, here: bool) -> None:
    """Refuse a device or a tracker that is none, and where stages run here also those that this machine lacks.

    Raises:
        UsageError: no such device or tracker, or less than no time between checkpoints.
    """
    if not runtime.checkpoint_seconds >= 0:  # nor is a NaN
        raise UsageError(
            f"--checkpoint-seconds {runtime.checkpoint_seconds:g}: should be 0 or more; 0 writes one as often as a "
            "twentieth of the time allows"
        )
    check_device(runtime.device, here)
    if runtime.trackers:
        _check_trackers(runtime.trackers, here)


def _check_trackers(names: Sequence[str], here: bool) -> None:
    """Refuse what accelerate would leave out with a warning.

    Raises:
        UnknownNameError: no such tracker.
        UsageError: its package is not installed.
    """
    from accelerate.tracking import get_available_trackers
    from accelerate.utils import LoggerType

    known = [str(kind.value) for kind in LoggerType if kind is not LoggerType.ALL]
    installed = {str(kind.value) for kind in get_available_trackers()}
    for name in names:
        if name not in known:
            raise UnknownNameError("tracker", name, known)
        if here and name not in installed:
            raise UsageError(
                f"--track {name}: its package is not installed, so nothing would be tracked: "
                f"pip install {name.replace('_', '-')}"
            )
