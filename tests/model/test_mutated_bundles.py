"""Bundles changed as a stranger could change them: a sample of `scripts/mutate_bundles.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "mutate_bundles.py"


def test_a_sample_of_mutated_bundles(tiny_base: Path, tiny_data: Path) -> None:
    """The whole: scripts/mutate_bundles.py --all."""
    pytest.importorskip("adapters")
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), "--data", str(tiny_data), "--base", str(tiny_base), "--mutations", "16",
         "--kinds", "full|lora, pooler", "--seed", "3"],
        capture_output=True, text=True,
    )  # fmt: skip
    result = json.loads(ran.stdout)
    wrong = {name: told for name, told in result["wrong"].items() if name != "slow"}  # no clock in a test
    assert not any(wrong.values()), wrong
    control = result["control"]
    assert (control["wrong"], control["stand_in_is_called"]) == ([], True)
    every = ["verify", "list", "show", "evaluate", "train", "compose", "export"]
    assert control["accepted"]["full"] == control["accepted"]["lora, pooler"] == every
    # Where nobody wrote the digests anew, nothing that is changed is taken.
    assert set(result["accepted_without"]) <= {"listing: SHA256SUMS"}
