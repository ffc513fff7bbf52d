"""How long the study's matrix takes on a card that is not at hand: arithmetic over the data sets' published sizes.

    python benchmarks/study_hours.py --base XLMR            # XLMR: a folder with XLM-R's tokenizer
    python benchmarks/study_hours.py --base XLMR --tflops 80

An estimate: nothing is trained. `matrix --dry-run --calibrate` measures instead, on the card that it runs on.

Tokens of a pass are a train set's published size (dataset_infos of the hub) times its mean length, of the slices below
`--data` with the study's formats where there are enough rows, else of ASSUMED. A pass costs 6 operations a token and
parameter of XLM-R Large's 24 layers (303 M; embeddings are looked up) in full mode, forward, back, and for the weights'
gradients (Kaplan et al. 2020, appendix B: 2 forward, 4 back); 4 with LoRA, whose frozen weights have no gradients; 2 of
an evaluation. Attention's own products add less than a twentieth at these lengths and are left out, as are evaluations
on dev (500 examples every 1,000 steps of 4) and what 8-bit weights cost to be read. A card does `--tflops` of them:
35e12 a second is half of what NVIDIA states of an RTX 3090's tensor cores in half precision (71e12 with 16-bit sums);
what a step reaches on such a card was not measured.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import measure

from adapter_stilts.errors import AdapterStiltsError
from adapter_stilts.formats import get_format
from adapter_stilts.formats.features import item_lengths
from adapter_stilts.model.backbone import load_tokenizer, resolve_base
from adapter_stilts.recipe import Base, load_recipe
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.sources import Source, open_source

SIZES = {
    "mnli": 392_702,
    "qqp": 363_846,
    "squad_v2": 130_319,
    "squad_v1": 87_599,
    "hellaswag": 39_905,
    "ccg": 38_015,
    "cosmosqa": 25_262,
    "commonsenseqa": 9_741,
    "anli": 162_865,
    "snli": 550_152,
    "pawsx": 49_401,
    "udpos": 21_253,
    "panx": 20_000,
    "tydiqa": 3_696,
}
"""Examples of the train sets: the hub's dataset_infos; CCG and TyDiQA as the study's table 1 has them."""
ASSUMED = {
    "mnli": 43,
    "qqp": 33,
    "ccg": 33,
    "pawsx": 60,
    "panx": 14,
    "tydiqa": 200,
    "tatoeba": 14,
    "xquad": 220,
    "mlqa": 220,
}
"""Tokens of an example where the slices hold none, or few: ours, from the sets' mean numbers of words."""
FEW = 100
INTERMEDIATE = {
    "anli_plus": ("anli", "mnli", "snli"),
    **{
        name: (name,)
        for name in ("mnli", "qqp", "squad_v2", "squad_v1", "hellaswag", "ccg", "cosmosqa", "commonsenseqa")
    },
}
TARGETS = {
    "xnli": "mnli",
    "pawsx": "pawsx",
    "udpos": "udpos",
    "panx": "panx",
    "xquad, mlqa": "squad_v1",
    "tydiqa": "tydiqa",
}
"""What trains each: two that train on the same are trained once."""
EVALUATED = ("xnli", "pawsx", "udpos", "panx", "xquad", "mlqa", "tatoeba")
EVALUATED_AS = {"xnli": "mnli"}
BUCC_SENTENCES = 2_000_000
"""In the mining pools of BUCC's test sets, about; each is encoded once for a cell."""
PARAMETERS = 24 * 12 * 1024**2
OPERATIONS = {"full": 6, "lora": 4}


def arguments() -> argparse.Namespace:
    options = measure.parser(__doc__, 1)
    options.add_argument("--tflops", type=float, default=35.0, help="10^12 operations a second (default 35)")
    return options.parse_args()


def lengths_of(data: Path, base: Path) -> dict[str, dict[str, Any]]:
    """Task -> mean tokens of a train example, and of how many it was measured (0: assumed)."""
    source, recipe = open_source(data), load_recipe("study")
    tokenizer = load_tokenizer(resolve_base(Base(id=str(base))))
    found = {}
    for name in dict.fromkeys([*SIZES, *ASSUMED]):
        rows, tokens = _encoded(name, source, tokenizer, recipe) if name not in ASSUMED else (0, 0)
        if rows < FEW and name not in ASSUMED:
            raise SystemExit(
                f"{name}: {rows} train examples below {data}, at least {FEW} are needed for a mean length"
            )
        found[name] = {
            "tokens": round(tokens / rows, 1) if rows else ASSUMED[name],
            "measured_on": rows,
        }
    return found


def _encoded(name: str, source: Source, tokenizer: Any, recipe: Any) -> tuple[int, int]:
    """Examples of a train set below the data's folder, and their tokens."""
    task = get_task(name)
    format = get_format(task.format)
    try:
        examples = source.examples(task, "train", "en", {})
    except AdapterStiltsError as error:
        raise SystemExit(f"{name}: {error}") from error
    settings = format.Settings(**recipe.formats.get(task.format, {}))
    features = format.encode(examples, tokenizer, settings, task.labels)
    return len(examples), int(item_lengths(features, format.ITEMS).sum())


def tokens_of(lengths: dict[str, dict[str, Any]], epochs: float) -> dict[str, float]:
    """Tokens of the matrix of one mode and seed: intermediate stages, target stages, evaluations."""

    def of(name: str) -> float:
        return float(SIZES[name] * lengths[name]["tokens"])

    each = [sum(of(part) for part in parts) for parts in INTERMEDIATE.values()]
    evaluated = BUCC_SENTENCES * 25.0
    for name in EVALUATED:
        sizes = get_task(name).test_sizes
        evaluated += sum(sizes.values()) * lengths[EVALUATED_AS.get(name, name)]["tokens"]
    cells = len(INTERMEDIATE) + 2  # none, and all
    return {
        "intermediate": epochs * 2 * sum(each),  # each, and all of them in one stage
        "target": epochs * cells * sum(of(name) for name in TARGETS.values()),
        "evaluation": cells * evaluated,
    }


def hours(tokens: dict[str, float], operations: int, tflops: float) -> float:
    trained = tokens["intermediate"] + tokens["target"]
    return (operations * trained + 2 * tokens["evaluation"]) * PARAMETERS / (tflops * 1e12) / 3600


def main() -> None:
    options = arguments()
    lengths = lengths_of(options.data, options.base)
    epochs = load_recipe("study").target.epochs
    tokens = tokens_of(lengths, epochs)
    measure.emit(
        {
            "benchmark": "study_hours",
            **measure.environment(options.threads),
            "command": measure.command(),
            "estimate": True,
            "operations_per_second": options.tflops * 1e12,
            "parameters": PARAMETERS,
            "epochs": epochs,
            "sizes": SIZES,
            "lengths": lengths,
            "million_tokens": {name: round(count / 1e6) for name, count in tokens.items()},
            "hours_a_seed": {
                mode: round(hours(tokens, operations, options.tflops), 1)
                for mode, operations in OPERATIONS.items()
            },
        },
        options.out,
    )


if __name__ == "__main__":
    main()
