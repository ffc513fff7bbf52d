"""The exception tree: exit codes, and messages that carry value, choices and place."""

from __future__ import annotations

import pytest

from adapter_stilts import errors
from adapter_stilts.errors import AdapterStiltsError, DataError, UnknownNameError, UsageError, nearest_name

CODES = {
    "AdapterStiltsError": 1,
    "UsageError": 2,
    "UnknownNameError": 2,
    "NothingToReportError": 2,
    "DataError": 1,
    "SourceUnavailableError": 1,
    "StoreError": 1,
    "DiskFullError": 1,
    "BundleError": 1,
    "PlainFilesError": 1,
    "CheckpointError": 1,
    "TrainingError": 1,
    "StageError": 1,
}


def test_a_stages_error_of_another_process_keeps_its_code() -> None:
    error = errors.StageError("no such task", exit_code=2, passes=True)
    assert (str(error), error.exit_code, error.passes) == ("no such task", 2, True)
    assert errors.DiskFullError("full").passes
    assert not errors.StoreError("read-only").passes


def test_every_error_is_in_the_tree_and_has_its_exit_code() -> None:
    found = {
        name: value.exit_code
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert found == CODES
    for name in CODES:
        assert issubclass(getattr(errors, name), AdapterStiltsError)
        assert name in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("helaswag", "hellaswag"), ("HellaSwag", "hellaswag"), ("squad", "squad_v1"), ("zzz", None), ("", None)],
)
def test_nearest_name(name: str, nearest: str | None) -> None:
    assert nearest_name(name, ["hellaswag", "squad_v1", "xnli"]) == nearest


def test_unknown_name_tells_value_nearest_and_choices() -> None:
    error = UnknownNameError("task", "xquat", ["xquad", "udpos"], "See all.")
    assert str(error) == "unknown task 'xquat'; did you mean 'xquad'? Choices: xquad, udpos. See all."
    assert isinstance(error, UsageError)
    assert str(UnknownNameError("task", "qqq", ["xquad"])) == "unknown task 'qqq'. Choices: xquad."
    assert str(UnknownNameError("thing", "a", [])) == "unknown thing 'a'."


def test_data_error_tells_the_place() -> None:
    assert str(DataError("a/b.tsv", 7, "is cut")) == "a/b.tsv:7: is cut"
    assert str(DataError("a/b.tsv", None, "is cut")) == "a/b.tsv: is cut"
