"""Whether bf16, 8 and 4 bits by way of fp32 products give what a native kernel gives: states, answers, training curves.

    python benchmarks/precision_equality.py                 # on a processor with bf16 units, so that native is native

A small encoder is trained on SQuAD for some steps. For each precision it then answers XQuAD questions twice, with
torch's and bitsandbytes' own products (`native`) and with ours (`adapter_stilts/model/cpu_products.py` and
`cpu_integers.py`), whatever the processor has units for. Compared: the last states of all tokens, by cosine; and
answers, of which those that differ are listed, with the margins that decided them.

`native_other_order` is the yardstick: natively in batches of a quarter of the size, so that sums are taken in another
order. With 8 bits a last bit of difference turns into one of 127 levels at the next layer, natively as well.

`curves` trains LoRA without dropout for `--steps` steps three times: natively in sub-batches, natively in padded
batches (the same sums in another order, the yardstick) and with our products in sub-batches.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any
from unittest import mock

import evaluate_throughput as evaluation
import measure
import numpy as np
import precision_throughput as precisions
import torch
import train_throughput as training

from adapter_stilts.formats import get_format
from adapter_stilts.formats.features import concatenate
from adapter_stilts.model import cpu_integers, cpu_products
from adapter_stilts.model.backbone import load_encoder
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.training.loop import Speed

PRECISIONS = ("bf16", "8bit", "4bit")


@contextlib.contextmanager
def ours(precision: str) -> Any:
    """Our products on a processor that has units for its own."""
    with (
        mock.patch.object(cpu_products, "has_bf16_units", return_value=False),
        mock.patch.object(cpu_integers, "has_integer_units", return_value=False),
        cpu_products.quick_products("cpu", precision),
    ):
        yield


def states(model: TaskModel, features: Any, budget: int) -> dict[int, torch.Tensor]:
    """Last states of every sequence's own tokens, by its row."""
    bare, found = model.without_head().eval(), {}
    for rows in bare.layout.batches(features.input_ids.lengths, budget):
        outputs = bare.predict(features, rows).float()
        for row, output in zip(rows.tolist(), outputs, strict=True):
            found[row] = output[: int(features.input_ids.lengths[row])].clone()
    return found


def answer(model: TaskModel, splits: list[Any], features: Any, budget: int) -> tuple[Any, Any]:
    return evaluation.one_pass(model, splits, budget, "cpu"), states(model, features, budget)


def compared(native: tuple[Any, Any], own: tuple[Any, Any]) -> dict[str, Any]:
    cosines = torch.cat([torch.cosine_similarity(native[1][row], own[1][row], dim=1) for row in native[1]])
    pairs = [
        (language, number, a, b)
        for language in native[0].answers
        for number, (a, b) in enumerate(
            zip(native[0].answers[language], own[0].answers[language], strict=True)
        )
    ]
    spans = np.isfinite(native[0].scores)
    apart = np.abs(native[0].scores[spans] - own[0].scores[spans])
    return {
        "tokens": len(cosines),
        "cosine": {"mean": float(cosines.mean()), "min": float(cosines.min())},
        "questions": len(pairs),
        "score": {"median": float(np.median(native[0].scores[spans])), "max_difference": float(apart.max())},
        "differing": [
            {"language": language, "question": number, "native": str(a), "other": str(b)}
            for language, number, a, b in pairs
            if a != b
        ],
    }


def curves(job: Any, precision: str) -> dict[str, Any]:
    """Losses of a run's steps, natively in two orders of sums and with our products."""
    usual = training.default_speed(job)
    whole = Speed(training.HUGE, training.HUGE, float("inf"))
    losses = {}
    for name, speed, products in (
        ("native", usual, contextlib.nullcontext()),
        ("native_other_order", whole, contextlib.nullcontext()),
        ("ours", usual, ours(precision)),
    ):
        side = precisions.make(job, "lora", precision, native=True, dropout=0.0)
        with products:
            losses[name] = [step.loss for step in side.run(0, speed)]
    apart = {
        name: max(abs(a - b) for a, b in zip(losses["native"], losses[name], strict=True))
        for name in ("native_other_order", "ours")
    }
    return {"steps": job.steps, "first": losses["native"][0], "last": losses["native"][-1], "apart": apart}


def main() -> None:
    parser = measure.parser(__doc__, rounds=1)
    parser.add_argument(
        "--limit", type=int, default=19, help="questions a language (default 19, of 11 languages)"
    )
    parser.add_argument("--trained", type=int, default=150, help="steps of training on SQuAD (default 150)")
    parser.add_argument("--precisions", default=",".join(PRECISIONS), help="of: bf16,8bit,4bit")
    parser.add_argument("--budget", type=int, default=4096, help="padded tokens a batch (default 4096)")
    options, device, base, tokenizer = training.begin(parser, by_model=True)
    options.batch_size = options.batch_size or 4
    chosen = training.chosen(options.precisions, PRECISIONS, "--precisions")
    result: dict[str, Any] = {
        **training.conditions("precision_equality", options, device),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "native": cpu_products.bf16_products("cpu"),
        "answers": {},
        "curves": {},
    }
    with measure.scratch() as folder:
        plain, splits, _ = evaluation.load(options, folder / "evaluated", "cpu")
        job = training.prepare("squad_v1", "nano", options.trained, options, base, tokenizer, folder, "cpu")
        settings = {**training.SETTINGS, "learning_rate": 1e-3}
        side = precisions.make(job, "full", "fp32", native=True)
        side.run(0, training.default_speed(job), settings)
        plain.head = side.model.head
        trained = Path(folder / "trained")
        side.model.encoder.save_pretrained(trained)  # type: ignore[operator]
        features = concatenate([split.features for split in splits])
        format = get_format("span_qa")
        # All native ones first: kernels that were added stay.
        models = {
            p: TaskModel(
                load_encoder(str(trained), None, None, False, p, "cpu"), plain.head, format, bf16=True
            )
            for p in chosen
        }
        native = {p: answer(model, splits, features, options.budget) for p, model in models.items()}
        other = {p: answer(model, splits, features, options.budget // 4) for p, model in models.items()}
        steps = options.steps or 50
        short = training.prepare("hellaswag", "nano", steps, options, base, tokenizer, folder, "cpu")
        for precision in chosen:
            measure.say(precision)
            result["curves"][precision] = curves(short, precision)
            with ours(precision):
                own = answer(models[precision], splits, features, options.budget)
            result["answers"][precision] = {
                "ours": compared(native[precision], own),
                "native_other_order": compared(native[precision], other[precision]),
            }
    measure.emit(result, options.out)


if __name__ == "__main__":
    main()
