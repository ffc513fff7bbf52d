"""`--fill-from-hub`: refused where there is no folder to fill, and nothing of the hub where the folder holds all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.library import plan_train
from adapter_stilts.recipe import load_recipe
from adapter_stilts.stages.command import data_words
from adapter_stilts.stages.context import find_source
from adapter_stilts.stages.planning.targets import expanded
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.sources import overlay_of

Cli = Callable[..., Any]


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ([], "there is no --data: leave it out"),
        (["--recipe", "miniature"], "the recipe generates its data"),
    ],
)
def test_without_a_folder_it_is_refused(cli: Cli, tiny_base: Path, flags: list[str], why: str) -> None:
    ran = cli("train", "--dry-run", "--base", tiny_base, "--target", "xquad", "--fill-from-hub", *flags)
    assert ran.code == 2
    assert why in ran.err


def test_a_folder_that_lacks_nothing_asks_nothing_of_the_hub(
    cli: Cli, tiny_base: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """The results are those without the flag, and the card says the same command."""
    command = ["train", "--base", tiny_base, "--data", tiny_data, "--store", tmp_path / "store", "--device", "cpu",
               "--inter", "none", "--target", "udpos", "--languages", "en,de",
               "--set", "target.max_steps=2"]  # fmt: skip
    filled = cli(*command, "--fill-from-hub", "--json")
    assert filled.code == 0, filled.err
    assert "hub" not in filled.err.replace("hub show", "").replace("hub push", "")
    (card,) = (tmp_path / "store").glob("train-*/bundle/README.md")
    assert "--data DIR" in card.read_text()
    assert "--fill-from-hub" not in card.read_text()
    again = cli(*command, "--json")
    assert [stage["status"] for stage in again.json["stages"]] == ["cached", "cached"], "one key, either way"


def test_all_targets_are_those_that_either_holds(tiny_data: Path) -> None:
    source = find_source(load_recipe(None), str(tiny_data), fill=True)
    overlay = overlay_of(source)
    assert overlay is not None
    found, _ = expanded(load_recipe(None, [("target.tasks", ["all"])]), source)
    assert "mlqa" in found, "the hub's"
    assert source.languages(get_task("udpos"), "test") == get_task("udpos").languages
    assert overlay.notice is None, "which asks the hub nothing"


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ("train", ["--data", "DIR", "--fill-from-hub"]),
        ("train and dev", ["--data", "DIR"]),
        ("neither", []),
    ],
)
def test_a_card_names_where_a_stages_own_splits_are_from(
    tiny_base: Path, tiny_data: Path, own_data: Path, tmp_path: Path, held: str, words: list[str]
) -> None:
    study = plan_train(
        "none", "udpos", base=tiny_base, data=tiny_data, store=tmp_path / "store", device="cpu"
    )
    train = study.plan().stages[0]
    for split in ("train", "dev"):
        if split not in held:
            (own_data / f"ud/UD_English-EWT/en_ewt-ud-{split}.conllu").unlink()
    assert data_words(train, find_source(load_recipe(None), str(own_data), fill=True)) == words
