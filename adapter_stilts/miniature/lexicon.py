"""The words of a constructed language, made from its own syllables."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import NamedTuple


class Sounds(NamedTuple):
    """What syllables are made of. Vowels may be signs that combine with the onset before them."""

    onsets: str
    vowels: str
    codas: str


_MARKERS = ("object", "recipient", "source", "goal", "place", "time", "by")
FUNCTION_WORDS = (
    *("not", "because", "then", "finally", "who", "what", "where", "when", "why", "she", "he", "it"),
    *("be", "passive", "ask", "yes", "no", "also"),
    *(f"mark:{marker}" for marker in _MARKERS),
)
SUFFIXES = (
    *("suffix:not", "suffix:ergative"),
    *(f"suffix:{marker}" for marker in _MARKERS),
    *("agree:she", "agree:he", "agree:it"),
)


def lexicon(code: str, sounds: Sounds, concepts: Iterable[str]) -> dict[str, str]:
    """A word for each concept, a short one for each function word and a suffix for each marker; none twice.

    Words depend on nothing but the language and the concept (and, where two collide, on the concepts before), so
    that a pretrained encoder knows them whatever the seed of the data.
    """
    words: dict[str, str] = {}
    taken: set[str] = set()
    for keys, shortest, longest in ((SUFFIXES, 1, 1), (FUNCTION_WORDS, 1, 2), (concepts, 2, 3)):
        for key in keys:
            rng = Random(f"{code}/{key}")
            while True:
                count = rng.randint(shortest, longest)
                word = "".join(_syllable(rng, sounds) for _ in range(count))
                if count > 1 or key in SUFFIXES or rng.random() < 0.5:
                    word += rng.choice(sounds.codas)
                if word not in taken:
                    break
            taken.add(word)
            words[key] = word
    return words


def _syllable(rng: Random, sounds: Sounds) -> str:
    return rng.choice(sounds.onsets) + rng.choice(sounds.vowels)
