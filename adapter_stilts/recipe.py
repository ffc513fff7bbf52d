"""WHAT is computed: a validated, frozen recipe. Every value that can change a result is here, and hashed.

A recipe is a TOML file (`recipes/study.toml` is the study), overridden by flags and ``--set KEY=VALUE``. Its sections
``[modes.<mode>]`` hold what is otherwise under that mode (few new weights want larger steps than all old ones).
It is resolved once, at the edge; below, plain values are passed on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from adapter_stilts.errors import DataError, UnknownNameError, UsageError
from adapter_stilts.recipe_sections import BesideOneRun, EvaluatedSplit, Frozen, TargetLanguages
from adapter_stilts.registry import TUNINGS
from adapter_stilts.validation import validated

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Precision = Literal["fp32", "bf16", "8bit", "4bit"]
Optimizer = Literal["adamw", "adamw8bit", "paged_adamw8bit"]
Data = Literal["real", "miniature"]
BenchmarkName = Literal["xtreme", "xtreme-r", "africa"]
StepOrder = Literal["shuffled", "length_grouped"]
Sampling = Literal["proportional", "temperature", "uniform"]
Scalar = str | int | float | bool

MATRIX = "matrix"
"""A recipe file's section of what a matrix varies (`matrix.py`)."""
MINIATURE = "miniature"
"""The base's id and the data's name that mean the constructed world that ships."""


class Base(Frozen):
    """The pretrained encoder."""

    id: str = "FacebookAI/xlm-roberta-large"
    """A hub id, a local folder, or ``miniature`` for the small encoder that ships."""
    revision: str = "main"
    """Branch, tag or commit on the hub; resolved to a commit and hashed as such. No meaning for a folder."""


class TrainingSettings(BesideOneRun):
    """How one stage is trained. Defaults are the study's (see `recipes/study.toml` for sources)."""

    learning_rate: float = Field(default=1e-5, gt=0)
    """Peak learning rate, reached at the end of warm-up."""
    epochs: float = Field(default=3.0, gt=0)
    """Passes over the train set; a fraction ends inside a pass."""
    max_steps: int | None = Field(default=None, ge=1)
    """Optimizer steps; overrides `epochs`."""
    batch_size: int = Field(default=4, ge=1)
    """Examples an optimizer step, over all devices and micro-batches together."""
    warmup_ratio: float = Field(default=0.1, ge=0, le=1)
    """Share of the steps in which the learning rate rises linearly; it then falls linearly to zero."""
    weight_decay: float = Field(default=0.0, ge=0)
    adam_betas: tuple[float, float] = (0.9, 0.999)
    adam_epsilon: float = Field(default=1e-8, gt=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm where theirs is larger."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Replaces the encoder's own dropout rates; None keeps them."""
    step_order: StepOrder = "shuffled"
    """Which examples share a step: a plain shuffle (the study), or neighbours in length."""
    eval_every_steps: int = Field(default=1000, ge=1)
    """Steps between evaluations on dev; one more follows the last step."""
    dev_examples: int | None = Field(default=500, ge=1)
    """Size of the seeded dev subset, of each language, that chooses the checkpoint; None takes all."""
    patience: int | None = Field(default=30, ge=1)
    """Evaluations without improvement after which training stops; None never stops early."""
    limit_train: int | None = Field(default=None, ge=1)
    """Train on the first so many examples."""

    @model_validator(mode="after")
    def _enough_steps(self) -> TrainingSettings:
        if self.average is not None and self.max_steps is not None and self.average > self.max_steps:
            raise ValueError(
                f"average = {self.average} takes the mean of the weights at as many steps, and max_steps = "
                f"{self.max_steps} has fewer: at most {self.max_steps}, or more steps"
            )
        return self

    def part(self) -> dict[str, Any]:
        """The settings that go into a stage's key: all, but those of `BesideOneRun` that change nothing."""
        later = {name: field.default for name, field in BesideOneRun.model_fields.items()}
        found = self.model_dump(mode="json", include=set(TrainingSettings.model_fields))
        return {name: value for name, value in found.items() if value != later.get(name, ...)}


class MixtureSettings(Frozen):
    """How a stage of several tasks draws the task of each step."""

    sampling: Sampling = "proportional"
    """By the number of training items (up to `cap`), by its root (`temperature`), or each task as often."""
    cap: int | None = Field(default=131072, ge=1)
    """A task counts as at most so many items (Raffel et al. 2020, section 3.5.2); None counts all."""
    temperature: float = Field(default=2.0, ge=1)
    """Of `temperature`: items to the power of one over it (Raffel et al. 2020 found 2 the best)."""


class Text(Frozen):
    """Masked language modelling beside the tasks of the intermediate stage, or before it."""

    weight: float = Field(default=0.0, ge=0)
    """Steps on text for each step on the tasks; 0 has none. The tasks' own steps stay as many."""
    text: str | None = None
    """Folder of the text, ``hub:ORG/NAME``, or ``miniature``. Its content is hashed, not its place."""
    config: str = "{language}"
    """Of text from the hub: the name of a language's configuration, e.g. ``20231101.{language}``."""
    when: Literal["interleaved", "before"] = "interleaved"
    """Drawn like a task of the stage, or a stage of its own before it."""
    steps: int | None = Field(default=None, ge=1)
    """Of a stage of its own; None takes `text_steps`, and without it as many passes over the text as over a task."""
    smoothing: float = Field(default=0.3, ge=0, le=1)
    """A language is drawn by its number of lines to this power (0.3: XLM-R, Conneau et al. 2020)."""
    languages: tuple[str, ...] | None = None
    """Languages (pairs, of parallel text) to take; None takes all that the folder holds."""


class Robust(Frozen):
    """Robust training of pair classification: the input embeddings of each step are perturbed.

    Huang et al. 2021 (arXiv 2104.08645) train against the worst perturbation in a ball (adversarial) or against
    random ones (smoothing). Lengths here are shares of each embedding's own norm, so that one setting serves
    encoders whose embeddings differ in scale. The defaults are ours, not the paper's: on the miniature's PAWS-X a
    radius of 0.006 is learned under, and under one of 0.02 nothing is.
    """

    kind: Literal["none", "adversarial", "smoothing"] = "none"
    norm: float = Field(default=0.005, gt=0)
    """adversarial: radius of the ball around each token's embedding, as a share of the embedding's L2 norm."""
    step_size: float = Field(default=0.0025, gt=0)
    """adversarial: length of one ascent, in the same unit."""
    steps: int = Field(default=2, ge=1)
    """adversarial: ascents a step; each costs one more forward and backward pass."""
    deviation: float = Field(default=0.1, gt=0)
    """smoothing: standard deviation of the Gaussian noise, as a share of the embedding's root mean square."""


class Intermediate(TrainingSettings):
    """The intermediate stage."""

    tasks: tuple[str, ...] = ("none",)
    """Cells: each entry is an intermediate task, several with commas between (one stage), a trained bundle's address,
    or ``none``."""
    trained_on: tuple[str, ...] = ()
    """What plain adapters of PEFT or AdapterHub among them were trained on, by any names, in their order; one that is
    not named goes by its folder's or repository's name."""
    baseline: bool = False
    """Run every target without an intermediate task as well, so that the gain is shown."""
    languages: tuple[str, ...] | None = None
    """Languages to train in, where the data hold translated train sets; None is English alone."""
    mixture: MixtureSettings = MixtureSettings()
    mlm: Text = Text()
    """Masked language modelling of text in many languages: ``<code>.txt`` or ``<code>/*.txt``, a document a line."""
    tlm: Text = Text()
    """Translation language modelling of parallel text: ``<pair>.tsv``, two sentences a line."""
    text_steps: int | None = Field(default=None, ge=1)
    """Steps of a stage of such text alone, for each kind of text whose own `steps` does not say."""
    robust: Robust = Robust()

    @model_validator(mode="after")
    def _no_idle_steps(self) -> Intermediate:
        named = {name.strip() for entry in self.tasks for name in entry.split(",")}
        for name, text in (("mlm", self.mlm), ("tlm", self.tlm)):
            if text.steps is not None and not text.weight and name not in named:
                raise ValueError(
                    f"{name}.steps = {text.steps}, but nothing is trained on such text: "
                    f"set intermediate.{name}.weight, or name {name} among the tasks (--inter {name})"
                )
        return self


class Target(TargetLanguages, TrainingSettings):
    """The target stage."""

    robust: Robust = Robust()

    tasks: tuple[str, ...] = ()
    """Target tasks, or ``all`` of the benchmark's; each is trained and evaluated after every cell's intermediate
    stage."""
    train_task: str | None = None
    """Train on this task instead of the target's own (e.g. ``snli`` for ``xnli``)."""


class Evaluation(Frozen):
    """What the trained model is evaluated on."""

    languages: tuple[str, ...] | None = None
    """Languages to evaluate; None is all of the benchmark's that the data hold."""
    limit: int | None = Field(default=None, ge=1)
    """Evaluate the first so many examples a language."""
    split: EvaluatedSplit = "test"
    """Test, or dev in its place, as ablations are told on; `submit` refuses these."""


class MergeSettings(Frozen):
    """How ``combine = "merge:METHOD"`` merges."""

    weights: tuple[float, ...] | None = None
    """One an intermediate task, in their order; None weighs all alike, to a sum of 1."""
    density: float = Field(default=0.5, gt=0, le=1)
    """Share of a change's entries that ties, dare and magnitude_prune keep."""
    rank: int | None = Field(default=None, ge=1)
    """Of merged low-rank updates; None takes the sum of the ranks for linear, else the largest."""
    then: Literal["continue", "stack"] = "continue"
    """How the merged modules enter target training: trained on, or frozen with new modules on top."""


class Recipe(Frozen):
    """A full account of what `train` computes."""

    mode: str = "full"
    """What is trained: the name of a tuning."""
    precision: Precision = "fp32"
    """Of weights and activations."""
    optimizer: Optimizer = "adamw"
    """adamw; adamw8bit: AdamW with its state in 8 bits (bitsandbytes); paged_adamw8bit: that, with its state moved to
    the machine's memory while a GPU's is full (on GPUs alone)."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time, same result."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Of new heads, dropout, the order of examples and the dev subset."""
    data: Data = "real"
    """Whose examples: real ones (release files with ``--data``, else the hub), or the miniature's, generated."""
    benchmark: BenchmarkName = "xtreme"
    """Whose languages a target is evaluated in, and whose targets ``--target all`` means."""
    base: Base = Base()
    intermediate: Intermediate = Intermediate()
    target: Target = Target()
    evaluation: Evaluation = Evaluation()
    formats: Mapping[str, Mapping[str, Scalar | None]] = Field(default_factory=dict)
    """Settings of a format, e.g. ``[formats.span_qa] max_length = 384``; see each module in `formats/`."""
    tuning: Mapping[str, Mapping[str, Scalar | tuple[Scalar, ...] | None]] = Field(default_factory=dict)
    """Settings of a mode, e.g. ``[tuning.lora] r = 8``; see each module in `model/tuning/`."""
    combine: str = "continue"
    """How intermediate tasks enter target training. ``continue``: each alone, as a cell of its own, whose weights
    training goes on with. All of them together: ``stack`` (frozen, with new modules on top), ``fuse`` (frozen, with a
    learned mixture of them: AdapterFusion, or a weight an update and layer), ``merge:METHOD`` (merged into one, from
    which training goes on; `model/merge.py` lists the methods)."""
    merge: MergeSettings = MergeSettings()
    options: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)
    """Choices of reading of a task, e.g. ``[options.udpos] words = "fused"``."""

    @property
    def frozen_under(self) -> str | None:
        """``stack`` or ``fuse`` where intermediate modules stay frozen under the target's; None where they do not."""
        enters = self.merge.then if self.combine.partition(":")[0] == "merge" else self.combine
        return enters if enters in ("stack", "fuse") else None

    @field_validator("mode")
    @classmethod
    def _known_mode(cls, mode: str) -> str:
        TUNINGS.check(mode)
        return mode

    @model_validator(mode="after")
    def _trainable(self) -> Recipe:
        if self.mode == "full" and self.precision in ("8bit", "4bit"):
            raise ValueError(
                f"--mode full cannot train {self.precision} weights: integers have no gradient. Use "
                "--precision bf16 with --set optimizer=adamw8bit (the optimizer's state in 8 bits), or "
                "--mode lora or adapter, which train modules on the quantised weights"
            )
        return self


def load_recipe(name_or_path: str | None, overrides: Iterable[tuple[str, Any]] = ()) -> Recipe:
    """Read a recipe and lay overrides over it.

    Args:
        name_or_path: a shipped recipe's name, a path to a TOML file, or None for the study.
        overrides: dotted key and value, e.g. ``("target.learning_rate", 3e-5)``; later ones win.

    Raises:
        UsageError: no such recipe, an unknown key (the nearest valid one is offered) or a bad value.
        DataError: the file is not TOML.
    """
    values = read_recipe(name_or_path)
    overrides = list(overrides)
    values.pop(MATRIX, None)  # what `matrix` varies; the rest of the file is one recipe
    _lay_mode(values, dict(overrides).get("mode", values.get("mode", "full")))
    for key, value in overrides:
        _lay(values, key, value)
    return validated(Recipe, values, where="recipe")


def read_recipe(name_or_path: str | None) -> dict[str, Any]:
    """A recipe file's values. Raises UsageError, DataError as `load_recipe`."""
    path = find_recipe(name_or_path or "study")
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(path, None, f"not a TOML recipe: {error}") from error
    return values


def find_recipe(name_or_path: str) -> Path:
    """The file of a shipped recipe or of a path. Raises UnknownNameError naming the shipped ones."""
    path = Path(name_or_path)
    if path.suffix == ".toml" or "/" in name_or_path:
        if not path.is_file():
            raise UsageError(
                f"no recipe file at {name_or_path!r}; shipped recipes: {', '.join(shipped_recipes())}"
            )
        return path
    found = shipped_recipes()
    if name_or_path not in found:
        raise UnknownNameError("recipe", name_or_path, found, "Or give the path of a .toml file.")
    return found[name_or_path]


def shipped_recipes() -> dict[str, Path]:
    """Recipes by name: inside the installed package, or beside it in a source checkout."""
    package = Path(__file__).parent
    folder = package / "recipes" if (package / "recipes").is_dir() else package.parent / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def parse_override(text: str) -> tuple[str, Any]:
    """``KEY=VALUE`` as typed after ``--set``; VALUE is read as TOML, and as a string where it is not TOML."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set takes KEY=VALUE, e.g. --set target.learning_rate=3e-5; got {text!r}")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def overrides(flags: Mapping[str, Any], settings: Mapping[str, Any] | Iterable[str]) -> list[tuple[str, Any]]:
    """What a command lays over its recipe.

    Args:
        flags: by their key; None where one is not given.
        settings: further keys with their values, or ``KEY=VALUE`` texts.

    Raises:
        UsageError: a key has two values, which leaves open the one that is meant.
    """
    laid = {key: value for key, value in flags.items() if value is not None}
    pairs = settings.items() if isinstance(settings, Mapping) else map(parse_override, settings)
    for key, value in pairs:
        if key in laid:
            raise UsageError(f"{key} is given twice, {laid[key]!r} and {value!r}: leave one of them out")
        laid[key] = value
    return list(laid.items())


def _lay_mode(values: dict[str, Any], mode: Any) -> None:
    """Lay a recipe's section for one mode over the rest of it, and take out those of all modes."""
    modes = values.pop("modes", {})
    if not isinstance(modes, dict):
        raise UsageError(f"recipe key modes = {modes!r}: a section for each mode, e.g. [modes.lora]")
    for name, section in modes.items():
        TUNINGS.check(name, "mode of the recipe's modes")
        if not isinstance(section, dict):
            raise UsageError(f"recipe key modes.{name} = {section!r}: a section, e.g. [modes.{name}]")
    for key, value in _leaves(modes.get(mode, {}) if isinstance(mode, str) else {}):
        _lay(values, key, value)


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _lay(values: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for part in parents:
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            raise UsageError(f"--set {key}: {part!r} holds a value, not a section")
        values = inner
    values[last] = value
