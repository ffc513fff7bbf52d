"""Formats: the shapes of tasks. One module each, found by name; `base.Format` says what a module offers."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from typing import cast

from adapter_stilts.errors import UnknownNameError
from adapter_stilts.formats.base import Format

_SUPPORT = {"base", "examples", "tokens", "words", "wordwise", "features"}


@functools.cache
def format_names() -> tuple[str, ...]:
    """Every format there is a module for."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in _SUPPORT))


def get_format(name: str) -> Format:
    """The module of a format. Raises UnknownNameError."""
    if name not in format_names():
        raise UnknownNameError("format", name, format_names())
    return cast(Format, importlib.import_module(f"{__name__}.{name}"))
