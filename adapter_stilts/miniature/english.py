"""English: the language that tasks are trained in."""

from __future__ import annotations

from collections.abc import Mapping

from adapter_stilts.miniature.concepts import GROUPS, PREDICATES
from adapter_stilts.miniature.grammar import Arguments, Part, arguments, because, entity_tags, gender, wh_of
from adapter_stilts.miniature.meaning import Phrase, Sentence, Token

IRREGULAR: Mapping[str, tuple[str, str]] = {
    "give": ("gave", "given"),
    "get": ("got", "got"),
    "sell": ("sold", "sold"),
    "buy": ("bought", "bought"),
    "lend": ("lent", "lent"),
    "send": ("sent", "sent"),
    "show": ("showed", "shown"),
    "take": ("took", "taken"),
    "hide": ("hid", "hidden"),
    "bring": ("brought", "brought"),
    "carry": ("carried", "carried"),
    "eat": ("ate", "eaten"),
    "drink": ("drank", "drunk"),
    "make": ("made", "made"),
    "break": ("broke", "broken"),
    "lose": ("lost", "lost"),
    "read": ("read", "read"),
    "write": ("wrote", "written"),
    "wear": ("wore", "worn"),
    "drop": ("dropped", "dropped"),
    "find": ("found", "found"),
    "shut": ("shut", "shut"),
    "catch": ("caught", "caught"),
    "grab": ("grabbed", "grabbed"),
    "draw": ("drew", "drawn"),
    "lead": ("led", "led"),
    "flee": ("fled", "fled"),
    "teach": ("taught", "taught"),
    "meet": ("met", "met"),
    "marry": ("married", "married"),
    "see": ("saw", "seen"),
    "forgive": ("forgave", "forgiven"),
    "go": ("went", "gone"),
    "run": ("ran", "run"),
    "sleep": ("slept", "slept"),
    "cry": ("cried", "cried"),
    "weep": ("wept", "wept"),
    "fall": ("fell", "fallen"),
    "study": ("studied", "studied"),
    "build": ("built", "built"),
    "have": ("had", "had"),
    "do": ("did", "done"),
}
"""Past and participle; the others add -ed."""

PREPOSITIONS: Mapping[str, str] = {
    "recipient": "to",
    "source": "from",
    "goal": "to",
    "place": "in",
    "time": "in",
    "by": "by",
}

ADVERBIAL = "VP|VP"


def past(lexeme: str) -> str:
    return IRREGULAR[lexeme][0] if lexeme in IRREGULAR else _regular(lexeme)


def participle(lexeme: str) -> str:
    return IRREGULAR[lexeme][1] if lexeme in IRREGULAR else _regular(lexeme)


def _regular(lexeme: str) -> str:
    return lexeme + ("d" if lexeme.endswith("e") else "ed")


class English:
    """The grammar of English, past tense."""

    code = "en"

    def __init__(self) -> None:
        self._phrases: dict[Phrase, tuple[Token, ...]] = {}
        self._parts: dict[tuple[Phrase, str], tuple[Token, ...]] = {}

    def name(self, phrase: Phrase) -> tuple[Token, ...]:
        return self._phrase(phrase)

    def realise(self, sentence: Sentence) -> tuple[Token, ...]:
        tokens = self._clause(sentence)
        if sentence.link:
            tokens.insert(0, Token(sentence.link, "ADV", "S|S"))
        if reason := because(sentence):
            tokens.append(Token("because", "SCONJ", "S|S|S"))
            tokens.extend(token._replace(role="") for token in self._clause(reason))
        tokens.append(Token("?" if sentence.ask else ".", "PUNCT", "."))
        return tuple(tokens)

    def _clause(self, sentence: Sentence) -> list[Token]:
        clause, ask = sentence.clause, sentence.ask
        parts = arguments(sentence)
        shape = PREDICATES[clause.predicate].shape
        subject_asked = parts.subject is not None and parts.subject.role == ask
        inverted = bool(ask) and not subject_asked
        to_be = shape in ("state", "kind", "at") or sentence.voice == "passive" or clause.predicate == "born"
        front = [*self._wh(parts, ask)] if ask else []
        subject = [] if subject_asked else self._subject(parts.subject, sentence.pronoun)
        negation = [Token("not", "PART", ADVERBIAL)] if clause.negated else []
        auxiliary = Token("was" if to_be else "did", "AUX", "S|NP|VP")
        verb = self._predicate(sentence, parts, bare=inverted or clause.negated, to_be=to_be)
        if not to_be and not (inverted or clause.negated):
            head: list[Token] = [*subject]
        elif inverted:
            head = [auxiliary, *subject, *negation]
        else:
            head = [*subject, auxiliary, *negation]
        return [*front, *head, *verb, *self._rest(parts, ask)]

    def _subject(self, part: Part | None, pronoun: bool) -> list[Token]:
        if part is None:
            return [Token("it", "PRON", "NP")]
        if pronoun:
            return [Token(gender(part.phrase), "PRON", "NP", "O", part.role)]
        return list(self._told(part))

    def _wh(self, parts: Arguments, ask: str) -> list[Token]:
        if ask == "whether":
            return []
        if ask == "reason":
            return [Token("why", "ADV", "Q|S")]
        asked = next(
            part for part in (parts.subject, parts.object, *parts.obliques) if part and part.role == ask
        )
        word = wh_of(asked.phrase.kind)
        if word == "where" and asked.marker in ("subject", "object"):
            word = "what"
        if word in ("where", "when"):
            return [Token(word, "ADV", "Q|S")]
        if asked.marker in PREPOSITIONS:
            preposition = Token(PREPOSITIONS[asked.marker], "ADP", "PP|NP")
            return [preposition, Token("whom" if word == "who" else word, "PRON", "Q|S")]
        subject = asked.marker == "subject"
        return [
            Token("whom" if word == "who" and not subject else word, "PRON", "Q|VP" if subject else "Q|S")
        ]

    def _predicate(self, sentence: Sentence, parts: Arguments, *, bare: bool, to_be: bool) -> list[Token]:
        predicate, shape = sentence.clause.predicate, PREDICATES[sentence.clause.predicate].shape
        if shape == "state":
            return [Token(parts.lexeme.removesuffix("_state"), "ADJ", "ADJ")]
        if shape == "kind":
            article = "the" if predicate in ("cause", "result") else "a"
            return [Token(article, "DET", "NP|N"), Token(predicate, "NOUN", "N")]
        if shape == "at":
            return []
        if predicate == "born":
            return [Token("born", "VERB", "P")]
        mood = "P" if to_be else "B" if bare else "S"
        form = participle if to_be else _base if bare else past
        needed = "".join("|PP" for part in parts.obliques if part.needed and part.marker != "by")
        category = mood + ("|NP" if parts.subject else "") + ("|NP" if parts.object else "") + needed
        return [Token(form(parts.lexeme), "VERB", category)]

    def _rest(self, parts: Arguments, ask: str) -> list[Token]:
        tokens: list[Token] = []
        for part in (parts.object, *parts.obliques):
            if part is None or part.role == ask:
                continue
            if part.marker == "manner":
                tokens.append(Token(part.phrase.noun, "ADV", ADVERBIAL, "O", part.role))
                continue
            tokens.extend(self._marker(part))
            tokens.extend(self._told(part))
        return tokens

    def _marker(self, part: Part) -> list[Token]:
        if part.marker not in PREPOSITIONS:
            return []
        word = "at" if part.marker == "place" and part.phrase.kind == "group" else PREPOSITIONS[part.marker]
        argument = part.needed and part.marker != "by"
        return [Token(word, "ADP", "PP|NP" if argument else f"{ADVERBIAL}|NP")]

    def _told(self, part: Part) -> tuple[Token, ...]:
        """The words of a part with its role; an article is no part of an answer."""
        key = (part.phrase, part.role)
        if key not in self._parts:
            self._parts[key] = tuple(
                token if token.upos == "DET" else token._replace(role=part.role)
                for token in self._phrase(part.phrase)
            )
        return self._parts[key]

    def _phrase(self, phrase: Phrase) -> tuple[Token, ...]:
        if phrase not in self._phrases:
            self._phrases[phrase] = tuple(_noun_phrase(phrase))
        return self._phrases[phrase]


def _noun_phrase(phrase: Phrase) -> list[Token]:
    words: list[tuple[str, str, str]] = []
    if phrase.kind == "year":
        return [Token(phrase.names[0], "NUM", "NP")]
    if phrase.noun == "lake":
        words = [("lake", "NOUN", "NP|NP")]
    words += [
        (name, "PROPN", "NP" if n == len(phrase.names) - 1 else "NP|NP")
        for n, name in enumerate(phrase.names)
    ]
    if phrase.noun in GROUPS and phrase.names:
        words = [(phrase.names[0], "PROPN", "NP|NP"), (phrase.noun, "NOUN", "NP")]
    if phrase.names:
        tags = entity_tags(phrase, len(words))
        return [Token(*word, tag) for word, tag in zip(words, tags, strict=True)]
    tokens = [Token("the", "DET", "NP|N")]
    if phrase.adjective:
        tokens.append(Token(phrase.adjective, "ADJ", "N|N"))
    return [*tokens, Token(phrase.noun, "NOUN", "N")]


def _base(lexeme: str) -> str:
    return lexeme
