"""Text to pretrain an encoder on: documents in one language, and parallel sentences.

Nothing of it means what a dev or test example of any task means (`meaning.split_of`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from adapter_stilts.miniature.constructed import Constructed, grammar
from adapter_stilts.miniature.entailment import Pair, inference, paraphrase
from adapter_stilts.miniature.entries import entry, known, need, practice
from adapter_stilts.miniature.events import EVERYDAY, SOCIAL, TRANSFERS, event, people, tell
from adapter_stilts.miniature.languages import BY_CODE, CODES, SHARE
from adapter_stilts.miniature.meaning import Sentence, write
from adapter_stilts.miniature.questions import Question, questions
from adapter_stilts.miniature.splits import split_of
from adapter_stilts.miniature.stories import narrate, story
from adapter_stilts.miniature.tags import any_sentence, naming_sentence
from adapter_stilts.tasks.base import Split

TRAIN: Split = "train"
ENGLISH_DOCUMENTS = 20_000
ENGLISH_PAIRS = 10_000
"""How many parallel sentences a high-resource language has."""

_ask = questions(entries=0.4)
_SAID = {"entailment": "yes", "contradiction": "no", "neutral": "also"}
_REPLIES = (
    inference(sentences=(1, 1), entries=0.2),
    inference(sentences=(2, 3), entries=0.3),
    paraphrase(("no", "yes"), ask=False),
)


def reply_words(code: str) -> list[str]:
    """The words by which a second speaker confirms, denies and adds."""
    tongue = grammar(code)
    return [tongue.words[reply] if isinstance(tongue, Constructed) else reply for reply in _SAID.values()]


def share(code: str) -> float:
    """Text of a language relative to English, by its resource level."""
    return 1.0 if code == "en" else SHARE[BY_CODE[code].level]


def documents(code: str, seed: int = 0, count: int | None = None) -> Iterator[str]:
    """Monolingual text: stories, entries, single sentences, common knowledge, questions with their answers.

    Args:
        code: a language of the miniature, ``en`` included. Each has documents of its own.
        count: how many; as many as its resource level gives it where None.
    """
    rng = Random(f"{seed}/documents/{code}")
    tongue = grammar(code)
    left = round(ENGLISH_DOCUMENTS * share(code)) if count is None else count
    while left:
        sentences = _document(rng)
        if sentences and _free(sentences):
            left -= 1
            yield write([tongue.realise(sentence) for sentence in sentences])


def pairs(code: str, seed: int = 0, count: int | None = None) -> Iterator[tuple[str, str]]:
    """Sentences with their translations, English first."""
    assert code in CODES
    rng = Random(f"{seed}/pairs/{code}")
    english, tongue = grammar("en"), grammar(code)
    left = round(ENGLISH_PAIRS * share(code)) if count is None else count
    while left:
        sentences = _document(rng)
        if sentences and _free(sentences):
            sentence = rng.choice(sentences)
            if sentence.pronoun:
                continue
            left -= 1
            yield write([english.realise(sentence)]), write([tongue.realise(sentence)])


def _document(rng: Random) -> Sequence[Sentence]:
    roll = rng.random()
    if roll < 0.27:
        return story(rng, TRAIN).document.sentences
    if roll < 0.37:
        return entry(rng, TRAIN).sentences
    if roll < 0.4:
        return (any_sentence(rng),)
    if roll < 0.48:
        return _restatement(rng)
    if roll < 0.56:
        return (naming_sentence(rng),)
    if roll < 0.62:
        return _commonplace(rng)
    if roll < 0.87:
        return _reply(rng)
    return _conversation(rng)


def _restatement(rng: Random) -> Sequence[Sentence]:
    """One event told in two ways."""
    names = rng.choice((TRANSFERS, SOCIAL, EVERYDAY))
    clause = event(rng, rng.choice(names), people(rng, 2, described=0.4), optional=0.4)
    first = tell(rng, clause, plain=0.5)
    return (first, tell(rng, clause, plain=0.5, unlike=first))


def _reply(rng: Random) -> Sequence[Sentence]:
    """What one says, and another confirms, denies or adds to."""
    propose = rng.choice(_REPLIES)
    word = rng.choice(("yes", "no", "also"))
    for candidate in propose(rng, TRAIN):
        item = candidate.item
        assert isinstance(item, Pair)
        if _SAID.get(item.label, item.label) == word and not item.hypothesis.link:
            return (*item.premise, item.hypothesis._replace(link=word))
    return ()


def _commonplace(rng: Random) -> Sequence[Sentence]:
    match rng.randrange(3):
        case 0:
            return (tell(rng, known(rng)),)
        case 1:
            return narrate(rng, need(rng))
        case _:
            return narrate(rng, practice(rng))


def _conversation(rng: Random) -> Sequence[Sentence]:
    """A question about a story or entry and its answer in full, sometimes after the story itself."""
    told = rng.random() < 0.6
    for candidate in _ask(rng, TRAIN):
        item = candidate.item
        assert isinstance(item, Question)
        asked = (item.question, tell(rng, item.question.clause))
        return (*item.context, *asked) if told else asked
    return ()


def _free(sentences: Sequence[Sentence]) -> bool:
    """Whether neither the whole nor any sentence of it belongs to dev or test."""
    clauses = [sentence.said for sentence in sentences]
    if split_of(clauses) != TRAIN:
        return False
    return all(split_of((clause,)) == TRAIN for clause in clauses)
