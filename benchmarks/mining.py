"""Margin mining: its time against that of the matrix product it needs, and its memory.

    python benchmarks/mining.py --threads 1
    python benchmarks/mining.py --vectors 5000 --rounds 1        # a quick look

Two sets of random vectors stand for the sentences of two languages. A share of the first has a counterpart among the
second: the same direction with noise added, so that the planted pair's cosine is far above that of any other two, and
one vector in twenty has a near double on its own side. Mining looks for the neighbours of every vector in both
directions, scores the candidates by ratio margin and pairs them (`evaluate.mining.mine`).

The product compared with is the same blocks of the same size from the same library (`library` tells which), and
nothing done with them. The sides alternate in one run; a warm-up round of each is thrown away. Peak memory is that of
the process, with the vectors, Python and torch in it, and is taken after the last round.
"""

from __future__ import annotations

from typing import Any

import measure
import numpy as np
import torch

from adapter_stilts.evaluation.metrics import bucc_scores
from adapter_stilts.evaluation.mining import BLOCKS, Array, mine, similarity_blocks
from adapter_stilts.model import cpu_linear
from adapter_stilts.runtime import peak_memory


def planted(count: int, dimensions: int, share: float, seed: int) -> tuple[Array, Array, dict[int, int]]:
    """Two sets of vectors, and the counterpart of each of the first that has one."""
    random = np.random.default_rng(seed)
    first = random.standard_normal((count, dimensions), dtype=np.float32)
    second = random.standard_normal((count, dimensions), dtype=np.float32)
    # By blocks: a whole third set would be the peak of memory.
    doubles = np.flatnonzero(random.random(count - 1) < 0.05)
    for start in range(0, len(doubles), 4096):
        rows = doubles[start : start + 4096]
        first[rows] = 0.5 * first[rows] + 0.5 * first[rows + 1]
    pairs = int(count * share)
    left, right = random.permutation(count)[:pairs], random.permutation(count)[:pairs]
    for start in range(0, pairs, 4096):
        rows, counterparts = left[start : start + 4096], right[start : start + 4096]
        second[counterparts] = first[rows] + 0.7 * second[counterparts]
    first *= random.uniform(0.5, 20, size=(count, 1)).astype(np.float32)  # lengths must not matter
    return first, second, dict(zip(left.tolist(), right.tolist(), strict=True))


def product_only(first: Array, second: Array, device: str) -> float:
    """Seconds of the blocked product."""
    began = measure.now(device)
    for _ in similarity_blocks(first, second, device):
        pass
    return measure.now(device) - began


def main() -> None:
    parser = measure.parser(__doc__, rounds=1, data=False)
    parser.add_argument("--vectors", type=int, default=50_000, help="a side (default 50000)")
    parser.add_argument("--dimensions", type=int, default=1024, help="of each (default 1024)")
    parser.add_argument("--share", type=float, default=0.2, help="with a counterpart (default 0.2)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: a GPU where there is one")
    options = parser.parse_args()
    measure.use_clock(options.clock)
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    environment = measure.environment(options.threads, device)
    first, second, truth = planted(options.vectors, options.dimensions, options.share, seed=0)
    before = peak_memory(device)
    found: dict[str, Any] = {}

    def mining(_: int) -> float:
        began = measure.now(device)
        found["mined"] = mine(first, second, device=device)
        return measure.now(device) - began

    seconds = measure.alternate(
        {"product": lambda _: product_only(first, second, device), "mining": mining}, options.rounds, "mining"
    )
    after = peak_memory(device)
    mined = found["mined"]
    right = np.asarray([truth.get(int(i)) == int(j) for i, j in zip(mined.first, mined.second, strict=True)])
    best = {
        (int(i), int(j)) for i, j in zip(mined.first[: len(truth)], mined.second[: len(truth)], strict=True)
    }
    result = {
        "benchmark": "mining",
        **environment,
        "clock": options.clock,
        "library": cpu_linear.linear_library() if device == "cpu" else "torch",
        "vectors": options.vectors,
        "dimensions": options.dimensions,
        "blocks": vars(BLOCKS[device]),
        "planted": len(truth),
        "planted_found": int(right.sum()),
        # Of as many best pairs as were planted.
        "scores_of_the_best": {name: round(v, 3) for name, v in bucc_scores(truth.items(), best).items()},
        "rounds": options.rounds,
        "product_seconds": measure.spread(seconds["product"], 2),
        "mining_seconds": measure.spread(seconds["mining"], 2),
        **measure.ratios(seconds["mining"], seconds["product"]),
        "peak_bytes_before_mining": before,
        "peak_bytes": after,
        "peak_gb": round(after["resident"] / 1e9, 3),
    }
    measure.emit(result, options.out)


if __name__ == "__main__":
    main()
