"""Training speed of modules on a frozen encoder: our LoRA against PEFT with `transformers.Trainer`, and our bottleneck
adapters against AdapterHub's `AdapterTrainer`, on the same batches of the same examples.

    python benchmarks/tuning_throughput.py                                # nano and base12, HellaSwag and SQuAD
    python benchmarks/tuning_throughput.py --models nano --tasks squad_v1 --batch-size 4 --steps 50

What the sides share, and how time and tokens are counted, is as in `train_throughput.py`; the modules have the same
shapes and numbers of weights on both sides (LoRA of rank 8 on queries and values; Pfeiffer bottlenecks at reduction
16), and the head is trained with them; AdapterHub freezes the dense layer of a multiple-choice head, which Transformers
calls the encoder's pooler, so that its side trains less there (`trained_parameters`).

`gradients` shows that a frozen encoder costs no gradient below the lowest module that is trained: LoRA on the upper
half of the layers, one pass, and for each layer whether its output takes part in the backward pass.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import measure
import train_throughput as training
from train_throughput import Job, Rows

from adapter_stilts.formats.features import sequences_of
from adapter_stilts.model import task_classes
from adapter_stilts.model.encoders import layers_of
from adapter_stilts.model.tuning import get_tuning

TUNINGS = ("lora", "adapter")
COUNTED: dict[str, int] = {}


# --- theirs -------------------------------------------------------------------------------------------------------


def with_lora(job: Job, model: Any) -> Any:
    """As PEFT's documentation shows: a config, and the head among the modules to save."""
    from peft import LoraConfig, get_peft_model

    names = task_classes.head_names(model.config.model_type, job.task.format).values()
    config = LoraConfig(
        r=8, lora_alpha=16, lora_dropout=0.0, target_modules=["query", "value"], modules_to_save=list(names)
    )
    return counted(get_peft_model(model, config))


def with_adapter(job: Job, model: Any) -> Any:
    """As AdapterHub's documentation shows."""
    import adapters
    from adapters import SeqBnConfig

    adapters.init(model)
    model.add_adapter("task", config=SeqBnConfig(reduction_factor=16))
    model.train_adapter("task")
    return counted(model)


def counted(model: Any) -> Any:
    COUNTED["theirs"] = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return model


def their_side(tuning: str) -> tuple[str, Any, Any]:
    """Name, what gives a model its modules, and the Trainer's class."""
    if tuning == "lora":
        import transformers

        return "peft_trainer", with_lora, transformers.Trainer
    from adapters import AdapterTrainer

    return "adapter_trainer", with_adapter, AdapterTrainer


# --- comparison ---------------------------------------------------------------------------------------------------


def compare(job: Job, rounds: int, label: str) -> dict[str, Any]:
    """Both sides in turn."""
    rows = Rows(job)
    name, tuned, trainer_class = their_side(job.mode)
    runs = measure.alternate(
        {
            "adapter_stilts": lambda seed: training.measure_ours(job, seed),
            name: lambda seed: training.measure_theirs(job, rows, seed, tuned, trainer_class),
        },
        rounds,
        label,
    )
    ours, theirs = runs["adapter_stilts"], runs[name]
    assert [run.tokens for run in ours] == [run.tokens for run in theirs], "the sides saw other examples"
    model = training.our_model(job, None)
    return {
        "batch_size": job.batch_size,
        "steps": job.steps,
        "rounds": rounds,
        "items": job.features.num_examples,
        "trained_parameters": {
            "adapter_stilts": sum(p.numel() for p in model.parameters() if p.requires_grad),
            name: COUNTED["theirs"],
        },
        **{side: training.described(found) for side, found in runs.items()},
        **measure.ratios((run.speed for run in ours), (run.speed for run in theirs)),
    }


def gradients(job: Job) -> dict[str, Any]:
    """Which layers' outputs the backward pass reaches, with LoRA on the upper half of them."""
    from adapter_stilts.formats import get_format
    from adapter_stilts.model.task_model import MicroBatch

    model = training.our_model(replace(job, mode="full"), 0.0)
    layers = layers_of(model.encoder)
    lowest = len(layers) // 2
    targets = tuple(
        f"layer.{number}.attention.self.{part}"
        for number in range(lowest, len(layers))
        for part in ("query", "value")
    )
    tuning = get_tuning("lora")
    tuning.attach(model, tuning.Settings.model_validate({"target_modules": targets}))
    reached: list[bool] = []
    hooks = [
        layer.register_forward_hook(
            lambda module, args, output: reached.append(
                bool((output[0] if isinstance(output, tuple) else output).requires_grad)
            )
        )
        for layer in layers
    ]
    items = job.order(0).step(0)
    rows = sequences_of(job.features, items, job.kind)[0]
    units = get_format(job.task.format).units(job.features, items)
    model.train()(MicroBatch(job.features, items, [rows], 1 / units)).backward()
    for hook in hooks:
        hook.remove()
    graded = [name for name, parameter in model.named_parameters() if parameter.grad is not None]
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    return {
        "layers": len(layers),
        "lowest_trained_layer": lowest,
        "layers_in_the_backward_pass": [number for number, found in enumerate(reached) if found],
        "frozen_tensors_with_gradients": len(set(graded) & set(frozen)),
    }


def main() -> None:
    parser = measure.parser(__doc__, rounds=5)
    parser.add_argument("--tunings", default=",".join(TUNINGS), help="lora, adapter, or both with a comma")
    parser.add_argument("--tasks", default=",".join(training.TASKS), help="hellaswag, squad_v1, or both")
    parser.add_argument("--models", default=",".join(training.MODELS), help="nano, base12, or both")
    options, device, base, tokenizer = training.begin(parser)
    result: dict[str, Any] = {
        **training.conditions("tuning_throughput", options, device),
        "throughput": {},
        "gradients": {},
    }
    for task in training.chosen(options.tasks, training.TASKS, "--tasks"):
        for model in training.chosen(options.models, training.MODELS, "--models"):
            with measure.scratch() as folder:
                where = (options, base, tokenizer, folder, device)
                job = training.prepare(task, model, options.steps, *where)
                for tuning in training.chosen(options.tunings, TUNINGS, "--tunings"):
                    name = f"{task}/{model}/{tuning}"
                    result["throughput"][name] = compare(replace(job, mode=tuning), options.rounds, name)
                result["gradients"][f"{task}/{model}"] = gradients(job)
    measure.emit(result, options.out)


if __name__ == "__main__":
    main()
