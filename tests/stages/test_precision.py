"""A bundle's own precision is taken, unless the command says another; and what is taken is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import UsageError
from adapter_stilts.io import write_json
from adapter_stilts.model.bundle_info import BundleInfo
from adapter_stilts.recipe import Recipe
from adapter_stilts.stages.precision import of_bundle, of_intermediates, precision_of


def info(**settings: Any) -> BundleInfo:
    about: dict[str, Any] = {
        "tuning": "lora", "base": "a/base", "base_revision": None, "base_fingerprint": "0", "task": "mnli",
        "format": "none", "labels": (), "parents": (), "metrics": {}, "versions": {},
    }  # fmt: skip
    return BundleInfo(**about, settings=settings)


KNOWN: dict[str, tuple[dict[str, Any], str | None]] = {
    "trained": ({"precision": "8bit"}, "8bit"),
    "before it was kept": ({}, "fp32"),
    "a merge of one kind": ({"precision": "4bit", "merge": {}}, "4bit"),
    "a merge of two kinds": ({"precision": "8bit, fp32", "merge": {}}, None),
    "exported": ({"precision": "8bit", "export": {"tuning": "lora", "precision": "bf16"}}, "bf16"),
    "of another kind": ({"precision": ["8bit"]}, None),
}


@pytest.mark.parametrize(("settings", "expected"), KNOWN.values(), ids=KNOWN)
def test_what_a_bundle_was_trained_under(settings: dict[str, Any], expected: str | None) -> None:
    assert precision_of(info(**settings)) == expected


def test_evaluated_under_its_own() -> None:
    recipe = Recipe(mode="lora")
    assert of_bundle(recipe, "b", info(precision="fp32"), said=False) == (recipe, None)
    taken, told = of_bundle(recipe, "b", info(precision="8bit"), said=False)
    assert (taken.precision, told) == ("8bit", "precision 8bit, as b was trained; --precision takes another")
    taken, told = of_bundle(recipe, "b", info(precision="8bit"), said=True)
    assert (taken, told) == (recipe, "precision fp32, as asked for; b was trained under 8bit")
    taken, told = of_bundle(recipe, "b", info(precision="8bit, fp32"), said=False)
    assert (taken, told) == (recipe, "precision fp32: b was made under 8bit, fp32")


def test_gone_on_with_under_its_own(tmp_path: Path) -> None:
    for precision in ("8bit", "4bit"):
        (tmp_path / precision).mkdir()
        write_json(tmp_path / precision / "bundle.json", info(precision=precision).model_dump())

    def recipe(*names: str, precision: str = "fp32") -> Recipe:
        tasks = [str(tmp_path / name) if "bit" in name else name for name in names]
        return Recipe.model_validate(
            {"mode": "lora", "precision": precision, "intermediate": {"tasks": tasks}}
        )

    taken, told = of_intermediates(recipe("mnli", "8bit"), said=False)
    assert taken == recipe("mnli", "8bit", precision="8bit")
    assert told == f"precision 8bit: {tmp_path / '8bit'} was trained under 8bit; --precision takes another"
    assert of_intermediates(taken, said=False) == (taken, None)
    assert of_intermediates(recipe("mnli", "none"), said=False) == (recipe("mnli", "none"), None)
    taken, told = of_intermediates(recipe("8bit", precision="bf16"), said=True)
    assert (taken.precision, str(told)[:35]) == ("bf16", f"precision bf16, as asked for; {tmp_path}"[:35])
    with pytest.raises(UsageError, match="say with --precision under which one training goes on"):
        of_intermediates(recipe("8bit", "4bit"), said=False)
    both = recipe("8bit", "4bit")
    assert of_intermediates(both, said=True)[0] == both
    # What is wrong with an address is told where it is fetched.
    lost = recipe("no/such-8bit")
    assert of_intermediates(lost, said=False) == (lost, None)
