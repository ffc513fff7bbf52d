"""Tunings: what is trained. One module each, found by name; `base.Tuning` says what a tuning offers.

Other packages add theirs as entry points of `adapter_stilts.tunings`: a module, or its TUNING.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, cast

from adapter_stilts.model.tuning.base import Tuning, TuningSettings
from adapter_stilts.model.tuning.libraries.adapterhub_package import LIBRARY, check_adapterhub
from adapter_stilts.registry import TUNINGS
from adapter_stilts.validation import validated


def tuning_names() -> tuple[str, ...]:
    """Every tuning, ours first, each part sorted; none is imported."""
    return TUNINGS.names()


def get_tuning(name: str) -> Tuning:
    """A tuning: its module, or the module's TUNING where a library's mechanics are shared.

    Raises:
        UnknownNameError: there is none; names the nearest.
        UsageError: another package's cannot be loaded, or is no tuning.
    """
    TUNINGS.check(name)
    if name not in TUNINGS.declared():
        module = importlib.import_module(f"{__name__}.{name}")
        return cast(Tuning, getattr(module, "TUNING", module))
    loaded = TUNINGS.load(name)
    tuning = getattr(loaded, "TUNING", loaded)
    TUNINGS.check_offers(name, tuning, Tuning)
    return cast(Tuning, tuning)


def check_installed(name: str) -> None:
    """Raises UsageError where the library that a tuning needs is not there. Imports nothing."""
    if get_tuning(name).LIBRARY == LIBRARY:
        check_adapterhub()


def tuning_settings(name: str, sections: Mapping[str, Mapping[str, Any]]) -> TuningSettings:
    """A tuning's settings: its defaults under those of its section ``[tuning.<name>]``. Raises UsageError."""
    for section in sections:
        TUNINGS.check(section, "recipe key tuning")
    return validated(get_tuning(name).Settings, sections.get(name, {}), where=f"tuning.{name}")
