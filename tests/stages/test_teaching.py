"""Targets taught in other languages, planned but not run: which stages, which keys, what is said and refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import DataError, UsageError
from adapter_stilts.miniature import MiniatureSource
from adapter_stilts.model.backbone import resolve_base
from adapter_stilts.recipe import Base, load_recipe
from adapter_stilts.stages.parts import EvaluatePart, TrainPart
from adapter_stilts.stages.planning.plan import Plan, plan

Planned = Callable[..., Plan]


@pytest.fixture(scope="module")
def source() -> MiniatureSource:
    return MiniatureSource()


@pytest.fixture
def mini(tiny_base: Path, source: MiniatureSource) -> Planned:
    """A plan on the miniature's data, evaluated in three languages unless said otherwise."""

    def call(target: str = "udpos", inter: str = "none", **keys: Any) -> Plan:
        given = {
            "intermediate.tasks": [inter],
            "intermediate.baseline": False,
            "target.tasks": target.split(","),
            "evaluation.languages": ["en", "qaa", "qab"],
            **{key.replace("__", "."): value for key, value in keys.items()},
        }
        recipe = load_recipe("miniature", [pair for pair in given.items() if pair[1] is not None])
        encoder = Base(id=str(tiny_base))
        return plan(recipe, lambda: resolve_base(encoder), source)

    return call


def trained(plan: Plan) -> list[TrainPart]:
    return [stage.part for stage in plan.stages if isinstance(stage.part, TrainPart)]


def labels(plan: Plan) -> list[str]:
    return [cell.label for cell in plan.cells]


def keys(plan: Plan) -> list[str]:
    return [stage.key for stage in plan.stages]


def test_english_by_name_is_english(mini: Planned) -> None:
    plain = keys(mini())
    for given in (
        {"target__languages": ["en"]},
        {"target__dev_languages": ["en"]},
        {"target__dev_languages": ["same"]},
        {"target__few_shot_epochs": 3, "target__few_shot_when": "mixed"},
        {"evaluation__split": "test"},
    ):
        assert keys(mini(**given)) == plain, given
    (cell,) = mini().cells
    assert (cell.label, cell.dev, cell.split) == ("none", ("en",), "test")


def test_one_model_for_named_languages(mini: Planned) -> None:
    plan = mini(target__languages=["qab", "en"])
    (part,) = trained(plan)
    assert set(part.languages) == {"en", "qab"}
    assert part.dev_languages == ("en",)
    assert labels(plan) == ["none, trained in en, qab"]
    assert keys(plan) == keys(mini(target__languages=["en", "qab"]))
    assert keys(plan)[0] != keys(mini())[0]


def test_a_model_for_each_language(mini: Planned) -> None:
    plan = mini(target__languages=["each"])
    assert labels(plan) == ["none", "none, trained in qaa", "none, trained in qab"]
    assert [part.languages for part in trained(plan)] == [{"en"}, {"qaa"}, {"qab"}]
    for cell in plan.cells:
        assert list(cell.evaluate.part.to_json()["data"]) == ["en", "qaa", "qab"]
    # The English one is the one there always was.
    assert keys(plan)[:2] == keys(mini())
    assert trained(plan)[1:] == trained(mini(target__languages=["qaa"])) + trained(
        mini(target__languages=["qab"])
    )


def test_each_after_an_intermediate_task(mini: Planned) -> None:
    plan = mini("udpos,tatoeba", "snli", target__languages=["each"], intermediate__baseline=True)
    assert labels(plan)[:3] == ["none", "none, trained in qaa", "none, trained in qab"]
    assert labels(plan)[3] == "none"  # nothing is trained for tatoeba
    assert labels(plan)[4:] == ["snli", "snli, trained in qaa", "snli, trained in qab", "snli"]
    assert "tatoeba trains nothing: target.languages is without effect" in plan.notices
    assert sum(stage.kind == "train" for stage in plan.stages) == 7


def test_few_examples_after_english(mini: Planned) -> None:
    plain, plan = (
        mini(),
        mini(target__few_shot={"qab": 4, "qaa": 6}, target__few_shot_epochs=2, target__max_steps=None),
    )
    english, few = trained(plan)
    assert english == trained(plain)[0]
    assert plan.stages[1].parents == (plan.stages[0],)
    assert (few.languages, few.drawn, few.after) == ({"qaa", "qab"}, {"qaa": 6, "qab": 4}, ("en",))
    assert (few.training.epochs, few.training.max_steps, few.training.limit_train) == (2, None, None)
    assert few.training.learning_rate == english.training.learning_rate
    # Ten examples are two steps, after which dev is looked at.
    assert few.training.eval_every_steps == -(-10 // few.training.batch_size)
    (cell,) = plan.cells
    assert cell.label == "none, few-shot qaa=6, qab=4"
    assert cell.evaluate.parents == (plan.stages[1],)


def test_few_examples_among_english(mini: Planned) -> None:
    plan = mini(target__few_shot={"qaa": 6}, target__few_shot_when="mixed")
    (part,) = trained(plan)
    assert (part.languages, part.drawn, part.after) == ({"en", "qaa"}, {"qaa": 6}, ())
    assert part.training == trained(mini())[0].training
    assert labels(plan) == ["none, few-shot qaa=6 mixed in"]


def test_few_examples_of_each(mini: Planned) -> None:
    plan = mini(target__few_shot={"each": 5})
    assert labels(plan) == ["none, few-shot qaa=5", "none, few-shot qab=5"]
    assert len(trained(plan)) == 3  # they share the English one
    after_another = mini(target__few_shot={"each": 5}, target__languages=["qaa"])
    assert labels(after_another) == [
        "none, trained in qaa, few-shot en=5",
        "none, trained in qaa, few-shot qab=5",
    ]


def test_what_is_drawn_is_in_the_key(mini: Planned) -> None:
    few = {"target__few_shot": {"qaa": 6}}
    first = mini(**few).stages[1].key
    others: list[dict[str, Any]] = [
        {"target__few_shot": {"qaa": 7}},
        {"target__few_shot": {"qab": 6}},
        {**few, "seed": 1},
        {**few, "target__few_shot_epochs": 3},
        {**few, "target__few_shot_learning_rate": 0.5},
        {**few, "target__few_shot_when": "mixed"},
        {"target__languages": ["qaa"]},
    ]
    assert len({first, *(mini(**given).cells[0].evaluate.parents[0].key for given in others)}) == 8


def test_dev_in_another_language(mini: Planned) -> None:
    (english,) = trained(mini("xnli"))
    assert english.members[0].tasks[0].dev[0].reading.task == "mnli"
    plan = mini("xnli", target__dev_languages=["qaa"])
    (part,) = trained(plan)
    # XNLI has a dev set of its own, which is not a machine's translation of what is trained on.
    assert [(split.reading.task, split.language) for split in part.members[0].tasks[0].dev] == [
        ("xnli", "qaa")
    ]
    assert part.settings()["dev_languages"] == ["qaa"]
    assert "dev_languages" not in english.settings()
    assert plan.cells[0].dev == ("qaa",)
    assert keys(plan)[0] != keys(mini("xnli"))[0]
    both = mini("xnli", target__dev_languages=["qaa", "en"])
    assert trained(both)[0].dev_languages == both.cells[0].dev == ("en", "qaa")
    assert keys(both) == keys(mini("xnli", target__dev_languages=["en", "qaa"]))


def test_dev_in_the_language_of_each_stage(mini: Planned) -> None:
    each = mini(target__languages=["each"], target__dev_languages=["same"])
    assert [cell.dev for cell in each.cells] == [("en",), ("qaa",), ("qab",)]
    few = mini(target__few_shot={"qaa": 4}, target__dev_languages=["same"])
    assert [part.dev_languages for part in trained(few)] == [("en",), ("qaa",)]
    named = mini(target__few_shot={"qaa": 4}, target__dev_languages=["qab"])
    assert [part.dev_languages for part in trained(named)] == [("qab",), ("qab",)]


def test_evaluated_on_dev(mini: Planned) -> None:
    plain, plan = mini("udpos,bucc2018"), mini("udpos,bucc2018", evaluation__split="dev")
    assert [stage.kind for stage in plan.stages] == [stage.kind for stage in plain.stages]
    for before, after in zip(plain.stages, plan.stages, strict=True):
        assert (before.key == after.key) == (before.kind == "train")
    for stage, cell in zip(plan.stages[1:], plan.cells, strict=True):
        assert isinstance(stage.part, EvaluatePart)
        assert (stage.part.split, cell.split) == ("dev", "dev")
        assert stage.part.beside == {}  # the threshold of mining is chosen on dev itself
    assert "split" not in plain.stages[1].part.to_json()


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "more than there are": (
        {"target__few_shot": {"qaa": 2000}},
        UsageError,
        r"takes 2000 examples of the train split of udpos, and qaa holds 1500: --few-shot qaa=1500, or train on all",
    ),
    "more than any of each": (
        {"target__few_shot": {"each": 2000}},
        UsageError,
        r"qaa holds 1500, qab holds 1500: --few-shot each=1500, or train on all",
    ),
    "few of a language that is not there": (
        {"target__few_shot": {"sw": 3}},
        DataError,
        "no train split of udpos in sw; it holds: en, qaa.* The miniature's languages are constructed: name one of",
    ),
    "a language that is not there": (
        {"target__languages": ["sw"]},
        DataError,
        "no train split of udpos in sw",
    ),
    "dev that is not there": (
        {"target__dev_languages": ["sw"]},
        DataError,
        "no dev split of udpos in 'sw'; it holds: of udpos en, qaa",
    ),
    "trained in it already": ({"target__few_shot": {"en": 3}}, UsageError, "few_shot names en, in which"),
    "each twice": (
        {"target__languages": ["each"], "target__few_shot": {"qaa": 3}},
        UsageError,
        "trains on all of each language already",
    ),
    "each with others": ({"target__languages": ["each", "qaa"]}, UsageError, "'each' stands alone"),
    "same with others": ({"target__dev_languages": ["same", "qaa"]}, UsageError, "'same' stands alone"),
    "no language": ({"target__languages": []}, UsageError, "names no language"),
    "few after a stack": (
        {"inter": "snli", "mode": "lora", "combine": "stack", "target__few_shot": {"qaa": 3}},
        UsageError,
        "few_shot_when = 'after' goes on from one bundle's modules.*few_shot_when=mixed",
    ),
    "no dev to evaluate on": (
        {"target": "tatoeba", "evaluation__split": "dev", "evaluation__languages": None},
        DataError,
        "no dev split of 'tatoeba' in any of its languages; leave out --split",
    ),
}


@pytest.mark.parametrize(("given", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(mini: Planned, given: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        mini(**given)


def test_mixed_under_a_stack(mini: Planned) -> None:
    plan = mini(
        inter="snli", mode="lora", combine="stack", target__few_shot={"qaa": 3}, target__few_shot_when="mixed"
    )
    assert trained(plan)[-1].combine == "stack"
    assert trained(plan)[-1].drawn == {"qaa": 3}


@pytest.fixture
def german(tiny_data: Path, tmp_path: Path) -> Path:
    """The tiny data with a German treebank to train on, and SNLI translated to German."""
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    test = data / "ud" / "UD_German-GSD" / "de_gsd-ud-test.conllu"
    for split in ("train", "dev"):
        shutil.copy(test, test.with_name(f"de_gsd-ud-{split}.conllu"))
    translated = data / "snli" / "translated" / "de"
    translated.mkdir(parents=True)
    shutil.copy(data / "snli" / "snli_1.0_train.jsonl", translated)
    return data


def test_of_release_files(planned: Planned, german: Path) -> None:
    def asked(target: str, *more: tuple[str, Any]) -> Plan:
        keys = {"target.languages": ["each"], **dict(more)}
        return planned(*keys.items(), inter="none", target=target, data=german)

    plan = asked("udpos", ("target.dev_languages", ["same"]))
    assert labels(plan) == ["none, trained in de", "none"]
    assert [cell.dev for cell in plan.cells] == [("de",), ("en",)]
    pairs = asked("xnli", ("target.train_task", "snli"))
    assert [part.languages for part in trained(pairs)] == [{"en"}, {"de"}]
    assert any(
        "no train split of squad_v1 in de at hand; trained in en" in told for told in asked("xquad").notices
    )


def test_all_targets_that_have_a_language(planned: Planned, german: Path) -> None:
    plan = planned(("target.languages", ["de"]), inter="none", target="all", data=german)
    assert [cell.target for cell in plan.cells] == ["udpos", "tatoeba"]
    (told,) = (told for told in plan.notices if "left out" in told)
    assert "xquad (no train split of squad_v1 at hand)" in told


def test_languages_that_have_too_few_examples_are_left_out_of_each(planned: Planned, german: Path) -> None:
    french = german / "ud" / "UD_French-GSD"
    french.mkdir()
    sentences = (german / "ud" / "UD_German-GSD" / "de_gsd-ud-test.conllu").read_text().split("\n\n")
    for split in ("train", "test"):
        (french / f"fr_gsd-ud-{split}.conllu").write_text("\n\n".join(sentences[:2]) + "\n\n")
    plan = planned(("target.few_shot", {"each": 4}), inter="none", target="udpos", data=german)
    assert labels(plan) == ["none, few-shot de=4"]
    assert "udpos: fewer than 4 examples, left out: fr (2)" in plan.notices


ALONE: Mapping[str, tuple[list[str], dict[str, Any], list[str]]] = {
    "one": (["hellaswag"], {}, ["train hellaswag"]),
    "two, one twice": (["snli", "none", "squad_v1"], {}, ["train snli", "train squad_v1"]),
    "together": (["snli,squad_v1"], {}, ["train snli+squad_v1"]),
    "merged": (
        ["snli", "squad_v1"],
        {"combine": "merge:linear", "mode": "lora"},
        ["train snli", "train squad_v1", "compose snli+squad_v1"],
    ),
}


@pytest.mark.parametrize(("inter", "more", "names"), ALONE.values(), ids=ALONE)
def test_without_a_target(planned: Planned, inter: list[str], more: dict[str, Any], names: list[str]) -> None:
    given = {"intermediate.tasks": inter, "target.tasks": [], **more}
    plan = planned(*given.items())
    assert plan.cells == ()
    assert [f"{stage.kind} {stage.task}" for stage in plan.stages] == names
    assert [stage.name for stage in plan.ends.values()][-1] == plan.stages[-1].name


def test_without_a_target_keys_are_those_of_a_target_s_chain(planned: Planned) -> None:
    assert planned(("target.tasks", [])).stages == planned().stages[:1]


@pytest.mark.parametrize("combine", ["stack", "fuse"])
def test_what_is_trained_on_the_target_wants_one(planned: Planned, combine: str) -> None:
    given = {"combine": combine, "mode": "lora", "target.tasks": []}
    with pytest.raises(UsageError, match=f"no target task: --combine {combine} trains on the target"):
        planned(*given.items(), inter="snli,squad_v1")


@pytest.fixture
def news(tmp_path: Path) -> Path:
    """Names in English, and in the news of two languages, which have train splits of their own task."""
    data = tmp_path / "news"
    english = "# text = by hand\n1\tAda\tB-PER\t-\tada\n2\tsails\tO\t-\tada\n\n"
    for split in ("train", "dev", "test"):
        path = data / "uner" / "UNER_English-EWT" / f"en_ewt-ud-{split}.iob2"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(english, encoding="utf-8")
        for code in ("swa", "yor"):
            path = data / "masakhaner2" / "masakhane-ner" / "MasakhaNER2.0" / "data" / code / f"{split}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("Ada B-PER\nalifika O\n\nRiga B-LOC\n\n", encoding="utf-8")
    return data


def test_a_target_s_own_train_split_stands_for_what_its_train_task_lacks(
    planned: Planned, news: Path
) -> None:
    def asked(*keys: tuple[str, Any]) -> Plan:
        return planned(*keys, inter="none", target="masakhaner2", data=news)

    def told(plan: Plan) -> list[tuple[str, list[str], list[tuple[str, str]]]]:
        return [
            (task.task, list(task.train), [(split.reading.task, split.language) for split in task.dev])
            for part in trained(plan)
            for member in part.members
            for task in member.tasks
        ]

    english = [("uner", "en")]
    assert told(asked()) == [("uner", ["en"], english)]
    assert told(asked(("target.languages", ["sw"]))) == [("masakhaner2", ["sw"], english)]
    same = asked(("target.languages", ["sw"]), ("target.dev_languages", ["same"]))
    assert told(same) == [("masakhaner2", ["sw"], [("masakhaner2", "sw")])]
    few = asked(("target.few_shot", {"yo": 2}))
    assert told(few) == [("uner", ["en"], english), ("masakhaner2", ["yo"], english)]
    with pytest.raises(UsageError, match=r"of several \(uner: en; masakhaner2: sw\): name languages of one"):
        asked(("target.languages", ["en", "sw"]))
    with pytest.raises(UsageError, match="yo holds 2: --few-shot yo=2"):
        asked(("target.few_shot", {"yo": 3}))
