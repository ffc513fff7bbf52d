"""Train sets in other languages than English: translated ones of a release, one's own, and mixed files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from adapter_stilts.errors import DataError, UnknownNameError
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.sources import FileSource, HubSource

ROWS = (
    "premise\thypo\tlabel\n"
    "Der Bus fährt .\tEin Bus bewegt sich .\tentailment\n"
    'Er sagt " ja " .\tEr schweigt .\tcontradictory\n'
)


@pytest.fixture
def own(releases: Path, tmp_path: Path) -> Path:
    shutil.copytree(releases, tmp_path / "data")
    return tmp_path / "data"


def test_xnlis_translation_of_multinli(own: Path) -> None:
    folder = own / "xnli" / "XNLI-MT-1.0" / "multinli"
    folder.mkdir(parents=True)
    (folder / "multinli.train.de.tsv").write_text(ROWS)
    task, source = get_task("mnli"), FileSource(own)
    assert source.training_languages(task) == ("en", "de")
    assert source.languages(task, "train") == ("en",)
    german = source.examples(task, "train", "de", {})
    assert [(e.label, e.hypothesis) for e in german] == [  # type: ignore[union-attr]
        ("entailment", "Ein Bus bewegt sich ."),
        ("contradiction", "Er schweigt ."),
    ]
    assert source.examples(task, "train", "en", {}) != german
    assert len({source.fingerprint(task, "train", code, {}) for code in ("en", "de")}) == 2
    with pytest.raises(DataError, match=r"no file of mnli train for 'sw'.*multinli\.train\.sw\.tsv"):
        source.examples(task, "train", "sw", {})
    (folder / "multinli.train.de.tsv").write_text(ROWS + "a\tb\twrong\n")
    with pytest.raises(DataError, match=r"multinli\.train\.de\.tsv:4: .*'wrong'"):
        FileSource(own).examples(task, "train", "de", {})


def test_one_s_own_translation_of_any_task(own: Path) -> None:
    task = get_task("hellaswag")
    file = own / "hellaswag" / "hellaswag_train.jsonl"
    translated = own / "hellaswag" / "translated" / "de" / file.name
    translated.parent.mkdir(parents=True)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    translated.write_text("".join(json.dumps({**row, "ctx_b": "sie"}) + "\n" for row in rows))
    source = FileSource(own)
    assert source.training_languages(task) == ("en", "de")
    assert all(
        example.choices[0].startswith("sie ")  # type: ignore[union-attr]
        for example in source.examples(task, "train", "de", {})
    )
    assert FileSource(own / "hellaswag").training_languages(task) == ("en", "de")
    with pytest.raises(UnknownNameError, match="unknown language of hellaswag train 'fr'"):
        source.examples(task, "train", "fr", {})
    with pytest.raises(UnknownNameError):
        source.examples(task, "dev", "de", {})
    file.unlink()
    assert FileSource(own).training_languages(task) == ("de",)


def test_a_file_of_several_languages(own: Path) -> None:
    task, source = get_task("tydiqa"), FileSource(own)
    held = source.training_languages(task)
    assert held[0] == "en"
    assert len(held) > 1
    for language in held[1:]:
        names = {example.id.split("-")[0] for example in source.examples(task, "train", language, {})}
        assert len(names) == 1
        assert names != {"english"}


def test_files_whose_names_tell_the_language(own: Path) -> None:
    task = get_task("udpos")
    assert FileSource(own).training_languages(task) == ("en",)
    for test in list((own / "ud").glob("UD_German-*/*-ud-test.conllu")):
        shutil.copy(test, test.with_name(test.name.replace("-test", "-train")))
    source = FileSource(own)
    assert source.training_languages(task) == ("en", "de")
    german = source.examples(task, "train", "de", {})
    assert german == source.examples(task, "test", "de", {})
    assert HubSource().training_languages(task)[:2] == ("en", "af")


def test_the_hub_says_what_the_task_says() -> None:
    assert HubSource().training_languages(get_task("mnli")) == ("en",)
    assert set(HubSource().training_languages(get_task("tydiqa"))) == set(get_task("tydiqa").languages)
    assert HubSource().training_languages(get_task("xquad")) == ()


def test_real_translations(data_dir: Path) -> None:
    source, task = FileSource(data_dir), get_task("mnli")
    held = source.training_languages(task)
    assert len([language for language in held if language != "en"]) == 14
    for language in held:
        assert source.examples(task, "train", language, {})
    pawsx = get_task("pawsx")
    assert set(source.training_languages(pawsx)) == set(pawsx.languages)
    assert (
        len({source.examples(pawsx, "train", language, {})[0].premise for language in pawsx.languages}) == 7
    )  # type: ignore[union-attr]


def test_dev_sets_in_other_languages(own: Path, data_dir: Path) -> None:
    panx, xnli, source = get_task("panx"), get_task("xnli"), FileSource(data_dir)
    assert set(source.dev_languages(panx)) == set(panx.languages)
    assert set(source.dev_languages(xnli)) == set(xnli.languages)
    assert source.languages(xnli, "dev") == ("en",)
    for task in (panx, xnli):
        english, swahili = (source.examples(task, "dev", language, {}) for language in ("en", "sw"))
        assert english
        assert swahili
        assert english != swahili
        assert source.fingerprint(task, "dev", "sw", {})
    assert FileSource(own).dev_languages(get_task("hellaswag")) == ("en",)
    assert FileSource(own).dev_languages(get_task("xquad")) == ()


def test_the_hub_s_treebanks_to_train_on() -> None:
    """As the sizes of google/xtreme's configurations are published: three languages have a test set alone."""
    task, hub = get_task("udpos"), HubSource()
    assert set(task.languages) - set(hub.training_languages(task)) == {"th", "tl", "yo"}
    assert set(task.languages) - set(hub.dev_languages(task)) == {"th", "tl", "yo", "kk"}
    panx = get_task("panx")
    assert set(hub.training_languages(panx)) == set(hub.dev_languages(panx)) == set(panx.languages)
