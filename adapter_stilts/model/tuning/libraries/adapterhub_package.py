"""AdapterHub's package, which is not there everywhere: it needs Transformers 4.57, and is an extra of ours."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.metadata import version
from typing import Any

from adapter_stilts.errors import UsageError, cause_of
from adapter_stilts.model.encoders import ENCODER_OF

PACKAGE = "adapters"
LIBRARY = "adapter-transformers"
"""Its name on the hub."""


def check_adapterhub() -> None:
    """Raises UsageError where the package is not installed, without importing it; says what to install."""
    # Once imported it has no spec of its own any more.
    if PACKAGE not in sys.modules and importlib.util.find_spec(PACKAGE) is None:
        raise _missing("it is not installed")
    if int(version("transformers").partition(".")[0]) > 4:
        raise _missing("it cannot work with this one")


def is_installed() -> bool:
    """Whether the package can be used here. Imports nothing."""
    try:
        check_adapterhub()
    except UsageError:
        return False
    return True


def check_supported(model_type: str, method: str = "bottleneck") -> None:
    """Raises UsageError where the package has no modules for a type of encoder.

    Args:
        method: by its name there: ``bottleneck`` or ``prefix_tuning``.
    """
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    named = ENCODER_OF.get(model_type) or MODEL_MAPPING_NAMES.get(model_type, ())
    classes = (named,) if isinstance(named, str) else named
    if set(classes) & set(adapterhub("adapters.models").MODEL_MIXIN_MAPPING):
        return
    interface = adapterhub("adapters.wrappers.interfaces").get_adapter_interface(model_type)
    if interface is not None and method not in interface.adapter_methods:
        raise UsageError(
            f"AdapterHub has no {method} for encoders of type {model_type!r}: --set "
            "tuning.adapter.architecture=pfeiffer (or houlsby, parallel, compacter), or --mode lora"
        )
    if interface is None:
        raise UsageError(
            f"AdapterHub has no adapters for encoders of type {model_type!r} ({PACKAGE} {version(PACKAGE)}): --mode "
            "lora or another of PEFT's changes any encoder's linear layers"
        )


def adapterhub(module: str = PACKAGE) -> Any:
    """The package, or a module in it. Raises UsageError as `check_adapterhub`."""
    check_adapterhub()
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise _missing(cause_of(error)) from error


def _missing(why: str) -> UsageError:
    return UsageError(
        f"bottleneck adapters (mode 'adapter') need AdapterHub's package {PACKAGE!r} and Transformers 4.57; here is "
        f"Transformers {version('transformers')}, and {why}: pip install 'adapter-stilts[adapters]', in an environment "
        "of its own where you need both, or choose --mode lora"
    )
