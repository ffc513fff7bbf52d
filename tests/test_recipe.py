"""Recipes: every shipped one loads, overrides are laid over it, and what is wrong is told with what is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from adapter_stilts.errors import DataError, UnknownNameError, UsageError
from adapter_stilts.formats import format_names
from adapter_stilts.model.tuning import get_tuning, tuning_names, tuning_settings
from adapter_stilts.recipe import (
    Recipe,
    TrainingSettings,
    find_recipe,
    load_recipe,
    parse_override,
    shipped_recipes,
)
from adapter_stilts.stages.planning.reading import format_settings
from adapter_stilts.tasks import get_task

RECIPES = Path(__file__).resolve().parents[1] / "recipes"


def test_the_shipped_recipes_are_those_of_the_folder() -> None:
    assert set(shipped_recipes()) == {path.stem for path in RECIPES.glob("*.toml")}
    assert "study" in shipped_recipes()


@pytest.mark.parametrize("name", [path.stem for path in sorted(RECIPES.glob("*.toml"))])
def test_every_shipped_recipe_loads(name: str) -> None:
    recipe = load_recipe(name)
    assert load_recipe(str(RECIPES / f"{name}.toml")) == recipe
    assert set(recipe.formats) <= set(format_names())
    for format_name in format_names():
        format_settings(recipe, format_name)
    for task in recipe.options:
        get_task(task)
    settings = tuning_settings(recipe.mode, recipe.tuning)
    get_tuning(recipe.mode).backbone_weights(settings, recipe.precision)
    if recipe.combine != "continue":
        get_tuning(recipe.mode).check_combine(recipe.combine)


@pytest.mark.parametrize("name", [path.stem for path in sorted(RECIPES.glob("*.toml"))])
@pytest.mark.parametrize("mode", tuning_names())
def test_every_shipped_recipe_loads_in_every_mode(name: str, mode: str) -> None:
    recipe = load_recipe(name, [("precision", "fp32"), ("combine", "continue"), ("mode", mode)])
    tuning_settings(recipe.mode, recipe.tuning)


def test_a_mode_has_settings_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "[target]\nlearning_rate = 1e-5\n[modes.lora]\ntarget.learning_rate = 1e-3\ntuning.lora.r = 4\n"
    )
    assert load_recipe(str(path)).target.learning_rate == 1e-5
    lora = load_recipe(str(path), [("mode", "lora")])
    assert (lora.target.learning_rate, lora.tuning["lora"]["r"]) == (1e-3, 4)
    told = load_recipe(str(path), [("target.learning_rate", 2e-3), ("mode", "lora")])
    assert told.target.learning_rate == 2e-3
    path.write_text('mode = "lora"\n[modes.lora]\nseed = 7\n')
    assert load_recipe(str(path)).seed == 7
    assert load_recipe(str(path), [("mode", "ia3")]).seed == 0


def test_a_mode_that_does_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[modes.loar]\nseed = 1\n")
    with pytest.raises(UnknownNameError, match=r"'loar'.*lora"):
        load_recipe(str(path))
    path.write_text("[modes.lora]\ntarget.learning_rat = 1\n")
    with pytest.raises(UnknownNameError, match=r"target\.learning_rat'.*target\.learning_rate"):
        load_recipe(str(path), [("mode", "lora")])
    path.write_text("modes = 3\n")
    with pytest.raises(UsageError, match="modes"):
        load_recipe(str(path))
    path.write_text("modes.lora = 3\n")
    with pytest.raises(UsageError, match=r"modes\.lora"):
        load_recipe(str(path), [("mode", "lora")])


# A recipe of small memory -> the GPU its first lines name, in GiB.
SMALL = {"study-lora-8bit": 6, "study-adapter-8bit": 6, "study-fusion": 16, "lowmem-full": 8}


@pytest.mark.parametrize(("name", "memory"), SMALL.items())
def test_a_recipe_fits_the_gpu_it_names(name: str, memory: int) -> None:
    from adapter_stilts.model.skeleton import geometries
    from adapter_stilts.training.memory import Training, fit

    text = (RECIPES / f"{name}.toml").read_text(encoding="utf-8")
    assert f"a GPU of {memory} GB or more" in text
    recipe = load_recipe(name)
    assert recipe.base.id == "FacebookAI/xlm-roberta-large"
    settings = tuning_settings(recipe.mode, recipe.tuning)
    asked = Training(
        geometries()["xlmr-large"],
        recipe.mode,
        settings,
        recipe.precision,
        recipe.optimizer,
        recipe.gradient_checkpointing,
        "cuda",
    )
    found = fit(asked, recipe.target.batch_size, 384, memory * 10**9)
    assert found.fits
    assert found.usage.sequences >= 2


# jiant's XTREME guide and the paper; see the file for each one's source.
STUDY = {
    "learning_rate": 1e-5,
    "epochs": 3,
    "batch_size": 4,
    "warmup_ratio": 0.1,
    "max_grad_norm": 1.0,
    "adam_epsilon": 1e-8,
    "adam_betas": (0.9, 0.999),
    "weight_decay": 0.01,
    "eval_every_steps": 1000,
    "dev_examples": 500,
    "patience": 30,
    "max_steps": None,
    "dropout": None,
    "limit_train": None,
    "step_order": "shuffled",
    "init_seed": None,
    "average": None,
    "keep_evaluations": False,
}


@pytest.mark.parametrize("stage", ["intermediate", "target"])
def test_the_study(stage: str) -> None:
    recipe = load_recipe(None)
    settings = getattr(recipe, stage)
    assert {name: getattr(settings, name) for name in TrainingSettings.model_fields} == STUDY
    assert (recipe.base.id, recipe.mode, recipe.precision) == ("FacebookAI/xlm-roberta-large", "full", "fp32")
    windows = format_settings(recipe, "span_qa").model_dump()
    assert windows == {
        "max_length": 384,
        "stride": 128,
        "max_question_length": 64,
        "max_answer_length": 30,
        "n_best": 20,
        "max_context": False,
    }
    lengths = {name: format_settings(recipe, name).model_dump()["max_length"] for name in format_names()}
    assert lengths == {
        "masked_lm": 256,
        "multiple_choice": 256,
        "pair_classification": 256,
        "retrieval": 512,
        "span_qa": 384,
        "tagging": 256,
        "text_classification": 256,
        "text_regression": 256,
    }


def test_the_studys_own_heads_and_decoding() -> None:
    """`study-exact` is the study, with three switches on."""
    study, exact = load_recipe("study"), load_recipe("study-exact")
    switches = {
        "pair_classification": {"pooler": True},
        "multiple_choice": {"pooler": True},
        "span_qa": {"max_context": True},
    }
    formats = {name: {**values, **switches.get(name, {})} for name, values in study.formats.items()}
    assert exact.model_dump(exclude={"formats"}) == study.model_dump(exclude={"formats"})
    assert exact.formats == formats


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("target.learning_rate=3e-5", "target.learning_rate", 3e-5),
        ("target.max_steps=7", "target.max_steps", 7),
        ("optimizer=adamw8bit", "optimizer", "adamw8bit"),
        ("evaluation.languages=['no', 'de']", "evaluation.languages", ["no", "de"]),
        ("gradient_checkpointing=true", "gradient_checkpointing", True),
        ("base.id=a=b", "base.id", "a=b"),
        (" target.epochs = 2 ", "target.epochs", 2),
        ("options.udpos.words=fused", "options.udpos.words", "fused"),
    ],
)
def test_overrides_are_read_as_toml(text: str, key: str, value: Any) -> None:
    assert parse_override(text) == (key, value)


@pytest.mark.parametrize("text", ["target.epochs", "=3", ""])
def test_malformed_overrides(text: str) -> None:
    with pytest.raises(UsageError, match=r"--set takes KEY=VALUE, e\.g\. "):
        parse_override(text)


def test_later_overrides_win_and_none_stands_for_null() -> None:
    recipe = load_recipe(
        None,
        [
            ("target.max_steps", 5),
            ("target.max_steps", 6),
            ("target.patience", "none"),
            ("target.dropout", 0.0),
        ],
    )
    assert (recipe.target.max_steps, recipe.target.patience, recipe.target.dropout) == (6, None, 0.0)
    assert recipe.intermediate == load_recipe(None).intermediate
    assert load_recipe(None, [("formats.retrieval.layer", "none")]).formats["retrieval"]["layer"] == "none"
    settings = format_settings(load_recipe(None, [("formats.retrieval.layer", "none")]), "retrieval")
    assert settings.model_dump()["layer"] is None


def test_none_is_a_cell_not_null() -> None:
    assert load_recipe(None, [("intermediate.tasks", ["none", "hellaswag"])]).intermediate.tasks == (
        "none",
        "hellaswag",
    )


def test_recipes_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_recipe(None).seed = 3  # type: ignore[misc]


BAD = {
    "unknown key": ("learning_rate", 1, UnknownNameError, "unknown recipe key 'learning_rate'"),
    "near key": (
        "target.learnin_rate",
        1,
        UnknownNameError,
        "unknown recipe key 'target.learnin_rate'; did you mean 'target.learning_rate'?",
    ),
    "of a section": (
        "epochs",
        1,
        UnknownNameError,
        r"unknown recipe key 'epochs'\. Choices: .* There is intermediate\.epochs, target\.epochs\.",
    ),
    "near section": ("taget.epochs", 1, UnknownNameError, "did you mean 'target'?"),
    "below a value": ("seed.x", 1, UsageError, "'seed' holds a value, not a section"),
    "out of range": ("target.epochs", 0, UsageError, r"recipe key target\.epochs = 0: .*greater than 0"),
    "wrong type": ("seed", "x", UsageError, r"recipe key seed = 'x'"),
    "not a choice": ("precision", "fp16", UsageError, r"precision = 'fp16'; valid: .*'bf16'"),
    "not a mode": (
        "mode",
        "lroa",
        UnknownNameError,
        r"mode 'lroa'; did you mean 'lora'\? Choices: adapter, .*full",
    ),
    "an architecture": (
        "mode",
        "seq_bn",
        UnknownNameError,
        r"'seq_bn' is written --mode adapter --set tuning\.adapter\.architecture=pfeiffer\.",
    ),
    "no name of a mode": ("mode", ["lora"], UsageError, r"mode = \['lora'\]: .*string"),
    "integers": ("precision", "8bit", UsageError, r"--precision bf16 with --set optimizer=adamw8bit"),
    "four bits": ("precision", "4bit", UsageError, r"cannot train 4bit weights"),
    "not a number": ("target.learning_rate", float("nan"), UsageError, "learning_rate = nan"),
    "infinite": ("target.learning_rate", float("inf"), UsageError, "learning_rate = inf"),
    "nothing": ("target", "x", UsageError, "recipe key target = 'x'"),
}


@pytest.mark.parametrize(("key", "value", "kind", "message"), BAD.values(), ids=BAD)
def test_bad_values_are_usage_errors(key: str, value: Any, kind: type[UsageError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        load_recipe(None, [(key, value)])
    assert caught.value.exit_code == 2


def test_recipes_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown recipe 'studi'; did you mean 'study'\?"):
        find_recipe("studi")
    with pytest.raises(UsageError, match=r"no recipe file at 'nowhere/a\.toml'; shipped recipes: .*study"):
        find_recipe("nowhere/a.toml")


@pytest.mark.parametrize("content", [b"mode = ", b"mode = \xff", b"[target]\nepochs = 1\nepochs = 2\n"])
def test_a_file_that_is_not_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"mine\.toml: not a TOML recipe") as caught:
        load_recipe(str(path))
    assert caught.value.exit_code == 1


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('seed = 4\n[evaluation]\nlanguages = ["no"]\n[target]\nlearning_rate = 1e-5\n')
    recipe = load_recipe(str(path))
    assert recipe == Recipe.model_validate(
        {"seed": 4, "evaluation": {"languages": ["no"]}, "target": {"learning_rate": 1e-5}}
    )
