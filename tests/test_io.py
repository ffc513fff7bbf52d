"""Digests, and files and directories that appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_stilts.errors import DiskFullError, StoreError
from adapter_stilts.io import (
    canonical_json,
    digest_of,
    disk_errors,
    remove_partials,
    sha256_directory,
    sha256_file,
    whole_directory,
    write_json,
    write_text,
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def test_canonical_json() -> None:
    assert canonical_json({"b": [1, 1.5], "a": {"ü": None}}) == '{"a":{"ü":null},"b":[1,1.5]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=4))
def test_digests_ignore_the_order_of_keys_and_nothing_else(value: dict[str, object]) -> None:
    assert digest_of(value) == digest_of(dict(reversed(value.items())))
    assert digest_of(value) != digest_of({**value, "one more": 1})


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    (tmp_path / "b").write_bytes(b"")
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    both = sha256_directory(tmp_path, ["a", "b"])
    assert sha256_directory(tmp_path, ["b", "a"]) == both
    (tmp_path / "b").write_bytes(b"y")
    assert sha256_directory(tmp_path, ["a", "b"]) != both


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"a": "ü"})
    write_json(path, {"b": 1})
    assert path.read_bytes() == b'{\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"b": float("inf")})
    assert path.read_bytes() == b'{\n  "b": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_encoded_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "text", "\ud800")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_as_readable_as_its_place_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with whole_directory(tmp_path / "shared") as directory:
            (directory / "weights").touch(0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "shared" / "weights").stat().st_mode & 0o777 == 0o640


def test_a_directory_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "target"
    with whole_directory(target) as aside:
        (aside / "inner").mkdir()
        (aside / "inner" / "file").write_text("new")
        assert not target.exists()
    assert (target / "inner" / "file").read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), SystemExit(3)])
def test_a_directory_that_fails_leaves_what_was(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "file").write_text("old")

    def fail() -> None:
        with whole_directory(target) as aside:
            (aside / "file").write_text("new")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert (target / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
    with whole_directory(target) as aside:
        (aside / "file").write_text("new")
    assert (target / "file").read_text() == "new"


def test_leftovers_go_once_they_are_old(tmp_path: Path) -> None:
    old, young, other = (tmp_path / name for name in ("t.partial-1", "t.partial-2", "u.partial-1"))
    for path in (old, young, other):
        path.mkdir()
    before = time.time() - 7200
    os.utime(old, (before, before))
    os.utime(other, (before, before))
    assert remove_partials(tmp_path, ("t",)) == ["t.partial-1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.partial-2", "u.partial-1"]


@pytest.mark.parametrize("failing", [1, 2])
def test_what_was_comes_back_where_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """As where an interrupt arrives before or between the two renames."""
    target, calls, rename = tmp_path / "target", [], Path.rename
    target.mkdir()
    (target / "file").write_text("old")

    def renamed(path: Path, to: Path) -> Path:
        calls.append(to)
        if len(calls) == failing:
            raise KeyboardInterrupt
        return rename(path, to)

    def replace() -> None:
        with whole_directory(target) as aside:
            (aside / "file").write_text("new")

    monkeypatch.setattr(Path, "rename", renamed)
    with pytest.raises(KeyboardInterrupt):
        replace()
    assert (target / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no permission"),
        (errno.EFBIG, "allowed size"),
    ],
)
def test_a_disk_that_refuses(number: int, words: str) -> None:
    with (
        pytest.raises(StoreError, match=words) as caught,
        disk_errors(Path("place"), "another place with --store"),
    ):
        raise OSError(number, os.strerror(number))
    assert "cannot write place" in str(caught.value)
    assert "--store" in str(caught.value)


def test_other_errors_pass() -> None:
    with pytest.raises(FileNotFoundError), disk_errors(Path("place")):
        Path("/nowhere/at/all").read_text()


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), PermissionError(13, "no")]
)
def test_a_disk_that_refuses_a_copied_folder(failure: OSError, tmp_path: Path) -> None:
    """`copytree` collects what its files failed of, and tells their numbers in its message alone."""
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "file").touch()

    def copied(source: str, target: str) -> None:
        raise failure

    with pytest.raises(StoreError, match=r"^cannot write place: ") as caught, disk_errors(Path("place")):
        shutil.copytree(tmp_path / "from", tmp_path / "to", copy_function=copied)
    assert isinstance(caught.value, DiskFullError) is (failure.errno == errno.ENOSPC)


def test_a_full_disk_is_told() -> None:
    if not Path("/dev/full").is_char_device():
        pytest.skip("no /dev/full here")
    with (
        pytest.raises(StoreError, match="cannot write /dev/full: the disk is full"),
        disk_errors(Path("/dev/full")),
    ):
        Path("/dev/full").write_text("x")
