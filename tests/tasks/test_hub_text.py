"""Text from data sets that `datasets` loads: here from folders in the hub's layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import DataError, SourceUnavailableError
from adapter_stilts.tasks.hub_text import HubText

README = """---
configs:
- config_name: 2023.de
  data_files: de/train.parquet
- config_name: 2023.sw
  data_files: sw/train.parquet
- config_name: de-en
  data_files: pairs/train.parquet
---
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)  # no one is asked
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    root = tmp_path / "repository"
    tables: dict[str, list[dict[str, Any]]] = {
        "de": [{"text": "Eins."}, {"text": " "}, {"text": "Zwei."}],
        "sw": [{"title": "Moja."}],
        "pairs": [{"translation": {"de": "Eins.", "en": "One."}}, {"translation": {"de": "", "en": "Two."}}],
    }
    datasets.disable_progress_bars()
    for name, rows in tables.items():
        (root / name).mkdir(parents=True)
        datasets.Dataset.from_list(rows).to_parquet(root / name / "train.parquet")
    (root / "README.md").write_text(README)
    yield str(root)
    datasets.enable_progress_bars()


def test_text_and_pairs(repository: str) -> None:
    text = HubText(repository, "2023.{language}", ("de",), parallel=False)
    assert text.languages() == ("de",)
    assert [example.text for example in text.examples("de", None)] == ["Eins.", "Zwei."]
    assert len(text.examples("de", 1)) == 1
    pairs = HubText(repository, "{language}", ("de-en",), parallel=True)
    assert [(e.text, e.translation) for e in pairs.examples("de-en", None)] == [("Eins.", "One.")]
    assert text.fingerprint("de") != pairs.fingerprint("de-en")
    assert text.fingerprint("de") == HubText(repository, "2023.{language}", ("de",), False).fingerprint("de")


def test_what_is_not_there_is_told(repository: str) -> None:
    text = HubText(repository, "2023.{language}", ("sw", "fi"), parallel=False)
    with pytest.raises(DataError, match=r"2023\.sw: has no column 'text'; it has: title"):
        text.examples("sw", None)
    with pytest.raises(SourceUnavailableError, match=r"config '2023\.fi'"):
        text.fingerprint("fi")
    odd = HubText(repository, "de-en", ("de-en",), parallel=False)
    with pytest.raises(DataError, match="has no column 'text'"):
        odd.examples("de-en", None)
