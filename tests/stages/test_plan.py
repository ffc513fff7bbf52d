"""Plans: which stages a recipe becomes, what their keys depend on, and what is refused before anything runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import DataError, UnknownNameError, UsageError
from adapter_stilts.stages.planning.plan import Plan

Planned = Callable[..., Plan]


def names(plan: Plan) -> list[str]:
    return [f"{stage.kind} {stage.task}" for stage in plan.stages]


def test_a_chain(planned: Planned) -> None:
    plan = planned()
    assert names(plan) == ["train hellaswag", "train squad_v1", "evaluate xquad"]
    inter, target, evaluate = plan.stages
    assert (inter.parents, target.parents, evaluate.parents) == ((), (inter,), (target,))
    assert set(inter.part.to_json()["data"]) == {"train", "dev"}
    assert list(evaluate.part.to_json()["data"]) == ["en", "de"]


def test_equal_stages_stand_once(planned: Planned) -> None:
    plan = planned(inter="none,hellaswag,snli", target="xquad,udpos,tatoeba")
    assert len(plan.cells) == 9
    assert len(plan.stages) == len({stage.key for stage in plan.stages}) == 2 + 3 * (2 + 2 + 1)
    assert names(plan).count("train hellaswag") == 1
    assert names(plan).count("train squad_v1") == 3
    # SQuAD trains xquad; two targets it trains share the stage.
    again = planned(inter="hellaswag,hellaswag", target="xquad,xquad")
    assert len(again.stages) == 3
    assert planned(inter="none", target="tatoeba").stages[0].parents == ()


# Each changes the keys of exactly the named stages and of those after them.
CHANGES: dict[str, tuple[str, Any, str]] = {
    "seed": ("seed", 1, "inter"),
    "precision": ("precision", "bf16", "inter"),
    "optimizer": ("optimizer", "adamw8bit", "inter"),
    "gradient checkpointing": ("gradient_checkpointing", True, "inter"),
    "inter learning rate": ("intermediate.learning_rate", 2e-5, "inter"),
    "inter format": ("formats.multiple_choice.max_length", 128, "inter"),
    "target format": ("formats.span_qa.stride", 64, "target"),
    "languages": ("evaluation.languages", ["de"], "evaluate"),
    "limit": ("evaluation.limit", 3, "evaluate"),
    **{
        f"target {name}": (f"target.{name}", value, "target")
        for name, value in {
            "learning_rate": 2e-5,
            "epochs": 1.5,
            "max_steps": 9,
            "batch_size": 8,
            "warmup_ratio": 0.2,
            "weight_decay": 0.1,
            "adam_betas": [0.9, 0.99],
            "adam_epsilon": 1e-6,
            "max_grad_norm": 2.0,
            "dropout": 0.0,
            "step_order": "length_grouped",
            "eval_every_steps": 10,
            "dev_examples": 7,
            "patience": 3,
            "limit_train": 5,
            "init_seed": 4,
            "average": 2,
            "keep_evaluations": True,
        }.items()
    },
}
STAGES = ("inter", "target", "evaluate")


@pytest.mark.parametrize(("key", "value", "first"), CHANGES.values(), ids=CHANGES)
def test_a_changed_setting_changes_keys_from_there_on(
    planned: Planned, key: str, value: Any, first: str
) -> None:
    before = [stage.key for stage in planned().stages]
    after = [stage.key for stage in planned((key, value)).stages]
    changed = [STAGES[row] for row in range(3) if before[row] != after[row]]
    assert changed == list(STAGES[STAGES.index(first) :])


def test_every_training_setting_is_among_the_changes() -> None:
    from adapter_stilts.recipe import TrainingSettings

    assert {f"target {name}" for name in TrainingSettings.model_fields} <= CHANGES.keys()


def test_settings_without_effect_leave_keys(planned: Planned) -> None:
    keys = [stage.key for stage in planned().stages]
    for change in (
        ("formats.tagging.max_length", 100),
        ("options.udpos.words", "fused"),
        ("base.revision", "x"),
    ):
        assert [stage.key for stage in planned(change).stages] == keys


def test_an_option_changes_its_tasks_keys(planned: Planned) -> None:
    syntactic = planned(target="udpos").stages
    fused = planned(("options.udpos.words", "fused"), target="udpos").stages
    assert [a.key == b.key for a, b in zip(syntactic, fused, strict=True)] == [True, False, False]
    spelled = planned(("options.udpos.words", "syntactic"), target="udpos").stages
    assert [stage.key for stage in spelled] == [stage.key for stage in syntactic]


def test_data_and_base_are_known_by_content_not_by_place(
    planned: Planned, tiny_base: Path, own_data: Path, tmp_path: Path
) -> None:
    keys = [stage.key for stage in planned().stages]
    shutil.copytree(tiny_base, tmp_path / "base")
    assert [s.key for s in planned(base=tmp_path / "base", data=own_data).stages] == keys
    test = own_data / "xquad" / "xquad.de.json"
    test.write_text(test.read_text().replace("Garten", "garten"))
    assert [a == s.key for a, s in zip(keys, planned(data=own_data).stages, strict=True)] == [
        True,
        True,
        False,
    ]
    config = json.loads((tmp_path / "base" / "config.json").read_text())
    (tmp_path / "base" / "config.json").write_text(json.dumps({**config, "hidden_dropout_prob": 0.2}))
    assert not set(keys) & {s.key for s in planned(base=tmp_path / "base").stages}


def test_notices(planned: Planned, own_data: Path) -> None:
    assert planned().notices == (
        "xquad: 2 of 11 languages are at hand and averaged; missing: ar, el, es, hi, ru, th, tr, vi, zh",
    )
    (own_data / "squad" / "dev-v1.1.json").unlink()
    notices = planned(data=own_data, inter="none").notices
    assert "squad_v1: no English dev split at hand; the last weights are kept, not the best" in notices


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "unknown target": (
        {"target": "xqad"},
        UnknownNameError,
        r"unknown target task 'xqad'; did you mean 'xquad'\?",
    ),
    "unknown intermediate": (
        {"inter": "helaswag"},
        UnknownNameError,
        r"unknown intermediate task 'helaswag'; did you mean 'hellaswag'\?",
    ),
    "other role": (
        {"target": "hellaswag"},
        UnknownNameError,
        "'hellaswag' is trained on, not evaluated: --inter hellaswag",
    ),
    "option of a task beside the targets": (
        {"key": ("options.udpos.words", "fusd")},
        UnknownNameError,
        "unknown value of option 'words' of task 'udpos' 'fusd'; did you mean 'fused'",
    ),
    "unknown language": (
        {"key": ("evaluation.languages", ["xx"])},
        UnknownNameError,
        "unknown language of xquad 'xx'",
    ),
    "language not at hand": (
        {"key": ("evaluation.languages", ["th"])},
        DataError,
        "holds no xquad test split in th; it holds en, de",
    ),
    "no target": ({"key": ("target.tasks", []), "inter": "none"}, UsageError, "no target task"),
    "unknown format": (
        {"key": ("formats.span.max_length", 3)},
        UnknownNameError,
        "unknown recipe key formats 'span'",
    ),
    "unknown format key": (
        {"key": ("formats.span_qa.max_len", 99)},
        UnknownNameError,
        r"unknown formats\.span_qa key 'max_len'; did you mean 'max_length'\?",
    ),
    "bad format value": ({"key": ("formats.span_qa.stride", 0)}, UsageError, "stride = 0"),
    "longer than the encoder": (
        {"key": ("formats.span_qa.max_length", 600)},
        UsageError,
        r"formats\.span_qa\.max_length = 600: .* has positions for 512 tokens",
    ),
    "unknown option": ({"key": ("options.udpos.word", "fused"), "target": "udpos"}, UsageError, "word"),
    "bad option": ({"key": ("options.udpos.words", "both"), "target": "udpos"}, UsageError, "fused"),
    "option of no task": (
        {"key": ("options.udposs.words", "fused")},
        UnknownNameError,
        "did you mean 'udpos'",
    ),
    "another head": (
        {"key": ("target.train_task", "snli")},
        UsageError,
        r"train_task = 'snli' cannot train 'xquad': another format or label set\. Choices: squad_v1",
    ),
    "no train split": (
        {"target": "xnli", "inter": "none"},
        DataError,
        r"no English train split of 'mnli', which trains 'xnli'; it holds snli: --set target\.train_task=snli",
    ),
    "no data of the task": (
        {"inter": "commonsenseqa"},
        DataError,
        "no English train split of 'commonsenseqa'",
    ),
    "no test data": ({"target": "tydiqa"}, DataError, "holds no test split of 'tydiqa'"),
}


@pytest.mark.parametrize(("asked", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(planned: Planned, asked: dict[str, Any], kind: type[Exception], message: str) -> None:
    overrides = [asked["key"]] if "key" in asked else []
    with pytest.raises(kind, match=message):
        planned(*overrides, **{name: value for name, value in asked.items() if name != "key"})


def test_a_target_trained_on_another_task(planned: Planned) -> None:
    plan = planned(("target.train_task", "snli"), inter="none", target="xnli")
    assert names(plan) == ["train snli", "evaluate xnli"]


def test_switches_that_came_later_are_in_a_key_where_they_are_on(planned: Planned) -> None:
    """So that stages trained before there were switches keep their keys; and heads are no part of an evaluation."""
    pairs = {"target": "xnli", "inter": "none"}
    trains = ("target.train_task", "snli")
    plain, on = (
        planned(trains, **pairs),
        planned(trains, ("formats.pair_classification.pooler", True), **pairs),
    )
    (first, answers), (pooled, evaluated) = plain.stages, on.stages
    assert (first.part.to_json()["format"], pooled.part.to_json()["format"]) == (
        {"max_length": 256},
        {"max_length": 256, "pooler": True},
    )
    assert answers.part.to_json()["format"] == evaluated.part.to_json()["format"] == {"max_length": 256}
    assert first.key != pooled.key
    spans = planned(("formats.span_qa.max_context", True), inter="none").stages[-1]
    assert spans.part.to_json()["format"]["max_context"] is True
    assert "max_context" not in planned(inter="none").stages[-1].part.to_json()["format"]
