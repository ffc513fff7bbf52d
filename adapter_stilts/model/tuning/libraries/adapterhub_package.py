"""AdapterHub's package, which is not there everywhere: it needs Transformers 4.57, and is an extra of ours."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.metadata import version
from typing import Any

from adapter_stilts.errors import UsageError, cause_of

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
