"""What is computed by libraries that are not there everywhere: the extra ``report``."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from typing import Any

from adapter_stilts.errors import UsageError


def is_there(name: str) -> bool:
    """Whether a library is installed; it is not imported."""
    return importlib.util.find_spec(name) is not None


@cache
def scipy_part(name: str, purpose: str) -> Any:
    """A part of scipy, imported when it is first needed.

    Args:
        name: ``special`` (distribution functions; quick to import) or ``stats``.
        purpose: what needs it, for the message.

    Raises:
        UsageError: scipy is not installed.
    """
    try:
        return importlib.import_module(f"scipy.{name}")
    except ImportError as error:
        raise UsageError(f"{purpose} needs scipy ({error}): pip install 'adapter-stilts[report]'") from error
