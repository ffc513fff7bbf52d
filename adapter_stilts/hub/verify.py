"""Whether a folder is a bundle that may be read: by the same look at it that every verb takes before it reads one."""

from __future__ import annotations

from pathlib import Path

from adapter_stilts.errors import BundleError
from adapter_stilts.model.bundle import read_bundle
from adapter_stilts.model.bundle_info import BundleInfo


def verify(directory: Path) -> BundleInfo:
    """What a bundle is, after all of its files were looked at. Raises BundleError, as `read_bundle`."""
    if not directory.is_dir():
        raise BundleError(f"{directory}: no such folder")
    return read_bundle(directory)
