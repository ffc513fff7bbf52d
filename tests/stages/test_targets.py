"""Which targets and languages a benchmark means, and what is said where the data or the miniature differ."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import DataError, UsageError
from adapter_stilts.evaluation.membership import XTREME, XTREME_R
from adapter_stilts.miniature import MiniatureSource
from adapter_stilts.recipe import load_recipe
from adapter_stilts.stages.plan import Plan
from adapter_stilts.stages.targets import expanded, wanted_languages
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.files import FileSource
from adapter_stilts.tasks.hub import HubSource

Planned = Callable[..., Plan]
XTREME_R_KEY = ("benchmark", "xtreme-r")


def languages(plan: Plan, target: str) -> list[str]:
    return next(list(cell.evaluate.part["data"]) for cell in plan.cells if cell.target == target)


@pytest.fixture
def added(tiny_data: Path, tmp_path: Path) -> Path:
    """The tiny data with a language of XQuAD that only XTREME-R has."""
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    shutil.copy(data / "xquad" / "xquad.de.json", data / "xquad" / "xquad.ro.json")
    return data


@pytest.mark.parametrize("name", XTREME_R.languages)
def test_languages_of_xtreme_r(name: str, tmp_path: Path) -> None:
    """Those its scorer wants of each task: 38 of udpos, 48 of panx, 41 of tatoeba."""
    found = wanted_languages(get_task(name), load_recipe(None, [XTREME_R_KEY]), FileSource(tmp_path))
    assert sorted(found) == sorted(XTREME_R.languages[name])


@pytest.mark.parametrize("name", XTREME.languages)
def test_languages_of_xtreme(name: str, tmp_path: Path) -> None:
    found = wanted_languages(get_task(name), load_recipe(None), FileSource(tmp_path))
    assert sorted(found) == sorted(XTREME.languages[name])


def test_added_languages_are_evaluated(planned: Planned, added: Path) -> None:
    plain = planned(data=added)
    assert languages(plain, "xquad") == ["en", "de"]
    assert languages(planned(XTREME_R_KEY, data=added), "xquad") == ["en", "de", "ro"]
    # What is asked for by name stands, whichever benchmark has it.
    asked = planned(("evaluation.languages", ["ro"]), data=added)
    assert languages(asked, "xquad") == ["ro"]


def test_the_benchmark_is_keyed_by_its_languages_alone(planned: Planned, added: Path) -> None:
    """The same languages at hand are the same stages; other languages change the evaluation alone."""
    assert planned(("benchmark", "xtreme")).stages == planned().stages == planned(XTREME_R_KEY).stages
    one, other = planned(data=added).stages, planned(XTREME_R_KEY, data=added).stages
    assert [a.key == b.key for a, b in zip(one, other, strict=True)] == [True, True, False]


def test_absent_languages_are_told(planned: Planned) -> None:
    (notice,) = (n for n in planned(XTREME_R_KEY).notices if n.startswith("xquad"))
    assert notice.startswith("xquad: 2 of 12 languages")
    assert notice.endswith("zh, ro")


def test_a_task_that_is_not_in_the_benchmark(planned: Planned) -> None:
    with pytest.raises(UsageError, match="'pawsx' is no task of xtreme-r, whose tasks are: xnli, xcopa"):
        planned(XTREME_R_KEY, target="pawsx")


def test_all_targets(planned: Planned) -> None:
    plan = planned(inter="none", target="all")
    targets = [cell.target for cell in plan.cells]
    assert targets == [name for name in XTREME.languages if name in targets]
    assert {"xquad", "udpos", "tatoeba"} <= set(targets)
    (notice,) = (n for n in plan.notices if "left out" in n)
    assert notice.startswith(f"{len(targets)} of the 9 targets of xtreme: left out ")
    assert "bucc2018 (no test split at hand)" in notice
    # Named beside it, a task stands once.
    assert next(cell.target for cell in planned(inter="none", target="xquad,all").cells) == "xquad"
    assert len(planned(inter="none", target="xquad,all").cells) == len(targets)


def test_all_targets_in_some_languages(planned: Planned) -> None:
    plan = planned(("evaluation.languages", ["de"]), inter="none", target="all")
    assert all(languages(plan, cell.target) == ["de"] for cell in plan.cells)


def test_a_target_without_its_train_split_is_left_out(
    planned: Planned, tiny_data: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    shutil.rmtree(data / "squad")
    plan = planned(inter="none", target="all", data=data)
    assert "xquad" not in {cell.target for cell in plan.cells}
    assert any("xquad (no train split of squad_v1 at hand)" in notice for notice in plan.notices)


def test_no_target_at_all(planned: Planned, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can serve no target of xtreme: xnli"):
        planned(inter="none", target="all", data=tmp_path)


def test_what_the_hub_cannot_serve_is_left_out() -> None:
    told: list[str] = []
    found = expanded(load_recipe(None, [("target.tasks", ["all"])]), HubSource(), told.append)
    assert found == [name for name in XTREME.languages if name != "bucc2018"]
    assert "bucc2018 (" in told[0]


@pytest.mark.parametrize("benchmark", ["xtreme", "xtreme-r"])
def test_the_miniature_keeps_its_languages(benchmark: str) -> None:
    from adapter_stilts.stages.targets import miniature_notice

    def recipe(*keys: tuple[str, Any]) -> Any:
        return load_recipe("miniature", [("target.tasks", ["all"]), *keys])

    source, told = MiniatureSource(), list[str]()
    chosen = recipe(("benchmark", benchmark))
    assert wanted_languages(get_task("xquad"), chosen, source) == source.wanted(get_task("xquad"))
    assert f"benchmark {benchmark}: the miniature" in str(miniature_notice(chosen, source))
    assert miniature_notice(recipe(), source) is None
    found = expanded(chosen, source, told.append)
    assert ("bucc2018" in found) == (benchmark == "xtreme")
    assert ("xcopa" in found) == (benchmark == "xtreme-r")
