"""Speed of bf16, 8 and 4 bits against fp32 on a CPU, in training and in evaluation.

    python benchmarks/precision_throughput.py                                   # nano, base12 and large
    python benchmarks/precision_throughput.py --models nano --modes lora --rounds 1
    ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 \\
        python benchmarks/precision_throughput.py          # on a wider processor, as one with AVX2 alone

Every side runs our loop on the same HellaSwag questions from the same weights: LoRA and bottlenecks in fp32, bf16, 8
and 4 bits, full fine-tuning in fp32 and bf16. nano is the small encoder (10 steps of 4 questions), base12 a random one
of XLM-R Base's shape (2 of 2), large a random one of XLM-R Large's, without full fine-tuning (2 of 1). Sides are made
once and alternate; the first round of each is thrown away. Speed is real tokens a second over whole runs of the loop,
optimizer included, or of prediction over the same sequences.

`products` says how bf16 products are taken (`adapter_stilts/model/cpu_products.py`); `--products native` leaves them to
torch and bitsandbytes, whatever the processor.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure
import torch
import train_throughput as training
from train_throughput import HUGE, SETTINGS, Job

from adapter_stilts.evaluation.predict import predict
from adapter_stilts.formats import get_format
from adapter_stilts.model.backbone import load_encoder
from adapter_stilts.model.cpu_linear import keep_few_products, linear_library, quicken
from adapter_stilts.model.cpu_products import bf16_products, quick_products
from adapter_stilts.model.heads import Head
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.recipe import TrainingSettings
from adapter_stilts.training.learner import Learner
from adapter_stilts.training.loop import Speed, train
from adapter_stilts.training.mixture import alone
from adapter_stilts.training.watch import Step

PRECISIONS = {
    "lora": ("fp32", "bf16", "8bit", "4bit"),
    "adapter": ("fp32", "bf16", "8bit", "4bit"),
    "full": ("fp32", "bf16"),
}
# Steps of a run and questions of a step, of four choices each.
MODELS = {"nano": (10, 4), "base12": (2, 2), "large": (2, 1)}
PARTS = ("train", "evaluate")
EVALUATION_TOKENS = 4096  # of a batch, as the evaluate stage has it on a CPU


@dataclass(frozen=True)
class Side:
    """A model in one mode and precision, made once."""

    job: Job
    mode: str
    precision: str
    native: bool
    model: TaskModel

    def products(self) -> Any:
        return contextlib.nullcontext() if self.native else quick_products("cpu", self.precision)

    def train(self, seed: int) -> float:
        """Real tokens a second of a run of the loop."""
        began = measure.now()
        with self.products():
            steps = self.run(seed, training.default_speed(self.job))
        seconds = measure.now() - began
        training.free()
        return sum(step.tokens for step in steps) / seconds

    def run(self, seed: int, speed: Speed, settings: Mapping[str, Any] = SETTINGS) -> list[Step]:
        """The reports of a run of the loop, without evaluation and checkpoints."""
        from accelerate import Accelerator

        chosen = TrainingSettings(
            **settings,
            max_steps=self.job.steps,
            batch_size=self.job.batch_size,
            eval_every_steps=HUGE,
            patience=None,
        )
        watch = training.Stopwatch("cpu")
        mixture = alone(self.job.features, get_format(self.job.task.format), chosen, seed)
        with measure.scratch() as folder:
            learner = Learner(self.model, get_tuning(self.mode), chosen, "adamw", None, folder)
            train(learner, mixture, seed, speed, Accelerator(cpu=True), watch)
        return watch.reports

    def evaluate(self, _: int) -> float:
        """Real tokens a second of prediction."""
        format = get_format(self.job.task.format)
        self.model.eval()
        with self.products():
            began = measure.now()
            predict(self.model, format, self.job.features, format.Settings(), EVALUATION_TOKENS)
            seconds = measure.now() - began
        return float(self.job.features.input_ids.lengths.sum()) / seconds


def make(job: Job, mode: str, precision: str, native: bool, dropout: float | None = None) -> Side:
    """As `stages/starting.py` makes it."""
    tuning, format = get_tuning(mode), get_format(job.task.format)
    weights = tuning.backbone_weights(tuning.Settings(), precision)
    if precision != "fp32":
        keep_few_products()
    encoder = load_encoder(str(job.weights), None, dropout, False, weights, "cpu")
    if precision == "fp32":
        quicken(encoder)
    shape = format.head_shape(job.task.labels)
    assert shape is not None
    rate = 0.1 if dropout is None else dropout
    head = Head(shape, encoder.config.hidden_size, rate, encoder.config.initializer_range, seed=0)
    model = TaskModel(encoder, head, format, bf16=precision != "fp32")
    tuning.attach(model)
    return Side(job, mode, precision, native, model)


def compare(job: Job, mode: str, options: Any, label: str) -> dict[str, Any]:
    sides = {p: make(job, mode, p, options.products == "native") for p in PRECISIONS[mode]}
    found: dict[str, Any] = {}
    for what in training.chosen(options.parts, PARTS, "--parts"):
        run: dict[str, Callable[[int], float]] = {name: getattr(side, what) for name, side in sides.items()}
        speeds = measure.alternate(run, options.rounds, f"{label}: {what}")
        found[what] = {
            name: {
                "real_tokens_per_second": measure.spread(speeds[name]),
                **({} if name == "fp32" else measure.ratios(speeds[name], speeds["fp32"])),
            }
            for name in sides
        }
    return found


def write_large(folder: Path) -> None:
    """Random weights of XLM-R Large's shape, with a vocabulary of nano's size: no product depends on it."""
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    shape = AutoConfig.for_model(
        "xlm-roberta", num_hidden_layers=24, hidden_size=1024, num_attention_heads=16, intermediate_size=4096,
        vocab_size=16_001, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5,
        pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    AutoModel.from_config(shape, add_pooling_layer=False).save_pretrained(folder)


def main() -> None:
    parser = measure.parser(__doc__, rounds=5)
    parser.add_argument("--models", default=",".join(MODELS), help="of: nano,base12,large")
    parser.add_argument("--modes", default=",".join(PRECISIONS), help="of: lora,adapter,full")
    parser.add_argument("--parts", default=",".join(PARTS), help="of: train,evaluate")
    parser.add_argument(
        "--products", choices=("auto", "native"), default="auto", help="how bf16 products are taken"
    )
    options, device, base, tokenizer = training.begin(parser, by_model=True)
    if device != "cpu":
        raise SystemExit("the ratios are of CPUs: --device cpu")
    result: dict[str, Any] = {
        **training.conditions("precision_throughput", options, device),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "linear_library": linear_library(),
        "products": "native" if options.products == "native" else bf16_products(device),
        "throughput": {},
    }
    asked = options.steps, options.batch_size
    for model in training.chosen(options.models, tuple(MODELS), "--models"):
        steps, options.batch_size = (given or own for given, own in zip(asked, MODELS[model], strict=True))
        with measure.scratch() as folder:
            if model == "large":
                write_large(folder / "hellaswag-large")
            job = training.prepare("hellaswag", model, steps, options, base, tokenizer, folder, device)
            for mode in training.chosen(options.modes, tuple(PRECISIONS), "--modes"):
                if (model, mode) != ("large", "full"):
                    result["throughput"][f"{model}/{mode}"] = compare(job, mode, options, f"{model}/{mode}")
    measure.emit(result, options.out)


if __name__ == "__main__":
    main()
