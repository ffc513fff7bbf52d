"""Runs on what the other tests' data lack: a label set left to the data, added languages, test sets without labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Cli = Callable[..., Any]
Tiny = Callable[..., list[str]]


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def read(stage: dict[str, Any], name: str) -> Any:
    return json.loads((Path(stage["dir"]) / name).read_text(encoding="utf-8"))


def test_a_label_set_of_the_data_and_an_added_language(
    cli: Cli, tiny: Tiny, own_data: Path, tmp_path: Path
) -> None:
    put(own_data / "ccg" / "train.tsv", "The\tNP/N\nlamp\tN\nwas\tS\\NP\n\nlamp\tN\n")
    put(own_data / "ccg" / "dev.tsv", "lamp\tN/N\n")
    put(own_data / "panx" / "train-en.tsv", "Riga\tB-LOC\nwas\tO\n\nPerth\tB-LOC\n")
    put(own_data / "panx" / "dev-en.tsv", "Riga\tB-LOC\n")
    for language in ("de", "lt"):
        put(own_data / "panx" / f"test-{language}.tsv", "Riga\nwar\n\nPerth\n")
    asked = ("--data", own_data, "--inter", "ccg", "--target", "panx", "--languages", "de,lt")
    ran = cli(*tiny(*asked))
    assert ran.code == 0, ran.err
    stages = {(stage["kind"], stage["task"]): stage for stage in ran.json["stages"]}
    bundle = read(stages["train", "ccg"], "bundle/bundle.json")
    assert bundle["labels"] == ["N", "N/N", "NP/N", "S\\NP"]
    metrics = read(stages["evaluate", "panx"], "metrics.json")
    assert metrics["languages"] == {"de": {}, "lt": {}}, "nothing to score against"
    predicted = Path(stages["evaluate", "panx"]["dir"]) / "predictions" / "panx" / "test-lt.tsv"
    assert len(predicted.read_text(encoding="utf-8").splitlines()) == 4


def test_questions_whose_answers_xtreme_took_away(cli: Cli, tiny: Tiny, own_data: Path) -> None:
    path = own_data / "xquad" / "xquad.de.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    for article in held["data"]:
        for question in article["paragraphs"][0]["qas"]:
            question["answers"] = [{"answer_start": 0, "text": ""}]
    path.write_text(json.dumps(held), encoding="utf-8")
    ran = cli(*tiny("--data", own_data, "--inter", "none", "--target", "xquad", "--languages", "de"))
    assert ran.code == 0, ran.err
    (stage,) = [stage for stage in ran.json["stages"] if stage["kind"] == "evaluate"]
    assert read(stage, "metrics.json")["languages"] == {"de": {}}
    assert len(read(stage, "predictions/xquad/test-de.json")) == 12


def test_pools_are_read_mined_and_ranked(cli: Cli, tiny: Tiny, own_data: Path) -> None:
    for language, word in {"de": "Turm", "en": "tower"}.items():
        context = f"Riga: {word}. Perth: {word} 1822."
        start = context.index("1822")
        question = {"id": "q1", "question": f"{word}?", "answers": [{"text": "1822", "answer_start": start}]}
        breaks = [[0, context.index(".") + 1], [context.index("P"), len(context)]]
        paragraph = {"context": context, "qas": [question], "sentence_breaks": breaks}
        put(
            own_data / "lareqa" / "xquad-r" / f"{language}.json",
            json.dumps({"data": [{"paragraphs": [paragraph]}]}),
        )
    for part in ("sample", "training"):
        folder = own_data / "bucc2018" / "de-en"
        put(folder / f"de-en.{part}.de", "de-1\tTurm Riga\nde-2\tSchule\nde-3\tUhr\n")
        put(folder / f"de-en.{part}.en", "en-1\ttower Riga\nen-2\tschool\n")
        put(folder / f"de-en.{part}.gold", "de-1\ten-1\nde-2\ten-2\n")
    span = {"start": 0, "end": 4, "text": "Riga"}
    mention = {"example_id": "m1", "entity_id": "Q1773", "mention_span": span}
    context = {"language": "de", "text": "Riga feiert.", "sentence_spans": [{"start": 0, "end": 12}]}
    put(
        own_data / "mewslix" / "wikinews_mentions-test.jsonl",
        json.dumps({"context": context, "mentions": [mention]}) + "\n",
    )
    entities = [
        {"entity_id": id_, "description": text, "description_language": "de"}
        for id_, text in (("Q1773", "Riga"), ("Q7", "Perth"))
    ]
    put(
        own_data / "mewslix" / "candidate_set_entities.jsonl", "".join(json.dumps(e) + "\n" for e in entities)
    )
    ran = cli(*tiny("--data", own_data, "--inter", "none", "--target", "lareqa,mewslix,bucc2018"))
    assert ran.code == 0, ran.err
    found = {stage["task"]: read(stage, "metrics.json")["languages"] for stage in ran.json["stages"]}
    # Four sentences hold two right ones, two entities one: whatever the encoder, something is found.
    assert found["lareqa"].keys() == {"de", "en"}
    assert all(0 < metrics["map@20"] <= 100 for metrics in found["lareqa"].values())
    assert 50 <= found["mewslix"]["de"]["map@20"] <= 100
    assert 0 <= found["bucc2018"]["de"]["f1"] <= 100
