"""Names that stand for several tasks after ``--inter``.

Parts that the registry or the data do not hold are left out, and the plan says which.
"""

from __future__ import annotations

from collections.abc import Mapping

UNIONS: Mapping[str, tuple[str, ...]] = {"anli_plus": ("anli", "mnli", "snli")}
"""One task made of several with one label set, which share a head and are drawn by their sizes.

ANLI+: Phang et al. 2020, section 2.1, after Nie et al. 2020; its ANLI holds rounds 1 to 3.
"""

STUDY = (
    "anli_plus",
    "mnli",
    "qqp",
    "squad_v2",
    "squad_v1",
    "hellaswag",
    "ccg",
    "cosmosqa",
    "commonsenseqa",
)
"""The study's nine intermediate tasks; ``--inter all`` trains one stage over them."""

ALL = "all"
"""After ``--inter`` the study's nine; after ``--target`` those of the benchmark."""

TEXTS = ("mlm", "tlm")
"""Not tasks, but what a stage may train on beside them: see `recipe.Text`."""
