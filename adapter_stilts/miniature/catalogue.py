"""Which miniature stands for which task, and how much of it there is.

Tasks that are to the same end differ as their models do: the SNLI of the miniature has one sentence for a premise, its
ANLI many, its TyDiQA is small and asks about encyclopaedia entries only. Nothing here knows which task is trained
before which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from adapter_stilts.miniature.choices import causes, commonplaces, endings, unsaid
from adapter_stilts.miniature.entailment import NLI_LABELS, inference, paraphrase
from adapter_stilts.miniature.items import Counterpart
from adapter_stilts.miniature.questions import questions
from adapter_stilts.miniature.retrieval import answering, described, mining, parallel
from adapter_stilts.miniature.tags import any_sentence, naming_sentence, tagged
from adapter_stilts.miniature.topics import TOPIC_LABELS, about
from adapter_stilts.tasks.base import Split

Sizes: TypeAlias = Mapping[Split, int]

DEV, TEST = 150, 250
INTERMEDIATE: Sizes = {"train": 3000, "dev": DEV, "test": TEST}
TARGET: Sizes = {"train": 1500, "dev": DEV, "test": TEST}
SMALL: Sizes = {"train": 800, "dev": DEV, "test": TEST}
UNTRAINED: Sizes = {"train": 0, "dev": DEV, "test": TEST}
TEST_ONLY: Sizes = {"train": 0, "dev": 0, "test": TEST}

_QQP, _PAWS, _TWO = ("not_duplicate", "duplicate"), ("0", "1"), (True, False)
_MNLI = inference(sentences=(2, 3), entries=0.3)
_PARAGRAPHS = questions(entries=0.4)

COUNTERPARTS: Mapping[str, Counterpart] = {
    "mnli": Counterpart(_MNLI, INTERMEDIATE, NLI_LABELS, of_one=3),
    "snli": Counterpart(inference(sentences=(1, 1), entries=0.2), INTERMEDIATE, NLI_LABELS, of_one=3),
    "anli": Counterpart(inference(sentences=(4, 5), entries=0.5), INTERMEDIATE, NLI_LABELS, of_one=3),
    "xnli": Counterpart(_MNLI, UNTRAINED, NLI_LABELS, of_one=3),
    "qqp": Counterpart(paraphrase(_QQP, ask=True), INTERMEDIATE, _QQP),
    "pawsx": Counterpart(paraphrase(_PAWS, ask=False), TARGET, _PAWS),
    "squad_v1": Counterpart(_PARAGRAPHS, INTERMEDIATE, of_one=3),
    "squad_v2": Counterpart(questions(entries=0.4, unanswerable=0.6), INTERMEDIATE, _TWO, of_one=3),
    "xquad": Counterpart(_PARAGRAPHS, TEST_ONLY, of_one=3),
    "mlqa": Counterpart(questions(entries=0.7, steps=(5, 5)), UNTRAINED, of_one=3),
    "tydiqa": Counterpart(questions(entries=1.0), SMALL, of_one=2),
    "hellaswag": Counterpart(endings, INTERMEDIATE),
    "cosmosqa": Counterpart(unsaid, INTERMEDIATE),
    "commonsenseqa": Counterpart(commonplaces, TARGET),
    "siqa": Counterpart(causes(choices=3, motives=True), INTERMEDIATE),
    "copa": Counterpart(causes(choices=2, motives=False), SMALL),
    "xcopa": Counterpart(causes(choices=2, motives=False), UNTRAINED),
    "udpos": Counterpart(tagged("upos", any_sentence), TARGET),
    "ccg": Counterpart(tagged("category", any_sentence), INTERMEDIATE),
    "panx": Counterpart(tagged("entity", naming_sentence), TARGET),
    "sib200": Counterpart(about, SMALL, TOPIC_LABELS),
    "tatoeba": Counterpart(parallel, TEST_ONLY, foreign_only=True),
    "lareqa": Counterpart(answering, TEST_ONLY),
    "mewslix": Counterpart(described, TEST_ONLY),
    "bucc2018": Counterpart(mining, {"train": 0, "dev": 300, "test": 600}, foreign_only=True),
    "belebele": Counterpart(unsaid, TEST_ONLY),
    "uner": Counterpart(tagged("entity", naming_sentence), TARGET),
    "masakhaner2": Counterpart(tagged("entity", naming_sentence), UNTRAINED),
    "masakhapos": Counterpart(tagged("upos", any_sentence), UNTRAINED),
    "afrixnli": Counterpart(_MNLI, UNTRAINED, NLI_LABELS, of_one=3),
}
