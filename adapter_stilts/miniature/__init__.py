"""A constructed multilingual world with every task in it, generated from a seed: offline, in seconds.

meaning, concepts       what can be said, and what there is to say it of
grammar, english        how a language says it: what all share, and English
lexicon, languages,     the constructed languages: their words, their values, the grammar they steer
constructed
events, stories,        what happens: single events, scripts of cause and effect, lives
entries
world                   what holds after what was told
items, entailment,      tasks, by kind of reasoning
questions, choices,
tags, retrieval
catalogue, source       which miniature stands for which task, and the source that yields them
text                    what an encoder reads before all that
"""

from __future__ import annotations

from adapter_stilts.miniature.languages import CODES, LANGUAGES, Language
from adapter_stilts.miniature.source import MiniatureSource

__all__ = ["CODES", "LANGUAGES", "Language", "MiniatureSource"]
