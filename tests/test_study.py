"""Studies and their results: what is run, what is raised, what a frame holds."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import adapter_stilts as stilts
from adapter_stilts.errors import BundleError, DataError, UnknownNameError, UsageError
from adapter_stilts.evaluation.aggregation import aggregate
from adapter_stilts.stages.record import read_metrics, read_scores

FEW = {
    "settings": {
        "intermediate.max_steps": 2,
        "target.max_steps": 2,
        "formats.multiple_choice.max_length": 64,
    },
    "limit_eval": 2,
}


@pytest.fixture
def few(tiny_base: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("ADAPTER_STILTS_CACHE", str(tmp_path / "cache"))
    return {"base": tiny_base, "data": tiny_data, "store": tmp_path / "store", "device": "cpu", **FEW}


class Heard(stilts.Watch):
    def __init__(self) -> None:
        self.told: list[str] = []

    def finished(self, stage: Any, status: str, seconds: float) -> None:
        self.told.append(f"{stage.title}: {status}")


def test_a_call_is_the_command(few: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    watch = Heard()
    results = stilts.train(watch, inter=["none", "hellaswag"], target="xquad", **few)
    assert capfd.readouterr().out == ""
    assert watch.told == [
        "train squad_v1: ran",
        "evaluate xquad after squad_v1: ran",
        "train hellaswag: ran",
        "train squad_v1 after hellaswag: ran",
        "evaluate xquad after hellaswag, squad_v1: ran",
    ]
    cell = results.cell("hellaswag", "xquad")
    assert cell.metrics is not None
    assert {k: v for k, v in cell.metrics.items() if k != "missing"} == {
        k: v for k, v in read_metrics(cell.directory).items() if k != "missing"
    }
    assert cell.bundle is not None
    assert (cell.bundle / "bundle.json").is_file()
    again = stilts.train(inter="hellaswag", target=["xquad"], **few)
    assert {state.status for state in again.stages} == {"cached"}
    with pytest.raises(UnknownNameError, match="unknown cell 'mnli, xquad'"):
        results.cell("mnli", "xquad")


@pytest.mark.slow
def test_a_frame_has_a_row_for_each_cell_language_and_metric(few: dict[str, Any]) -> None:
    results = stilts.train(inter=["none", "hellaswag"], target="xquad", seed=3, **few)
    frame = results.frame()
    assert len(frame) == 2 * 2 * 2
    assert set(frame["seed"]) == {3}
    for row in frame.to_dict("records"):
        cell = results.cell(row["inter"], row["target"])
        assert row["value"] == cell.metrics["languages"][row["language"]][row["metric"]]  # type: ignore[index]
        base = results.cell("none", "xquad").metrics["languages"]  # type: ignore[index]
        assert row["gain"] == row["value"] - base[row["language"]][row["metric"]]
        assert (row["n"], row["averaged"], row["averaged_steps"]) == (2, True, None)
    alone = stilts.train(inter="hellaswag", target="xquad", seed=3, **few)
    assert all(math.isnan(gain) for gain in alone.frame()["gain"])


TARGETS = {
    "xquad": ("exact_match", "f1"),
    "panx": ("f1",),
    "udpos": ("f1",),
    "pawsx": ("accuracy",),
    "tatoeba": ("accuracy",),
    "lareqa": ("map@20",),
    "bucc2018": ("f1",),
    "xcopa": ("accuracy",),
}
"""Every kind of metric."""


@pytest.mark.slow
def test_metrics_are_the_aggregates_of_the_stored_rows(tmp_path: Path) -> None:
    steps = {"target.max_steps": 1, "target.dev_examples": 4}
    results = stilts.train(
        target=list(TARGETS), recipe="miniature", store=tmp_path, device="cpu", settings=steps,
        languages=["qaa", "qac"], limit_eval=60,
    )  # fmt: skip
    assert len(results.cells) == len(TARGETS)
    for cell in results.cells:
        stored = read_metrics(cell.directory)
        assert tuple(stored["average"]) == TARGETS[cell.cell.target]
        for language, metrics in stored["languages"].items():
            rows = read_scores(cell.directory, language)
            assert aggregate(rows) == metrics
            assert len(rows) == stored["counts"][language] > 0
        for metric, value in stored["average"].items():
            values = [metrics[metric] for metrics in stored["languages"].values()]
            assert value == sum(values) / len(values)


def test_a_study_plans_without_running(few: dict[str, Any], tmp_path: Path) -> None:
    study = stilts.plan_train(inter="hellaswag", target="xquad", **few)
    assert [state.status for state in study.states()] == ["to run"] * 3
    assert study.plan() is study.plan()
    assert not (tmp_path / "store").exists()


def test_a_stage_that_fails_is_raised_after_the_others(
    few: dict[str, Any], tiny_data: Path, tmp_path: Path
) -> None:
    import shutil

    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    (train,) = data.glob("squad/train*")
    text = json.loads(train.read_text(encoding="utf-8"))
    del text["data"][0]["paragraphs"]
    train.write_text(json.dumps(text), encoding="utf-8")
    few = {**few, "data": data}
    study = stilts.plan_train(inter="hellaswag", target="xquad", **few)
    results = study.run(check=False)
    assert [state.status for state in results.stages] == ["ran", "failed", "skipped"]
    assert results.cells[0].metrics is None
    assert results.frame().empty
    with pytest.raises(DataError, match="train-v1"):
        stilts.train(inter="hellaswag", target="xquad", **few)


def test_a_key_given_twice_is_refused(few: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="mode is given twice"):
        stilts.plan_train(target="xquad", mode="lora", **{**few, "settings": {"mode": "full"}})


@pytest.mark.parametrize("mode", ["full", "lora"])
@pytest.mark.slow
def test_a_bundle_answers_as_its_evaluation_does(few: dict[str, Any], mode: str, tiny_data: Path) -> None:
    from adapter_stilts.tasks.sources import open_source

    results = stilts.train(target="xquad", mode=mode, **few)
    cell = results.cells[0]
    assert cell.bundle is not None
    bundle = stilts.load_bundle(cell.bundle, device="cpu")
    examples = open_source(str(tiny_data)).examples(stilts.get_task("xquad"), "test", "de", {})[:2]
    unlabelled = [stilts.SpanQAExample(e.id, e.question, e.context, ()) for e in examples]  # type: ignore[union-attr]
    submitted = json.loads((cell.directory / "predictions/xquad/test-de.json").read_text(encoding="utf-8"))
    assert bundle.predict(unlabelled) == [submitted[example.id] for example in examples]
    assert bundle.tokenizer.mask_token_id is not None
    assert not bundle.model.training
    again = stilts.evaluate(bundle, "xquad", data=tiny_data, store=few["store"], limit_eval=2, languages="de")
    assert again.cells[0].metrics is not None
    assert again.cells[0].metrics["languages"]["de"] == cell.metrics["languages"]["de"]  # type: ignore[index]


@pytest.mark.slow
def test_a_bundle_of_several_heads_is_asked_by_task(few: dict[str, Any]) -> None:
    study = stilts.plan_train(inter="snli,hellaswag", target="tatoeba", mode="lora", **few)
    bundle = study.run().cells[0].bundle
    assert bundle is not None
    loaded = stilts.load_bundle(bundle, device="cpu")
    pair = stilts.PairClassificationExample("1", "A dog runs.", "An animal moves.", None)
    (label,) = loaded.predict([pair], head="snli")
    assert label in loaded.heads["snli"].labels
    with pytest.raises(UsageError, match="has several heads; name one: "):
        loaded.predict([pair])
    with pytest.raises(UnknownNameError, match="head of this bundle 'mnli'"):
        loaded.predict([pair], head="mnli")
    with pytest.raises(
        UsageError,
        match=r"PairClassificationExample: no examples of multiple_choice.*docs/python\.md, Examples",
    ):
        loaded.predict([pair], head="hellaswag")


@pytest.mark.slow
def test_a_merge_without_a_head_answers_nothing(few: dict[str, Any], tmp_path: Path) -> None:
    results = stilts.train(inter="snli", target="tatoeba", mode="lora", **few)
    made = stilts.compose(f"1.0*{results.cells[0].bundle}", tmp_path / "merged", no_head=True)
    assert made.format == "none"
    pair = stilts.PairClassificationExample("1", "A dog runs.", "An animal moves.", None)
    with pytest.raises(BundleError, match="has no head"):
        stilts.load_bundle(tmp_path / "merged", device="cpu").predict([pair])
    with pytest.raises(UsageError, match="is there already"):
        stilts.compose(f"1.0*{results.cells[0].bundle}", tmp_path / "merged")


def test_fit_and_its_sizes() -> None:
    found = stilts.fit(geometry="xlmr-base", mode="lora", batch=8, length=128, gpu_memory="8GiB")
    assert (found.device, found.fits, found.batch, found.memory) == ("cuda", True, 8, 8 * 2**30)
    with pytest.raises(UsageError, match="positions for 512 tokens"):
        stilts.fit(geometry="xlmr-base", length=513)


@pytest.mark.slow
def test_bundles_say_every_setting(few: dict[str, Any]) -> None:
    results = stilts.train(target="xquad", mode="lora", **few)
    bundle = results.cells[0].bundle
    assert bundle is not None
    settings = stilts.load_bundle(bundle).info.settings
    record = json.loads((bundle.parent / "stage.json").read_text(encoding="utf-8"))["part"]
    assert settings == {key: value for key, value in record.items() if key not in ("base", "data")}
    assert {
        "optimizer",
        "gradient_checkpointing",
        "training",
        "format",
        "options",
        "tuning",
    } <= settings.keys()
