"""A train set as one vector: the mean over its examples of the mean of an encoder's last states.

After the public code of Poth et al. 2021 (adapter-hub/efficient-task-transfer, task_selection/textemb.py): the mean
over a sequence's real tokens, special ones included. An example of several sequences (choices, windows) is their mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adapter_stilts.evaluation.predict import predict
from adapter_stilts.formats import get_format
from adapter_stilts.formats.features import Features
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.runtime import evaluation_tokens
from adapter_stilts.select.train_set import Floats


def embed(encoder: Any, features: Features) -> Floats:
    """The vector, (hidden size,).

    Args:
        encoder: a Transformers encoder, in evaluation mode.
    """
    model = TaskModel(encoder, None, None)
    retrieval = get_format("retrieval")  # its reduction is the mean over real tokens, in fp32
    budget = evaluation_tokens(model.device.type)
    reduced = predict(model, retrieval, features, retrieval.Settings(), budget)
    vectors = np.asarray(reduced["vector"], dtype=np.float64)
    counts = np.diff(features.sequences)
    examples = np.add.reduceat(vectors, features.sequences[:-1], axis=0) / counts[:, None]
    return np.asarray(examples.mean(axis=0))
