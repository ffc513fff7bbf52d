"""Short trainings, and what they tell: TaskEmb of tasks and few-shot transfer of bundles, also under planted bugs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapter_stilts.formats import get_format
from adapter_stilts.formats.features import Features
from adapter_stilts.library import plan_train
from adapter_stilts.model.bundle import read_bundle
from adapter_stilts.model.task_model import MicroBatch
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.select import short as short_module
from adapter_stilts.select.bundles import TrainedSource
from adapter_stilts.select.estimators import task_embedding
from adapter_stilts.select.fisher import fisher, layer_of
from adapter_stilts.select.reading import Sample, TrainSets
from adapter_stilts.select.short import Short, new_model, short_of, train_short
from adapter_stilts.select.short_runs import SHORT_RUNS, training_curve
from adapter_stilts.select.short_runs import short_run as short_run_module
from adapter_stilts.select.short_runs.short_run import ShortRun, dev_of, short_run
from adapter_stilts.select.train_set import TrainSet
from adapter_stilts.select.updates import UPDATES
from adapter_stilts.select.updates.update import update_of, update_of_bundle
from adapter_stilts.stages.drawing import Draw
from adapter_stilts.stages.planning.request import Request
from adapter_stilts.tasks import get_task

SHELF = Path(__file__).resolve().parents[2] / "adapters_hub"


@pytest.fixture(scope="module")
def request_() -> Request:
    study = plan_train("none", "tydiqa", recipe="miniature", mode="lora")
    return Request(study.recipe, study.source, lambda: study.base)


@pytest.fixture
def sets(request_: Request, tmp_path: Path) -> TrainSets:
    return TrainSets(request_, tmp_path, "cpu", Draw(32, 0))


@pytest.fixture(scope="module")
def short(request_: Request) -> Short:
    return short_of(request_, 8)


def turned(features: Features) -> Features:
    """Questions with the answers of others: each begins and ends where another's does, within its own passage."""
    columns = dict(features.per_sequence)
    first, length = (np.asarray(columns[name]) for name in ("context_start", "context_length"))
    for name in ("start", "end"):
        places = np.roll(np.asarray(columns[name]) - first, 3)
        columns[name] = (first + places % length).astype(np.asarray(columns[name]).dtype)
    return replace(features, per_sequence=columns)


def test_a_short_training_is_the_recipe_s_with_its_steps(short: Short) -> None:
    assert (short.mode, short.seed) == ("lora", 0)
    assert (short.training.max_steps, short.training.learning_rate, short.training.batch_size) == (
        8,
        3e-3,
        16,
    )


def test_a_short_training_takes_no_mean_of_weights_and_keeps_no_evaluation(short: Short) -> None:
    """The recipe's mean is over more steps than there are; neither of the two is told apart in the cache."""
    settings = ("target.average=20", "target.keep_evaluations=true")
    study = plan_train("none", "tydiqa", recipe="miniature", mode="lora", settings=settings)
    asked = Request(study.recipe, study.source, lambda: study.base)
    assert (asked.recipe.target.average, asked.recipe.target.keep_evaluations) == (20, True)
    found = short_of(asked, 8)
    assert (found.training.average, found.training.keep_evaluations) == (None, False)
    assert found.to_json() == short.to_json()


def test_it_trains_the_modules_and_the_head_alone_and_alike_each_time(sets: TrainSets, short: Short) -> None:
    task = sets.labelled(get_task("mnli"))
    features = sets.sample(task, None).features
    states = []
    for _ in range(2):
        model = new_model(task, sets.request.base, short, "cpu")
        begun = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        train_short(model, features, short, "cpu")
        ended = model.state_dict()
        moved = {name for name, tensor in ended.items() if not torch.equal(tensor, begun[name])}
        assert moved == set(get_tuning("lora").state(model))
        states.append({name: ended[name].clone() for name in moved})
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_fisher_is_the_mean_square_of_each_example_s_gradient(sets: TrainSets, short: Short) -> None:
    task = sets.labelled(get_task("mnli"))
    whole = sets.sample(task, None).features
    features = whole.select(np.arange(3))
    model = new_model(task, sets.request.base, short, "cpu")
    train_short(model, whole, short, "cpu")
    found = fisher(model, features)
    squares: dict[str, list[np.ndarray]] = {}
    for row in range(3):
        one = features.select(np.asarray([row]))
        model.zero_grad()
        ids = torch.as_tensor(one.input_ids[0].astype(np.int64))[None]
        states = model.encoder(input_ids=ids).last_hidden_state
        assert model.head is not None
        logits = model.head(states)
        label = torch.as_tensor(one.per_example["label"].astype(np.int64))
        torch.nn.functional.cross_entropy(logits, label).backward()
        for name, parameter in model.encoder.named_parameters():
            if parameter.grad is not None and parameter.requires_grad:
                squares.setdefault(name, []).append(parameter.grad.numpy().astype(np.float64) ** 2)
    layers: dict[str, list[np.ndarray]] = {}
    for name, values in squares.items():
        layers.setdefault(layer_of(name), []).append(np.mean(values, axis=0).flatten())
    assert found.keys() == layers.keys()
    for layer, parts in layers.items():
        np.testing.assert_allclose(found[layer], np.concatenate(parts), rtol=1e-3, atol=1e-12)


def test_before_training_the_second_factor_alone_has_gradients(sets: TrainSets, short: Short) -> None:
    """B is 0 at first, so that nothing reaches A: its half of each layer's numbers is 0, and B's is not."""
    task = sets.labelled(get_task("tydiqa"))
    model = new_model(task, sets.request.base, short, "cpu")
    for layer, values in fisher(model, sets.sample(task, None).features.select(np.arange(4))).items():
        first: Any = model.encoder.get_submodule(layer)
        size = first.lora_A["task"].weight.numel()
        assert not values[:size].any()
        assert values[size:].any()


def likeness(sets: TrainSets, short: Short, *names: str) -> float:
    one, other = (
        sets.trained(TrainSet("span_qa", 1, np.ones(1), 1.0), get_task(name), None, short) for name in names
    )
    return task_embedding.score(one, other)


def test_a_task_embedding_is_kept_and_two_formats_are_less_alike(
    sets: TrainSets, short: Short, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = likeness(sets, short, "squad_v1", "tydiqa"), likeness(sets, short, "mnli", "tydiqa")
    assert near - far > 0.1
    monkeypatch.setattr(short_module, "train_short", None)
    assert likeness(sets, short, "squad_v1", "tydiqa") == near
    with pytest.raises(TypeError):
        likeness(sets, replace(short, seed=1), "squad_v1", "tydiqa")


def test_task_embeddings_of_shuffled_labels_are_told_by_the_number(
    sets: TrainSets, short: Short, tmp_path: Path
) -> None:
    """A planted bug: answers that belong to other questions."""
    right = likeness(sets, short, "squad_v1", "tydiqa")
    wrong = TrainSets(sets.request, tmp_path / "other", "cpu", sets.draw)
    sample = wrong.sample(get_task("squad_v1"), None)
    (digest,) = wrong._samples
    wrong._samples[digest] = Sample(turned(sample.features), sample.examples)
    assert abs(likeness(wrong, short, "squad_v1", "tydiqa") - right) > 0.02


def test_task_embeddings_of_layers_in_another_order_are_told_by_the_number(
    sets: TrainSets, short: Short
) -> None:
    one, other = (
        sets.trained(TrainSet("span_qa", 1, np.ones(1), 1.0), get_task(name), None, short)
        for name in ("squad_v1", "tydiqa")
    )
    assert one.fisher is not None
    layers = list(one.fisher)
    around = dict(zip(layers, [one.fisher[layer] for layer in reversed(layers)], strict=True))
    assert task_embedding.score(one, other) - task_embedding.score(replace(one, fisher=around), other) > 0.1


@pytest.mark.parametrize("name", UPDATES)
def test_an_update_of_shuffled_labels_is_told_by_the_number(sets: TrainSets, short: Short, name: str) -> None:
    """A planted bug: the target's own short training reads answers of other questions."""
    place = SHELF / "squad_v1-lora"
    source = update_of_bundle(place, read_bundle(place), sets.request.base, sets.encoder, "cpu")
    task = sets.labelled(get_task("tydiqa"))
    features = sets.sample(task, None).features
    scores = []
    for read in (features, turned(features)):
        model = new_model(task, sets.request.base, short, "cpu")
        train_short(model, read, short, "cpu")
        scores.append(UPDATES[name].score(source, update_of(model, get_tuning("lora"), sets.encoder)))
    assert abs(scores[0] - scores[1]) > 0.005


def source(name: str) -> TrainedSource:
    return TrainedSource(name, SHELF / name, read_bundle(SHELF / name))


def test_dev_scores_are_accuracy_counted_by_hand(sets: TrainSets, short: Short) -> None:
    task = sets.labelled(get_task("mnli"))
    dev = dev_of(task, sets)
    assert dev is not None
    assert len(dev.examples) == 32
    model = new_model(task, sets.request.base, short, "cpu")
    train_short(model, sets.sample(task, None).features, short, "cpu")
    right = 0
    for row, gold in enumerate(dev.features.per_example["label"]):
        logits = model.predict(dev.features, np.asarray([row]))
        right += int(logits.argmax()) == int(gold)
    assert dev.score(model) == pytest.approx(100 * right / 32)


@pytest.mark.parametrize(("name", "apart"), [("few_shot", 10), ("training_curve", 0.2)])
def test_short_runs_are_kept_and_told_by_the_number_where_labels_are_shuffled(
    name: str, apart: float, sets: TrainSets, short: Short, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target = get_task("tydiqa")
    dev = dev_of(target, sets)
    assert dev is not None

    def score(bundle: str, within: TrainSets) -> float:
        return SHORT_RUNS[name].score(short_run(source(bundle), target, dev, within, None, short))

    right = score("squad_v1-lora", sets)
    assert right - score("mnli-lora", sets) > apart
    wrong = TrainSets(sets.request, tmp_path / "other", "cpu", sets.draw)
    sample = wrong.sample(target, None)
    (digest,) = wrong._samples
    wrong._samples[digest] = Sample(turned(sample.features), sample.examples)
    assert right - score("squad_v1-lora", wrong) > apart
    monkeypatch.setattr(short_run_module, "train_short", None)
    assert score("squad_v1-lora", sets) == right


def test_a_training_curve_is_over_the_steps_whose_examples_are_new(sets: TrainSets, short: Short) -> None:
    """Of 32 examples in batches of 16 the third step is the first that meets any of them again."""
    found = short_run(source("mnli-lora"), get_task("mnli"), None, sets, None, short)
    assert (len(found.losses), found.unseen, found.dev) == (8, 2, None)
    assert training_curve.score(found) == pytest.approx(-(found.losses[0] + found.losses[1]) / 2)
    assert training_curve.score(ShortRun(np.asarray([3.0, 1.0, 0.0]), 2, None)) == -2.0


def test_a_step_of_no_more_than_one_example_has_a_loss(sets: TrainSets, short: Short) -> None:
    """What `fisher` gives the model is what training gives it: one item, scaled by its units."""
    task = sets.labelled(get_task("hellaswag"))
    features = sets.sample(task, None).features
    model = new_model(task, sets.request.base, short, "cpu").eval()
    format = get_format(task.format)
    items = np.asarray([0])
    (cut,) = model.layout.cut(features, items, format.ITEMS, 10_000, 32)
    loss = model(MicroBatch(features, cut.items, cut.parts, 1 / format.units(features, items)))
    assert loss.item() == pytest.approx(np.log(4), abs=0.3)
