"""The grammar of all constructed languages, steered by a `Language` value."""

from __future__ import annotations

import functools

from adapter_stilts.miniature.concepts import PREDICATES, lexemes
from adapter_stilts.miniature.english import ADVERBIAL, English
from adapter_stilts.miniature.grammar import Grammar, Part, arguments, because, entity_tags, gender, wh_of
from adapter_stilts.miniature.languages import BY_CODE, Language
from adapter_stilts.miniature.lexicon import lexicon
from adapter_stilts.miniature.meaning import Phrase, Sentence, Token


@functools.cache
def grammar(code: str) -> Grammar:
    """The grammar of a language, English (``en``) included. Raises KeyError for an unknown code."""
    return English() if code == "en" else Constructed(BY_CODE[code])


class Constructed:
    """Speaks a constructed language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.words = lexicon(language.code, language.sounds, lexemes())
        self._phrases: dict[tuple[Phrase, str], tuple[Token, ...]] = {}
        self._parts: dict[tuple[Part, str], list[Token]] = {}

    @property
    def code(self) -> str:
        return self.language.code

    def name(self, phrase: Phrase) -> tuple[Token, ...]:
        return self._marked(phrase, "")

    def realise(self, sentence: Sentence) -> tuple[Token, ...]:
        tokens = self._clause(sentence)
        if sentence.link:
            tokens.insert(0, Token(self.words[sentence.link], "ADV", "S|S"))
        if reason := because(sentence):
            conjunction = Token(self.words["because"], "SCONJ", "S|S|S")
            told = [token._replace(role="") for token in self._clause(reason)]
            # Verb-final languages give the reason first, as they do in nature.
            before = self.language.order == "SOV"
            tokens = [*told, conjunction, *tokens] if before else [*tokens, conjunction, *told]
        if sentence.ask and self.language.question_word:
            tokens.append(Token(self.words["ask"], "PART", "S|S"))
        mark = self.language.question_mark if sentence.ask else self.language.stop
        return (*tokens, Token(mark, "PUNCT", "."))

    def _clause(self, sentence: Sentence) -> list[Token]:
        language, ask = self.language, sentence.ask
        moved = sentence.voice == "passive" and language.passive == "front"
        parts = arguments(sentence._replace(voice="active") if moved else sentence)
        # A pronoun stands for what the sentence is about: its subject, or the theme where that is fronted.
        about = parts.object if moved else parts.subject
        pronoun = about if sentence.pronoun else None
        subject: list[Token] = []
        if parts.subject:
            marker = "ergative" if parts.object else ""
            subject = self._constituent(parts.subject, marker, ask, pronoun=pronoun)
        rest = {
            part.role: self._constituent(part, part.marker, ask, pronoun=pronoun)
            for part in (parts.object, *parts.obliques)
            if part
        }
        front: list[Token] = []
        if ask == "reason":
            front = [Token(self.words["why"], "ADV", "Q|S")]
        elif parts.subject and ask == parts.subject.role and language.question == "front":
            front, subject = subject, []
        elif ask in rest and language.question == "front":
            front = rest.pop(ask)
        theme = rest.pop("theme") if moved and "theme" in rest else []
        complement = rest.pop(parts.object.role, []) if parts.object else []
        obliques = [token for part in parts.obliques for token in rest.get(part.role, ())]
        verb = self._verb(
            sentence, parts.lexeme, parts.subject, [*filter(None, (parts.object, *parts.obliques))]
        )
        ordered = {
            "SVO": (subject, verb, complement, obliques),
            "SOV": (subject, obliques, complement, verb),
            "VSO": (verb, subject, complement, obliques),
        }[language.order]
        return [*front, *theme, *(token for group in ordered for token in group)]

    def _constituent(self, part: Part, marker: str, ask: str, *, pronoun: Part | None) -> list[Token]:
        if part is pronoun and part.role != ask:
            word = self.words[gender(part.phrase) if self.language.gender else "he"]
            return self._mark([Token(word, "PRON", "NP", "O", part.role)], marker, part)
        if part.role == ask:
            word = wh_of(part.phrase.kind)
            upos = "ADV" if word in ("where", "when") else "PRON"
            return self._mark([Token(self.words[word], upos, "Q|S")], marker, part)
        if part.marker == "manner":
            return [Token(self.words[part.phrase.noun], "ADV", ADVERBIAL, "O", part.role)]
        key = (part, marker)
        if key not in self._parts:
            self._parts[key] = [
                token._replace(role=part.role) if token.upos != "ADP" else self._adposition(token, part)
                for token in self._marked(part.phrase, marker)
            ]
        return self._parts[key]

    def _mark(self, tokens: list[Token], marker: str, part: Part) -> list[Token]:
        """A pronoun or question word with its marker."""
        way = self.language.marking.get(marker)
        if way == "suffix":
            return [tokens[0]._replace(text=tokens[0].text + self.words[f"suffix:{marker}"])]
        if way is None:
            return tokens
        word = self._adposition(Token(self.words[f"mark:{marker}"], "ADP", ""), part)
        return [word, *tokens] if way == "before" else [*tokens, word]

    def _adposition(self, token: Token, part: Part) -> Token:
        if part.marker == "object":
            return token._replace(category="NP|NP")
        argument = part.needed and part.marker != "by"
        return token._replace(category="PP|NP" if argument else f"{ADVERBIAL}|NP")

    def _marked(self, phrase: Phrase, marker: str) -> tuple[Token, ...]:
        key = (phrase, marker)
        if key not in self._phrases:
            tokens, head = self._noun_phrase(phrase)
            way = self.language.marking.get(marker)
            if way == "suffix":
                # On the last word, as a clitic, so that a name of two words is marked once.
                last = tokens[head]
                tokens[head] = last._replace(text=last.text + self.words[f"suffix:{marker}"])
            elif way is not None:
                word = Token(self.words[f"mark:{marker}"], "ADP", "")
                tokens = [word, *tokens] if way == "before" else [*tokens, word]
            self._phrases[key] = tuple(tokens)
        return self._phrases[key]

    def _noun_phrase(self, phrase: Phrase) -> tuple[list[Token], int]:
        """The words of a phrase, and which of them takes a suffix: a noun, or the last name."""
        if phrase.kind == "year":
            return [Token(phrase.names[0], "NUM", "NP")], 0
        before = self.language.adjective == "before"
        names = [Token(name, "PROPN", "NP|NP") for name in phrase.names]
        tokens, head = names, len(names) - 1
        if phrase.noun:
            noun = Token(self.words[phrase.noun], "NOUN", "NP|NP" if names else "NP")
            modifiers = [Token(self.words[phrase.adjective], "ADJ", "NP|NP")] if phrase.adjective else names
            tokens = [*modifiers, noun] if before else [noun, *modifiers]
            head = len(tokens) - 1 if before else 0
        if names:
            tokens[-1] = tokens[-1]._replace(category="NP")
            tags = entity_tags(phrase, len(tokens))
            tokens = [token._replace(entity=tag) for token, tag in zip(tokens, tags, strict=True)]
        return tokens, head

    def _verb(self, sentence: Sentence, lexeme: str, subject: Part | None, others: list[Part]) -> list[Token]:
        language, clause = self.language, sentence.clause
        shape = PREDICATES[clause.predicate].shape
        category = "S" + ("|NP" if subject else "")
        for part in others:
            if part.needed and part.marker != "by":
                category += "|NP" if part.marker == "object" else "|PP"
        upos, category = {"state": ("ADJ", "ADJ"), "kind": ("NOUN", "N")}.get(shape, ("VERB", category))
        verb = Token(self.words[lexeme], upos, category)
        complement: list[Token] = []
        if shape in ("state", "kind") and language.copula:
            complement, verb = [verb], Token(self.words["be"], "AUX", "S|NP|VP")
        text = verb.text
        if clause.negated and language.negation == "suffix":
            text += self.words["suffix:not"]
        if language.agreement and verb.upos in ("VERB", "AUX"):
            text += self.words[f"agree:{gender(subject.phrase) if subject else 'it'}"]
        tokens = [verb._replace(text=text)]
        if sentence.voice == "passive" and language.passive == "word":
            tokens.insert(0, Token(self.words["passive"], "AUX", ADVERBIAL))
        if clause.negated and language.negation != "suffix":
            particle = Token(self.words["not"], "PART", ADVERBIAL)
            tokens = [particle, *tokens] if language.negation == "before" else [*tokens, particle]
        return [*complement, *tokens] if language.order == "SOV" else [*tokens, *complement]
