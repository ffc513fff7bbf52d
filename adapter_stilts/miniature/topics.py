"""Topics: which of seven things a story is about. Its script decides, whoever it is told of and however."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import NamedTuple

from adapter_stilts.formats.examples import Example, TextClassificationExample
from adapter_stilts.miniature.grammar import Grammar
from adapter_stilts.miniature.items import Candidate
from adapter_stilts.miniature.meaning import Sentence, write
from adapter_stilts.miniature.stories import story
from adapter_stilts.tasks.base import Split

TOPICS: Mapping[str, tuple[str, ...]] = {
    "science/technology": ("repair", "loan", "lesson"),
    "travel": ("journey", "loss", "door"),
    "politics": ("theft", "quarrel", "secret"),
    "sports": ("fishing", "fear", "dirt"),
    "health": ("illness", "weariness", "thirst", "hunger"),
    "entertainment": ("painting", "letter", "gift", "meal"),
    "geography": ("winter", "rain"),
}
"""The scripts of each topic (`stories.SCRIPTS`): SIB-200's topics, as near as this world has them."""

TOPIC_LABELS = tuple(TOPICS)
_TOPIC_OF = {script: topic for topic, scripts in TOPICS.items() for script in scripts}


class Told(NamedTuple):
    """The beginning of a story, and what it is about."""

    sentences: tuple[Sentence, ...]
    topic: str

    def render(self, grammar: Grammar, id: str) -> tuple[Example, ...]:
        text = write([grammar.realise(sentence) for sentence in self.sentences])
        return (TextClassificationExample(id, text, self.topic),)


def about(rng: Random, split: Split) -> Iterator[Candidate]:
    """Beginnings of stories with their topics. Words do tell a topic: that is what topics are."""
    told = story(rng, split, steps=(2, 4), aside=0.3)
    topic = _TOPIC_OF[told.script.name]
    yield Candidate(Told(told.document.sentences, topic), label=topic)
