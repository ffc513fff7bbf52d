"""The examples of every task: gold slices, aligned tags, one meaning in all languages, labels that hold."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from adapter_stilts.formats.examples import RetrievalExample, SpanQAExample, TaggingExample
from adapter_stilts.miniature.catalogue import COUNTERPARTS
from adapter_stilts.miniature.constructed import grammar
from adapter_stilts.miniature.entailment import Pair, same_meaning
from adapter_stilts.miniature.grammar import arguments
from adapter_stilts.miniature.languages import CODES
from adapter_stilts.miniature.meaning import write
from adapter_stilts.miniature.questions import Question, matches
from adapter_stilts.miniature.retrieval import Parallel
from adapter_stilts.miniature.splits import split_of
from adapter_stilts.miniature.stories import consequences
from adapter_stilts.miniature.world import World
from adapter_stilts.tasks.conllu import UPOS

pytestmark = pytest.mark.slow

Examples = Callable[..., list]
LANGUAGES = ("en", *CODES)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["xquad", "tydiqa", "squad_v2"])
def test_answers_are_slices_of_whole_words(name: str, language: str, examples: Examples) -> None:
    found: list[SpanQAExample] = examples(name, "test", language)
    assert any(example.answers for example in found)
    for example in found:
        for answer in example.answers:
            end = answer.start + len(answer.text)
            assert example.context[answer.start : end] == answer.text != ""
            assert example.context[: answer.start][-1:] in ("", " ")
            assert not example.context[end : end + 1].isalnum()


@pytest.mark.parametrize("name", ["squad_v1", "squad_v2", "mlqa"])
def test_questions_have_one_answer_or_none(name: str, items: Examples) -> None:
    found: list[Question] = items(name, "test")
    for item in found:
        clauses = [sentence.clause for sentence in item.context]
        asked = item.question.clause
        answered = matches(clauses, asked, item.question.ask)
        assert len(answered) == (item.answer is not None)
        if item.answer is not None:
            index, role = item.answer
            told = clauses[answered[0]].phrase(item.question.ask)
            assert clauses[index].phrase(role) == told


def test_a_pronoun_is_answered_by_the_name_it_stands_for(items: Examples) -> None:
    found: list[Question] = items("squad_v1", "train")
    resolved = 0
    for item in found:
        assert item.answer is not None
        index, role = item.answer
        sentence = item.context[index]
        subject = arguments(sentence).subject
        assert not (sentence.pronoun and subject and subject.role == role)
        resolved += item.question.clause.predicate != sentence.clause.predicate
    assert resolved > 100


def test_pronouns_stand_for_the_subject_before(items: Examples) -> None:
    for item in items("squad_v1", "test"):
        for before, sentence in pairwise(item.context):
            if sentence.pronoun:
                one, other = arguments(before).subject, arguments(sentence).subject
                assert one is not None
                assert other is not None
                assert one.phrase == other.phrase


@pytest.mark.parametrize("language", LANGUAGES)
def test_tags_align_with_words(language: str, examples: Examples) -> None:
    categories = {tag for example in examples("ccg", "train", "en") for tag in example.tags}
    for name, tags in (("udpos", set(UPOS)), ("ccg", categories), ("panx", None)):
        found: list[TaggingExample] = examples(name, "test", language)
        for example in found:
            assert example.tags is not None
            assert len(example.words) == len(example.tags)
            assert all(word and word == word.strip() for word in example.words)
            if tags is not None:
                assert set(example.tags) <= tags, "no tag that English does not teach"
            else:
                for before, tag in pairwise(("O", *example.tags)):
                    assert not tag.startswith("I-") or before[2:] == tag[2:]


def test_categories_depend_on_the_sentence(examples: Examples) -> None:
    """``to`` is needed by "gave", not by "slept in": the same word, another category."""
    found = {
        (word, tag)
        for example in examples("ccg", "train", "en")
        for word, tag in zip(example.words, example.tags, strict=True)
    }
    assert {tag for word, tag in found if word == "in"} == {"PP|NP", "VP|VP|NP"}


@pytest.mark.parametrize("name", ["mnli", "snli", "anli", "xnli"])
def test_relations_hold_in_the_world_of_the_premise(name: str, items: Examples) -> None:
    found: list[Pair] = items(name, "test")
    for pair in found:
        told = [sentence.clause for sentence in pair.premise]
        said, finally_ = pair.hypothesis.clause, pair.hypothesis.link == "finally"
        verdict = World(told).judge(said, finally_=finally_)
        assert pair.label == {True: "entailment", None: "neutral", False: "contradiction"}[verdict]
        if finally_:
            continue
        # What is entailed adds nothing; what is open can be added either way, and then holds.
        if verdict is None:
            for added in (said, said.denied()):
                assert World([*told, added]).judge(said) is (added == said)


def test_paraphrases_share_their_meaning_and_differ_in_form(items: Examples) -> None:
    english = grammar("en")
    for name, same in (("pawsx", "1"), ("qqp", "duplicate")):
        pairs: list[Pair] = items(name, "train")
        for pair in pairs:
            first, second = pair.premise[0], pair.hypothesis
            assert same_meaning(first.clause, second.clause, first.ask) == (pair.label == same)
            assert write([english.realise(first)]) != write([english.realise(second)])


def test_paraphrases_that_are_not_exchange_roles(items: Examples) -> None:
    """Most pairs that differ in meaning are made of the same participants."""
    differing = [pair for pair in items("pawsx", "train") if pair.label == "0"]
    alike = [
        {word for _, p in pair.premise[0].clause.roles for word in (p.noun, *p.names, p.adjective)}
        == {word for _, p in pair.hypothesis.clause.roles for word in (p.noun, *p.names, p.adjective)}
        for pair in differing
    ]
    assert all(alike)


def test_right_choices_follow_and_wrong_ones_do_not(items: Examples) -> None:
    for name in ("copa", "siqa", "xcopa"):
        for item in items(name, "test"):
            told, question = item.prompt
            why = question.ask == "reason" or question.clause.predicate == "cause"
            for at, choice in enumerate(item.choices):
                cause, effect = (choice, told) if why else (told, choice)
                follows = effect.clause.predicate in consequences().get(cause.clause.predicate, ())
                assert follows == (at == item.label), (told, choice)


@pytest.mark.parametrize("name", COUNTERPARTS)
def test_sets_have_their_size_and_no_example_twice(name: str, items: Examples) -> None:
    for split, size in COUNTERPARTS[name].sizes.items():
        if size:
            found = items(name, split)
            assert len(found) == len(set(found)) == size
    assert COUNTERPARTS[name].sizes["train"] <= 4000
    assert 200 <= COUNTERPARTS[name].sizes["test"] <= 600


@pytest.mark.parametrize("name", ["tatoeba", "bucc2018"])
@pytest.mark.parametrize("code", CODES)
def test_parallel_sentences_mean_the_same(name: str, code: str, items: Examples, examples: Examples) -> None:
    found: list[RetrievalExample] = examples(name, "test", code)
    sides: dict[str, dict[str, str]] = {"foreign": {}, "english": {}}
    for example in found:
        if example.pair is not None:
            sides[example.side][example.pair] = example.text
    assert sides["foreign"].keys() == sides["english"].keys()
    assert len(sides["foreign"]) >= 150
    meant: list[Parallel] = items(name, "test")
    for pair, text in sides["foreign"].items():
        sentence = meant[int(pair)].sentence
        assert text == write([grammar(code).realise(sentence)])
        assert sides["english"][pair] == write([grammar("en").realise(sentence)])
    for side in ("foreign", "english"):
        texts = [example.text for example in found if example.side == side]
        assert len(set(texts)) > 0.98 * len(texts), "hardly a sentence twice"


def test_mining_has_distractors_on_both_sides(examples: Examples) -> None:
    found: list[RetrievalExample] = examples("bucc2018", "test", "qaa")
    for side in ("foreign", "english"):
        alone = [e for e in found if e.side == side and e.pair is None]
        assert len(alone) > 150


def test_splits_are_of_the_opening(items: Examples) -> None:
    for name in ("xquad", "mlqa", "tydiqa"):
        for item in items(name, "test"):
            assert split_of([sentence.clause for sentence in item.context]) == "test"
