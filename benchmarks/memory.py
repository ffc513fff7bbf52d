"""Memory of training steps: each tuning x precision, measured, and `adapter-stilts fit`'s estimate of it.

    python benchmarks/memory.py                                              # XLM-R Large's shape: hours, 24 GB
    python benchmarks/memory.py --geometry base --cells lora/8bit,full/fp32 --lengths 128
    python benchmarks/memory.py --geometry nano                              # minutes

Each cell is a process of its own: it loads a random checkpoint of the geometry as a stage loads it (fp32 on disk,
XLM-R's 250,002 rows of embeddings), attaches the tuning, and takes `--steps` optimizer steps (two: in the second, the
optimizer's state of the first is there) of `--batch` sequences in one pass. On a CPU the peak is the resident size
(VmHWM), of the whole process and, with the mark reset after loading, of training alone; on a GPU it is what torch
allocated. `recipe` cells are the shipped recipes' settings.

Reported for each cell: measured bytes, the estimate, its error, and the ratio to full fine-tuning in fp32 with AdamW
at the same batch and length (whole process). A cell whose estimate is above the free memory, or `--limit`, is left out
and named. Cells that the file of `--out` holds are not measured again, but estimated; each is written once it is done.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import measure

REFERENCE = "full/fp32"
PRECISIONS = {"full": ("fp32", "bf16")}
RECIPES = ("study-lora-8bit", "study-adapter-8bit", "study-fusion", "lowmem-full")
# lowmem-full with the embedding table trained by rows, in the place of frozen.
SPARSE = "recipe:lowmem-full+sparse"
NANO = (4, 256, 4)


# --- what is measured ---------------------------------------------------------------------------------------------


def geometry(name: str) -> dict[str, Any]:
    """The encoder's config; nano is 4 layers of 256, with the real vocabulary."""
    from adapter_stilts.model.skeleton import geometries

    if name != "nano":
        return geometries()[f"xlmr-{name}"]
    layers, hidden, heads = NANO
    sizes = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads}
    return {**geometries()["xlmr-base"], **sizes, "intermediate_size": 4 * hidden}


def all_cells() -> list[str]:
    """MODE/PRECISION, the reference first, and recipe:NAME."""
    from adapter_stilts.model.tuning import tuning_names

    modes = sorted(tuning_names(), key=lambda name: name != "full")
    cells = [f"{m}/{p}" for m in modes for p in PRECISIONS.get(m, ("fp32", "bf16", "8bit", "4bit"))]
    return [*cells, *(f"recipe:{name}" for name in RECIPES), SPARSE]


def training_of(cell: str, config: dict[str, Any], device: str) -> Any:
    """The `Training` of a cell."""
    from adapter_stilts.model.tuning import get_tuning, tuning_settings
    from adapter_stilts.recipe import load_recipe
    from adapter_stilts.training.memory import Training

    kind, _, name = cell.partition(":")
    if kind == "recipe":
        name, _, sparse = name.partition("+")
        changes = {"tuning.full.freeze_embeddings": False, "tuning.full.sparse_embeddings": True}
        recipe = load_recipe(name, changes.items() if sparse else ())
        settings = tuning_settings(recipe.mode, recipe.tuning)
        chosen = Training(config, recipe.mode, settings, recipe.precision, recipe.optimizer)
        checkpointing, combine = recipe.gradient_checkpointing, recipe.frozen_under
        return replace(chosen, gradient_checkpointing=checkpointing, combine=combine, device=device)
    mode, _, precision = cell.partition("/")
    return Training(config, mode, get_tuning(mode).Settings(), precision, device=device)


def write_checkpoint(config: dict[str, Any], folder: Path) -> None:
    """Random weights in fp32, as XLM-R's are on the hub."""
    import torch
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    values = {name: value for name, value in config.items() if name != "model_type"}
    made = AutoConfig.for_model(config["model_type"], **values)
    AutoModel.from_config(made, add_pooling_layer=False).save_pretrained(folder)


# --- one cell, in a process of its own ----------------------------------------------------------------------------


def run_cell(options: argparse.Namespace) -> dict[str, Any]:
    """Load, attach, train; returns measured bytes and the estimate."""
    import gc

    import torch

    from adapter_stilts.formats import get_format
    from adapter_stilts.model.backbone import load_encoder
    from adapter_stilts.model.cpu_linear import keep_few_products, quicken
    from adapter_stilts.model.cpu_products import quick_products
    from adapter_stilts.model.heads import Head
    from adapter_stilts.model.skeleton import LABELS, attach
    from adapter_stilts.model.task_model import TaskModel
    from adapter_stilts.model.tuning import get_tuning
    from adapter_stilts.recipe import TrainingSettings
    from adapter_stilts.runtime import peak_memory
    from adapter_stilts.training.optim import build_optimizer
    from adapter_stilts.training.sparse_rows import clipped

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device, length = options.device, int(options.lengths)
    training = training_of(options.cell, geometry(options.geometry), device)
    tuning = get_tuning(training.mode)
    weights = tuning.backbone_weights(training.settings, training.precision)
    checkpointing = training.gradient_checkpointing
    if training.precision != "fp32":
        keep_few_products()
    encoder = load_encoder(str(options.checkpoint), None, None, checkpointing, weights, device)
    if device == "cpu" and training.precision == "fp32":
        quicken(encoder)
    format = get_format("pair_classification")
    shape = format.head_shape(LABELS)
    assert shape is not None
    head = Head(shape, encoder.config.hidden_size, 0.1, 0.02, seed=0)
    model = TaskModel(encoder, head, format, bf16=training.precision != "fp32")
    attach(model, tuning, training.settings, training.combine, training.parents)
    model.to(device).train()
    gc.collect()
    before = status_bytes("VmHWM") if device == "cpu" else peak_memory(device)["cuda"]
    reset_peak(device)
    optimizer = build_optimizer(model, TrainingSettings(), training.optimizer)
    micro, seconds = micro_batch(options.batch, length), []
    for _ in range(options.steps):
        began = time.process_time()
        with quick_products(device, training.precision):
            model(micro).backward()
        torch.nn.utils.clip_grad_norm_(clipped(optimizer, model.parameters()), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(round(time.process_time() - began, 2))
    trained = status_bytes("VmHWM") if device == "cpu" else peak_memory(device)["cuda"]
    return {
        "training_peak": trained,
        "loading_peak": before,
        "peak": max(trained, before),
        "cpu_seconds": seconds,
        "steps": options.steps,
        # Of the peak, pages of files (libraries; fp32 weights that are used where they lie), which the system may drop.
        **({"file_pages": status_bytes("RssFile")} if device == "cpu" else {}),
    }


def micro_batch(batch: int, length: int) -> Any:
    """All sequences full but for one token, so that attention gets a mask as it does with real text."""
    import numpy as np

    from adapter_stilts.formats.features import Features, Ragged
    from adapter_stilts.model.task_model import MicroBatch

    lengths = np.full(batch, length)
    lengths[-1] -= 1
    ids = np.random.default_rng(0).integers(5, 250_000, size=int(lengths.sum())).astype(np.int32)
    labels = {"label": np.zeros(batch, dtype=np.int64)}
    features = Features(Ragged.from_lengths(ids, lengths), np.arange(batch + 1), per_example=labels)
    rows = np.arange(batch)
    return MicroBatch(features, rows, [rows], 1 / batch)


def reset_peak(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def status_bytes(name: str) -> int:
    """Of /proc/self/status: VmHWM, the most that was resident since the mark was reset; RssFile, of files, now."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"no {name} in /proc/self/status: measure on Linux")


# --- all cells ----------------------------------------------------------------------------------------------------


def estimate(cell: str, config: dict[str, Any], batch: int, length: int, device: str) -> dict[str, int]:
    import numpy as np

    from adapter_stilts.training.memory import usage

    rows = len(np.unique(micro_batch(batch, length).features.input_ids.values))
    found = usage(replace(training_of(cell, config, device), rows=rows), batch, length)
    names = ("weights", "gradients", "optimizer", "activations", "process", "peak")
    bytes_ = {name: int(getattr(found, name)) for name in names}
    if device == "cuda":  # torch counts its tensors, and not the context
        bytes_["peak"] -= bytes_["process"]
    return bytes_ | {"trained_parameters": found.trained_parameters, "parameters": found.parameters}


def measured(cell: str, length: int, checkpoint: Path, options: argparse.Namespace) -> dict[str, Any]:
    given = {"--cell": cell, "--checkpoint": checkpoint, "--lengths": length, "--geometry": options.geometry}
    given |= {"--batch": options.batch, "--steps": options.steps, "--device": options.device}
    given |= {} if options.threads is None else {"--threads": options.threads}
    words = [str(word) for pair in given.items() for word in pair]
    ran = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True)
    if ran.returncode != 0:
        lines = ran.stderr.strip().splitlines()
        return {"failed": lines[-1] if lines else f"ended with {ran.returncode}"}
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def free_memory(device: str) -> int:
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def compare(options: argparse.Namespace, checkpoint: Path, result: dict[str, Any]) -> None:
    """Every cell at every length, into the result's ``cells``; what it holds already is not measured again."""
    config = geometry(options.geometry)
    limit = free_memory(options.device) if options.limit is None else int(options.limit * 2**30)
    for length in (int(text) for text in str(options.lengths).split(",")):
        rows = result["cells"].setdefault(str(length), {})
        for cell in options.cells.split(",") if options.cells else all_cells():
            told = estimate(cell, config, options.batch, length, options.device)
            row: dict[str, Any] = {**rows.get(cell, {}), "estimate": told}
            if "peak" not in row and told["peak"] > limit:
                row["left_out"] = "the estimate is above the memory that may be used"
            elif "peak" not in row:
                row = {"estimate": told} | measured(cell, length, checkpoint, options)
            rows[cell] = row
            judge(rows)
            if options.out is not None:
                options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
            shown = {name: value for name, value in row.items() if name != "estimate"}
            measure.say(f"length {length} {cell}: {json.dumps(shown)}")


def judge(rows: dict[str, Any]) -> None:
    """Errors of the estimates, and ratios to the reference: to its estimate where it does not fit the memory."""
    reference = rows.get(REFERENCE, {})
    for row in rows.values():
        if "peak" not in row:
            continue
        row["error"] = round(row["estimate"]["peak"] / row["peak"] - 1, 4)
        if "peak" in reference:
            row["ratio"] = round(row["peak"] / reference["peak"], 4)
            row["training_ratio"] = round(row["training_peak"] / reference["training_peak"], 4)
        elif reference:
            row["ratio_to_estimate"] = round(row["peak"] / reference["estimate"]["peak"], 4)


def before(options: argparse.Namespace, result: dict[str, Any]) -> dict[str, Any]:
    """The cells of an earlier run with these settings, in ``--out``'s file."""
    if options.out is None or not options.out.is_file():
        return {}
    found: dict[str, Any] = json.loads(options.out.read_text(encoding="utf-8"))
    alike = ("geometry", "batch", "steps", "device", "versions")
    return found["cells"] if all(found.get(name) == result[name] for name in alike) else {}


def main() -> None:
    import torch

    parser = measure.parser(__doc__, rounds=1, data=False)
    parser.add_argument("--geometry", choices=("nano", "base", "large"), default="large")
    parser.add_argument(
        "--cells", help="MODE/PRECISION and recipe:NAME with commas (default: all that exist)"
    )
    parser.add_argument("--batch", type=int, default=8, help="sequences of a step, in one pass (default 8)")
    parser.add_argument("--lengths", default="128,384", help="tokens of each (default 128,384)")
    parser.add_argument("--steps", type=int, default=2, help="optimizer steps of a cell (default 2)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: a GPU where there is one")
    parser.add_argument("--limit", type=float, help="GiB that a cell may take (default: what is free)")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint", type=Path, help="folder of such weights (default: made anew)")
    options = parser.parse_args()
    options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if options.cell is not None:
        print(json.dumps(run_cell(options)))
        return
    result = {
        "benchmark": "memory",
        **measure.environment(options.threads, options.device),
        "geometry": options.geometry,
        "batch": options.batch,
        "steps": options.steps,
    }
    with measure.scratch() as folder:
        # In a process of its own: this one's size is the estimate's.
        code = "import sys; sys.path.insert(0, sys.argv[1]); import memory; from pathlib import Path; "
        code += "memory.write_checkpoint(memory.geometry(sys.argv[2]), Path(sys.argv[3]))"
        here = str(Path(__file__).parent)
        if options.checkpoint is None:
            subprocess.run([sys.executable, "-c", code, here, options.geometry, str(folder)], check=True)
        result["cells"] = before(options, result)
        compare(options, options.checkpoint or folder, result)
    measure.emit(result, options.out)


if __name__ == "__main__":
    main()
