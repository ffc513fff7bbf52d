"""What may be read as a bundle, and what is refused by its name."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter_stilts.errors import BundleError, UnknownNameError, UsageError
from adapter_stilts.hub.address import HubAddress, address_of, is_address, parse
from adapter_stilts.hub.transfer import fetch, locate, pull
from adapter_stilts.hub.verify import verify
from adapter_stilts.io import sha256_file
from adapter_stilts.model.bundle_files import files_of


@pytest.fixture
def bundle(shared: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(shared, tmp_path / "bundle"))


def relist(folder: Path) -> None:
    """Make the listing true again after a change."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != "SHA256SUMS")
    (folder / "SHA256SUMS").write_text("".join(f"{sha256_file(folder / n)}  {n}\n" for n in names))


def write(name: str, content: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)
        relist(folder)

    return change


def link(name: str, target: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return change


def said(**values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        info = json.loads((folder / "bundle.json").read_text())
        (folder / "bundle.json").write_text(json.dumps({**info, **values}))
        relist(folder)

    return change


def listed(line: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / "SHA256SUMS").open("a") as file:
            file.write(line + "\n")

    return change


def deep(folder: Path) -> None:
    (folder / "one" / "two").mkdir(parents=True)
    (folder / "one" / "two" / "x.json").write_text("{}")


def flip(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    relist(folder)


ZERO = "0" * 64
REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "pickle": (write("adapter_model.bin", pickle.dumps({})), "adapter_model.bin is none of *.safetensors, *.json"),
    "torch": (write("optimizer.pt", b"x"), "optimizer.pt is none of"),
    "code": (write("modeling.py", b"print()"), "modeling.py is none of"),
    "archive": (write("weights.tar.gz", b"x"), "weights.tar.gz is none of"),
    "no suffix": (write("weights", b"x"), "weights is none of"),
    "capitals": (write("ADAPTER.SAFETENSORS", b"x"), "ADAPTER.SAFETENSORS is none of"),
    "odd name": (write("weights[1].json", b"{}"), "'weights[1].json' is not a plain file"),
    "hidden": (write(".hidden.json", b"{}"), "'.hidden.json' is not a plain file"),
    "pickle by another name": (write("extra.safetensors", pickle.dumps({})), "not a safetensors file, whatever"),
    "empty tensors": (write("extra.safetensors", b""), "extra.safetensors: not a safetensors file"),
    "huge header": (write("extra.safetensors", b"\xff" * 16), "extra.safetensors: not a safetensors file"),
    "cut off": (cut, "its tensors do not end where the file does"),
    "not json": (write("extra.json", b"{"), "extra.json: not JSON"),
    "deeply nested json": (write("extra.json", b"[" * 100_000), "extra.json: not JSON"),
    "wrong digest": (flip, "adapter_model.safetensors: its digest differs from SHA256SUMS: damaged or changed"),
    "no digests": (lambda folder: (folder / "SHA256SUMS").unlink(), "no SHA256SUMS, so it is no bundle of ours"),
    "no account": (lambda folder: (folder / "bundle.json").unlink(), "no bundle.json, so it is no bundle of ours"),
    "missing": (lambda folder: (folder / "README.md").unlink(), "README.md is listed in SHA256SUMS but missing"),
    "not listed": (lambda folder: (folder / "more.json").write_text("{}"), "more.json: not listed in SHA256SUMS"),
    "link out": (link("README.md", "/etc/passwd"), "README.md: a link, which may lead out of the bundle"),
    "link within": (link("more.json", "bundle.json"), "more.json: a link"),
    "linked folder": (link("more", "/etc"), "more: a link"),
    "pipe": (lambda folder: os.mkfifo(folder / "pipe.json"), "pipe.json: not a plain file"),
    "too deep": (deep, "one/two: not a plain file"),
    "path out": (listed(f"{ZERO}  ../../etc/passwd"), "not 'DIGEST  NAME' with a plain name"),
    "absolute path": (listed(f"{ZERO}  /etc/passwd"), "not 'DIGEST  NAME' with a plain name"),
    "task's name": (said(task="../../outside"), "'../../outside' is no task's name"),
    "newer": (said(schema_version=99), "written by a newer version (schema 99); upgrade"),
    "unknown key": (said(code="x"), "bundle.json"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(bundle: Path, tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(bundle)
    with pytest.raises(BundleError) as caught:
        verify(bundle)
    assert message in str(caught.value)
    with pytest.raises(BundleError):
        pull(str(bundle), tmp_path / "mine")
    assert not list(tmp_path.glob("mine*"))


def test_what_tools_leave_is_neither_read_nor_carried(bundle: Path, tmp_path: Path) -> None:
    (bundle / ".gitattributes").write_text("*.safetensors filter=lfs\n")
    (bundle / ".git" / "objects" / "ab").mkdir(parents=True)
    names = files_of(bundle)
    assert verify(bundle).tuning == "lora"
    pull(str(bundle), tmp_path / "mine")
    assert files_of(tmp_path / "mine") == names
    assert not list((tmp_path / "mine").glob(".git*"))


def test_a_bundle_that_changes_meanwhile_is_told(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapter_stilts.hub import transfer

    def changed(text: str) -> transfer.Found:
        found = fetch(text)
        said(task="another")(bundle)
        return found

    monkeypatch.setattr(transfer, "fetch", changed)
    with pytest.raises(BundleError, match="changed since it was looked at"):
        pull(str(bundle), tmp_path / "mine")
    assert not list(tmp_path.glob("mine*"))


def test_addresses() -> None:
    assert parse("hf://org/name") == HubAddress("org/name", "main")
    assert parse("hf://org/name@refs/pr/1") == HubAddress("org/name", "refs/pr/1")
    assert str(parse("hf://org/na.me-1@v1.0")) == "hf://org/na.me-1@v1.0"
    assert str(parse("hf://org/name@main")) == "hf://org/name"
    assert parse("a/b") == Path("a/b")
    assert [is_address(text) for text in ("hellaswag", "./hellaswag", "hf://org/name")] == [False, True, True]
    snapshot = Path("/cache/models--org--name/snapshots/0123")
    assert address_of(snapshot) == "hf://org/name@0123"
    assert address_of(Path("shelf/name")) == "shelf/name"


WRONG = [
    "hf://", "hf://org", "hf://org/name/more", "hf://org/name@", "hf://org/na me", "hf://../name", "hf://org/a--b",
    "hf://org/name@a b", "hf://org/name@../x", "s3://bucket/name", "file:///x", "https://huggingface.co/org/name", "",
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_wrong_addresses_say_what_one_is(text: str) -> None:
    with pytest.raises(UsageError, match="An address is a folder, or hf://ORG/NAME"):
        parse(text)


def test_a_folder_that_is_not_there(bundle: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean"):
        locate(str(bundle.with_name("bundel")))
    with pytest.raises(UsageError, match="a file; a bundle is a folder"):
        locate(str(bundle / "README.md"))
    with pytest.raises(UsageError, match="no such folder"):
        locate(str(bundle / "deeper" / "still"))
