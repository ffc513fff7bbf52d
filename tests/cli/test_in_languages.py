"""Languages of a target on the command line: flags, tables, notices, refusals."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.cli import show

pytestmark = pytest.mark.slow

Cli = Callable[..., Any]


@pytest.fixture
def train(cli: Cli, tiny_data: Path, tiny_base: Path, tmp_path: Path) -> Cli:
    """Two steps of each stage on the tiny world, with a German treebank to train on."""
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    test = data / "ud" / "UD_German-GSD" / "de_gsd-ud-test.conllu"
    for split in ("train", "dev"):
        shutil.copy(test, test.with_name(f"de_gsd-ud-{split}.conllu"))

    def call(*more: object) -> Any:
        few = ["intermediate.max_steps=2", "target.max_steps=2", "target.few_shot_epochs=1"]
        settings = [word for setting in few for word in ("--set", setting)]
        where = ("--data", data, "--base", tiny_base, "--store", tmp_path / "store", "--device", "cpu")
        return cli("train", *where, *settings, *more)

    return call


def test_tables_say_how_it_was_taught_and_chosen(train: Cli) -> None:
    plain = train("--target", "udpos")
    assert (
        "udpos, zero-shot after none (xtreme, 2 of 33 languages); checkpoint chosen on English dev\n"
        in plain.out
    )
    taught = train(
        "--target", "udpos", "--train-languages", "each", "--dev-language", "same", "--split", "dev"
    )
    assert taught.code == 0
    where = "(xtreme, 2 of 33 languages)"
    for title in (
        f"udpos, trained in de after none {where}; checkpoint chosen on de dev; scores on dev",
        f"udpos, zero-shot after none {where}; checkpoint chosen on English dev; scores on dev",
        "Average over languages, by intermediate task (gain); checkpoint chosen on de dev or checkpoint chosen on "
        "English dev; scores on dev",
    ):
        assert f"{title}\n" in taught.out
    assert "train udpos (de): de dev at step 2: f1" in taught.err
    few = train("--target", "udpos", "--few-shot", "de=3")
    assert f"udpos, few-shot de=3 after none {where}; checkpoint chosen on English dev\n" in few.out
    assert "train udpos (de=3): English dev at step" in few.err


def test_without_a_target(train: Cli) -> None:
    planned = train("--inter", "snli", "--dry-run", "--json")
    assert [(stage["kind"], stage["status"]) for stage in planned.json["stages"]] == [("train", "to run")]
    ran = train("--inter", "snli")
    assert ran.code == 0
    (directory,) = (Path(stage["dir"]) for stage in planned.json["stages"])
    assert str(directory / "bundle") in ran.out
    assert "accuracy" in ran.out
    assert "English" in ran.out
    assert "note: no target: the intermediate stages are trained, and nothing is evaluated but dev" in ran.err
    assert f"train --inter {directory / 'bundle'} --target TASK" in ran.err
    again = train("--inter", "snli", "--json")
    assert again.statuses() == ["cached"]
    (bundle,) = again.json["bundles"]
    assert (bundle["inter"], bundle["bundle"], bundle["dev"]) == ("snli", str(directory / "bundle"), ["en"])
    # A bundle that is there already is not what one trains.
    refused = train("--inter", directory / "bundle")
    assert refused.code == 2
    assert "is trained already; name what to train it on with --target" in refused.err


REFUSED = {
    "no number": (["--few-shot", "de"], "--few-shot de: takes LANG=N, e.g. --few-shot sw=32"),
    "half a sentence": (["--few-shot", "de=2.5"], "--few-shot de=2.5: takes LANG=N"),
    "twice": (
        ["--few-shot", "de=2", "--few-shot", "de=3"],
        "--few-shot de is given twice, 2 and 3: leave one out",
    ),
    "none": (["--few-shot", "de=0"], "target.few_shot.de = 0"),
    "beside the key": (
        ["--few-shot", "de=2", "--set", "target.few_shot={de=3}"],
        "target.few_shot is given twice",
    ),
    "more than there are": (
        ["--few-shot", "de=300"],
        "and de holds 6: --few-shot de=6, or train on all of them",
    ),
    "a split": (["--split", "train"], "'train' is not one of 'test', 'dev'"),
}


@pytest.mark.parametrize(("more", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(train: Cli, more: list[str], message: str) -> None:
    ran = train("--target", "udpos", *more)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_titles_without_a_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    for dev, told in ((None, "no checkpoint chosen"), ([], "last checkpoint, for want of a dev split")):
        result = {"languages": {"de": {"f1": 1.0}}, "average": {"f1": 1.0}, "dev": dev, "split": "test"}
        show.results([{"inter": "none", "results": {"udpos": result}}], None)
        assert capsys.readouterr().out.startswith(f"udpos, zero-shot after none; {told}\n")
