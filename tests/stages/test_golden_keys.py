"""Keys of stages as they were: a store made before a change answers after it.

Neither base nor data is read; their fingerprints are constants, so that a key depends on the recipe and on us alone.
A key that differs here makes every stage of that kind in everybody's store anew: change one only together with what
the stage computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from adapter_stilts.formats.examples import Example
from adapter_stilts.formats.pair_classification import Settings as PairSettings
from adapter_stilts.model.backbone import ResolvedBase
from adapter_stilts.recipe import load_recipe
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.parts import EvaluatePart, FetchPart, Reading
from adapter_stilts.stages.planning.plan import plan
from adapter_stilts.tasks.base import Split, Task

BASE = ResolvedBase(
    "org/encoder",
    "org/encoder",
    "c" * 40,
    "f" * 64,
    {
        "model_type": "xlm-roberta",
        "hidden_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "max_position_embeddings": 514,
    },
)


class Held:
    """Every task in every language, by name alone."""

    place = "nowhere"
    constructed = False
    levels: Mapping[str, str] = MappingProxyType({})

    def wanted(self, task: Task) -> tuple[str, ...]:
        return task.languages

    def offered(self, task: Task) -> tuple[str, ...]:
        return task.all_languages

    def further(self, task: Task, language: str) -> bool:
        return False

    def languages(self, task: Task, split: Split) -> tuple[str, ...]:
        return task.languages if split == "test" or task.train_task is None else ("en",)

    def training_languages(self, task: Task) -> tuple[str, ...]:
        return ("en", "de")

    def fingerprint(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> str:
        return f"{task.name}/{split}/{language}"

    def examples(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> list[Example]:
        raise AssertionError("a plan reads no examples")


PLANS: dict[str, dict[str, Any]] = {
    "full": {},
    "baseline and more": {"intermediate.tasks": ["none", "snli"], "target.tasks": ["xnli", "tatoeba", "udpos"]},
    "lora in 8 bits": {"mode": "lora", "precision": "8bit", "tuning.lora.r": 4},
    "bottlenecks, fused": {
        "mode": "adapter", "combine": "fuse", "intermediate.tasks": ["mnli", "hellaswag"], "target.tasks": ["panx"],
    },
    "lora, stacked": {"mode": "lora", "combine": "stack", "intermediate.tasks": ["mnli", "squad_v1"]},
    "lora, merged under a stack": {
        "mode": "lora", "combine": "merge:ties", "merge.then": "stack", "merge.density": 0.3,
        "intermediate.tasks": ["mnli", "squad_v1"],
    },
    "several tasks": {
        "intermediate.tasks": ["mnli,hellaswag,squad_v1"],
        "intermediate.mixture.sampling": "temperature",
    },
    "several languages": {"intermediate.tasks": ["mnli"], "intermediate.languages": ["en", "de"]},
    "beside text": {"intermediate.tasks": ["mnli,mlm"], "intermediate.mlm.text": "miniature"},
    "robust": {
        "intermediate.tasks": ["qqp"], "intermediate.robust.kind": "adversarial", "target.tasks": ["pawsx"],
    },
    "low memory": {
        "precision": "bf16", "optimizer": "adamw8bit", "gradient_checkpointing": True,
        "tuning.full.bf16_weights": True, "formats.multiple_choice.pooler": True,
    },
    "searched together": {"intermediate.tasks": ["none"], "target.tasks": ["bucc2018", "lareqa", "mewslix"]},
    "limits, options, settings": {
        "seed": 3, "target.limit_train": 9, "evaluation.limit": 5, "evaluation.languages": ["de", "en"],
        "options.udpos.words": "fused", "target.tasks": ["udpos"], "target.robust.kind": "none",
        "formats.tagging.max_length": 96, "target.step_order": "length_grouped",
    },
    "means": {"intermediate.average": 2, "target.average": 10},
}  # fmt: skip

GOLDEN: dict[str, list[str]] = {
    "full": ["train-hellaswag-fb54086a7c38", "train-tydiqa-395f3db8437c", "evaluate-tydiqa-3e2059e878e1"],
    "baseline and more": [
        "train-mnli-93eaf2b21d2d",
        "evaluate-xnli-e7fd95274040",
        "evaluate-tatoeba-67cd8337ed0b",
        "train-udpos-c1a20ca1ae3d",
        "evaluate-udpos-9eb0199da19f",
        "train-snli-5af8f68f9478",
        "train-mnli-8dac0b7a0d78",
        "evaluate-xnli-1aa7d71a6af4",
        "evaluate-tatoeba-db8c124fa3b2",
        "train-udpos-6afda0d6907b",
        "evaluate-udpos-c2ad752b1deb",
    ],
    "lora in 8 bits": [
        "train-hellaswag-30d5690ac236",
        "train-tydiqa-076e4737c65d",
        "evaluate-tydiqa-9a672d1c095d",
    ],
    "bottlenecks, fused": [
        "train-mnli-de5f340acc3f",
        "train-hellaswag-3cca66deb1ad",
        "train-panx-99bf0fb25bd2",
        "evaluate-panx-ae32c3c1b38d",
    ],
    "lora, stacked": [
        "train-mnli-746e3954d293",
        "train-squad_v1-430da635cd21",
        "train-tydiqa-e6fee631e236",
        "evaluate-tydiqa-71e68d538b48",
    ],
    "lora, merged under a stack": [
        "train-mnli-746e3954d293",
        "train-squad_v1-430da635cd21",
        "compose-mnli+squad_v1-aeb30d5f0e54",
        "train-tydiqa-75b3c3d0ccc9",
        "evaluate-tydiqa-ce8bbd2747e9",
    ],
    "several tasks": [
        "train-hellaswag+mnli+squad_v1-f2b5da6d1f97",
        "train-tydiqa-50def8ac6897",
        "evaluate-tydiqa-16def7a637f5",
    ],
    "several languages": [
        "train-mnli-dcc6fa914994",
        "train-tydiqa-62de66fe8306",
        "evaluate-tydiqa-ce4de2da409e",
    ],
    "beside text": [
        "train-mnli+mlm-962e4c794ca2",
        "train-tydiqa-542be04a9b25",
        "evaluate-tydiqa-cc0236267bac",
    ],
    "robust": ["train-qqp-a8ef5a8a456f", "train-pawsx-be08798d9cb2", "evaluate-pawsx-c0e13971e9fe"],
    "low memory": [
        "train-hellaswag-18c7131d9475",
        "train-tydiqa-8c145813e73d",
        "evaluate-tydiqa-d0bbadd49c1f",
    ],
    "searched together": [
        "evaluate-bucc2018-076044186d76",
        "evaluate-lareqa-fdf9c19788ba",
        "evaluate-mewslix-3ed36cbc6640",
    ],
    "limits, options, settings": [
        "train-hellaswag-61d43c87de86",
        "train-udpos-738af51f663b",
        "evaluate-udpos-718761a8d30e",
    ],
    "means": ["train-hellaswag-d43de660fad6", "train-tydiqa-65d1d8d43668", "evaluate-tydiqa-e55ff6a36666"],
}


def keys(name: str) -> list[str]:
    given = {"intermediate.tasks": ["hellaswag"], "target.tasks": ["tydiqa"], **PLANS[name]}
    found = plan(load_recipe(None, list(given.items())), lambda: BASE, Held())
    return [stage.name for stage in found.stages]


@pytest.mark.parametrize("name", PLANS)
def test_planned(name: str) -> None:
    assert keys(name) == GOLDEN[name]


def test_of_bundles() -> None:
    fetched = Stage("mnli", FetchPart("b" * 64))
    assert fetched.name == "fetch-mnli-bbbafb967351"
    reading = Reading("xnli", PairSettings(max_length=128), {})
    part = EvaluatePart("f" * 64, "fp32", reading, None, {"en": "xnli/test/en"}, bundle="b" * 64)
    assert Stage("xnli", part).name == "evaluate-xnli-f0409c5ddf46"
