"""The part of a training step beside matrix products: can torch.compile have it, and what do dropout's numbers cost?

    python benchmarks/compiled_layers.py --threads 1 --clock cpu
    ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 \\
        python benchmarks/compiled_layers.py --threads 1 --clock cpu          # on a wider processor, as one with AVX2

Forward and backward passes of the small encoder, fully trained, over five sub-batches of different lengths:

- as it is, and with every layer compiled (inductor, which fuses residuals, dropout, layer norms, softmax and masks):
  with inductor's own random numbers, and with torch's (the same stream, so that results stay);
- without dropout: what all of it costs, random numbers included.

A side that cannot be compiled is reported with the reason. Needs a C++ compiler.
"""

from __future__ import annotations

from typing import Any

import measure
import torch
from train_throughput import quiet

from adapter_stilts.model.backbone import load_encoder
from adapter_stilts.model.cpu_linear import linear_library, quicken

# Sequences and tokens of the sub-batches of about one step of HellaSwag, batch 16.
SUB_BATCHES = ((16, 40), (12, 52), (16, 64), (8, 90), (20, 33))
OWN, SAME = "compiled, numbers of its own", "compiled, the same numbers"


def encoder(folder: str, dropout: float | None, options: dict[str, Any] | None) -> Any:
    """The small encoder in training, its layers compiled where there are options."""
    made = load_encoder(folder, None, dropout, False)
    quicken(made)
    if options is not None:
        layers = made.encoder.layer
        for number, layer in enumerate(layers):
            layers[number] = torch.compile(layer, dynamic=True, options=options)
    return made.train()


def step(model: Any, batches: list[torch.Tensor]) -> float:
    """Seconds of a forward and backward pass over all sub-batches."""
    began = measure.now()
    for ids in batches:
        states = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        states.square().mean().backward()
    model.zero_grad(set_to_none=True)
    return measure.now() - began


def main() -> None:
    options = measure.parser(__doc__, rounds=7).parse_args()
    measure.use_clock(options.clock)
    quiet()
    conditions = measure.environment(options.threads)
    torch.manual_seed(0)
    batches = [torch.randint(5, 1000, shape) for shape in SUB_BATCHES]
    ways: dict[str, tuple[float | None, dict[str, Any] | None]] = {
        "as it is": (None, None),
        "without dropout": (0.0, None),
        OWN: (None, {}),
        SAME: (None, {"fallback_random": True}),
    }
    sides, refused = {}, {}
    for name, way in ways.items():
        model = encoder(str(options.base), *way)
        try:
            for _ in range(2):
                step(model, batches)
            sides[name] = model
        except Exception as error:  # whatever the compiler raises
            refused[name] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    found = measure.alternate(
        {name: lambda _, model=model: step(model, batches) for name, model in sides.items()},  # type: ignore[misc]
        options.rounds,
        "step",
    )
    measure.emit(
        {
            "benchmark": "compiled_layers",
            **conditions,
            "clock": options.clock,
            "capability": torch.backends.cpu.get_cpu_capability(),
            "linear_library": linear_library(),
            "seconds": {name: measure.spread(values, 4) for name, values in found.items()},
            "speed": {
                name: measure.ratios(found["as it is"], values)
                for name, values in found.items()
                if name != "as it is"
            },
            "refused": refused,
        },
        options.out,
    )


if __name__ == "__main__":
    main()
