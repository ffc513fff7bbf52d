"""Training speed: our loop against `transformers.Trainer`, on the same batches of the same examples.

    python benchmarks/train_throughput.py                                 # nano and base12, HellaSwag and SQuAD
    python benchmarks/train_throughput.py --models nano --tasks hellaswag --batch-size 4 --steps 50

Both sides start from the same weights, see the same encoded sequences in the same shuffled steps, and take the same
number of AdamW steps with the same hyperparameters, warm-up, clipping and dropout. Neither accumulates, evaluates,
checkpoints or tracks anything. The Trainer is used as its documentation shows: the Auto class of the task, features
tokenised up front, the library's own collator padding each batch to its longest sequence.

Speed is real (non-padding) tokens a second, from the end of the first step to the end of the last, so that neither
side's start-up counts. The sides alternate; a warm-up round of each is thrown away; every round has another seed.
`real_token_share` is real tokens over the tokens that ran through the encoder.

`equivalence` shows that speed does not change the experiment: with dropout 0 and one seed, our loop runs with its
sub-batches, with every step as one padded batch, and, as a yardstick, with padded batches accumulated in two or more
micro-batches as any trainer would. Reported: how far losses and final weights are apart, next to how far training
moved the weights. AdamW divides a gradient by its size, so that a weight whose gradient is all but zero takes steps
that rounding decides: the greatest difference is of such weights, the relative one tells of all.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure
import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from adapter_stilts.formats import get_format
from adapter_stilts.formats.features import Features, Indices, Ragged, item_lengths, sequences_of
from adapter_stilts.model.backbone import ResolvedBase, load_encoder, load_tokenizer, resolve_base
from adapter_stilts.model.cpu_linear import linear_library, quicken
from adapter_stilts.model.heads import Head
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.recipe import Base, TrainingSettings
from adapter_stilts.runtime import OVERHEAD_TOKENS
from adapter_stilts.stages.data import CachedTokenizer, SplitData
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.base import Task
from adapter_stilts.tasks.sources import open_source
from adapter_stilts.training.learner import Learner
from adapter_stilts.training.loop import Speed, train
from adapter_stilts.training.memory import micro_batch_tokens
from adapter_stilts.training.mixture import alone
from adapter_stilts.training.order import Order
from adapter_stilts.training.watch import LoopWatch, Step

# Hyperparameters of both sides: the study's.
SETTINGS: dict[str, Any] = {
    "learning_rate": 1e-5,
    "warmup_ratio": 0.1,
    "weight_decay": 0.01,
    "max_grad_norm": 1.0,
}
TASKS = ("hellaswag", "squad_v1")
MODELS = ("nano", "base12")
HUGE = 2**40


@dataclass(frozen=True)
class Job:
    """What both sides work on.

    Args:
        weights: folder of the task class's checkpoint that every run starts from.
        steps: optimizer steps of a run: every item once, or whole passes where a run needs more than there are.
        mode: the tuning that we train.
    """

    task: Task
    features: Features
    weights: Path
    tokenizer: Any
    batch_size: int
    steps: int
    device: str
    bf16: bool
    linear: str
    mode: str = "full"

    @property
    def kind(self) -> str:
        return get_format(self.task.format).ITEMS

    def order(self, seed: int) -> Order:
        return Order(item_lengths(self.features, self.kind), self.batch_size, "shuffled", seed)


@dataclass(frozen=True)
class Run:
    """One side's measurement: steps after the first, their real tokens, tokens that ran, and seconds."""

    tokens: int
    padded_tokens: int
    seconds: float

    @property
    def speed(self) -> float:
        return self.tokens / self.seconds


# --- ours ---------------------------------------------------------------------------------------------------------


class Stopwatch(LoopWatch):
    """Times from the end of the first step and keeps what each reports."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.reports: list[Step] = []
        self.began = self.ended = 0.0

    def step(self, step: Step) -> None:
        self.reports.append(step)
        if step.step == 1:
            self.began = measure.now(self.device)
        if step.step == step.total_steps:
            self.ended = measure.now(self.device)


def train_ours(
    job: Job, seed: int, folder: Path, speed: Speed, dropout: float | None = None
) -> tuple[Stopwatch, TaskModel]:
    """One run of our loop as `stages/run.py` calls it, without evaluation and checkpoints."""
    from accelerate import Accelerator

    model = our_model(job, dropout)
    settings = TrainingSettings(
        **SETTINGS,
        max_steps=job.steps,
        batch_size=job.batch_size,
        eval_every_steps=HUGE,
        patience=None,
    )
    watch = Stopwatch(job.device)
    learner = Learner(model, get_tuning(job.mode), settings, "adamw", None, folder)
    mixture = alone(job.features, get_format(job.task.format), settings, seed)
    train(learner, mixture, seed, speed, Accelerator(cpu=job.device == "cpu"), watch)
    return watch, model


def our_model(job: Job, dropout: float | None) -> TaskModel:
    format = get_format(job.task.format)
    encoder = load_encoder(str(job.weights), None, dropout, gradient_checkpointing=False)
    rate = encoder.config.hidden_dropout_prob if dropout is None else dropout
    shape = format.head_shape(job.task.labels)
    assert shape is not None
    head = Head(shape, encoder.config.hidden_size, rate, encoder.config.initializer_range, seed=0)
    head.load_state_dict(get_tuning("full").load(job.weights, job.task.format))
    model = TaskModel(encoder, head, format, bf16=job.bf16)
    get_tuning(job.mode).attach(model)
    if job.device == "cpu" and not job.bf16 and job.linear == "auto":
        quicken(encoder)  # as the stages do; the Trainer's model stays as the library makes it
    return model.to(job.device)


def default_speed(job: Job) -> Speed:
    """What the stages use on this device."""
    config = load_config(job.weights)
    overhead = OVERHEAD_TOKENS.get(job.device, OVERHEAD_TOKENS["cuda"])
    return Speed(micro_batch_tokens(config, job.device, False), overhead, checkpoint_seconds=float("inf"))


def measure_ours(job: Job, seed: int) -> Run:
    with measure.scratch() as folder:
        watch, _ = train_ours(job, seed, folder, default_speed(job))
    timed = watch.reports[1:]
    free()
    return Run(
        sum(step.tokens for step in timed),
        sum(step.padded_tokens for step in timed),
        watch.ended - watch.began,
    )


# --- theirs -------------------------------------------------------------------------------------------------------


class Rows(Dataset[dict[str, Any]]):
    """Encoded items as plain Python lists, the form the collators take: no Arrow table is in the way."""

    def __init__(self, job: Job) -> None:
        features = job.features
        rows: list[list[int]] = [features.input_ids[row].tolist() for row in range(features.num_sequences)]
        masks = [[1] * len(row) for row in rows]
        self.items: list[dict[str, Any]]
        if job.kind == "examples":
            bounds = zip(features.sequences[:-1].tolist(), features.sequences[1:].tolist(), strict=True)
            labels = features.per_example["label"].tolist()
            self.items = [
                {"input_ids": rows[a:b], "attention_mask": masks[a:b], "labels": label}
                for (a, b), label in zip(bounds, labels, strict=True)
            ]
        else:
            starts, ends = (np.asarray(features.per_sequence[side]).tolist() for side in ("start", "end"))
            self.items = [
                {"input_ids": ids, "attention_mask": mask, "start_positions": start, "end_positions": end}
                for ids, mask, start, end in zip(rows, masks, starts, ends, strict=True)
            ]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return dict(self.items[row])  # the multiple-choice collator takes labels out of what it is given


class InOrder(Sampler[int]):
    """Our shuffled order, epoch after epoch, in the place of the Trainer's own shuffle."""

    def __init__(self, order: Order) -> None:
        self.order, self.epoch = order, -1

    def __len__(self) -> int:
        return len(self.order.lengths)

    def __iter__(self) -> Iterator[int]:
        self.epoch += 1
        first = self.epoch * self.order.steps_per_epoch
        for step in range(first, first + self.order.steps_per_epoch):
            yield from self.order.step(step).tolist()


def train_theirs(
    job: Job, rows: Rows, seed: int, folder: Path, tuned: Callable[[Job, Any], Any] | None, trainer_class: Any
) -> tuple[float, float]:
    """One run of a Trainer; returns when its first and its last step ended.

    Args:
        tuned: gives a task model the modules that are trained; None trains all of it.
        trainer_class: `transformers.Trainer` or one derived from it.
    """
    import transformers
    from transformers import TrainerCallback, TrainingArguments

    ended: list[float] = []

    class Ended(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step in (1, job.steps):
                ended.append(measure.now(job.device))

    class SameOrder(trainer_class):  # type: ignore[misc]
        def _get_train_sampler(self, train_dataset: Any = None) -> InOrder:
            return InOrder(job.order(seed))

    task_class = getattr(transformers, get_format(job.task.format).TASK_CLASS)
    collators = {
        "examples": transformers.DataCollatorForMultipleChoice,
        "sequences": transformers.DataCollatorWithPadding,
    }
    arguments = TrainingArguments(
        output_dir=str(folder),
        **SETTINGS,
        lr_scheduler_type="linear",
        optim="adamw_torch_fused",
        per_device_train_batch_size=job.batch_size,
        max_steps=job.steps,
        seed=seed,
        bf16=job.bf16,
        use_cpu=job.device == "cpu",
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        eval_strategy="no",
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=job.device != "cpu",
    )
    model = task_class.from_pretrained(job.weights)
    trainer = SameOrder(
        model=model if tuned is None else tuned(job, model),
        args=arguments,
        train_dataset=rows,
        data_collator=collators[job.kind](job.tokenizer),
        callbacks=[Ended()],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    first, last = ended
    return first, last


def measure_theirs(
    job: Job,
    rows: Rows,
    seed: int,
    tuned: Callable[[Job, Any], Any] | None = None,
    trainer_class: Any = None,
) -> Run:
    import transformers

    with measure.scratch() as folder:
        trainer = trainer_class or transformers.Trainer
        first, last = train_theirs(job, rows, seed, folder, tuned, trainer)
    order, lengths = job.order(seed), job.features.input_ids.lengths
    steps = [sequences_of(job.features, order.step(step), job.kind)[0] for step in range(1, job.steps)]
    tokens = sum(int(lengths[sequences].sum()) for sequences in steps)
    padded = sum(len(sequences) * int(lengths[sequences].max()) for sequences in steps)
    free()
    return Run(tokens, padded, last - first)


# --- comparison ---------------------------------------------------------------------------------------------------


def compare(job: Job, rounds: int, label: str) -> dict[str, Any]:
    """Both sides in turn."""
    rows = Rows(job)
    runs = measure.alternate(
        {
            "adapter_stilts": lambda seed: measure_ours(job, seed),
            "trainer": lambda seed: measure_theirs(job, rows, seed),
        },
        rounds,
        label,
    )
    ours, theirs = runs["adapter_stilts"], runs["trainer"]
    assert [run.tokens for run in ours] == [run.tokens for run in theirs], "the sides saw other examples"
    return {
        "batch_size": job.batch_size,
        "steps": job.steps,
        "rounds": rounds,
        "items": job.features.num_examples,
        "real_tokens_a_run": [run.tokens for run in ours],
        **{name: described(side) for name, side in runs.items()},
        **measure.ratios((run.speed for run in ours), (run.speed for run in theirs)),
    }


def described(runs: list[Run]) -> dict[str, Any]:
    share = sum(run.tokens for run in runs) / sum(run.padded_tokens for run in runs)
    return {
        "real_tokens_per_second": measure.spread([run.speed for run in runs]),
        "real_token_share": round(share, 4),
        "seconds": measure.spread([run.seconds for run in runs], 3),
    }


def equivalence(job: Job, seed: int) -> dict[str, Any]:
    """Sub-batched steps against steps of one padded batch, and against themselves; dropout 0."""
    start = _weights(our_model(job, 0.0))
    order, lengths = job.order(seed), job.features.input_ids.lengths
    steps = [sequences_of(job.features, order.step(step), job.kind)[0] for step in range(job.steps)]
    half = max(len(sequences) * int(lengths[sequences].max()) for sequences in steps) // 2
    speeds = {
        "sub_batches": default_speed(job),
        "repeated": default_speed(job),
        "padded": Speed(HUGE, HUGE, float("inf")),
        "accumulated": Speed(half, HUGE, float("inf")),
    }
    reports: dict[str, list[Step]] = {}
    weights: dict[str, dict[str, torch.Tensor]] = {}
    for name, speed in speeds.items():
        with measure.scratch() as folder:
            watch, model = train_ours(job, seed, folder, speed, dropout=0.0)
        reports[name], weights[name] = watch.reports, _weights(model)
        del model
        free()
    cut = reports["sub_batches"]
    return {
        "steps": job.steps,
        "batch_size": job.batch_size,
        "dropout": 0.0,
        "real_token_share": {name: round(_share(reports[name]), 4) for name in ("sub_batches", "padded")},
        "loss": {"first": round(cut[0].loss, 6), "last": round(cut[-1].loss, 6)},
        "max_weight_change_by_training": _largest(weights["padded"], start),
        "sub_batches_against_padded": _apart(reports, weights, start, "sub_batches", "padded"),
        "accumulated_against_padded": _apart(reports, weights, start, "accumulated", "padded"),
        "same_bits_when_repeated": _apart(reports, weights, start, "sub_batches", "repeated")
        == {"max_loss_difference": 0.0, "max_weight_difference": 0.0, "relative_weight_difference": 0.0},
    }


def _apart(
    reports: dict[str, list[Step]],
    weights: dict[str, dict[str, torch.Tensor]],
    start: dict[str, torch.Tensor],
    a: str,
    b: str,
) -> dict[str, float]:
    """How far two runs are apart; the relative difference is over the norm of what training changed."""
    apart = sum(float((weights[a][n] - weights[b][n]).double().square().sum()) for n in start)
    moved = sum(float((weights[b][n] - start[n]).double().square().sum()) for n in start)
    return {
        "max_loss_difference": max(abs(x.loss - y.loss) for x, y in zip(reports[a], reports[b], strict=True)),
        "max_weight_difference": _largest(weights[a], weights[b]),
        "relative_weight_difference": float((apart / moved) ** 0.5),
    }


def _weights(model: TaskModel) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in model.named_parameters()}


def _share(reports: list[Step]) -> float:
    return sum(step.tokens for step in reports) / sum(step.padded_tokens for step in reports)


def _largest(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    return max(float((a[name] - b[name]).abs().max()) for name in a)


# --- jobs ---------------------------------------------------------------------------------------------------------


def prepare(
    task_name: str, model: str, steps: int, options: Any, base: Any, tokenizer: Any, folder: Path, device: str
) -> Job:
    """Encode the examples, choose those of a run, and write the weights that all sides start from."""
    task = get_task(task_name)
    format = get_format(task.format)
    data = open_source(str(options.data))
    encoder = CachedTokenizer(tokenizer, folder / "cache")
    features = SplitData(task, "train", "en", data, {}, format.Settings(), encoder).features
    chosen, steps = choose(features, format.ITEMS, options.batch_size, steps)
    weights = folder / f"{task.name}-{model}"
    if not weights.is_dir():
        write_weights(weights, model, task, base)
    bf16 = options.precision == "bf16"
    return Job(task, chosen, weights, tokenizer, options.batch_size, steps, device, bf16, options.linear)


def choose(features: Features, kind: str, batch_size: int, steps: int) -> tuple[Features, int]:
    """The items of a run, each its own example, and its number of steps.

    As many items as the steps need, so that every order of them holds the same set; where there are not that
    many, all that fill whole steps, and the steps rounded down to whole passes.
    """
    available = len(item_lengths(features, kind))
    if available < batch_size or steps < 2:
        raise SystemExit(f"needs 2 steps or more of at most {available} items: --batch-size, --steps")
    per_pass = min(steps, available // batch_size)
    items = np.sort(np.random.default_rng(0).choice(available, per_pass * batch_size, replace=False))
    steps = steps // per_pass * per_pass
    if kind == "examples":
        return features.select(items), steps
    return windows(features, items), steps


def windows(features: Features, rows: Indices) -> Features:
    """Single sequences, each as an example of its own."""
    return Features(
        features.input_ids.take(rows),
        np.arange(len(rows) + 1),
        features.token_types.take(rows) if features.token_types else None,
        {
            name: column.take(rows) if isinstance(column, Ragged) else column[rows]
            for name, column in features.per_sequence.items()
        },
    )


def write_weights(folder: Path, model: str, task: Task, base: Any) -> None:
    """A checkpoint of the task's class: nano's encoder, or a random one of XLM-R base's shape; a seeded head."""
    from transformers import AutoConfig, AutoModel

    if model == "nano":
        encoder = load_encoder(base.location, None, None, gradient_checkpointing=False)
    else:
        torch.manual_seed(0)
        shape = AutoConfig.for_model(
            "xlm-roberta",
            num_hidden_layers=12,
            hidden_size=768,
            num_attention_heads=12,
            intermediate_size=3072,
            vocab_size=250_002,
            max_position_embeddings=514,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
        )
        encoder = AutoModel.from_config(shape, add_pooling_layer=False)
    format = get_format(task.format)
    head_shape = format.head_shape(task.labels)
    assert head_shape is not None
    head = Head(head_shape, encoder.config.hidden_size, 0.1, encoder.config.initializer_range, seed=0)
    folder.mkdir(parents=True)
    get_tuning("full").save(TaskModel(encoder, head, format), folder, task.format, task.labels)


def load_config(folder: Path) -> dict[str, Any]:
    from transformers import AutoConfig

    return dict(AutoConfig.from_pretrained(folder).to_dict())


def free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def main() -> None:
    parser = measure.parser(__doc__, rounds=5)
    parser.add_argument("--tasks", default=",".join(TASKS), help="hellaswag, squad_v1, or both with a comma")
    parser.add_argument("--models", default=",".join(MODELS), help="nano, base12, or both with a comma")
    parser.add_argument(
        "--equivalence-steps", type=int, default=12, help="steps of the equivalence runs; 0 leaves it out"
    )
    options, device, base, tokenizer = begin(parser)
    result: dict[str, Any] = {
        **conditions("train_throughput", options, device),
        "overhead_tokens": OVERHEAD_TOKENS.get(device, OVERHEAD_TOKENS["cuda"]),
        "throughput": {},
        "equivalence": {},
    }
    for task in chosen(options.tasks, TASKS, "--tasks"):
        for model in chosen(options.models, MODELS, "--models"):
            with measure.scratch() as folder:
                where = (options, base, tokenizer, folder, device)
                name = f"{task}/{model}"
                result["throughput"][name] = compare(
                    prepare(task, model, options.steps, *where), options.rounds, name
                )
                if options.equivalence_steps:
                    measure.say(f"{name}: equivalence")
                    job = prepare(task, model, options.equivalence_steps, *where)
                    result["equivalence"][name] = equivalence(job, seed=0)
    measure.emit(result, options.out)


def begin(
    parser: argparse.ArgumentParser, by_model: bool = False
) -> tuple[argparse.Namespace, str, ResolvedBase, Any]:
    """The options of a run, with those that every training benchmark has; its device, encoder and tokenizer.

    Args:
        by_model: steps and items of a step are None where they are not given, as each model has its own.
    """
    steps, items = (None, None) if by_model else (30, 16)
    parser.add_argument(
        "--steps", type=int, default=steps, help=f"optimizer steps of a run (default {steps or 'by model'})"
    )
    parser.add_argument(
        "--batch-size", type=int, default=items, help=f"items of a step (default {items or 'by model'})"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: a GPU where there is one")
    parser.add_argument(
        "--linear", choices=("auto", "torch"), default="auto", help="our linear layers on a CPU"
    )
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    options = parser.parse_args()
    measure.use_clock(options.clock)
    quiet()
    base = resolve_base(Base(id=str(options.base)))
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    return options, device, base, load_tokenizer(base)


def conditions(benchmark: str, options: argparse.Namespace, device: str) -> dict[str, Any]:
    """Under what a result was measured."""
    return {
        "benchmark": benchmark,
        **measure.environment(options.threads, device),
        "clock": options.clock,
        "precision": options.precision,
        "linear": linear_library() if device == "cpu" and options.linear == "auto" else "torch",
    }


def chosen(text: str, valid: tuple[str, ...], option: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or set(names) - set(valid):
        raise SystemExit(f"{option} {text}: choices are {', '.join(valid)}")
    return names


def quiet() -> None:
    """Advice of the libraries is not progress."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


if __name__ == "__main__":
    main()
