from __future__ import annotations

import numpy as np
import pytest

from adapter_stilts.formats import retrieval
from adapter_stilts.formats.examples import RetrievalExample


def pool(count: int) -> list[RetrievalExample]:
    sides = [("foreign", "dog"), ("english", "cat")]
    return [
        RetrievalExample(f"{side}-{row}", f"{word} {row}", side, str(row))
        for row in range(count)
        for side, word in sides
    ]


def test_nearest_in_both_directions() -> None:
    examples = pool(3)
    vectors = np.zeros((6, 3), dtype=np.float32)
    foreign, english = slice(0, None, 2), slice(1, None, 2)
    vectors[foreign] = np.eye(3) * 5  # length must not matter
    vectors[english] = [[0.1, 1, 0], [0, 1, 0.2], [0, 0.3, 1]]
    found = retrieval.decode(examples, None, {"vector": vectors}, retrieval.Settings(), ())
    assert found[english] == [1, 1, 2]
    assert found[foreign] == [0, 0, 2]  # English 0 leans more to foreign 1 than English 1 does


def test_padding_is_left_out_of_the_mean(tokenizer) -> None:
    import torch

    examples = pool(2)
    settings = retrieval.Settings()
    features = retrieval.encode(examples, tokenizer, settings, ())
    rows = np.arange(4)
    width = int(features.input_ids.lengths.max()) + 3
    states = torch.randn(4, width, 5, generator=torch.Generator().manual_seed(0))
    states[:, -1] = torch.nan
    reduced = retrieval.reduce(states, features, rows, settings)
    for row in rows:
        length = int(features.input_ids.lengths[row])
        np.testing.assert_allclose(reduced["vector"][row], states[row, :length].mean(0).numpy(), rtol=1e-5)


@pytest.mark.parametrize(("depth", "layer"), [(24, 14), (12, 7), (4, 2)])
def test_layer_is_the_studys_or_the_same_fraction(depth, layer) -> None:
    assert retrieval.layer_for(retrieval.Settings(), depth) == layer
    assert retrieval.layer_for(retrieval.Settings(layer=3), depth) == 3


def test_a_layer_the_encoder_lacks() -> None:
    with pytest.raises(ValueError, match="hidden states 0 to 4"):
        retrieval.layer_for(retrieval.Settings(layer=5), 4)


def test_stopping_early_gives_the_hidden_state_of_the_layer(tiny_encoder, tokenizer) -> None:
    import torch

    from adapter_stilts.model.task_model import TaskModel, states_of_layer

    encoder = tiny_encoder()
    model = TaskModel(encoder, None, retrieval).eval()
    features = retrieval.encode(pool(1), tokenizer, retrieval.Settings(), ())
    ids = torch.as_tensor(features.input_ids[0].astype(np.int64))[None]
    with torch.inference_mode():
        wanted = encoder(ids, output_hidden_states=True).hidden_states
    for layer in range(len(wanted)):
        with states_of_layer(model, layer):
            got = model.predict(features, np.asarray([0]))
        torch.testing.assert_close(got, wanted[layer])
    assert len(encoder.encoder.layer) == len(wanted) - 1
