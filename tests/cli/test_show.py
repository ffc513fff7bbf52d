"""Tables say whose languages and tasks they hold; only a whole benchmark's mean is called its average."""

from __future__ import annotations

from typing import Any

import pytest

from adapter_stilts.cli import show
from adapter_stilts.evaluation.membership import XTREME, XTREME_R, Benchmark


def cell(benchmark: Benchmark, score: float, without: str = "", inter: str = "none") -> dict[str, Any]:
    """A cell that scores the same everywhere, without a task or a language (``task/language``)."""
    results = {}
    for task, languages in benchmark.languages.items():
        held = [language for language in languages if f"{task}/{language}" != without]
        if task != without:
            results[task] = {
                "languages": {language: {"f1": score} for language in held},
                "average": {"f1": score},
            }
    return {"inter": inter, "results": results}


@pytest.mark.parametrize("benchmark", [XTREME, XTREME_R], ids=lambda benchmark: str(benchmark.name))
def test_a_whole_benchmark(benchmark: Benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    show.results([cell(benchmark, 50), cell(benchmark, 52.5, inter="mnli")], benchmark)
    shown = capsys.readouterr().out
    assert f"xnli, zero-shot after mnli ({benchmark.name}, all 15 languages)" in shown
    compared = shown[shown.index("Average over languages") :].splitlines()
    (average,) = (line for line in compared if f"{benchmark.name} average" in line)
    assert [part.strip() for part in average.split("│")[2:4]] == ["50.00", "52.50 (+2.50)"]
    assert sum("52.50 (+2.50)" in line for line in compared) == len(benchmark.languages) + 1


@pytest.mark.parametrize("without", ["tatoeba", "panx/yo"])
def test_a_part_of_it(without: str, capsys: pytest.CaptureFixture[str]) -> None:
    show.results([cell(XTREME, 50, without)], XTREME)
    shown = capsys.readouterr().out
    count = 8 if without == "tatoeba" else 9
    assert f"mean of these {count}" in shown
    assert "xtreme average" not in shown
    assert ("panx, zero-shot after none (xtreme, 39 of 40 languages)" in shown) == (without == "panx/yo")


def test_one_target_and_languages_of_no_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    one = {"inter": "none", "results": {"xnli": cell(XTREME, 50)["results"]["xnli"]}}
    show.results([one], None)
    shown = capsys.readouterr().out
    assert shown.startswith("xnli, zero-shot after none\n")
    assert "Average over languages" not in shown


LIMITS = {
    "; the first 4 a language": {"intermediate": None, "target": None, "evaluation": 4},
    "; trained on the first 8 examples, the first 4 a language": {
        "intermediate": 8,
        "target": 8,
        "evaluation": 4,
    },
    "; intermediate trained on the first 8 examples, target trained on the first 9 examples": {
        "intermediate": 8,
        "target": 9,
        "evaluation": None,
    },
    "": {"intermediate": None, "target": None, "evaluation": None},
}


@pytest.mark.parametrize(("told", "limits"), LIMITS.items(), ids=["evaluation", "all", "both", "none"])
def test_limits_in_force_are_named(
    told: str, limits: dict[str, int | None], capsys: pytest.CaptureFixture[str]
) -> None:
    result = {**cell(XTREME, 50)["results"]["xnli"], "limits": limits}
    show.results([{"inter": "none", "results": {"xnli": result, "pawsx": result}}], None)
    shown = capsys.readouterr().out
    assert shown.startswith(f"xnli, zero-shot after none{told}\n")
    assert f"\nAverage over languages, by intermediate task (gain){told}\n" in shown
