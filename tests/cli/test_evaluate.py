"""`adapter-stilts evaluate`: a bundle on a target, and bundles that cannot be."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Cli = Callable[..., Any]


@pytest.fixture
def evaluate(cli: Cli, tiny_data: Path, tmp_path: Path) -> Cli:
    def call(bundle: Path, target: str, *more: object) -> Any:
        store = ("--data", tiny_data, "--store", tmp_path / "store", "--json", "--device", "cpu")
        return cli("evaluate", bundle, "--target", target, *store, *more)

    return call


def test_a_bundle_scores_as_in_its_run(evaluate: Cli, finished: Any, tmp_path: Path) -> None:
    bundle = finished.directory("train", "squad_v1") / "bundle"
    ran = evaluate(bundle, "xquad")
    assert (ran.code, ran.statuses()) == (0, ["ran"])
    asked = finished.printed["results"]["xquad"]
    assert ran.json["results"] == {"xquad": {**asked, "inter": str(bundle), "label": str(bundle)}}
    assert evaluate(bundle, "xquad").statuses() == ["cached"]
    # A bundle is known by its content, wherever it lies.
    shutil.copytree(bundle, tmp_path / "elsewhere")
    assert evaluate(tmp_path / "elsewhere", "xquad").statuses() == ["cached"]


def test_a_part_of_it(evaluate: Cli, finished: Any) -> None:
    bundle = finished.directory("train", "squad_v1") / "bundle"
    ran = evaluate(bundle, "xquad", "--languages", "de", "--limit-eval", "3")
    assert list(ran.json["results"]["xquad"]["languages"]) == ["de"]
    directory = Path(ran.json["stages"][0]["dir"])
    assert len((directory / "scores" / "de.jsonl").read_text().splitlines()) == 3


def test_retrieval_takes_any_bundle(evaluate: Cli, finished: Any) -> None:
    ran = evaluate(finished.directory("train", "hellaswag") / "bundle", "tatoeba")
    assert ran.code == 0
    assert 0 <= ran.json["results"]["tatoeba"]["languages"]["de"]["accuracy"] <= 100


def test_a_head_that_does_not_fit(evaluate: Cli, finished: Any, tmp_path: Path) -> None:
    ran = evaluate(finished.directory("train", "udpos") / "bundle", "xquad")
    assert (ran.code, ran.out) == (1, "")
    assert "was trained on 'udpos' (tagging); its head cannot answer 'xquad' (span_qa)" in ran.err
    assert "Targets it can be evaluated on: bucc2018, lareqa, masakhapos, mewslix, tatoeba, udpos" in ran.err
    assert not (tmp_path / "store").exists()


def test_bundles_that_are_none(evaluate: Cli, finished: Any, tiny_base: Path, tmp_path: Path) -> None:
    assert "no such folder" in evaluate(tmp_path / "nowhere", "xquad").err
    assert "no bundle.json, so it is no bundle of ours" in evaluate(tiny_base, "xquad").err
    copied = Path(shutil.copytree(finished.directory("train", "squad_v1") / "bundle", tmp_path / "copied"))
    (copied / "model.safetensors").write_bytes(b"")
    ran = evaluate(copied, "xquad")
    assert (ran.code, ran.out) == (1, "")
    assert "its digest differs from SHA256SUMS" in ran.err
    assert not (tmp_path / "store").exists()


def test_another_base_is_refused_in_the_plan(evaluate: Cli, tiny_base: Path, tmp_path: Path) -> None:
    bundle = Path(__file__).parents[2] / "adapters_hub" / "mnli-lora"
    ran = evaluate(bundle, "xnli", "--base", tiny_base)
    assert (ran.code, ran.out) == (1, "")
    assert "was trained on the base 'miniature'" in ran.err
    assert ran.err.rstrip().endswith("Give its own: --base miniature")
    assert not (tmp_path / "store").exists()


def test_a_stages_folder_in_the_place_of_its_bundle(evaluate: Cli, finished: Any) -> None:
    stage = finished.directory("train", "squad_v1")
    ran = evaluate(stage, "xquad")
    assert ran.code == 1
    assert f"the bundle of a train stage lies in it: {stage}/bundle" in ran.err


def test_unknown_target(evaluate: Cli, finished: Any) -> None:
    ran = evaluate(finished.directory("train", "squad_v1") / "bundle", "xqad")
    assert ran.code == 2
    assert "did you mean 'xquad'?" in ran.err
