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


def made(tmp_path: Path, *more: str, readme: str = MARKED) -> tuple[str, dict[str, str]]:
    """README and pictures as the script writes them."""
    (tmp_path / "README.md").write_text(readme, encoding="utf-8")
    command = [
        sys.executable,
        str(SCRIPT),
        "--readme",
        str(tmp_path / "README.md"),
        "--images",
        str(tmp_path / "images"),
    ]
    ran = subprocess.run([*command, *more], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    images = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "images").iterdir()}
    return (tmp_path / "README.md").read_text(encoding="utf-8"), images


def rows_of(text: str) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in lines}


def test_readme_and_its_pictures_are_what_the_script_makes(tmp_path: Path) -> None:
    """After a change of results: run `scripts/readme_results.py`."""
    shown = README.read_text(encoding="utf-8")
    text, images = made(tmp_path, readme=shown)
    assert text == shown
    assert set(images) == PICTURES
    for name, drawn in images.items():
        assert drawn == (IMAGES / name).read_text(encoding="utf-8"), name
        assert len(drawn.encode()) < 60_000
        assert f"docs/images/{name}" in shown


def test_files_of_single_runs_give_the_gains_of_their_seeds(tmp_path: Path, script: ModuleType) -> None:
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
    for name, results in zip((script.SINGLE, *script.THREE), (single, modes, ways), strict=True):
        (tmp_path / name).write_text(json.dumps({"results": results}), encoding="utf-8")
    found = script.read_files(tmp_path)
    assert found.gains("full", "mnli", "xnli") == (5.0, 7.0)  # a seed without a baseline gives none
    assert found.gains("full", "qqp", "xnli") == (-1.0,)
    assert found.gains("full", "mnli", "tatoeba") == (-20.0, -16.0)  # nothing is trained for it: one baseline
    rows = rows_of(script.block(found))
    assert rows["xnli"] == ["41.0", "1 of 2", "mnli", "+6.0 (+5.0, +7.0)", "qqp", "-1.0"]
    assert rows["tatoeba"] == ["50.0", "1 of 2", "qqp", "+1.0", "mnli", "-18.0"]
    assert "2 of 4 pairs gain" in script.block(found)
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


def test_of_several_stores_one_is_named(
    tmp_path: Path, script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("miniature_a.zip", "miniature_b.zip"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setattr(script, "RESULTS", tmp_path)
    with pytest.raises(ValueError, match=r"several stores, .*: name one with --results"):
        script.read(None)


def test_a_readme_without_marks_is_told(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("none\n", encoding="utf-8")
    command = [
        sys.executable,
        str(SCRIPT),
        "--readme",
        str(tmp_path / "README.md"),
        "--images",
        str(tmp_path),
    ]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 2
    assert "has no lines <!-- results -->" in ran.stderr
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "none\n"
