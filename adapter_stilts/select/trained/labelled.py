"""States of an encoder, and the label that the target has for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from adapter_stilts.select.train_set import Floats


@dataclass(frozen=True)
class Labelled:
    """Rows of states with their labels.

    Args:
        states: (rows, hidden size).
        labels: (rows,) numbers of classes; those that stand in no row do not count.
    """

    states: Floats
    labels: npt.NDArray[np.int64]

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """The classes that occur, sorted."""
        return np.unique(self.labels)
