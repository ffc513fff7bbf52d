"""`adapters_hub/`: the bundles that come with the repository are whole, made as their cards say, and answer."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.miniature.pretrained import encoder_folder
from adapter_stilts.model.backbone import resolve_base
from adapter_stilts.model.bundle import read_bundle
from adapter_stilts.model.tuning import tuning_names
from adapter_stilts.recipe import Base, TrainingSettings, load_recipe

pytestmark = pytest.mark.slow

SHELF = Path(__file__).resolve().parents[2] / "adapters_hub"
BUNDLES = sorted(path for path in SHELF.iterdir() if path.is_dir())


@pytest.mark.parametrize("mode", tuning_names())
def test_every_mode_has_three(mode: str) -> None:
    assert len({read_bundle(path).task for path in BUNDLES if read_bundle(path).tuning == mode}) >= 3


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.name)
def test_what_a_card_says_made_it_would_make_it(path: Path) -> None:
    info = read_bundle(path)
    assert path.name == f"{info.task}-{info.tuning}"
    assert info.base == "miniature"
    assert info.base_fingerprint == resolve_base(Base(id=str(encoder_folder()))).fingerprint
    words = shlex.split(info.command or "")
    assert words == [
        *("adapter-stilts", "train", "--inter", info.task, "--target", "tatoeba"),
        *("--mode", info.tuning, "--recipe", "miniature"),
    ]
    assert info.command in (path / "README.md").read_text(encoding="utf-8")
    recipe = load_recipe("miniature", [("mode", info.tuning)])
    told = {name: getattr(recipe.intermediate, name) for name in TrainingSettings.model_fields}
    assert info.settings["training"] == TrainingSettings(**told).part()
    assert (info.settings["seed"], info.settings["precision"]) == (recipe.seed, recipe.precision)


def test_none_names_a_place_of_the_machine_that_made_it() -> None:
    for path in SHELF.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert "/encoder" not in text, path
        assert str(Path.home()) not in text, path


@pytest.mark.parametrize("mode", tuning_names())
def test_one_of_each_mode_answers(cli: Any, mode: str, tmp_path: Path) -> None:
    more = ("--recipe", "miniature", "--limit-eval", "25", "--languages", "qaa,qag", "--json")
    ran = cli("evaluate", SHELF / f"hellaswag-{mode}", "--target", "tatoeba", "--store", tmp_path, *more)
    assert ran.code == 0, ran.err
    assert ran.json["results"]["tatoeba"]["average"]["accuracy"] > 100 / 25
