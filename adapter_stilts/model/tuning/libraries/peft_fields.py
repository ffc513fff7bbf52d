"""The fields of PEFT's configs and their defaults, read off its source: to import it takes seconds, a look at a bundle
takes none.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_CLASSES = {"LORA": "LoraConfig", "IA3": "IA3Config"}


@functools.cache
def declared(peft_type: str) -> dict[str, Any]:
    """Every field of a kind's config, with its default as `to_dict` has it; what is made anew each time is empty.

    Args:
        peft_type: PEFT's name of the kind, ``LORA`` or ``IA3``.
    """
    found = importlib.util.find_spec("peft")
    assert found is not None
    assert found.origin is not None
    root = Path(found.origin).parent
    own = root / "tuners" / peft_type.lower() / "config.py"
    classes = [(root / "config.py", "PeftConfigMixin"), (root / "config.py", "PeftConfig")]
    return {
        name: default
        for path, wanted in (*classes, (own, _CLASSES[peft_type]))
        for name, default in _fields(path, wanted)
    } | {"peft_type": peft_type}


def _fields(path: Path, wanted: str) -> Iterator[tuple[str, Any]]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == wanted:
            for line in node.body:
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                    yield line.target.id, _default(line.value)


def _default(value: ast.expr | None) -> Any:
    """The default that stands in ``= 8``, ``= field(default=8, ...)``, or ``= field(default_factory=dict)``."""
    if isinstance(value, ast.Call):
        words = {word.arg: word.value for word in value.keywords}
        value = words.get("default")
        if "default_factory" in words:
            return {}
    return None if value is None else ast.literal_eval(value)
