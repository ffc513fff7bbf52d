"""`report` and `compare` as they are typed: what goes where, and what is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def store(making: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("reported") / "runs"
    making.matrix(root, seeds=2)
    return root


def test_tables_are_printed_and_nothing_is_written(cli: Cli, store: Path) -> None:
    before = sorted(store.rglob("*"))
    ran = cli("report", store, "--resamples", 500)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == f"24 of 24 planned cells of {store}"
    assert "over none" in ran.out
    assert "xnli by language (full, fp32, made)" in lines
    assert not [line for line in lines if "by family" in line]
    assert sorted(store.rglob("*")) == before


def test_groupings_are_asked_for(cli: Cli, store: Path) -> None:
    ran = cli("report", store, "--resamples", 500, "--by", "family,resources")
    assert "xnli by family (full, fp32, made)" in ran.out
    assert "by language (" not in ran.out
    total = cli("report", store, "--resamples", 500, "--by", "total")
    assert " by " not in total.out.replace("Intermediate tasks by targets", "").replace("side by side", "")
    wrong = cli("report", store, "--by", "languages")
    assert wrong.code == 2
    assert "unknown grouping 'languages'; did you mean 'language'" in wrong.err
    assert "Choices: language, family, resources, total." in wrong.err
    assert "unknown grouping ','" in cli("report", store, "--by", ",").err


def test_a_folder_that_cannot_be_is_told_before_the_tables(cli: Cli, store: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    ran = cli("report", store, "--resamples", 500, "--out", tmp_path / "out")
    assert (ran.code, ran.out) == (2, "")
    assert "is a file: name a folder after --out" in ran.err


def test_a_page_is_written_and_named(cli: Cli, store: Path, tmp_path: Path) -> None:
    ran = cli("report", store, "--resamples", 500, "--out", tmp_path / "out")
    assert ran.code == 0
    assert f"written: {tmp_path / 'out' / 'index.html'} and " in ran.err
    assert (tmp_path / "out" / "language-1-xnli.csv").is_file()
    assert (tmp_path / "out" / "family-1-xnli.tex").is_file()
    assert "by language (" not in ran.out


def test_a_plan_is_named_by_its_first_digits(cli: Cli, store: Path) -> None:
    (plan,) = (store / "plans").iterdir()
    ran = cli("report", store, "--resamples", 500, "--by", "total", "--plan", plan.stem)
    assert ran.code == 0, ran.err
    wrong = cli("report", store, "--plan", "0123abcd")
    assert wrong.code == 2
    assert f"unknown plan '0123abcd'. Choices: {plan.stem}" in wrong.err
    short = cli("report", store, "--plan", plan.stem[:3])
    assert f"Choices: {plan.stem}. That is what the store {store} has." in short.err
    digits = cli("report", store, "--plan", "012")
    assert f"Choices: {plan.stem}. It takes 4 digits at least." in digits.err


def test_what_is_left_out_is_told_on_stderr(cli: Cli, making: ModuleType, tmp_path: Path) -> None:
    store = making.MadeStore(tmp_path / "runs")
    rows = making.right_and_wrong("1100")
    store.cell("none", "xnli", {"de": rows})
    gone = store.cell("mnli", "xnli", {"de": rows})
    store.plan()
    (gone / "metrics.json").write_text("{")
    ran = cli("report", store.root, "--resamples", 500)
    assert ran.code == 0
    assert ran.out.splitlines()[0].startswith("1 of 2 planned cells")
    assert f"note: {gone.name} (mnli before xnli" in ran.err


def test_what_is_no_store_is_an_error_in_a_line(cli: Cli, tmp_path: Path) -> None:
    ran = cli("report", tmp_path / "nowhere")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {tmp_path / 'nowhere'}: no such store")


def test_two_cells_are_compared(cli: Cli, store: Path) -> None:
    asked = (
        "compare",
        store,
        "--a",
        "mnli, lora",
        "--b",
        "none, lora",
        "--target",
        "xquad",
        "--resamples",
        500,
    )
    ran = cli(*asked)
    assert ran.code == 0, ran.err
    assert "a: mnli, lora, fp32, made." in ran.out
    told = json.loads(cli(*asked, "--json").out)
    assert [row["language"] for row in told["rows"]][-2:] == ["all", "all, trained anew"]
    several = cli("compare", store, "--a", "mnli", "--b", "none, lora", "--target", "xquad")
    assert several.code == 2
    assert "'mnli' means 2 cells of xquad; say more of one" in several.err


def test_a_run_of_several_cells_ends_with_the_report(
    cli: Cli, tiny_base: Path, tiny_data: Path, tmp_path: Path
) -> None:
    store = tmp_path / "a store"
    asked = ["--inter", "none,hellaswag", "--target", "udpos", "--base", tiny_base, "--data", tiny_data]
    asked += [
        "--store",
        store,
        "--device",
        "cpu",
        "--set",
        "target.max_steps=2",
        "--set",
        "intermediate.max_steps=2",
    ]
    ran = cli("matrix", *asked)
    assert ran.code == 0, ran.err
    assert ran.err.splitlines()[-1].startswith(f"report:  adapter-stilts report '{store}'")
    assert "report:" not in ran.out
    (plan,) = (path.stem for path in (store / "plans").iterdir())
    page = f"page:    adapter-stilts report '{store}' --plan {plan} --out report --watch"
    told = ran.err.splitlines()
    (named,) = [place for place, line in enumerate(told) if line.startswith(page)]
    assert named < min(place for place, line in enumerate(told) if line.startswith("[1/")), (
        "before anything runs"
    )
    again = cli("matrix", *asked, "--json")
    json.loads(again.out)
    assert "page:" not in again.err, "nothing runs"
    found = cli("report", store, "--resamples", 500)
    assert found.code == 0, found.err
    assert "hellaswag before udpos (full, fp32" in found.out
    two = ["--inter", "none", "--inter", "hellaswag", *asked[2:]]
    assert f"report:  adapter-stilts report '{store}'" in cli("train", *two).err
