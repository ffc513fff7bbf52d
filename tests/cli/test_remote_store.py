"""`--store ADDRESS`: two machines, each with a cache of its own, share what they finish."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.stages.remote import local_store

Cli = Callable[..., Any]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Go on as a machine with a cache of that name; returns the folder of its mirrors."""

    def call(name: str) -> Path:
        monkeypatch.setenv("ADAPTER_STILTS_CACHE", str(tmp_path / name))
        return tmp_path / name / "stores"

    return call


@pytest.mark.parametrize(
    "words",
    [
        ("store", "ls", "ADDRESS"),
        ("status", "ADDRESS"),
        ("report", "ADDRESS"),
        ("report", "ADDRESS", "--watch", "--out", "page"),
        ("compare", "ADDRESS", "--a", "mnli", "--b", "none", "--target", "xnli"),
        ("submit", "--store", "ADDRESS", "--out", "page"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_what_looks_at_folders_names_the_mirror(
    cli: Cli, machine: Callable[[str], Path], words: tuple[str, ...]
) -> None:
    address = f"memory://{secrets.token_hex(4)}"
    mirrors = machine("one")
    given = [address if word == "ADDRESS" else word for word in words]
    ran = cli(*given)
    assert (ran.code, ran.out) == (2, "")
    assert (
        f"{address}: an address, and this looks at folders; this machine has no mirror of it yet" in ran.err
    )
    mirror = local_store(address, mirrors.parent)
    assert f"looks at folders; {mirror} is this machine's mirror of it" in cli(*given).err


def test_two_machines_share_an_address(
    cli: Cli,
    tiny: Callable[..., list[str]],
    machine: Callable[[str], Path],
    listing: Callable[[Path], list[str]],
) -> None:
    address = f"memory://{secrets.token_hex(4)}"

    def run(*more: str) -> Any:
        ran = cli(
            *tiny("--inter", "hellaswag", "--target", "xquad", "--mode", "lora", "--store", address, *more)
        )
        assert ran.code == 0, ran.err
        return ran

    machine("one")
    first = run()
    assert first.statuses() == ["ran"] * 3
    mirrors = machine("other")
    planned = run("--dry-run")
    assert planned.statuses() == ["cached"] * 3
    second = run()
    assert second.statuses() == ["cached"] * 3
    assert second.json["results"] == first.json["results"]
    files = listing(mirrors)
    assert any(name.endswith("metrics.json") for name in files)
    assert not any("/bundle/" in name for name in files), "weights are fetched where a stage starts from them"
    # The other machine goes on from the first one's intermediate task, and the first finds what it made.
    third = run("--target", "udpos")  # beside xquad
    assert sorted(third.statuses()) == ["cached"] * 3 + ["ran"] * 2
    weights = {name.split("/")[1].rpartition("-")[0] for name in listing(mirrors) if "/bundle/" in name}
    assert weights == {"train-hellaswag", "train-udpos"}, "and no others"
    machine("one")
    assert run("--target", "udpos").statuses() == ["cached"] * 5


def test_an_address_that_is_none(
    cli: Cli, tiny: Callable[..., list[str]], machine: Callable[[str], Path]
) -> None:
    mirrors = machine("one")
    ran = cli(*tiny("--target", "xquad", "--store", "s4://bucket/x"))
    assert (ran.code, ran.out) == (2, "")
    assert "--store s4://bucket/x: " in ran.err
    assert not mirrors.exists()
