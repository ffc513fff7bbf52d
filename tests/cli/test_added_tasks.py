"""Runs on what the other tests' data lack: a label set left to the data, added languages, test sets without labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
