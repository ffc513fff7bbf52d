"""A stranger's text is shown and not obeyed, and one bad bundle is one line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.cli.terminal import plain, printable, printable_json
from adapter_stilts.io import sha256_file

Cli = Callable[..., Any]
NASTY = "a\x1b[31mred\x07\x9b2J\u202egnp.exe\u2028x\x00\r"


def test_what_a_terminal_would_obey() -> None:
    assert printable(NASTY) == r"a\x1b[31mred\x07\x9b2J\u202egnp.exe\u2028x\x00\x0d"
    assert (
        printable("zwei\nZeilen\tTab, ქართული, ภาษาไทย, عربي, \u200d")
        == "zwei\nZeilen\tTab, ქართული, ภาษาไทย, عربي, \u200d"
    )
    assert json.loads(printable_json({NASTY: NASTY})) == {NASTY: NASTY}
    assert printable(printable_json({NASTY: NASTY})) == printable_json({NASTY: NASTY})
    assert plain("[/x] [red]a[/red]\nb").plain == "[/x] [red]a[/red]\\nb"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """What `list` and `show` read of one, without weights."""
    folder = tmp_path / "shelf" / "good"
    folder.mkdir(parents=True)
    info = {
        "schema_version": 1, "tuning": "lora", "base": "org/base", "base_revision": None,
        "base_fingerprint": "0" * 64, "task": "xnli", "format": "pair_classification", "labels": ["a", "b"],
        "settings": {}, "parents": [], "metrics": {"accuracy": 50.0}, "versions": {},
    }  # fmt: skip
    (folder / "bundle.json").write_text(json.dumps(info))
    (folder / "README.md").write_text("# good\n")
    (folder / "SHA256SUMS").write_text(f"{sha256_file(folder / 'bundle.json')}  bundle.json\n")
    return folder


def copied(bundle: Path, name: str, **values: Any) -> Path:
    folder = bundle.with_name(name)
    shutil.copytree(bundle, folder)
    info = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**info, **values}))
    return folder


def test_markup_in_a_name_or_a_metric_is_text(cli: Cli, bundle: Path) -> None:
    copied(bundle, "markup", task="[/x]", base="[bold]b", metrics={"[/x]": 1.0, NASTY: 2.0})
    shelf = bundle.parent
    ran = cli("hub", "list", shelf)
    assert ran.code == 0, ran.err
    assert "[/x]" in ran.out
    assert "[bold]b" in ran.out
    assert ran.out == printable(ran.out)
    ran = cli("hub", "list", shelf, "--json")
    assert ran.out == printable(ran.out)
    assert {row["task"] for row in ran.json["bundles"]} == {"xnli", "[/x]"}


def test_one_bad_bundle_is_one_line_of_a_list(cli: Cli, bundle: Path) -> None:
    for name, content in {"deep": b"[" * 200_000, "no-json": b"{", "list": b"[]", "latin": b'"\xe9"'}.items():
        (bundle.with_name(name)).mkdir()
        (bundle.with_name(name) / "bundle.json").write_bytes(content)
    bundle.with_name("pipe").mkdir()
    os.mkfifo(bundle.with_name("pipe") / "bundle.json")
    rows = cli("hub", "list", bundle.parent, "--json").json["bundles"]
    assert {Path(row["address"]).name: "error" in row for row in rows} == {
        "deep": True, "good": False, "latin": True, "list": True, "no-json": True, "pipe": True,
    }  # fmt: skip
    shown = cli("hub", "list", bundle.parent)
    assert (shown.code, shown.out.count("cannot be read")) == (0, 5)
    verified = cli("hub", "verify", bundle.parent)
    assert verified.code == 1
    assert verified.err.count("error: ") == 6


def test_a_card_is_shown_and_not_obeyed(cli: Cli, bundle: Path) -> None:
    (bundle / "README.md").write_text(f"# card {NASTY}\n" + "word " * 12_000_000)
    ran = cli("hub", "show", bundle)
    assert len(ran.out) < 300_000
    assert r"\x1b[31mred" in ran.out
    assert ran.out == printable(ran.out)
    assert "bytes more in README.md" in ran.out


def test_errors_are_shown_and_not_obeyed(cli: Cli, bundle: Path) -> None:
    folder = copied(bundle, "odd", tuning=NASTY)
    for verb in (("hub", "verify", folder), ("evaluate", folder, "--target", "xnli")):
        ran = cli(*verb)
        assert ran.code in (1, 2)
        assert ran.err == printable(ran.err)
        assert ran.err.startswith("error: ")
