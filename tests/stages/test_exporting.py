"""Results without weights: what is copied, and that the copy answers as a store."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import StoreError, UsageError
from adapter_stilts.io import broken_seal
from adapter_stilts.stages import exporting
from adapter_stilts.stages.archives import unpacked
from adapter_stilts.stages.exporting import export_results
from adapter_stilts.stages.keeping import kept_stages
from adapter_stilts.stages.plans import read_plan
from adapter_stilts.stages.record import read_metrics, read_scores
from adapter_stilts.stages.store import Store

BEFORE = {"evaluate-xquad-c": ("train-squad_v1-b",), "train-squad_v1-b": ("train-mnli-a",)}
Listing = Callable[[Path], list[str]]


@pytest.fixture
def full(shelf: Any) -> Any:
    """Three stages in a row, and one of another plan."""
    shelf.stage("train-mnli-a", weight=100_000)
    shelf.stage("train-squad_v1-b", ("train-mnli-a",), weight=100_000)
    shelf.stage("evaluate-xquad-c", ("train-squad_v1-b",), weight=100_000)
    shelf.stage("train-snli-d")
    return shelf


def files(*extra: str) -> list[str]:
    train, mnli, evaluate = (
        f"train-squad_v1-{'b' * 12}",
        f"train-mnli-{'a' * 12}",
        f"evaluate-xquad-{'c' * 12}",
    )
    found = [f"{name}/{file}" for name in (train, mnli, evaluate) for file in ("SHA256SUMS", "stage.json")]
    found += [f"{evaluate}/metrics.json", *(f"{evaluate}/{name}" for name in extra)]
    return sorted([*found, "store.json", "SHA256SUMS", f"plans/{'0' * 12}.json"])


@pytest.mark.parametrize("older", [False, True])
def test_records_of_the_plan_alone(full: Any, tmp_path: Path, listing: Listing, older: bool) -> None:
    more: Any = {"schema": 1, "recipes": [], "stages": []} if older else {"before": BEFORE}
    plan = full.plan("0" * 12, "evaluate-xquad-c", **more)
    out = tmp_path / "results"
    made = export_results(read_plan(plan), out)
    assert listing(out) == files("scores/de.jsonl")
    assert sorted(made.stages) == sorted(
        full.name(short) for short in ("train-mnli-a", "train-squad_v1-b", "evaluate-xquad-c")
    )
    assert made.missing == ()
    assert made.bytes == sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) < 10_000
    assert broken_seal(out, ("store.json", f"plans/{'0' * 12}.json")) is None
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=out, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert read_scores(out / full.name("evaluate-xquad-c"), "de") == [{"f1": 50.0}]
    assert kept_stages(out)[0].told == "xquad after hellaswag (lora, 8bit, base, seed 0)"


def test_without_rows(full: Any, tmp_path: Path, listing: Listing) -> None:
    plan = full.plan("0" * 12, "evaluate-xquad-c", before=BEFORE)
    export_results(read_plan(plan), tmp_path / "results", rows=False)
    assert listing(tmp_path / "results") == files()
    evaluation = tmp_path / "results" / full.name("evaluate-xquad-c")
    assert read_metrics(evaluation)["average"] == {"f1": 50.0}
    with pytest.raises(StoreError, match="holds averages alone"):
        read_scores(evaluation, "de")
    # And once more, of the copy.
    again = read_plan(tmp_path / "results" / "plans" / plan.name)
    export_results(again, tmp_path / "again")
    assert listing(tmp_path / "again") == files()


def test_it_runs_nothing(full: Any, tmp_path: Path) -> None:
    plan = full.plan("0" * 12, "evaluate-xquad-c", before=BEFORE)
    export_results(read_plan(plan), tmp_path / "results")
    store = Store(tmp_path / "results")
    assert store.exported
    assert not Store(full.root).exported
    with pytest.raises(StoreError, match="exported without weights"):
        store.open()


def test_what_is_not_finished_is_told(full: Any, tmp_path: Path) -> None:
    more = {**BEFORE, "evaluate-xnli-f": ("train-snli-d",)}
    plan = read_plan(full.plan("0" * 12, "evaluate-xquad-c", "evaluate-xnli-f", before=more))
    made = export_results(plan, tmp_path / "results")
    assert made.missing == (full.name("evaluate-xnli-f"),)
    assert len(made.stages) == 4


def test_what_cannot_be_exported(full: Any, tmp_path: Path) -> None:
    nothing = read_plan(full.plan("1" * 12, "evaluate-xnli-f"))
    with pytest.raises(UsageError, match="no stage of it is finished"):
        export_results(nothing, tmp_path / "results")
    plan = read_plan(full.plan("0" * 12, "evaluate-xquad-c", before=BEFORE))
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("")
    (tmp_path / "folder.zip").mkdir()
    refused = {
        "there": "holds files already, and was not exported",
        "there/file": "holds files already, and was not exported",
        "there/file/results.zip": "file is a file: name another DIR",
        "folder.zip": "is a folder, and its name that of a zip file",
    }
    for place, words in refused.items():
        with pytest.raises(UsageError, match=words):
            export_results(plan, tmp_path / place)
    (full.root / full.name("evaluate-xquad-c") / "scores" / "de.jsonl").write_text('{"f1": 90.0}\n')
    with pytest.raises(StoreError, match=r"scores/de\.jsonl is damaged"):
        export_results(plan, tmp_path / "results")
    assert not (tmp_path / "results").exists()
    assert not list(tmp_path.glob("results*"))


@pytest.mark.parametrize("name", ["results", "results.zip"])
def test_an_export_is_added_to(full: Any, tmp_path: Path, listing: Listing, name: str) -> None:
    """As where parts of a study ran on two machines: both plans are in it, and rows that were left out at first."""
    out = tmp_path / name
    export_results(read_plan(full.plan("1" * 12, "train-snli-d")), out)
    plan = read_plan(full.plan("0" * 12, "evaluate-xquad-c", before=BEFORE))
    export_results(plan, out, rows=False)
    made = export_results(plan, out)
    assert len(made.stages) == 3
    folder = unpacked(out, tmp_path / "cache") if out.is_file() else out
    snli = full.name("train-snli-d")
    more = [f"{snli}/SHA256SUMS", f"{snli}/stage.json", f"plans/{'1' * 12}.json"]
    assert listing(folder) == sorted([*files("scores/de.jsonl"), *more])
    assert broken_seal(folder, ("store.json", f"{snli}/stage.json")) is None
    assert Store(folder).exported
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith((".", "results"))) == [
        name
    ]


@pytest.mark.parametrize("name", ["results", "results.zip"])
def test_two_exports_at_once_are_both_there(
    full: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The second waits: as it began while the first had read `out` and not yet written it."""
    out, several = tmp_path / name, []
    plans = [
        read_plan(full.plan("1" * 12, "train-snli-d")),
        read_plan(full.plan("0" * 12, "evaluate-xquad-c", before=BEFORE)),
    ]
    second = threading.Thread(target=export_results, args=(plans[1], out))
    copy = exporting._copy

    def meet(*arguments: Any) -> None:
        if not several:
            several.append(second.start())
            second.join(0.5)
            assert second.is_alive()
        copy(*arguments)

    monkeypatch.setattr(exporting, "_copy", meet)
    export_results(plans[0], out)
    second.join(30)
    folder = unpacked(out, tmp_path / "cache") if out.is_file() else out
    assert sorted(path.name for path in (folder / "plans").iterdir()) == [
        f"{'0' * 12}.json",
        f"{'1' * 12}.json",
    ]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith((".", "results"))) == [
        name
    ]


def test_an_archive_is_the_same_bytes(full: Any, tmp_path: Path) -> None:
    plan = read_plan(full.plan("0" * 12, "evaluate-xquad-c", before=BEFORE))
    for name in ("a.zip", "b.zip"):
        made = export_results(plan, tmp_path / name)
        assert made.bytes == (tmp_path / name).stat().st_size
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    export_results(plan, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_two_results_of_one_stage_stand_in_no_one_export(full: Any, tmp_path: Path) -> None:
    plan = read_plan(full.plan("0" * 12, "evaluate-xquad-c", before=BEFORE))
    export_results(plan, tmp_path / "results")
    there = tmp_path / "results" / full.name("evaluate-xquad-c") / "metrics.json"
    before = there.read_text()
    assert "50.0" in before
    there.write_text(before.replace("50.0", "50.5"))
    with pytest.raises(StoreError, match="holds another result of this stage"):
        export_results(plan, tmp_path / "results")
    assert "50.5" in there.read_text()


def test_archives_that_are_none(full: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = read_plan(full.plan("0" * 12, "evaluate-xquad-c", before=BEFORE))
    text, other = tmp_path / "text.zip", tmp_path / "other.zip"
    text.write_text("no zip")
    for run in (lambda: export_results(plan, text), lambda: unpacked(text, tmp_path / "cache")):
        with pytest.raises(StoreError, match=r"text\.zip cannot be unpacked"):
            run()
    export_results(plan, tmp_path / "whole.zip")
    whole = (tmp_path / "whole.zip").read_bytes()
    for byte in range(0, len(whole), 7):  # whatever is damaged: unpacked, or refused in words
        damaged = bytearray(whole)
        damaged[byte] ^= 0x10
        (tmp_path / "damaged.zip").write_bytes(damaged)
        with contextlib.suppress(StoreError):
            unpacked(tmp_path / "damaged.zip", tmp_path / "other_cache")
    with zipfile.ZipFile(other, "w") as file:
        file.writestr("notes.txt", "mine")
    with pytest.raises(UsageError, match="holds something else than exported results"):
        export_results(plan, other)
    monkeypatch.setattr("adapter_stilts.stages.archives.LARGEST", 3)
    with pytest.raises(StoreError, match="claims to hold 4 bytes, more than 3"):
        unpacked(other, tmp_path / "cache")
    assert not (tmp_path / "cache" / "results").exists() or not list(
        (tmp_path / "cache" / "results").iterdir()
    )
