"""The package stays in small pieces: files, functions and their parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "adapter_stilts"
FILES = sorted(PACKAGE.rglob("*.py"))
LINES_OF_A_FILE, LINES_OF_A_FUNCTION, PARAMETERS = 400, 80, 8


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield node


def parameters(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    names = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_is_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES_OF_A_FILE
    for function in functions(path):
        assert (function.end_lineno or 0) - function.lineno < LINES_OF_A_FUNCTION, function.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_many_parameters_have_a_reason(path: Path) -> None:
    """A verb's are its options; elsewhere the docstring says why there are so many."""
    for function in functions(path):
        if len(parameters(function)) > PARAMETERS and "cli" not in path.parts:
            assert "many" in (ast.get_docstring(function) or ""), function.name


def test_the_counts_count() -> None:
    (function,) = ast.parse("def one(self, a, *, b=1): pass").body
    assert isinstance(function, ast.FunctionDef)
    assert parameters(function) == ["a", "b"]
    assert len(FILES) > 200
