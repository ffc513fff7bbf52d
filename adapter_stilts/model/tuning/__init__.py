"""Tunings: what is trained. One module each, found by name; `base.Tuning` says what a tuning offers."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any, cast

from adapter_stilts.errors import UnknownNameError
from adapter_stilts.model.tuning.base import Tuning, TuningSettings
from adapter_stilts.model.tuning.libraries.adapterhub_package import LIBRARY, check_adapterhub
from adapter_stilts.recipe import validated


def tuning_names() -> tuple[str, ...]:
    modules = pkgutil.iter_modules(__path__)
    return tuple(sorted(module.name for module in modules if module.name != "base" and not module.ispkg))


def get_tuning(name: str) -> Tuning:
    """A tuning: its module, or the module's TUNING where a library's mechanics are shared. Raises UnknownNameError."""
    if name not in tuning_names():
        raise UnknownNameError("mode", name, tuning_names())
    module = importlib.import_module(f"{__name__}.{name}")
    return cast(Tuning, getattr(module, "TUNING", module))


def check_installed(name: str) -> None:
    """Raises UsageError where the library that a tuning needs is not there. Imports nothing."""
    if get_tuning(name).LIBRARY == LIBRARY:
        check_adapterhub()


def tuning_settings(name: str, sections: Mapping[str, Mapping[str, Any]]) -> TuningSettings:
    """A tuning's settings: its defaults under those of its section ``[tuning.<name>]``. Raises UsageError."""
    for section in sections:
        if section not in tuning_names():
            raise UnknownNameError("recipe key tuning", section, tuning_names())
    return validated(get_tuning(name).Settings, sections.get(name, {}), where=f"tuning.{name}")
