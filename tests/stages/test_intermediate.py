"""Cells of several tasks, languages and text: which stages they become, and what is refused before anything runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import DataError, UnknownNameError, UsageError
from adapter_stilts.model.backbone import resolve_base
from adapter_stilts.recipe import Base, load_recipe
from adapter_stilts.stages.planning.plan import Plan, plan
from adapter_stilts.tasks.base import Split, Task
from adapter_stilts.tasks.groups import STUDY, UNIONS
from adapter_stilts.tasks.hub import HubSource
from adapter_stilts.tasks.sources import open_source

Cells = Callable[..., Plan]


@pytest.fixture
def cells(tiny_base: Path, tiny_data: Path) -> Cells:
    """The plan of cells, each an entry of `intermediate.tasks`, with xquad after them."""

    def call(
        *entries: str, data: Path | None = None, target: str = "xquad", base: Path | None = None, **keys: Any
    ) -> Plan:
        overrides = [(key.replace("__", "."), value) for key, value in keys.items()]
        recipe = load_recipe(
            None, [("intermediate.tasks", list(entries)), ("target.tasks", [target]), *overrides]
        )
        encoder = Base(id=str(base or tiny_base))
        return plan(recipe, lambda: resolve_base(encoder), open_source(str(data or tiny_data)))

    return call


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A folder of text in three languages, and of parallel text."""
    root = tmp_path / "text"
    (root / "sw").mkdir(parents=True)
    (root / "en.txt").write_text("The lamp of Riga was lit.\nA bridge.\n")
    (root / "de.txt").write_text("Lampe in Riga: angezündet.\n\nTurm.\n")
    (root / "sw" / "news.txt").write_text("Habari.\n")
    (root / "de-en.tsv").write_text("Turm\ttower\nUhr\tclock\n")
    return root


def first(plan: Plan) -> Any:
    return plan.stages[0]


def names(plan: Plan) -> list[str]:
    return [f"{stage.kind} {stage.task}" for stage in plan.stages]


def test_several_tasks_are_one_stage(cells: Cells) -> None:
    plan = cells("squad_v1,snli,hellaswag")
    assert names(plan) == ["train hellaswag+snli+squad_v1", "train squad_v1", "evaluate xquad"]
    assert plan.cells[0].inter == "squad_v1,snli,hellaswag"
    mixture = first(plan).part.to_json()["mixture"]
    assert [(task["name"], task["head"]) for task in mixture["tasks"]] == [
        (name, name) for name in ("hellaswag", "snli", "squad_v1")
    ]
    assert mixture["sampling"] == {"sampling": "proportional", "cap": 131072}
    parts = [part for task in mixture["tasks"] for part in task["parts"]]
    assert all(
        set(part["data"]) == {"train", "dev"} and set(part["data"]["train"]) == {"en"} for part in parts
    )


@pytest.mark.parametrize("when", ["before", "interleaved"])
def test_text_alone_takes_the_steps_it_is_told(cells: Cells, text: Path, when: str) -> None:
    keys = {"intermediate__mlm__text": str(text), "intermediate__mlm__when": when}
    plan = cells("mlm", intermediate__mlm__steps=9, **keys)
    assert names(plan) == ["train mlm", "train squad_v1", "evaluate xquad"]
    assert first(plan).part.to_json()["training"]["max_steps"] == 9
    assert first(plan).key != first(cells("mlm", **keys)).key


def test_the_order_of_names_changes_no_key(cells: Cells) -> None:
    key = first(cells("snli,hellaswag")).key
    assert first(cells("hellaswag,snli")).key == key
    assert first(cells(" hellaswag , snli,snli")).key == key
    assert first(cells("hellaswag,snli,squad_v1")).key != key


def test_one_name_is_the_stage_it_always_was(cells: Cells) -> None:
    plan = cells("none", "hellaswag", "hellaswag,", "hellaswag,snli")
    trains = [stage.task for stage in plan.stages if stage.kind == "train" and stage.task != "squad_v1"]
    assert trains == ["hellaswag", "hellaswag+snli"]
    assert "mixture" not in plan.stages[2].part.to_json()
    assert first(cells("hellaswag", intermediate__languages=["en"])).key == first(cells("hellaswag")).key


UNSET = {
    "intermediate__mixture__cap": 7,
    "intermediate__mlm__smoothing": 0.7,
    "intermediate__mlm__text": "somewhere",
    "intermediate__robust__norm": 0.5,
    "target__robust__deviation": 0.5,
    "formats__masked_lm__max_length": 32,
}


@pytest.mark.parametrize("key", UNSET)
def test_switches_that_are_off_change_no_key(cells: Cells, key: str) -> None:
    assert [s.key for s in cells("hellaswag", **{key: UNSET[key]}).stages] == [
        s.key for s in cells("hellaswag").stages
    ]


SWITCHES: dict[str, dict[str, Any]] = {
    "sampling": {"intermediate__mixture__sampling": "uniform"},
    "cap": {"intermediate__mixture__cap": 7},
    "limit": {"intermediate__limit_train": 7},
    "format": {"formats__pair_classification__max_length": 100},
    "robust": {"intermediate__robust__kind": "smoothing"},
}


@pytest.mark.parametrize("name", SWITCHES)
def test_switches_change_the_key_of_a_mixture(cells: Cells, name: str) -> None:
    assert first(cells("hellaswag,snli", **SWITCHES[name])).key != first(cells("hellaswag,snli")).key


def test_a_temperature_counts_where_it_is_used(cells: Cells) -> None:
    key = first(cells("hellaswag,snli")).key
    assert first(cells("hellaswag,snli", intermediate__mixture__temperature=3.0)).key == key
    hot = {"intermediate__mixture__sampling": "temperature"}
    assert (
        first(cells("hellaswag,snli", **hot)).key
        != first(cells("hellaswag,snli", intermediate__mixture__temperature=3.0, **hot)).key
    )


def test_heads_are_shared_where_format_and_labels_are(cells: Cells, own_data: Path) -> None:
    shutil.copytree(own_data / "snli", own_data / "multinli_1.0")
    for old, new in (("train", "train"), ("dev", "dev_matched")):
        path = own_data / "multinli_1.0" / f"snli_1.0_{old}.jsonl"
        path.rename(path.with_name(f"multinli_1.0_{new}.jsonl"))
    mixture = first(cells("snli,mnli,squad_v1", data=own_data)).part.to_json()["mixture"]
    assert [(t["name"], t["head"]) for t in mixture["tasks"]] == [
        ("mnli", "mnli"),
        ("snli", "mnli"),
        ("squad_v1", "squad_v1"),
    ]


def test_a_union_is_one_task_of_what_is_at_hand(cells: Cells) -> None:
    plan = cells("anli_plus")
    (task,) = first(plan).part.to_json()["mixture"]["tasks"]
    assert first(plan).task == task["name"] == "anli_plus"
    assert [part["task"] for part in task["parts"]] == ["snli"]
    (notice,) = [notice for notice in plan.notices if "anli_plus" in notice]
    assert notice.startswith("anli_plus: left out anli (")
    assert "mnli (no train split at hand)" in notice


def test_all_is_what_the_data_hold_of_the_study(cells: Cells) -> None:
    assert len(STUDY) == 9
    assert {part for parts in UNIONS.values() for part in parts} == {"anli", "mnli", "snli"}
    plan = cells("all")
    tasks = [task["name"] for task in first(plan).part.to_json()["mixture"]["tasks"]]
    assert tasks == ["anli_plus", "hellaswag", "squad_v1"]
    told = "\n".join(plan.notices)
    for name in set(STUDY) - set(tasks):
        assert f"{name} of all: left out {name} (" in told


def test_all_from_the_hub_leaves_out_what_the_hub_lacks(tiny_base: Path) -> None:
    class Answering(HubSource):
        def fingerprint(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> str:
            return f"{task.name} {split} {language}"

    recipe = load_recipe(None, [("intermediate.tasks", ["all"]), ("target.tasks", ["xquad"])])
    made = plan(recipe, lambda: resolve_base(Base(id=str(tiny_base))), Answering())
    tasks = [task["name"] for task in first(made).part.to_json()["mixture"]["tasks"]]
    assert tasks == sorted(set(STUDY) - {"ccg"})
    (told,) = [notice for notice in made.notices if "ccg" in notice]
    assert told.startswith("ccg of all: left out ccg (the hub cannot serve 'ccg': the LDC licenses CCGbank")


def test_a_long_name_is_counted(cells: Cells, text: Path) -> None:
    plan = cells("all,mlm,tlm", intermediate__mlm__text=str(text), intermediate__tlm__text=str(text))
    assert first(plan).task == "anli_plus+hellaswag+squad_v1+mlm+tlm"
    longer = cells("all,snli,mlm,tlm", intermediate__mlm__text=str(text), intermediate__tlm__text=str(text))
    assert first(longer).task == "6_tasks"


def test_text_by_weight_or_by_name(cells: Cells, text: Path) -> None:
    keys = {"intermediate__mlm__text": str(text), "intermediate__mlm__weight": 0.5}
    plan = cells("none", "snli", **keys)
    assert names(plan)[:2] == ["train squad_v1", "evaluate xquad"]  # the baseline stays one
    stage = plan.stages[2]
    assert stage.task == "snli+mlm"
    (mlm,) = stage.part.to_json()["mixture"]["texts"]
    assert (mlm["name"], mlm["weight"], mlm["smoothing"], set(mlm["data"])) == (
        "mlm",
        0.5,
        0.3,
        {"de", "en", "sw"},
    )
    assert set(plan.texts) == {"mlm"}
    named = cells("snli,mlm", intermediate__mlm__text=str(text))
    assert first(named).part.to_json()["mixture"]["texts"][0]["weight"] == 1.0
    assert first(cells("snli,mlm", **keys)).key == stage.key
    alone = cells("mlm", intermediate__mlm__text=str(text), intermediate__mlm__languages=["sw"])
    assert names(alone)[0] == "train mlm"
    assert set(first(alone).part.to_json()["mixture"]["texts"][0]["data"]) == {"sw"}
    assert first(alone).part.to_json()["mixture"]["tasks"] == []


def test_text_is_known_by_content_not_by_place(cells: Cells, text: Path, tmp_path: Path) -> None:
    def key(folder: Path) -> str:
        return str(first(cells("snli,mlm,tlm", intermediate__mlm__text=str(folder),
                               intermediate__tlm__text=str(folder))).key)  # fmt: skip

    shutil.copytree(text, tmp_path / "copy")
    assert key(tmp_path / "copy") == key(text)
    for name in ("de.txt", "de-en.tsv"):
        path = tmp_path / "copy" / name
        before = path.read_text()
        path.write_text(before + "Noch\teiner\n")
        assert key(tmp_path / "copy") != key(text)
        path.write_text(before)


def test_text_before_the_tasks_is_a_stage_that_cells_share(cells: Cells, text: Path) -> None:
    keys = {
        "intermediate__mlm__text": str(text),
        "intermediate__mlm__weight": 1.0,
        "intermediate__mlm__when": "before",
    }
    plan = cells("snli", "hellaswag", intermediate__mlm__steps=9, **keys)
    assert names(plan)[:2] == ["train mlm", "train snli"]
    assert names(plan).count("train mlm") == 1
    before, snli = plan.stages[:2]
    assert snli.parents == (before,)
    assert "mixture" not in snli.part.to_json()
    assert before.part.to_json()["training"]["max_steps"] == 9
    assert first(cells("snli", **keys)).part.to_json()["training"]["max_steps"] is None
    assert snli.part.to_json() == first(cells("snli")).part.to_json()


def test_translated_train_sets(cells: Cells, own_data: Path) -> None:
    for language in ("de", "sw"):
        folder = own_data / "snli" / "translated" / language
        folder.mkdir(parents=True)
        shutil.copy(own_data / "snli" / "snli_1.0_train.jsonl", folder)
    plan = cells("snli", data=own_data, intermediate__languages=["en", "de"])
    (task,) = first(plan).part.to_json()["mixture"]["tasks"]
    assert first(plan).task == "snli"
    assert list(task["parts"][0]["data"]["train"]) == ["de", "en"]
    assert "dev" in task["parts"][0]["data"]
    foreign = first(cells("snli", data=own_data, intermediate__languages=["sw", "de"]))
    assert list(foreign.part.to_json()["mixture"]["tasks"][0]["parts"][0]["data"]["train"]) == ["de", "sw"]
    assert foreign.key != first(plan).key
    some = cells("snli,hellaswag", data=own_data, intermediate__languages=["en", "de"])
    assert "hellaswag: no train split in de at hand; trained in en" in some.notices
    with pytest.raises(DataError, match=r"no train split of snli in 'fi'; it holds: de, en, sw"):
        cells("snli", data=own_data, intermediate__languages=["de", "fi"])
    with pytest.raises(
        DataError, match=r"no train split of 'hellaswag' in de; it holds: en\. Translated train sets"
    ):
        cells("hellaswag", data=own_data, intermediate__languages=["de"])
    with pytest.raises(
        DataError, match=r"no train split of 'mnli' in fi; it holds: none\. Translated train sets"
    ):
        cells("mnli", data=own_data, intermediate__languages=["fi"])


def test_a_task_without_dev_has_no_say(cells: Cells, own_data: Path) -> None:
    (own_data / "snli" / "snli_1.0_dev.jsonl").unlink()
    plan = cells("snli,hellaswag", data=own_data)
    assert "snli: no English dev split at hand; it has no say in which checkpoint is kept" in plan.notices
    snli, hellaswag = reversed(first(plan).part.to_json()["mixture"]["tasks"])
    assert "dev" not in snli["parts"][0]["data"]
    assert "dev" in hellaswag["parts"][0]["data"]
    alone = cells("snli", data=own_data)
    assert "snli: no English dev split at hand; the last weights are kept, not the best" in alone.notices


def test_robust_training_of_the_target_and_of_the_task(cells: Cells) -> None:
    plan = cells(
        "snli",
        target="xnli",
        target__train_task="snli",
        target__robust__kind="adversarial",
        intermediate__robust__kind="smoothing",
    )
    inter, target, _ = plan.stages
    assert inter.part.to_json()["robust"] == {"kind": "smoothing", "deviation": 0.1}
    assert target.part.to_json()["robust"] == {
        "kind": "adversarial",
        "norm": 0.005,
        "step_size": 0.0025,
        "steps": 2,
    }


REFUSED: dict[str, tuple[tuple[str, ...], dict[str, Any], type[Exception], str]] = {
    "unknown": (("hellaswag,hellaswga",), {}, UnknownNameError, "did you mean 'hellaswag'"),
    "unknown union": (("anli_plsu",), {}, UnknownNameError, "did you mean 'anli_plus'"),
    "target without training": (
        ("snli,xquad",),
        {},
        UnknownNameError,
        "'xquad' has no train set of its own; it is evaluated",
    ),
    "none among others": (("none,snli",), {}, UsageError, "'none' is the baseline and stands alone"),
    "nothing": ((",",), {}, UsageError, "stands alone"),
    "no data": (("snli,commonsenseqa",), {}, DataError, "no English train split of 'commonsenseqa'"),
    "no text": (("snli,mlm",), {}, UsageError, r"--set intermediate\.mlm\.text=DIR"),
    "no parallel text": (
        ("tlm",),
        {},
        UsageError,
        r"intermediate\.tlm\.text=DIR, a folder of files <pair>\.tsv",
    ),
    "hub without languages": (
        ("mlm",),
        {"intermediate__mlm__text": "hub:wikimedia/wikipedia"},
        UsageError,
        r"name the languages to take, e\.g\. --set intermediate\.mlm\.languages=\['de'\]",
    ),
    "no folder": (("mlm",), {"intermediate__mlm__text": "/nowhere"}, DataError, "no such folder of text"),
    "steps without a stage": (
        ("snli",),
        {"intermediate__mlm__steps": 9},
        UsageError,
        "mlm.steps = 9, but nothing is trained on such text: set intermediate.mlm.weight",
    ),
    "steps of text between the tasks'": (
        ("snli,mlm",),
        {"intermediate__mlm__steps": 9, "intermediate__mlm__text": "miniature"},
        UsageError,
        r"intermediate\.mlm\.steps = 9, but mlm is interleaved with snli,mlm.*intermediate\.mlm\.when=before",
    ),
    "robust of another format": (
        ("hellaswag",),
        {"intermediate__robust__kind": "adversarial"},
        UsageError,
        "trains pair classification; hellaswag is multiple_choice",
    ),
    "robust target of another format": (
        ("snli",),
        {"target__robust__kind": "smoothing"},
        UsageError,
        "squad_v1 is span_qa",
    ),
    "robust kind": (("snli",), {"intermediate__robust__kind": "both"}, UsageError, "'none', 'adversarial'"),
    "robust key": (
        ("snli",),
        {"intermediate__robust__nrom": 1},
        UnknownNameError,
        r"intermediate\.robust\.norm",
    ),
    "sampling": (("snli",), {"intermediate__mixture__sampling": "root"}, UsageError, "'proportional'"),
    "too long": (
        ("mlm",),
        {"intermediate__mlm__text": "miniature", "formats__masked_lm__max_length": 600},
        UsageError,
        r"formats\.masked_lm\.max_length = 600: .* has positions for 512 tokens",
    ),
}


@pytest.mark.parametrize(("entries", "keys", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(
    cells: Cells, entries: tuple[str, ...], keys: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        cells(*entries, **keys)


def test_a_language_the_text_lacks_is_told(cells: Cells, text: Path) -> None:
    with pytest.raises(DataError, match=r"holds no text in yo; it holds: de, en, sw"):
        cells("mlm", intermediate__mlm__text=str(text), intermediate__mlm__languages=["de", "yo"])


def test_parts_are_json(cells: Cells, text: Path) -> None:
    part = first(cells("all,mlm", intermediate__mlm__text=str(text))).part.to_json()
    assert json.loads(json.dumps(part)) == part
