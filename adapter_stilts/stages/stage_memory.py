"""How much of a machine's memory stages take, told before they run, for whoever asks a cluster for places.

Training is counted as `adapter-stilts fit` counts it, once for all stages that train the same: with the largest step
and the longest window among them. That is an upper bound, as a pass may hold less than a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adapter_stilts.runtime import evaluation_tokens, resident_memory
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.parts import ComposePart, EvaluatePart, TrainPart
from adapter_stilts.tasks import get_task

MOST_CHOICES = 5
"""Sequences of an example of multiple choice: CommonsenseQA's, the most of the study's tasks."""


class StageMemory:
    """Bytes of the machine's memory that a stage takes; counted where it is first asked for, which loads torch.

    Args:
        stages: all that may be asked for.
        configs: the config.json of each encoder, by the fingerprint in the stages' parts.
        device: ``cpu`` or ``cuda``. Of the machine, training on a GPU takes a process and the encoder's weights, which
            pass through it; how it cuts its steps on the GPU is its own business.
        available: bytes of the largest machine; steps that do not fit it are cut into passes.
    """

    def __init__(
        self, stages: Sequence[Stage], configs: Mapping[str, Mapping[str, Any]], device: str, available: int
    ) -> None:
        self._configs, self._device, self._available = configs, device, available
        self._steps = _largest_steps(stages)
        self._found: dict[tuple[Any, ...], int] = {}

    def __call__(self, stage: Stage) -> int:
        part = stage.part
        if isinstance(part, TrainPart) and self._device == "cpu":
            return self.training(stage)
        base, precision = getattr(part, "base", None), getattr(part, "precision", "fp32")
        process = self._counted((), _process)
        if base is None:  # a bundle is fetched
            return process
        weights = self._counted((base, precision), lambda: _weights(self._configs[base], precision))
        if isinstance(part, ComposePart):
            return process + (1 + len(stage.parents)) * weights
        passing = _passing(self._configs[base]) if isinstance(part, EvaluatePart) else 0
        return process + weights + (passing if self._device == "cpu" else 0)

    def training(self, stage: Stage) -> int:
        """Bytes of the device's own memory that a train stage takes: on a GPU of the GPU's."""
        part = stage.part
        assert isinstance(part, TrainPart)
        return self._counted(_same(stage, part), lambda: self._training(stage, part))

    def _counted(self, key: tuple[Any, ...], count: Callable[[], int]) -> int:
        if key not in self._found:
            self._found[key] = count()
        return self._found[key]

    def _training(self, stage: Stage, part: TrainPart) -> int:
        from adapter_stilts.training.memory import Training, fit

        sequences, length = self._steps[_same(stage, part)]
        training = Training(
            self._configs[part.base],
            part.mode,
            part.tuning,
            part.precision,
            part.optimizer,
            part.gradient_checkpointing,
            self._device,
            part.combine,
            max(2, len(stage.parents)),
        )
        return fit(training, sequences, length, self._available).usage.peak


def _same(stage: Stage, part: TrainPart) -> tuple[Any, ...]:
    """What stages have in common that are counted together."""
    how = (part.mode, repr(part.tuning), part.precision, part.optimizer, part.gradient_checkpointing)
    return (part.base, *how, part.combine, len(stage.parents) if part.combine else 0)


def _largest_steps(stages: Sequence[Stage]) -> Mapping[tuple[Any, ...], tuple[int, int]]:
    """Sequences of a step and tokens of a sequence, the most among stages that are counted together."""
    found: dict[tuple[Any, ...], tuple[int, int]] = {}
    for stage in stages:
        if isinstance(stage.part, TrainPart):
            same = _same(stage, stage.part)
            sequences, length = found.get(same, (1, 1))
            own_sequences, own_length = _step(stage.part)
            found[same] = (max(sequences, own_sequences), max(length, own_length))
    return found


def _step(part: TrainPart) -> tuple[int, int]:
    readings = [task.reading for member in part.members for task in member.tasks]
    settings = [*(reading.settings for reading in readings), *(text.settings for text in part.texts)]
    lengths = [int(each.max_length) for each in settings if hasattr(each, "max_length")]
    several = any(get_task(reading.task).format == "multiple_choice" for reading in readings)
    return part.training.batch_size * (MOST_CHOICES if several else 1), max(lengths, default=512)


def _process() -> int:
    """What an interpreter with our libraries holds, as this one does once they are loaded."""
    from adapter_stilts.training import memory  # noqa: F401

    return resident_memory()


def _weights(config: Mapping[str, Any], precision: str) -> int:
    """Of an encoder as it is evaluated; adapters are small beside it."""
    from adapter_stilts.model.skeleton import skeleton, tensors, without_numbers
    from adapter_stilts.model.tuning import tuning_settings

    mode = "lora" if precision in ("8bit", "4bit") else "full"
    with without_numbers():
        model = skeleton(config, mode, tuning_settings(mode, {}), precision, False)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors(model))


def _passing(config: Mapping[str, Any]) -> int:
    """What one layer makes of an evaluation's pass: nothing is kept for a way back."""
    from adapter_stilts.training.memory import ACTIVATION_VALUES

    return 4 * ACTIVATION_VALUES * int(config.get("hidden_size", 768)) * evaluation_tokens("cpu")
