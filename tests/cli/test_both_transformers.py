"""Transformers 4.57 and 5 give the same: these tests run under both, and the stored values were made under 4.57.6."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from adapter_stilts.model.backbone import load_tokenizer
from adapter_stilts.recipe import MINIATURE, Base
from adapter_stilts.stages.context import find_base

pytestmark = pytest.mark.slow

Cli = Callable[..., Any]
HUB = Path(__file__).resolve().parents[2] / "adapters_hub"

TEXTS = ("mila toru , seka ?", "the  red\tdog saw\u00a0a <mask> cat", "Ünïcode ﬁsh ½ 猫 é\u0301")
# fmt: off
IDS = (
    [0, 345, 35, 1164, 55, 184, 3, 3573, 35, 184, 16, 2],
    [0, 189, 1415, 1997, 2158, 1015, 4000, 303, 286, 2],
)
PAIR = [0, 345, 35, 1164, 55, 184, 3, 3573, 35, 184, 16, 2, 2, 189, 1415, 1997, 2158, 1015, 4000, 303, 286, 2]
START = [
    -5.209495, -3.427991, 0.280159, -2.88733, -3.088734, -2.782009, -4.110221, -2.441595, -0.29025,
    -3.260757, -3.830361, -5.137959, -5.321711, -5.226669, -2.185846, 1.953467, -5.501955, -4.822184,
    -5.285779, -5.055799, -2.253042, -5.36078,
]
END = [
    -4.934886, -3.675046, 0.326183, -2.144433, -1.723056, -1.607645, -3.671263, -2.023443, 0.750869,
    -1.488283, -3.483401, -4.91303, -5.220054, -5.300727, -4.9838, 4.605611, -4.410207, -4.977629,
    -4.342829, -3.89949, -1.794635, -5.22574,
]
# fmt: on


def test_ids_are_those_of_4_57() -> None:
    tokenizer = load_tokenizer(find_base(Base(id=MINIATURE)))
    assert tuple(tokenizer(text)["input_ids"] for text in TEXTS[:2]) == IDS
    assert tokenizer(TEXTS[0], TEXTS[1])["input_ids"] == PAIR
    assert tokenizer.model_input_names == ["input_ids", "attention_mask"]


def test_logits_are_those_of_4_57() -> None:
    import transformers

    model = transformers.AutoModelForQuestionAnswering.from_pretrained(HUB / "squad_v1-full").eval()
    with torch.inference_mode():
        found = model(input_ids=torch.tensor([PAIR]))
    assert found.start_logits[0].tolist() == pytest.approx(START, abs=1e-5)
    assert found.end_logits[0].tolist() == pytest.approx(END, abs=1e-5)


SCORES = {"full": (55.0, 57.5), "lora": (70.0, 71.11111111111111)}
"""EM and F1 of the first 20 questions in `qaa`, of bundles that 4.57 trained."""


@pytest.mark.parametrize("mode", SCORES)
def test_bundles_of_4_57_score_as_there(cli: Cli, tmp_path: Path, mode: str) -> None:
    ran = cli(
        "evaluate", HUB / f"squad_v1-{mode}", "--target", "xquad", "--recipe", "miniature", "--limit-eval", "20",
        "--languages", "qaa", "--store", tmp_path / "store", "--device", "cpu", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    scores = ran.json["results"]["xquad"]["languages"]["qaa"]
    assert (scores["exact_match"], scores["f1"]) == pytest.approx(SCORES[mode])


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_what_is_trained_here_is_read_again(cli: Cli, tmp_path: Path, mode: str) -> None:
    store = tmp_path / "store"
    steps = ("--set", "target.max_steps=6", "--set", "target.dev_examples=8")
    ran = cli(
        "train", "--recipe", "miniature", "--inter", "none", "--target", "pawsx", "--mode", mode, "--limit-train",
        "48", "--limit-eval", "12", "--languages", "qaa", *steps, "--store", store, "--device", "cpu", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    bundle = next(store.glob("train-pawsx-*/bundle"))
    assert cli("hub", "verify", bundle).code == 0
    again = cli(
        "evaluate", bundle, "--target", "pawsx", "--recipe", "miniature", "--limit-eval", "12", "--languages", "qaa",
        "--store", tmp_path / "other", "--device", "cpu", "--json",
    )  # fmt: skip
    assert again.json["results"]["pawsx"]["languages"] == ran.json["results"]["pawsx"]["languages"]


def test_without_adapterhubs_package_the_mode_says_what_to_install(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapter_stilts.model.tuning.libraries import adapterhub_package

    monkeypatch.delitem(sys.modules, "adapters", raising=False)
    monkeypatch.setattr(adapterhub_package.importlib.util, "find_spec", lambda name: None)
    bundle = HUB / "squad_v1-adapter"
    for command in (
        ["train", "--recipe", "miniature", "--inter", "none", "--target", "xquad", "--mode", "adapter"],
        ["evaluate", bundle, "--target", "xquad", "--recipe", "miniature"],
    ):
        ran = cli(*command, "--store", tmp_path / "store", "--device", "cpu")
        assert ran.code == 2
        assert "need AdapterHub's package 'adapters' and Transformers 4.57" in ran.err
        assert "pip install 'adapter-stilts[adapters]'" in ran.err
        assert len(ran.err.strip().splitlines()) == 1
    assert not (tmp_path / "store").exists()
    assert cli("hub", "show", bundle).code == 0
