"""Formats: the shapes of tasks. One module each, found by name; `base.Format` says what a module offers.

Every module of this package that has a `SCHEMA` and `Settings` is a format; there is no list to edit. Other packages
add theirs as entry points of `adapter_stilts.formats`, each a module.
"""

from __future__ import annotations

import functools
import importlib
from typing import cast

from adapter_stilts.errors import UnknownNameError
from adapter_stilts.formats.base import Format
from adapter_stilts.registry import FORMATS


def format_names() -> tuple[str, ...]:
    """Every format, ours first, each part sorted. Raises UsageError where two have one name."""
    return FORMATS.names(_own())


@functools.cache
def get_format(name: str) -> Format:
    """The module of a format.

    Raises:
        UnknownNameError: there is none; names the nearest.
        UsageError: another package's cannot be loaded, or is no format.
    """
    if name in _own():
        return cast(Format, importlib.import_module(f"{__name__}.{name}"))
    if name not in format_names():
        raise UnknownNameError("format", name, format_names())
    loaded = FORMATS.load(name)
    FORMATS.check_offers(name, loaded, Format)
    return cast(Format, loaded)


@functools.cache
def _own() -> tuple[str, ...]:
    found = {name: importlib.import_module(f"{__name__}.{name}") for name in FORMATS.modules()}
    return tuple(
        name for name, module in found.items() if hasattr(module, "SCHEMA") and hasattr(module, "Settings")
    )
