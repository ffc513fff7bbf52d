"""Running one stage, whatever its kind: time and machine are recorded, and its directory appears whole."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from adapter_stilts.model.build import quick_linears
from adapter_stilts.model.cpu_linear import linear_library
from adapter_stilts.model.cpu_products import bf16_products, quick_products
from adapter_stilts.runtime import hardware, peak_memory, versions
from adapter_stilts.stages.context import Context, Machine
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.kinds import Running, kind_of
from adapter_stilts.stages.record import stage_record


def run_stage(stage: Stage, context: Context) -> Path:
    """Compute a stage and commit it; returns its directory. The caller holds the stage's lock."""
    began = time.perf_counter()
    machine = context.machine
    # Stages without one have fp32 files.
    precision = str(getattr(stage.part, "precision", "fp32"))

    def commit(added: Mapping[str, Any]) -> AbstractContextManager[Path]:
        record = {**stage_record(stage, _machine(machine, precision), began), **added}
        return machine.store.commit(stage, record)

    try:
        with quick_products(machine.device, precision):
            kind_of(stage.part).run(Running(stage, context, commit), stage.part)
    finally:
        # The accelerator holds on to every model and optimizer it prepared: a plan would keep them all.
        machine.accelerator.free_memory()
    machine.accelerator.wait_for_everyone()
    return machine.store.root / stage.name


def _machine(machine: Machine, precision: str) -> dict[str, Any]:
    """What stage.json says of where a stage ran."""
    quick = quick_linears(machine.device, precision)
    return {
        "versions": versions(),
        "hardware": {
            **hardware(machine.device),
            "linear_library": linear_library() if quick else "torch",
            **({} if precision == "fp32" else {"bf16_products": bf16_products(machine.device)}),
        },
        "processes": machine.accelerator.num_processes,
        "peak_memory": peak_memory(machine.device),
    }
