"""A CSV of one's own: declared, checked, trained on, shared and evaluated, with nothing of the package edited."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts import tasks
from adapter_stilts.hub.verify import verify
from adapter_stilts.io import sha256_file
from adapter_stilts.tasks.declared import read_declared

pytestmark = pytest.mark.slow

Cli = Callable[..., Any]

PAGE = Path(__file__).parent.parent.parent / "docs" / "own-tasks.md"
QUICK = (
    "--recipe",
    "miniature",
    "--device",
    "cpu",
    "--set",
    "target.max_steps=4",
    "--set",
    "intermediate.max_steps=4",
)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test makes known stays in it."""
    monkeypatch.setattr(tasks, "_added", {})
    monkeypatch.setattr(tasks, "_named", set())


def the_pages_file() -> str:
    """The TOML file that docs/own-tasks.md shows first."""
    return re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The page's task, with rows by hand."""
    root = tmp_path / "own"
    root.mkdir()
    (root / "topics.toml").write_text(the_pages_file(), encoding="utf-8")
    rows = {
        "train.csv": [
            (f"The {thing} was mended {n}", "science") for n, thing in enumerate(("lamp", "boat", "net"))
        ]
        + [
            (f"Mira went to the {place} {n}", "travel")
            for n, place in enumerate(("river", "forest", "field"))
        ],
        "dev.csv": [("The cart was mended", "science"), ("Mira went to the well", "travel")],
        "test-en.csv": [("The knife was mended", "science"), ("Emil went to the market", "travel")],
        "test-de.csv": [("Das Boot wurde repariert", "science"), ("Emil ging zum Markt", "travel")],
    }
    for name, told in rows.items():
        text = "".join(f'"{headline}",{topic}\n' for headline, topic in told)
        (root / name).write_text("headline,topic\n" + text, encoding="utf-8")
    return root


def test_a_file_that_is_named_otherwise(cli: Cli, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own)
    for words in (("tasks",), ("train", "--recipe", "miniature", "--target")):
        assert "A task's file is named with its end: topics.toml." in cli(*words, "topics").err
        assert (
            "train.csv is a file: what it holds is said in a TOML file beside it"
            in cli(*words, "train.csv").err
        )


def test_from_a_csv_to_a_shared_adapter(cli: Cli, own: Path, tmp_path: Path) -> None:
    file, store, shelf = own / "topics.toml", tmp_path / "runs", tmp_path / "shelf" / "topics-lora"
    seen = cli("tasks", file)
    assert (seen.code, seen.err) == (0, "")
    assert "train, en        6: science 3, travel 3" in seen.out
    assert 'example 1        id 0; "science"; tokens: ' in seen.out
    assert "<s> ▁T he ▁lamp" in seen.out
    assert "the miniature's tokenizer" in seen.out

    ran = cli("train", "--target", file, "--mode", "lora", "--store", store, "--json", *QUICK)
    assert ran.code == 0, ran.err
    assert list(ran.json["results"]["topics"]["languages"]) == ["en", "de"]
    trained = next(Path(stage["dir"]) for stage in ran.json["stages"] if stage["kind"] == "train")
    assert cli("hub", "push", trained / "bundle", shelf).code == 0
    assert cli("hub", "verify", shelf).code == 0

    # Somebody else, who has the bundle, and the test files in a folder of theirs.
    tasks._added.clear()
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for language in ("en", "de"):
        shutil.copy(own / f"test-{language}.csv", theirs)
    common = ("--recipe", "miniature", "--store", tmp_path / "other", "--device", "cpu", "--json")
    real = ("--set", "data=real", "--data", theirs)
    asked = cli("evaluate", shelf, "--target", "topics", *common, *real)
    assert asked.code == 0, asked.err
    assert asked.scores() == ran.scores()
    again = cli("evaluate", shelf, "--target", file, *common)
    assert again.statuses() == ["cached"], "by the file it is the same evaluation"


def test_the_same_file_and_data_elsewhere_are_the_same_stages(cli: Cli, own: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(own, tmp_path / "elsewhere")) / "topics.toml"
    arguments = ("--mode", "lora", "--store", tmp_path / "runs", "--dry-run", "--json", *QUICK)
    first, second = (
        [stage["key"] for stage in cli("train", "--inter", file, "--target", file, *arguments).json["stages"]]
        for file in (own / "topics.toml", moved)
    )
    assert first == second
    assert len(first) == len(set(first)) == 4, "trained once, and once more from there; both are evaluated"


def test_what_a_bundle_says_of_it(cli: Cli, own: Path, tmp_path: Path) -> None:
    ran = cli(
        *(
            "train",
            "--inter",
            own / "topics.toml",
            "--target",
            "tatoeba",
            "--mode",
            "ia3",
            "--languages",
            "qaa",
        ),
        *("--store", tmp_path / "runs", "--limit-eval", "4", "--json", *QUICK),
    )
    assert ran.code == 0, ran.err
    bundle = next(Path(s["dir"]) for s in ran.json["stages"] if s["kind"] == "train") / "bundle"
    info = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    assert info["declared"] == {"topics": json.loads(read_declared(own / "topics.toml").declared)}
    assert "--inter topics.toml --mode" in info["command"]
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert "`topics` is a task of its maker's own (text_classification), declared in `bundle.json`" in card
    assert "- labels: science, travel\n" in card
    assert "--target topics --recipe miniature --set data=real --data DIR" in card

    # What a stranger's bundle declares is looked at like the rest of it.
    for change, why in (
        ({"files": {"test": ["/etc/passwd"]}}, "files lie beside the task's file"),
        ({"files": {"test": ["../../secret.csv"]}}, "files lie beside the task's file"),
        ({"colums": {}}, "unknown task file key 'colums'"),
        ({"name": "other"}, "the declaration of 'topics' calls it 'other'"),
    ):
        told = {**info, "declared": {"topics": {**info["declared"]["topics"], **change}}}
        damaged = Path(shutil.copytree(bundle, tmp_path / "damaged", dirs_exist_ok=True))
        (damaged / "bundle.json").write_text(json.dumps(told), encoding="utf-8")
        digests = (sha256_file(folder / "bundle.json") for folder in (bundle, damaged))
        (damaged / "SHA256SUMS").write_text(
            (bundle / "SHA256SUMS").read_text(encoding="utf-8").replace(*digests), encoding="utf-8"
        )
        refused = cli("hub", "verify", damaged)
        assert refused.code == 1
        assert why in refused.out + refused.err
    assert verify(bundle).declared


def test_trained_and_chosen_in_another_language(cli: Cli, own: Path, tmp_path: Path) -> None:
    file = own / "topics.toml"
    file.write_text('train_languages = "de"\n' + file.read_text(encoding="utf-8"), encoding="utf-8")
    shown = ("--mode", "lora", "--store", tmp_path / "runs", *QUICK)
    arguments = ("--inter", "none", "--target", file, *shown)
    ran = cli("train", *arguments, "--json")
    assert ran.code == 0, ran.err
    trained = next(Path(s["dir"]) for s in ran.json["stages"] if s["kind"] == "train")
    stage = json.loads((trained / "stage.json").read_text(encoding="utf-8"))
    (member,) = stage["part"]["mixture"]["tasks"]
    assert list(member["parts"][0]["data"]["train"]) == ["de"]
    assert set(stage["dev"]) == {"accuracy"}

    # Whatever tells of it names that language, and not English.
    card = (trained / "bundle" / "README.md").read_text(encoding="utf-8")
    assert "\nDe dev, which chose the checkpoint, in percent: accuracy " in card
    assert "train topics (de): de dev at step " in ran.err
    assert "English" not in card + ran.err
    table = cli("train", *arguments)
    assert "topics, trained in de after none; checkpoint chosen on de dev\n" in table.out
    alone, listed = cli("train", "--inter", file, *shown), cli("hub", "list", trained)
    evaluated = cli(
        "evaluate", trained / "bundle", "--target", file, "--store", tmp_path / "other", *QUICK[:4]
    )
    for each in (table, alone, listed, evaluated):
        assert each.code == 0, each.err
        assert "de" in each.out
        assert "English" not in each.out + each.err
    assert "de: accuracy " in listed.out


def test_without_a_dev_split_in_its_language(cli: Cli, own: Path, tmp_path: Path) -> None:
    file = own / "topics.toml"
    text = file.read_text(encoding="utf-8").replace("dev = ", "# dev = ")
    file.write_text('train_languages = "de"\n' + text, encoding="utf-8")
    ran = cli("train", "--inter", "none", "--target", file, "--store", tmp_path / "runs", "--json", *QUICK)
    assert "topics: no de dev split at hand; the last weights are kept, not the best" in ran.err
    kept = next(Path(s["dir"]) for s in ran.json["stages"] if s["kind"] == "train")
    assert "English" not in (kept / "bundle" / "README.md").read_text(encoding="utf-8") + ran.err
    (row,) = cli("hub", "list", kept, "--json").json["bundles"]
    assert (row["metrics"], row["dev"]) == ({}, [])


def test_mistakes_are_told_before_anything_runs(cli: Cli, own: Path, tmp_path: Path) -> None:
    file = own / "topics.toml"
    arguments = ("train", "--target", file, "--mode", "lora", "--store", tmp_path / "runs", *QUICK)
    path = own / "train.csv"
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(",travel", ",travle", 1), encoding="utf-8")
    for ran in (cli("tasks", file), cli(*arguments)):
        assert ran.code == 1
        assert f"{path}:5: label 'travle' in column 'topic' is not one of: science, travel" in ran.err
    path.write_text(whole + '"Emil went to the market",travel\n', encoding="utf-8")
    ran = cli(*arguments, "--dry-run")
    assert ran.code == 0
    assert "note: topics: 1 of 2 test texts (en) stand in the train split too" in ran.err
    assert not (tmp_path / "runs").exists()


def test_two_files_of_one_task(cli: Cli, own: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(own, tmp_path / "other")) / "topics.toml"
    ran = cli(
        "train", "--inter", other, "--target", own / "topics.toml", "--store", tmp_path / "runs", *QUICK
    )
    assert ran.code == 2
    assert "both declare 'topics': say another name in one of them" in ran.err


def test_a_folder_of_tasks(cli: Cli, own: Path) -> None:
    (row,) = cli("tasks", "topics", "--tasks", own, "--json").json
    assert (row["format"], row["folder"]) == ("text_classification", str(own))


def test_json_of_a_check(cli: Cli, own: Path, tiny_base: Path) -> None:
    (row,) = cli("tasks", own / "topics.toml", "--base", tiny_base, "--json").json
    assert row["counts"]["test"] == {"en": 2, "de": 2}
    assert row["tokenizer"] == str(tiny_base)
    first = row["examples"][0]
    assert (first["id"], first["gold"]) == ("0", "science")
    assert first["lengths"] == [len(first["pieces"][0])]
    refused = cli("tasks", "xnli", "--base", tiny_base)
    assert refused.code == 2
    assert "tasks FILE.toml --base DIR" in refused.err
