"""The constructed languages. A language is one value here; `constructed.py` speaks all of them.

| code | script     | order | who did what is shown by          | adjective | questions      | level  |
| ---- | ---------- | ----- | --------------------------------- | --------- | -------------- | ------ |
| qaa  | Latin      | SVO   | order, prepositions               | after     | fronted        | high   |
| qab  | Cyrillic   | SOV   | case suffixes                     | before    | in place       | high   |
| qac  | Greek      | VSO   | order, prepositions, agreement    | after     | fronted        | middle |
| qad  | Devanagari | SOV   | postpositions, on the object too  | before    | in place, word | middle |
| qae  | Latin      | SVO   | case suffixes, agreement          | before    | fronted        | middle |
| qaf  | Georgian   | VSO   | ergative and other case suffixes  | after     | in place, word | low    |
| qag  | Thai       | SVO   | order, prepositions               | after     | in place, word | low    |

The codes are from the range that ISO 639-3 reserves for private use, so none is a real language's. Order and marking
are spread over the levels, so that a fall of scores from high to low is not one of typology.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from adapter_stilts.miniature.lexicon import Sounds

Level: TypeAlias = Literal["high", "middle", "low"]
Marking: TypeAlias = Literal["before", "after", "suffix"]

SHARE: Mapping[Level, float] = {"high": 1.0, "middle": 0.3, "low": 0.08}
"""Text of a language relative to English, by resource level."""

_EVERY = ("recipient", "source", "goal", "place", "time", "by")


@dataclass(frozen=True)
class Language:
    """How a language puts meaning into words.

    Args:
        code: its language code.
        level: how much of its text there is.
        sounds: what its words are made of.
        order: of subject, verb and object; recipients, places and times stand before the verb in SOV, else last.
        marking: for each marker of a role, a word before the phrase, a word after it, or a suffix on its noun;
            roles left out are told by order alone. ``ergative`` marks the subject where there is an object.
        adjective: where it stands to its noun.
        agreement: whether the verb shows the class of its subject (she, he, it).
        gender: whether its pronoun does.
        negation: a word before or after the verb, or a suffix on it.
        question: the question word is moved to the front or stands in place.
        question_word: whether a word at the end marks a question.
        passive: the theme is made the subject by a word with the verb, or is only moved to the front.
        copula: whether "was hungry" has a word for "was".
        stop, question_mark: how a statement and a question end.
    """

    code: str
    level: Level
    sounds: Sounds
    order: Literal["SVO", "SOV", "VSO"]
    marking: Mapping[str, Marking]
    adjective: Literal["before", "after"]
    agreement: bool = False
    gender: bool = False
    negation: Marking = "before"
    question: Literal["front", "in place"] = "front"
    question_word: bool = False
    passive: Literal["word", "front"] = "word"
    copula: bool = True
    stop: str = "."
    question_mark: str = "?"


LANGUAGES: tuple[Language, ...] = (
    Language(
        "qaa",
        "high",
        Sounds("ptkmnlrsbd", "aeiou", "nsrl"),
        order="SVO",
        marking=dict.fromkeys(_EVERY, "before"),
        adjective="after",
    ),
    Language(
        "qab",
        "high",
        Sounds("бвгджзклмнпрст", "аеиоуы", "мнкхт"),
        order="SOV",
        marking=dict.fromkeys(("object", *_EVERY), "suffix"),
        adjective="before",
        negation="suffix",
        question="in place",
        passive="front",
        copula=False,
    ),
    Language(
        "qac",
        "middle",
        Sounds("βγδθκλμνπρστφχ", "αειοω", "νσρξ"),
        order="VSO",
        marking=dict.fromkeys(_EVERY, "before"),
        adjective="after",
        agreement=True,
        gender=True,
        question_mark=";",
    ),
    Language(
        "qad",
        "middle",
        Sounds("कगचजटडतदनपबमयरलवसह", "ािीुेो", "नरलमत"),
        order="SOV",
        marking=dict.fromkeys(("object", *_EVERY), "after"),
        adjective="before",
        negation="before",
        question="in place",
        question_word=True,
        passive="front",
        stop="।",
    ),
    Language(
        "qae",
        "middle",
        Sounds("bdfghjkčšžvzłr", "aäeioöuü", "kptm"),
        order="SVO",
        marking=dict.fromkeys(("object", *_EVERY), "suffix"),
        adjective="before",
        agreement=True,
        negation="after",
        passive="front",
        copula=False,
    ),
    Language(
        "qaf",
        "low",
        Sounds("ბგდვზთკლმნპრსტქღშჩ", "აეიოუ", "სნრმ"),
        order="VSO",
        marking=dict.fromkeys(("ergative", *_EVERY), "suffix"),
        adjective="after",
        negation="before",
        question="in place",
        question_word=True,
        passive="front",
        copula=False,
    ),
    Language(
        "qag",
        "low",
        Sounds("กขคงจชดตนบปพมยรลวสห", "าิีึืุูะ", "กงดนบมย"),
        order="SVO",
        marking=dict.fromkeys(_EVERY, "before"),
        adjective="after",
        negation="after",
        question="in place",
        question_word=True,
    ),
)

BY_CODE: Mapping[str, Language] = {language.code: language for language in LANGUAGES}
CODES: tuple[str, ...] = tuple(BY_CODE)
