"""Cards: what the hub reads at their top, and what they tell a person."""

from __future__ import annotations

from typing import Any

import pytest
from huggingface_hub import ModelCard

from adapter_stilts.model.bundle_info import BundleInfo, HeadInfo
from adapter_stilts.model.card import model_card


def info(**changes: Any) -> BundleInfo:
    values = {
        "tuning": "lora",
        "base": "FacebookAI/xlm-roberta-large",
        "base_revision": "c" * 40,
        "base_fingerprint": "f" * 64,
        "task": "squad_v1",
        "format": "span_qa",
        "labels": (),
        "settings": {},
        "parents": (),
        "metrics": {"exact_match": 71.25, "f1": 80.5},
        "versions": {"adapter-stilts": "0.1.0"},
    }
    return BundleInfo(**{**values, **changes})


def test_front_matter() -> None:
    data = ModelCard(model_card(info())).data.to_dict()
    assert data == {
        "library_name": "peft",
        "base_model": "FacebookAI/xlm-roberta-large",
        "tags": ["adapter-stilts", "cross-lingual-transfer", "lora", "span-qa"],
        "metrics": ["exact_match", "f1"],
        "pipeline_tag": "question-answering",
    }


@pytest.mark.parametrize(
    ("mode", "library"), [("full", "transformers"), ("adapter", "adapter-transformers"), ("ia3", "peft")]
)
def test_the_library_that_loads_it(mode: str, library: str) -> None:
    assert ModelCard(model_card(info(tuning=mode))).data.library_name == library


def test_a_base_in_somebodys_folder_is_not_said_to_be_on_the_hub() -> None:
    card = model_card(info(base="/home/me/encoder: mine", base_revision=None))
    assert "base_model" not in ModelCard(card).data.to_dict()
    assert "on the encoder `/home/me/encoder: mine`" in card
    for name in ("miniature", "encoder"):
        assert "base_model" not in ModelCard(model_card(info(base=name, base_revision=None))).data.to_dict()


def test_what_a_person_reads() -> None:
    command = "adapter-stilts train --inter squad_v1 --target tatoeba --mode lora"
    card = model_card(info(command=command))
    assert "# squad_v1 (lora)\n" in card
    assert "in percent: exact_match 71.2, f1 80.5." in card
    assert f"Made by\n\n```sh\n{command}\n```\n" in card
    assert (
        "adapter-stilts train --inter ADDRESS --target tydiqa --mode lora --base FacebookAI/xlm-roberta-large"
        in card
    )
    assert "Made by" not in model_card(info())


DECLARED = {
    "topics": {
        "name": "topics",
        "format": "text_classification",
        "labels": ["a", "b"],
        "train_languages": ["de"],
        "languages": ["de", "fr"],
        "files": {"train": ["train.csv"], "test": ["test-{language}.csv"]},
    }
}


@pytest.mark.parametrize(
    ("languages", "told"),
    [(["de"], "De dev"), (["de", "en"], "De, English dev"), (["sw", "ta"], "Sw, ta dev"), (3, "Dev")],
)
def test_the_languages_that_chose_the_checkpoint(languages: Any, told: str) -> None:
    """Not English where it was another's dev split: of a declared task, or where a run asked for it."""
    named = {"task": "topics", "format": "text_classification", "labels": ("a", "b"), "declared": DECLARED}
    card = model_card(info(**named, settings={"dev_languages": languages}, metrics={"accuracy": 50.0}))
    assert f"\n{told}, which chose the checkpoint, in percent: accuracy 50.0." in card
    assert ("English" in card) == ("English" in told)
    assert "- train splits in: de\n- test splits in: de, fr\n" in card


def test_what_no_dev_split_chose_names_no_language() -> None:
    assert info(metrics={}).dev_languages == ()
    assert "English" not in model_card(info(metrics={}))
    assert info().dev_languages == ("en",), "settings name those that are not English alone"


def taught(train: Any, **data: Any) -> dict[str, Any]:
    """Settings of a stage that is trained in other languages than English alone."""
    part = {"task": "panx", "data": {"train": train, **data}}
    return {"training": {}, "mixture": {"tasks": [{"name": "panx", "head": "panx", "parts": [part]}]}}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"training": {}}, "Trained on `squad_v1` in English with adapter-stilts"),
        (taught({"sw": "f"}), "Trained on `squad_v1` in sw with"),
        (
            taught({"sw": "f", "en": "f"}, drawn={"sw": 32}),
            "Trained on `squad_v1` in English, sw (32 examples) with",
        ),
        (
            {**taught({"sw": "f"}, drawn={"sw": 32}), "after": ["en"]},
            "Trained on `squad_v1` in English, and then in sw (32 examples) with",
        ),
        ({}, "Trained on `squad_v1` with"),
        ({"mixture": {"tasks": [], "texts": []}, "training": {}}, "Trained on `squad_v1` with"),
        ({"training": {}, "merge": {}}, "Merged from bundles with"),
        *((taught(train), "Trained on `squad_v1` with") for train in (None, 3)),
        ({**taught({"sw": "f"}), "after": [3]}, "Trained on `squad_v1` in sw with"),
    ],
)
def test_the_languages_it_was_trained_in(settings: dict[str, Any], told: str) -> None:
    assert told in model_card(info(settings=settings))


def test_several_heads_and_their_metrics() -> None:
    heads = {
        "hellaswag": HeadInfo(format="multiple_choice", labels=(), tasks=("hellaswag",)),
        "panx": HeadInfo(format="tagging", labels=("O",), tasks=("panx",)),
    }
    card = model_card(
        info(
            task="hellaswag+panx", format="multitask", heads=heads, metrics={"hellaswag": 30.0, "panx": 40.0}
        )
    )
    data = ModelCard(card).data.to_dict()
    assert data["metrics"] == ["accuracy", "f1"]
    assert data["tags"][-2:] == ["multiple-choice", "tagging"]
    assert "pipeline_tag" not in data
    assert "- head `panx`: tagging (panx)\n" in card


def test_a_metric_with_a_sign_is_quoted() -> None:
    assert ModelCard(model_card(info(metrics={"map@20": 1.0}))).data.metrics == ["map@20"]
