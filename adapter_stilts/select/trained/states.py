"""The states that a trained source has for a target's train set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from adapter_stilts.evaluation.predict import predict
from adapter_stilts.formats import get_format
from adapter_stilts.formats.base import Format
from adapter_stilts.formats.features import Column, Features, Indices, Ragged
from adapter_stilts.model.backbone import ResolvedBase
from adapter_stilts.model.build import build_encoder
from adapter_stilts.model.bundle_info import BundleInfo
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import check_installed, get_tuning
from adapter_stilts.model.tuning.base import TRAINED
from adapter_stilts.runtime import evaluation_tokens
from adapter_stilts.select.trained.labelled import Labelled
from adapter_stilts.select.trained.rows import Rows
from adapter_stilts.stages.precision import precision_of

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class _Picked:
    """Reduces a batch to the states of its rows, in fp32."""

    rows: Rows
    first_token: bool

    def reduce(self, outputs: Tensor, features: Features, rows: Indices, settings: Any) -> dict[str, Column]:
        import torch

        if self.rows.flags is None:
            if self.first_token:
                return {"states": outputs[:, 0].float().cpu().numpy()}
            retrieval = get_format("retrieval")  # its reduction is the mean over real tokens
            return {"states": retrieval.reduce(outputs, features, rows, settings)["vector"]}
        flags = self.rows.flags.take(rows)
        flagged = torch.as_tensor(flags.padded(np.arange(len(flags)), False), device=outputs.device)
        counts = flagged.sum(dim=1).cpu().numpy()
        return {"states": Ragged.from_lengths(outputs[flagged].float().cpu().numpy(), counts)}


def load_source(directory: Path, info: BundleInfo, base: ResolvedBase, device: str) -> TaskModel:
    """A bundle's encoder with its modules and without a head, in the precision that it was trained under.

    Raises:
        UsageError: its library is not installed.
        BundleError: it is damaged.
    """
    check_installed(info.tuning)
    tuning, precision = get_tuning(info.tuning), precision_of(info) or "fp32"
    encoder = build_encoder(base, tuning, tuning.Settings(), precision, directory, device=device)
    model = TaskModel(encoder, None, None, bf16=precision != "fp32")
    tuning.load_modules(model, directory, TRAINED)
    return model.to(device).eval()


def labelled_states(model: TaskModel, features: Features, rows: Rows) -> Labelled:
    """States of the encoder with the target's labels; rows without a label are left out.

    Args:
        model: of the source, without a head.
    """
    picked = cast(Format, _Picked(rows, model.has_first_token))
    budget = evaluation_tokens(model.device.type)
    states = predict(model, picked, features, None, budget)["states"]
    values = states.values if isinstance(states, Ragged) else states
    known = rows.labels >= 0
    return Labelled(np.asarray(values, dtype=np.float64)[known], rows.labels[known])
