"""The benchmarks run on real data and report what they say; how fast anything is stands in no test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.model.cpu_products import has_bf16_units

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks"


def run(script: str, data: Path, base: Path, out: Path, *options: str) -> dict[str, Any]:
    """The JSON a benchmark prints; stdout must hold nothing else."""
    common = ["--data", str(data), "--base", str(base), "--out", str(out), "--threads", "1", "--rounds", "1"]
    finished = subprocess.run(
        [sys.executable, str(SCRIPTS / script), *common, *options], capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    result: dict[str, Any] = json.loads(finished.stdout)
    assert result == json.loads(out.read_text(encoding="utf-8"))
    assert result["benchmark"] == Path(script).stem
    assert result["device"] == "cpu"
    assert result["threads"] == 1
    assert {"torch", "transformers", "adapter-stilts"} <= result["versions"].keys()
    return result


@pytest.fixture(scope="module")
def training(data_dir: Path, base_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("training") / "result.json"
    options = ("--models", "nano", "--steps", "3", "--batch-size", "2", "--equivalence-steps", "2")
    return run("train_throughput.py", data_dir, base_dir, out, "--device", "cpu", *options)


@pytest.mark.parametrize("name", ["hellaswag/nano", "squad_v1/nano"])
def test_training_sides_see_the_same_tokens(training: dict[str, Any], name: str) -> None:
    found = training["throughput"][name]
    ours, theirs = found["adapter_stilts"], found["trainer"]
    assert (found["steps"], found["batch_size"], found["items"]) == (3, 2, 6)
    assert 0 < theirs["real_token_share"] <= ours["real_token_share"] <= 1
    for side in (ours, theirs):
        speed = side["real_tokens_per_second"]
        assert 0 < speed["min"] <= speed["median"] <= speed["max"]
        # One round: tokens of the timed steps over their seconds.
        assert speed["median"] == pytest.approx(
            found["real_tokens_a_run"][0] / side["seconds"]["median"], rel=0.02
        )
    assert found["ratio"] == found["ratio_rounds"][0] > 0


@pytest.mark.parametrize("name", ["hellaswag/nano", "squad_v1/nano"])
def test_sub_batches_train_the_same_model(training: dict[str, Any], name: str) -> None:
    found = training["equivalence"][name]
    assert found["steps"] == 2
    assert found["same_bits_when_repeated"] is True
    assert found["real_token_share"]["padded"] <= found["real_token_share"]["sub_batches"]
    assert found["max_weight_change_by_training"] > 0
    apart = found["sub_batches_against_padded"]
    assert apart["max_loss_difference"] < 1e-5
    assert apart["relative_weight_difference"] < 1e-2


def test_evaluation_in_one_pass_gives_the_same_answers(
    data_dir: Path, base_dir: Path, tmp_path: Path
) -> None:
    found = run(
        "evaluate_throughput.py",
        data_dir,
        base_dir,
        tmp_path / "result.json",
        "--device",
        "cpu",
        "--limit",
        "1",
    )
    assert found["languages"] == ["en", "ar", "de", "el", "es", "hi", "ru", "th", "tr", "vi", "zh", "ro"]
    assert found["answers"]["compared"] == 12
    assert found["answers"]["differing"] <= 1  # spans of equal score to the last bits
    assert found["answers"]["max_score_difference"] < 1e-4
    assert found["windows"] >= 12
    assert found["by_language"]["real_token_share"] <= found["one_pass"]["real_token_share"] <= 1
    assert found["ratio"] > 0


def test_startup_reports_every_verb_and_one_tokenisation(
    data_dir: Path, base_dir: Path, tmp_path: Path
) -> None:
    from adapter_stilts.cli.main import VERBS

    found = run("startup.py", data_dir, base_dir, tmp_path / "result.json", "--limit", "20")
    assert found["help"].keys() == {"(group)", *VERBS}
    assert found["help_imports_torch"] is False
    assert all(timing["slow_imports"] == [] for timing in found["help"].values())
    cache = found["tokenising_cache"]["squad_v1"]
    assert cache["tokens"] > 0
    assert cache["tokenizer_calls"]["first"] > 0
    assert cache["tokenizer_calls"]["second"] == 0
    assert cache["ratio"] > 0


def test_every_gold_answer_comes_back(data_dir: Path, base_dir: Path, tmp_path: Path) -> None:
    found = run("answer_spans.py", data_dir, base_dir, tmp_path / "result.json")
    answers = found["answers"]
    assert answers["fit"] == answers["answers"] > 10_000
    assert found["unexplained"] == []
    assert len(found["inexact"]) == answers["fit"] - answers["exact"]
    # The rest begins or ends inside a piece; the official scorers forgive nearly all of it.
    assert found["share_exact"] > 0.96
    assert found["share_exact_by_scorer"] > 0.999
    assert len({name.split("/")[2] for name in found["slices"]}) == 15


def test_encoding_makes_what_one_example_at_a_time_makes(
    data_dir: Path, base_dir: Path, tmp_path: Path
) -> None:
    found = run("encode.py", data_dir, base_dir, tmp_path / "result.json", "--limit", "20")
    assert found["encode"].keys() == {*found["cache"], "english"}
    assert {"snli", "hellaswag", "squad_v1", "udpos", "tatoeba"} <= found["encode"].keys()
    for name, side in found["encode"].items():
        made = side["sequences"]
        assert side["examples"] == 20
        assert made["adapter_stilts"] == made["one_by_one"] > 0
        # Contexts are tokenised word by word on the other side.
        assert made["same"] == made["one_by_one"] or name == "squad_v1"
        assert side["ratio"] > 0
    assert all(side["ratio"] > 0 for side in found["cache"].values())


def test_mining_finds_what_was_planted(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    options = (
        "--vectors",
        "3000",
        "--dimensions",
        "128",
        "--rounds",
        "1",
        "--threads",
        "1",
        "--device",
        "cpu",
    )
    script = [sys.executable, str(SCRIPTS / "mining.py"), *options, "--out", str(out)]
    finished = subprocess.run(script, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr[-3000:]
    found = json.loads(finished.stdout)
    assert found == json.loads(out.read_text(encoding="utf-8"))
    assert (found["benchmark"], found["planted"], found["planted_found"]) == ("mining", 600, 600)
    assert found["scores_of_the_best"]["f1"] == 100.0
    assert found["ratio"] > 0
    assert found["peak_bytes"]["resident"] >= found["peak_bytes_before_mining"]["resident"] > 0


def test_intervals_hold_what_was_simulated(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    options = ("--rounds", "40", "--resamples", "300", "--metric", "f1 of mining", "--threads", "1")
    script = [sys.executable, str(SCRIPTS / "coverage.py"), *options, "--out", str(out)]
    finished = subprocess.run(script, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr[-3000:]
    found = json.loads(finished.stdout)
    assert found == json.loads(out.read_text(encoding="utf-8"))
    assert (found["benchmark"], found["rounds"], list(found["metrics"])) == ("coverage", 40, ["f1 of mining"])
    studies = found["metrics"]["f1 of mining"]
    for study in studies["coverage"]:
        # 40 studies: a true 95 % gives fewer than 33 once in a thousand times.
        assert study["intervals"]["examples"]["of_these_seeds"] >= 33 / 40
        assert study["intervals"].keys() >= {"examples", "seeds_and_examples"} or study["seeds"] == 1
    alone, seeds = studies["false_positives"]
    assert (alone["rounds"], seeds["rounds"], alone["languages"]) == (10, 5, 10)
    assert alone["starred"]["examples"]["cells_holm"] <= alone["starred"]["examples"]["cells"] < 0.15


def test_memory_measures_what_was_estimated(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    options = ("--geometry", "nano", "--cells", "full/fp32,lora/8bit", "--lengths", "64", "--threads", "1")
    script = [sys.executable, str(SCRIPTS / "memory.py"), *options, "--device", "cpu", "--out", str(out)]
    finished = subprocess.run(script, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr[-3000:]
    found = json.loads(finished.stdout)["cells"]["64"]
    for cell in ("full/fp32", "lora/8bit"):
        assert abs(found[cell]["error"]) < 0.25
        assert found[cell]["estimate"]["process"] < found[cell]["training_peak"]
    assert found["lora/8bit"]["training_ratio"] < found["full/fp32"]["training_ratio"] == 1
    # What is measured stays; another cell is added, and one above the limit left out.
    script[script.index("full/fp32,lora/8bit")] = "lora/8bit,recipe:study-fusion"
    again = json.loads(subprocess.run([*script, "--limit", "0.1"], capture_output=True, text=True).stdout)
    rows = again["cells"]["64"]
    assert rows["lora/8bit"]["peak"] == found["lora/8bit"]["peak"]
    assert "left_out" in rows["recipe:study-fusion"]


def test_modules_are_trained_alike_on_both_sides(data_dir: Path, base_dir: Path, tmp_path: Path) -> None:
    options = (
        "--models",
        "nano",
        "--tasks",
        "squad_v1",
        "--steps",
        "3",
        "--batch-size",
        "2",
        "--device",
        "cpu",
    )
    found = run("tuning_throughput.py", data_dir, base_dir, tmp_path / "result.json", *options)
    for name, side in found["throughput"].items():
        assert name in ("squad_v1/nano/lora", "squad_v1/nano/adapter")
        assert len(set(side["trained_parameters"].values())) == 1
        assert side["ratio"] > 0
    reached = found["gradients"]["squad_v1/nano"]
    assert (reached["lowest_trained_layer"], reached["layers_in_the_backward_pass"]) == (2, [2, 3])
    assert reached["frozen_tensors_with_gradients"] == 0


def test_precisions_are_compared_with_fp32(data_dir: Path, base_dir: Path, tmp_path: Path) -> None:
    options = ("--models", "nano", "--modes", "lora", "--steps", "2", "--batch-size", "1", "--device", "cpu")
    found = run("precision_throughput.py", data_dir, base_dir, tmp_path / "result.json", *options)
    assert found["products"] in ("native", "fp32")
    for what in ("train", "evaluate"):
        sides = found["throughput"]["nano/lora"][what]
        assert list(sides) == ["fp32", "bf16", "8bit", "4bit"]
        for precision in ("bf16", "8bit", "4bit"):
            assert sides[precision]["ratio"] == sides[precision]["ratio_rounds"][0] > 0


@pytest.mark.skipif(not has_bf16_units(), reason="native products in bf16 take minutes on this processor")
def test_products_give_what_native_ones_give(data_dir: Path, base_dir: Path, tmp_path: Path) -> None:
    options = ("--limit", "1", "--trained", "2", "--steps", "3", "--batch-size", "1", "--device", "cpu")
    out = tmp_path / "result.json"
    found = run("precision_equality.py", data_dir, base_dir, out, *options, "--precisions", "bf16")
    compared = found["answers"]["bf16"]["ours"]
    assert compared["questions"] >= 11
    assert 0.999 < compared["cosine"]["mean"] <= 1.000001
    assert len(compared["differing"]) <= compared["questions"] // 4
    curve = found["curves"]["bf16"]
    assert curve["steps"] == 3
    assert 0 <= curve["apart"]["ours"] < 0.01


def test_languages_are_told_by_the_model_that_was_taught_in_them(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    options = [
        "--quick",
        "--targets",
        "udpos",
        "--device",
        "cpu",
        "--threads",
        "1",
        "--store",
        str(tmp_path / "store"),
    ]
    finished = subprocess.run(
        [sys.executable, str(SCRIPTS / "inlanguage.py"), *options, "--out", str(out)],
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    result = json.loads(finished.stdout)
    assert result == json.loads(out.read_text(encoding="utf-8"))
    assert (result["benchmark"], result["quick"], result["shots"], result["dev"]) == (
        "inlanguage",
        True,
        32,
        "en",
    )
    rows = {row["way"]: row for row in result["results"]}
    assert {way: list(row["scores"]) for way, row in rows.items()} == {
        "english": ["en", "qaa", "qaf"],
        "few_shot": ["qaa", "qaf"],
        "in_language": ["en", "qaa", "qaf"],
    }
    for row in rows.values():
        assert set(row["levels"]) == {"high", "low", "all but en"}
        for name, value in row["levels"].items():
            assert row["gain"][name] == pytest.approx(value - rows["english"]["levels"][name], abs=0.01)
    # Training on English is the same both times.
    assert rows["english"]["scores"]["en"] == rows["in_language"]["scores"]["en"]


def test_real_text_is_told_by_the_model_that_was_taught_in_it(
    data_dir: Path, tiny_base: Path, tmp_path: Path
) -> None:
    options = ("--quick", "--device", "cpu", "--store", str(tmp_path / "store"))
    out = tmp_path / "result.json"
    found = run("real_inlanguage.py", data_dir, tiny_base, out, *options, "--modes", "lora")
    assert (found["quick"], found["shots"], found["dev"]) == (True, 32, "en")
    english = "uner/UNER_English-EWT/en_ewt-ud"
    sizes = {name: found["sentences"][f"{english}-{name}.iob2"] for name in ("train", "dev", "test")}
    assert sizes == {"train": 1200, "dev": 300, "test": 300}
    assert found["sentences"]["masakhaner2/swa/train.txt"] == 500
    rows = {(row["way"], row["language"]): row for row in found["results"]}
    assert list(rows) == [
        ("english", "en"),
        ("english", "de"),
        *((way, language) for language in ("sw", "yo") for way in ("english", "few_shot", "in_language")),
    ]
    assert {row["dev"] for row in rows.values()} == {"en"}
    for (_, language), row in rows.items():
        assert row["gain"] == pytest.approx(row["f1"] - rows["english", language]["f1"], abs=0.01)
    # Told again without training: what is there, and none of the mode that is not.
    again = run(
        "real_inlanguage.py", data_dir, tiny_base, out, *options, "--modes", "full,lora", "--finished"
    )
    assert (again["results"], again["summary"]) == (found["results"], found["summary"])


def test_a_matrix_is_planned_answered_again_and_told_beforehand(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    parts = ("--parts", "planning,warm_start,again,overhead")
    finished = subprocess.run(
        [sys.executable, str(SCRIPTS / "matrix.py"), "--quick", "--threads", "1", *parts, "--out", str(out)],
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    result = json.loads(finished.stdout)
    assert result == json.loads(out.read_text(encoding="utf-8"))
    assert (result["benchmark"], result["quick"]) == ("matrix", True)
    # Two tasks before XNLI and Tatoeba, and without any: 8 stages, of which one trains MNLI for nobody but itself.
    assert result["again"]["stages"] == result["overhead"]["stages"] == 8
    assert not result["again"]["torch"]
    assert not result["planning"]["torch"]
    assert result["planning"]["cells"] > 800
    assert result["warm_start"]["later"]["median"] > 0


def test_reports_are_timed_without_torch(tmp_path: Path) -> None:
    script = [sys.executable, str(SCRIPTS / "report.py"), "--threads", "1", "--rounds", "1"]
    options = ["--small", "25", "--large", "200", "--examples", "10", "--out", str(tmp_path / "report.json")]
    finished = subprocess.run([*script, *options], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr[-3000:]
    result = json.loads(finished.stdout)
    assert (result["small"]["cells"], result["large"]["cells"]) == (25, 200)
    assert result["large"]["page_bytes"] < 2_000_000
    assert not any(one["torch"] for one in result["reports"].values())


def test_suggestions_are_held_against_the_truth(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    options = ("--quick", "--threads", "1", "--out", str(out))
    finished = subprocess.run(
        [sys.executable, str(SCRIPTS / "suggest.py"), *options], capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    result = json.loads(finished.stdout)
    assert result == json.loads(out.read_text(encoding="utf-8"))
    assert (result["benchmark"], result["quick"], result["examples"]) == ("suggest", True, 16)
    # Seven targets in three modes; the three bundles with bottlenecks were ranked for two.
    assert (len(result["results"]), len(result["trained"]), len(result["nine"])) == (21, 16, 21)
    assert set(result["cost_cpu_seconds"]) == {"reading", "embedding", "total"}
    for row in result["results"]:
        assert all(0 <= one["ndcg"] <= 1 and one["regret3"] >= 0 for one in row["quality"].values())


def test_hours_of_the_study_are_its_tokens(data_dir: Path, base_dir: Path, tmp_path: Path) -> None:
    result = run("study_hours.py", data_dir, base_dir, tmp_path / "hours.json", "--tflops", "10")
    tokens, lengths = result["million_tokens"], result["lengths"]
    assert lengths["hellaswag"]["measured_on"] == 600
    assert lengths["qqp"] == {"tokens": 33, "measured_on": 0}
    # Three passes over six train sets, before which stand none, each of nine, and all of them.
    trained = {name: result["sizes"][name] * lengths[name]["tokens"] for name in result["sizes"]}
    six = sum(trained[name] for name in ("mnli", "pawsx", "udpos", "panx", "squad_v1", "tydiqa"))
    assert tokens["target"] == pytest.approx(3 * 11 * six / 1e6, abs=1)
    twelve = 6 * (tokens["intermediate"] + tokens["target"]) + 2 * tokens["evaluation"]
    assert result["hours_a_seed"]["full"] == pytest.approx(twelve * 1e6 * 301_989_888 / 1e13 / 3600, abs=0.1)
    assert 0.6 < result["hours_a_seed"]["lora"] / result["hours_a_seed"]["full"] < 0.8


def test_cells_to_run_next_are_held_against_the_truth(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    options = ("--draws", "2", "--threads", "1", "--out", str(out))
    finished = subprocess.run(
        [sys.executable, str(SCRIPTS / "next_cells.py"), *options], capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    result = json.loads(finished.stdout)
    assert result == json.loads(out.read_text(encoding="utf-8"))
    stored = json.loads((SCRIPTS / "results" / "next_cells.json").read_text(encoding="utf-8"))
    assert (result["picks"], stored["picks"], stored["draws"]) == (5, 5, 25)
    for one, kept in zip(result["results"], stored["results"], strict=True):
        # These do not depend on what is hidden; a change may not make them worse unnoticed.
        assert (one["targets"], one["rank"]) == (kept["targets"], kept["rank"])
        assert one["error"] == pytest.approx(kept["error"], abs=0.05)
        assert kept["error"] < kept["mean_error"]
        assert one["best_of_any"] <= one["best_hidden"]
        assert kept["best_of_any"] + 3 < kept["best_named"] <= kept["best_hidden"]


def test_trained_sources_are_measured_anew(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    finished = subprocess.run(
        [sys.executable, str(SCRIPTS / "suggest_trained.py"), "--quick", "--threads", "1", "--out", str(out)],
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    result = json.loads(finished.stdout)
    assert (result["quick"], result["steps"], list(result["scores"])) == (True, 2, ["lora"])
    found = result["scores"]["lora"]["tydiqa"]
    every = ["logme", "h_score", "nleep", "transrate", "update_cosine", "arrow", "few_shot"]
    assert list(found) == [*every, "training_curve"]
    assert all(len(values) == len(result["sources"]) == 3 for values in found.values())
    (embeddings,) = result["task_embedding"].values()
    assert len(embeddings) == 9
    assert all(0 <= value <= 1 for value in embeddings)
