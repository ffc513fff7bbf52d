"""README's picture and table of gains: what the script makes of committed results, and of a store."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from types import ModuleType

import pytest

from adapter_stilts.stages.exporting import export_results
from adapter_stilts.stages.plans import read_plan

ROOT = Path(__file__).parent.parent
README, IMAGES = ROOT / "README.md", ROOT / "docs" / "images"
PAGE = ROOT / "docs" / "miniature.md"
SCRIPT = ROOT / "scripts" / "readme_results.py"
MARKED = "before\n<!-- results -->\nold\n<!-- /results -->\nafter\n"
PICTURES = {"miniature_gains_dark.svg", "miniature_gains_light.svg"}


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return loaded(SCRIPT)


def command(folder: Path) -> list[str]:
    places = {"--readme": "README.md", "--page": "page.md", "--images": "images"}
    return [
        sys.executable,
        str(SCRIPT),
        *(word for flag, name in places.items() for word in (flag, str(folder / name))),
    ]


def made(tmp_path: Path, *more: str, readme: str = MARKED, page: str = MARKED) -> tuple[str, dict[str, str]]:
    """README and pictures as the script writes them, and beside them the page."""
    (tmp_path / "README.md").write_text(readme, encoding="utf-8")
    (tmp_path / "page.md").write_text(page, encoding="utf-8")
    ran = subprocess.run([*command(tmp_path), *more], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    images = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "images").iterdir()}
    return (tmp_path / "README.md").read_text(encoding="utf-8"), images


def rows_of(text: str) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in lines}


def test_readme_and_its_pictures_are_what_the_script_makes(tmp_path: Path) -> None:
    """After a change of results: run `scripts/readme_results.py`."""
    shown, page = README.read_text(encoding="utf-8"), PAGE.read_text(encoding="utf-8")
    text, images = made(tmp_path, readme=shown, page=page)
    assert text == shown
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == page
    assert set(images) == PICTURES
    for name, drawn in images.items():
        assert drawn == (IMAGES / name).read_text(encoding="utf-8"), name
        assert len(drawn.encode()) < 60_000
        assert f"docs/images/{name}" in shown


def test_files_of_single_runs_give_the_gains_of_their_seeds(
    tmp_path: Path, script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(
        inter: str, seed: int, xnli: float, mode: str = "full", precision: str = "fp32"
    ) -> dict[str, object]:
        about = {"mode": mode, "precision": precision, "intermediate": inter, "seed": seed}
        return {**about, "average": {"xnli": {"accuracy": xnli}}}

    single = {
        inter: {"xnli": {"average": {"accuracy": xnli}}, "tatoeba": {"average": {"accuracy": tatoeba}}}
        for inter, xnli, tatoeba in (("none", 40.0, 50.0), ("mnli", 45.0, 30.0), ("qqp", 39.0, 51.0))
    }
    modes = [
        run("none", 1, 42.0),
        run("mnli", 1, 49.0),
        run("mnli", 1, 0.0, precision="8bit"),
        run("mnli", 2, 99.0),
    ]
    ways = [
        {"arguments": "--inter mnli", "seed": 3, "average": {"tatoeba": {"accuracy": 34.0}}},
        {"arguments": "--inter mnli,qqp", "seed": 0, "average": {"xnli": {"accuracy": 0.0}}},
        {"arguments": "--inter qqp --set target.epochs=9", "seed": 0, "average": {"xnli": {"accuracy": 0.0}}},
    ]
    for name, results in zip(script.miniature_matrix.SINGLE, (single, modes, ways), strict=True):
        (tmp_path / name).write_text(json.dumps({"results": results}), encoding="utf-8")
    monkeypatch.setattr(script, "RESULTS", tmp_path)
    found = script.read(None)
    assert found.gains("full", "mnli", "xnli") == (5.0, 7.0)  # a seed without a baseline gives none
    assert found.gains("full", "qqp", "xnli") == (-1.0,)
    assert found.gains("full", "mnli", "tatoeba") == (-20.0, -16.0)  # nothing is trained for it: one baseline
    rows = rows_of(script.block(found))
    assert rows["xnli"] == ["41.0", "1 of 2", "mnli", "+6.0 (+5.0, +7.0)", "qqp", "-1.0"]
    assert rows["tatoeba"] == ["50.0", "1 of 2", "qqp", "+1.0", "mnli", "-18.0"]
    assert "2 of 4 pairs gain" in script.block(found)
    rows = rows_of(script.page(found))
    assert rows["none"] == ["**41.0**", "50.0"]
    assert rows["mnli"] == ["**64.3 (+6.0)**", "**32.0 (-18.0)**"]
    assert rows["qqp"] == ["39.0 (-1.0)", "51.0 (+1.0)"]
    light = script.pictures(found)["miniature_gains_light.svg"]
    assert re.findall(r">([+-]\d+\.\d)<", light) == [
        "-1.0",
        "+1.0",
        "+6.0",
        "-18.0",
    ]  # the better median first


def test_a_store_gives_gains_by_mode_and_stars(tmp_path: Path, script: ModuleType) -> None:
    making = loaded(ROOT / "benchmarks" / "made_store.py")
    store = making.matrix(tmp_path / "runs", modes=("full", "lora", "adapter"), seeds=6, examples=300).root
    text, images = made(tmp_path, "--results", str(store))
    assert text.startswith("before\n<!-- results -->\n<picture>")
    assert text.endswith("<!-- /results -->\nafter\n")
    head, rows = rows_of(text)["target"], rows_of(text)
    assert head[4:6] == ["with LoRA", "with bottlenecks"]
    scores = {}
    for path in store.glob("evaluate-xnli-*/metrics.json"):
        metrics = json.loads(path.read_text(encoding="utf-8"))
        scores[path.parent.name] = fmean(one["accuracy"] for one in metrics["languages"].values())
    cells = json.loads((store / "plans" / "made.json").read_text(encoding="utf-8"))["cells"]
    of = {
        (cell["mode"], cell["inter"], cell["seed"]): scores[cell["evaluate"]]
        for cell in cells
        if cell["target"] == "xnli"
    }
    gains = {
        mode: [of[mode, "hellaswag", seed] - of[mode, "none", seed] for seed in range(6)]
        for mode in ("full", "lora", "adapter")
    }
    full = gains["full"]
    assert rows["xnli"][2:6] == [
        "hellaswag",
        f"{fmean(full):+.1f} ({min(full):+.1f}, {max(full):+.1f})",
        f"{fmean(gains['lora']):+.1f}",
        f"{fmean(gains['adapter']):+.1f}",
    ]
    export_results(read_plan(store / "plans" / "made.json"), tmp_path / "results.zip")
    assert made(tmp_path, "--results", str(tmp_path / "results.zip"))[1] == images
    found = script.read(store)
    light = images["miniature_gains_light.svg"]
    assert (
        len(re.findall(r">[+-]\d+\.\d\*<", light))
        == len([key for key in found.holding if key[0] == "full"])
        > 0
    )


def test_a_store_stands_beside_single_runs_until_it_has_their_seeds(
    tmp_path: Path, script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    making = loaded(ROOT / "benchmarks" / "made_store.py")
    store = making.matrix(tmp_path / "runs", modes=("full",), seeds=2, examples=40).root
    export_results(read_plan(store / "plans" / "made.json"), tmp_path / script.miniature_matrix.STORE)
    stored = script.miniature_matrix.of_store(store)
    own = stored["full", "hellaswag", "xnli"]
    assert sorted(own) == [0, 1]
    for name in script.miniature_matrix.SINGLE:
        (tmp_path / name).write_text(json.dumps({"results": []}), encoding="utf-8")
    modes = tmp_path / script.miniature_matrix.SINGLE[1]

    def single(*seeds: int) -> None:
        about = {"mode": "full", "precision": "fp32", "intermediate": "hellaswag"}
        runs = [{**about, "seed": seed, "average": {"xnli": {"accuracy": 50.0 + seed}}} for seed in seeds]
        modes.write_text(json.dumps({"results": runs}), encoding="utf-8")

    monkeypatch.setattr(script, "RESULTS", tmp_path)
    single(0, 2)
    found = script.read(None)
    assert found.scores["full", "hellaswag", "xnli"] == {**own, 2: 52.0}
    assert found.holding is None
    assert [Path(name).name for name in found.source] == [
        script.miniature_matrix.STORE,
        *script.miniature_matrix.SINGLE,
    ]
    single(0, 1)
    found = script.read(None)
    assert found.scores["full", "hellaswag", "xnli"] == pytest.approx(own)
    assert found.holding is not None
    assert [Path(name).name for name in found.source] == [script.miniature_matrix.STORE]


def test_a_gain_is_never_between_a_store_and_a_single_run(script: ModuleType) -> None:
    """What an earlier version made of a seed has no baseline in the store; of other seeds it keeps its own."""
    single = {
        ("full", "none", "xnli"): {0: 46.0, 1: 45.0},
        ("full", "tlm", "xnli"): {0: 48.0, 1: 49.0},
        ("lora", "tlm", "xnli"): {0: 47.0},
    }
    stored = {("full", "none", "xnli"): {0: 43.0}}
    assert script.miniature_matrix.together(single, stored) == {
        ("full", "none", "xnli"): {0: 43.0, 1: 45.0},
        ("full", "tlm", "xnli"): {1: 49.0},
        ("lora", "tlm", "xnli"): {0: 47.0},
    }


def test_a_readme_without_marks_is_told(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("none\n", encoding="utf-8")
    ran = subprocess.run(command(tmp_path), capture_output=True, text=True)
    assert ran.returncode == 2
    assert "has no lines <!-- results -->" in ran.stderr
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "none\n"
