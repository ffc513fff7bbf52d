"""What is read off PEFT's source is what PEFT says of itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

from adapter_stilts.model.tuning.libraries.peft_fields import declared


@pytest.mark.parametrize("kind", ["LORA", "IA3"])
def test_fields_and_defaults_are_those_of_the_installed_peft(kind: str) -> None:
    import peft

    theirs = {"LORA": peft.LoraConfig, "IA3": peft.IA3Config}[kind]().to_dict()
    ours = declared(kind)
    assert theirs.keys() <= ours.keys()
    # PEFT writes its version and its kind when a config is made.
    said = {name: value for name, value in theirs.items() if name not in ("peft_version", "peft_type")}
    assert {name: ours[name] for name in said} == said
    assert ours["peft_type"] == kind


def test_reading_them_imports_nothing() -> None:
    code = (
        "import sys\n"
        "from adapter_stilts.model.tuning.libraries.peft_fields import declared\n"
        "declared('LORA')\n"
        "assert not {'peft', 'torch', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
