"""What a process keeps from one stage for the next: examples and features that many stages of a matrix evaluate on."""

from __future__ import annotations

import gc
from collections import OrderedDict
from typing import Any

from adapter_stilts.stages.data import SplitData

MOST_EXAMPLES = 100_000
"""Of all splits that are kept; at a few KB each they take some hundred MB."""


class Kept:
    """Dev and test splits, the last used ones.

    Train splits are not among them: their examples are read to be encoded, once, and their features are mapped from
    the cache.
    """

    def __init__(self) -> None:
        self._splits: OrderedDict[tuple[Any, ...], SplitData] = OrderedDict()

    def split(self, asked: SplitData) -> SplitData:
        """A split as it was asked for before, with what was read of it, or the one that is asked for now."""
        if asked.split == "train" or asked.draw is not None:
            return asked
        key = (
            *(asked.task.name, asked.task.labels, asked.split, asked.language, asked.limit),
            *(tuple(sorted(asked.options.items())), asked.settings.model_dump_json(), id(asked.tokenizer)),
        )
        found = self._splits.setdefault(key, asked)
        self._splits.move_to_end(key)
        while self._examples() > MOST_EXAMPLES and len(self._splits) > 1:
            self._splits.popitem(last=False)
        return found

    def _examples(self) -> int:
        """Examples that were read; a cached property is in the object's dictionary once it was asked for."""
        return sum(len(split.__dict__.get("examples", ())) for split in self._splits.values())


def settle() -> None:
    """Take what is alive now out of the garbage collector's view: the libraries and what is kept, until the end.

    After each stage accelerate collects garbage, which looks at every object there is: with Transformers loaded that
    takes longer than a small stage's encoder. Only for processes that run stages and nothing else.
    """
    gc.collect()
    gc.freeze()
