"""Which states count, by format; and that they are what the encoder itself says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.library import plan_train
from adapter_stilts.model.bundle import read_bundle
from adapter_stilts.select.reading import TrainSets
from adapter_stilts.select.trained import TRAINED
from adapter_stilts.select.trained.labelled import Labelled
from adapter_stilts.select.trained.rows import ROWS
from adapter_stilts.select.trained.states import labelled_states, load_source
from adapter_stilts.stages.drawing import Draw
from adapter_stilts.stages.planning.request import Request
from adapter_stilts.tasks import get_task

SHELF = Path(__file__).resolve().parents[2] / "adapters_hub"


def features(lengths: list[int], sequences: list[int], **columns: dict[str, object]) -> Features:
    ids = Ragged.from_lengths(np.arange(sum(lengths)), lengths)
    return Features(ids, np.asarray(sequences), None, **columns)  # type: ignore[arg-type]


def test_a_choice_is_right_or_not() -> None:
    given = features([2] * 5, [0, 3, 5], per_example={"label": np.asarray([1, -1])})
    rows = ROWS["multiple_choice"](given)
    assert rows.flags is None
    assert rows.labels.tolist() == [0, 1, 0, -1, -1]


def test_a_word_has_the_state_of_its_first_piece() -> None:
    gold = Ragged.from_lengths(np.asarray([-1, 4, -1, 2, -1, -1, 3, -1], dtype=np.int16), [5, 3])
    rows = ROWS["tagging"](features([5, 3], [0, 1, 2], per_sequence={"gold": gold}))
    assert rows.flags is not None
    assert np.flatnonzero(rows.flags.values).tolist() == [1, 3, 6]
    assert rows.labels.tolist() == [4, 2, 3]


def test_of_a_passage_answers_and_ten_others_for_each_piece_of_them() -> None:
    """Two windows of 40 tokens, whose passage begins at 5; the first holds an answer, the second does not."""
    columns = {
        "start": np.asarray([10, 0]),
        "end": np.asarray([12, 0]),
        "context_start": np.asarray([5, 5]),
        "context_length": np.asarray([30, 30]),
    }
    rows = ROWS["span_qa"](features([40, 40], [0, 2], per_sequence=columns))
    assert rows.flags is not None
    places = np.flatnonzero(rows.flags.values)
    told = dict(zip(places.tolist(), rows.labels.tolist(), strict=True))
    assert (told[10], told[12]) == (1, 2)
    assert sorted(rows.labels.tolist()) == [0] * 20 + [1, 2]
    assert all(5 <= place % 40 < 35 for place in places)


def test_an_answer_of_one_piece_is_its_beginning() -> None:
    columns = {name: np.asarray([value]) for name, value in (("start", 6), ("end", 6), ("context_start", 5))}
    rows = ROWS["span_qa"](features([9], [0, 1], per_sequence={**columns, "context_length": np.asarray([3])}))
    assert rows.labels.tolist() == [0, 1, 0]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> TrainSets:
    study = plan_train("none", "tydiqa", recipe="miniature")
    request = Request(study.recipe, study.source, lambda: study.base)
    return TrainSets(request, tmp_path_factory.mktemp("cache"), "cpu", Draw(12, 0))


@pytest.mark.parametrize("task", ["tydiqa", "panx", "mnli", "hellaswag"])
def test_states_are_the_trained_encoder_s(sets: TrainSets, task: str) -> None:
    directory = SHELF / "squad_v1-full"
    model = load_source(directory, read_bundle(directory), sets.request.base, "cpu")
    sample = sets.sample(get_task(task), None).features
    rows = ROWS[get_task(task).format](sample)
    found = labelled_states(model, sample, rows)
    expected = []
    for row in range(sample.num_sequences):
        ids = torch.as_tensor(sample.input_ids[row].astype(np.int64))[None]
        with torch.inference_mode():
            states = model.encoder(input_ids=ids).last_hidden_state[0].numpy()
        chosen = [0] if rows.flags is None else np.flatnonzero(rows.flags[row])
        expected += [states[place] for place in chosen]
    assert found.labels.tolist() == rows.labels.tolist()
    np.testing.assert_allclose(found.states, np.asarray(expected), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", TRAINED)
def test_planted_bugs_are_told_by_the_number(sets: TrainSets, name: str) -> None:
    """SQuAD's states tell TyDiQA's answers; not with the labels shuffled, nor with its layers in another order."""
    directory = SHELF / "squad_v1-full"
    model = load_source(directory, read_bundle(directory), sets.request.base, "cpu")
    sample = sets.sample(get_task("tydiqa"), None).features
    rows = ROWS["span_qa"](sample)
    right = labelled_states(model, sample, rows)
    order = np.random.default_rng(0).permutation(len(right.labels))
    shuffled = Labelled(right.states, right.labels[order])
    layers = model.encoder.encoder.layer  # type: ignore[union-attr]
    model.encoder.encoder.layer = torch.nn.ModuleList(list(layers)[::-1])  # type: ignore[arg-type, union-attr]
    turned = labelled_states(model, sample, rows)
    score = TRAINED[name].score
    assert score(right) - score(shuffled) > 0.1
    assert score(right) - score(turned) > 0.1
