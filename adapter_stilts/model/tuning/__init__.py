"""Tunings: what is trained. One module each, found by name; `base.Tuning` says what a module offers."""

from __future__ import annotations

import importlib
import pkgutil
from typing import cast

from adapter_stilts.errors import UnknownNameError
from adapter_stilts.model.tuning.base import Tuning


def tuning_names() -> tuple[str, ...]:
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base"))


def get_tuning(name: str) -> Tuning:
    """The module of a tuning. Raises UnknownNameError."""
    if name not in tuning_names():
        raise UnknownNameError("mode", name, tuning_names())
    return cast(Tuning, importlib.import_module(f"{__name__}.{name}"))
