"""The library as a person types it: exported names, README's lines, the examples."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import adapter_stilts as stilts

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
LINES_OF_AN_EXAMPLE = 40


def python(code: str | Path, where: Path) -> str:
    """What a script prints, run in a folder of its own."""
    given = [str(code)] if isinstance(code, Path) else ["-c", code]
    ran = subprocess.run([sys.executable, *given], cwd=where, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_every_exported_name_is_there() -> None:
    assert {"train", "evaluate", "load_bundle", "compose", "export", "fit", "score", "Study", "Recipe"} <= {
        *stilts.__all__
    }
    for name in stilts.__all__:
        assert getattr(stilts, name).__name__ == name
    assert set(stilts.__all__) <= set(dir(stilts))
    assert stilts.__all__ == sorted(stilts.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trian'; it has"):
        stilts.trian  # noqa: B018
    assert (ROOT / "adapter_stilts" / "py.typed").is_file()


@pytest.mark.parametrize("place", ["base", "data", "recipe", "store"])
def test_an_empty_place_is_none(place: str) -> None:
    """As a path it would be the current folder."""
    with pytest.raises(stilts.UsageError, match=f"^{place} = '' is empty: name "):
        stilts.train(inter="mnli", target="xnli", **{place: ""})


def test_names_stay_functions_when_modules_are_loaded(tmp_path: Path) -> None:
    code = """
import adapter_stilts.library, adapter_stilts.study, adapter_stilts.stages.run, adapter_stilts.stages.kinds.train
import adapter_stilts as stilts
print(all(callable(getattr(stilts, name)) for name in stilts.__all__))
"""
    assert python(code, tmp_path) == "True\n"


def test_importing_loads_nothing_heavy(tmp_path: Path) -> None:
    code = """
import sys
import adapter_stilts
print(sorted({'torch', 'transformers', 'numpy', 'pydantic', 'click', 'pandas'} & set(sys.modules)))
"""
    assert python(code, tmp_path) == "[]\n"


@pytest.mark.slow
def test_readmes_lines(tmp_path: Path) -> None:
    """As they stand there, on fewer examples."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"<!-- command: python -->\n```python\n(.*?)```", text, re.DOTALL)
    assert len([line for line in block.splitlines() if line]) == 5
    fewer = block.replace('recipe="miniature"', 'recipe="miniature", limit_train=40, limit_eval=5')
    assert fewer != block
    printed = python(fewer, tmp_path)
    assert "hellaswag tydiqa lora" in re.sub(" +", " ", printed)
    assert printed.rstrip().endswith("]")
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_there_are_three_examples() -> None:
    assert len(EXAMPLES) == 3
    for path in EXAMPLES:
        assert len(path.read_text(encoding="utf-8").splitlines()) < LINES_OF_AN_EXAMPLE


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.slow
def test_examples(path: Path, tmp_path: Path) -> None:
    assert python(path, tmp_path).strip()
