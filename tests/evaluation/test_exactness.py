"""The scorer against a second, plain implementation of the benchmarks' rules, on random folders of every task.

The second one reads files and counts by itself: loops where the package has regular expressions, counters or seqeval,
and fractions where the package has floats. It was written from the description of the official scripts, not from the
package.
"""

from __future__ import annotations

import json
import string
import unicodedata
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter_stilts.evaluation import metrics
from adapter_stilts.evaluation.membership import BENCHMARKS, OFFICIAL, XTREME
from adapter_stilts.evaluation.xtreme import score_folders

# -- The rules, a second time ------------------------------------------------------------------------------------

ENGLISH = ("a", "an", "the")
ARTICLES: dict[str, tuple[str, ...]] = {
    "en": ENGLISH,
    "de": ("ein", "eine", "einen", "einem", "eines", "einer", "der", "die", "das", "den", "dem", "des"),
    "es": ("un", "una", "unos", "unas", "el", "la", "los", "las"),
    "vi": ("của", "là", "cái", "chiếc", "những"),
}


def is_word_character(character: str) -> bool:
    return character.isalnum() or character == "_"


def without_words(text: str, words: Sequence[str]) -> str:
    """Each of the words blanked where nothing of a word touches it, from left to right."""
    out, position = "", 0
    while position < len(text):
        fits = [
            word
            for word in sorted(words, key=len, reverse=True)
            if text.startswith(word, position)
            and (position == 0 or not is_word_character(text[position - 1]))
            and (position + len(word) == len(text) or not is_word_character(text[position + len(word)]))
        ]
        out += " " if fits else text[position]
        position += len(fits[0]) if fits else 1
    return out


def squad_tokens(text: str) -> list[str]:
    bare = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return without_words(bare, ENGLISH).split()


def mlqa_tokens(text: str, language: str) -> list[str]:
    bare = ""
    for character in text.lower():
        if character not in string.punctuation and unicodedata.category(character)[0] != "P":
            bare += character
    if language == "ar":
        bare = bare.replace("ال", " ")
    elif language in ARTICLES:
        bare = without_words(bare, ARTICLES[language])
    if language != "zh":
        return bare.split()
    tokens, run = [], ""
    for character in [*bare, None]:
        chinese = character is not None and 0x4E00 <= ord(character) <= 0x9FA5
        if character is None or chinese:
            tokens += run.split()
            run = ""
        if chinese:
            tokens.append(str(character))
        elif character is not None:
            run += character
    return tokens


def exact_and_overlap(predicted: list[str], gold: list[str]) -> tuple[Fraction, Fraction]:
    exact = Fraction(" ".join(predicted) == " ".join(gold))
    left, shared = list(gold), 0
    for token in predicted:
        if token in left:
            left.remove(token)
            shared += 1
    if not shared:
        return exact, Fraction(0)
    return exact, Fraction(2 * shared, len(predicted) + len(gold))


def questions(labels: Any) -> list[tuple[str, list[str]]]:
    return [
        (question["id"], [answer["text"] for answer in question["answers"]])
        for article in labels["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]


def qa(predicted: Mapping[str, str], gold: Any, tokens: Any) -> dict[str, Fraction]:
    asked = questions(gold)
    exact = overlap = Fraction(0)
    for key, answers in asked:
        if key in predicted:
            pairs = [exact_and_overlap(tokens(predicted[key]), tokens(answer)) for answer in answers]
            exact += max(pair[0] for pair in pairs)
            overlap += max(pair[1] for pair in pairs)
    return {"exact_match": 100 * exact / len(asked), "f1": 100 * overlap / len(asked)}


def spans(sentences: Sequence[Sequence[str]], newer: bool) -> set[tuple[int, int, str]]:
    """Spans of raw tags: the first letter marks. The type stands behind the last hyphen, or is the tag where there is
    none; as seqeval reads since 1.0, it is the rest behind the first letter (after the first hyphen in it).

    The sentences stand in one row, each followed by an outside tag. A span that nothing began (an X after an outside
    tag, neither of which has a type) reaches back to where the last one began: odd, but what is published.
    """
    row = [tag for tags in sentences for tag in [*tags, "O"]]
    found: set[tuple[int, int, str]] = set()
    start, last, last_kind = 0, "O", ""
    for index, tag in enumerate([*row, "O"]):
        mark, rest = tag[0], tag[1:]
        behind = (rest.partition("-")[2] if "-" in rest else rest) or "_"
        kind = behind if newer else tag.split("-")[-1]
        other = last_kind != kind
        if last in "ES" or (last in "BI" and mark in "BSO") or (last not in "O." and other):
            found.add((start, index - 1, last_kind))
        if mark in "BS" or (mark in "EI" and last in "ESO") or (mark not in "O." and other):
            start = index
        last, last_kind = mark, kind
    return found


def counted(correct: int, predicted: int, gold: int) -> dict[str, Fraction]:
    if not correct:
        return {name: Fraction(0) for name in ("f1", "precision", "recall")}
    return {
        "f1": Fraction(200 * correct, predicted + gold),
        "precision": Fraction(100 * correct, predicted),
        "recall": Fraction(100 * correct, gold),
    }


def tagging(predicted: list[list[str]], gold: list[list[str]]) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for newer, ending in ((False, ""), (True, "_seqeval1")):
        ours, theirs = spans(predicted, newer), spans(gold, newer)
        scores = counted(len(ours & theirs), len(ours), len(theirs))
        found |= {f"{name}{ending}": value for name, value in scores.items()}
    return found


def share(predicted: Sequence[Any], gold: Sequence[Any]) -> dict[str, Fraction]:
    assert len(predicted) == len(gold)
    right = [a for a, b in zip(predicted, gold, strict=True) if a == b and type(a) is type(b)]
    return {"accuracy": Fraction(100 * len(right), len(gold))}


def average_precision(relevant: Sequence[str], ranked: Sequence[str]) -> Fraction:
    total, seen = Fraction(0), []
    for rank in range(min(20, len(ranked))):
        if ranked[rank] in relevant and ranked[rank] not in seen:
            seen.append(ranked[rank])
            total += Fraction(len(seen), rank + 1)
    return total / min(20, len(set(relevant)))


def ranking(
    predicted: Mapping[str, list[str]], gold: Mapping[str, list[str]], *, single: bool
) -> dict[str, Fraction]:
    relevant = {key: ids[:1] if single else ids for key, ids in gold.items()}
    every = [average_precision(ids, predicted.get(key, [])) for key, ids in relevant.items()]
    return {"map@20": 100 * sum(every, Fraction(0)) / len(every)}


def lines(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as file:
        return [line.strip() for line in file]


def sentences(path: Path) -> list[list[str]]:
    found: list[list[str]] = []
    current: list[str] = []
    for line in lines(path):
        if line:
            current.append(line)
        else:
            found.append(current)
            current = []
    return [*found, current] if current else found


def loaded(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def one_language(task: str, language: str, predictions: Path, labels: Path) -> dict[str, Fraction]:
    if task in ("xnli", "pawsx", "tatoeba"):
        return share(lines(predictions), lines(labels))
    if task == "xcopa":
        return share(*([json.loads(line)["label"] for line in lines(p)] for p in (predictions, labels)))
    if task in ("udpos", "panx"):
        return tagging(sentences(predictions), sentences(labels))
    if task == "bucc2018":
        ours, theirs = ({tuple(line.split("\t")) for line in lines(path)} for path in (predictions, labels))
        return counted(len(ours & theirs), len(ours), len(theirs))
    if task in ("mewslix", "lareqa"):
        return ranking(loaded(predictions), loaded(labels), single=task == "mewslix")
    tokens = squad_tokens if task != "mlqa" else lambda text: mlqa_tokens(text, language)
    return qa(loaded(predictions), loaded(labels), tokens)


# -- Random folders ----------------------------------------------------------------------------------------------

WORDS = [
    "the", "a", "An", "der", "Die", "el", "las", "của", "Riga", "riga.", "«Riga»", "1822", "ال", "المدينة", "北京",
    "北京2008年", "กรุงเทพ", "दिल्ली", "the-end", "_the_", "İstanbul", "ß", "—", "...", "U.S.", "x's", "\u3000", "é",
]  # fmt: skip
UPOS = ["NOUN", "VERB", "X", "SYM", "SCONJ", "CCONJ", "ADP", "INTJ", "PROPN", "PUNCT", "DET", "AUX"]
IOB = ["O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"]
SUFFIX = {"xcopa": "jsonl"} | dict.fromkeys(("xquad", "mlqa", "tydiqa", "mewslix", "lareqa"), "json")


def text(random: Random) -> str:
    return " ".join(random.choices(WORDS, k=random.randrange(1, 6)))


def pair_of_files(task: str, random: Random) -> tuple[str, str]:
    """Predictions and labels of one language, often alike, as file contents."""
    count = random.randrange(1, 6)
    if task in ("xnli", "pawsx", "tatoeba"):
        rows = [[str(random.randrange(3)) for _ in range(count)] for _ in range(2)]
        end = random.choice(["\n", "\r\n", " \n"])
        return "".join(row + end for row in rows[0]), "\n".join(rows[1])
    if task == "xcopa":
        made = [[{"label": random.choice([0, 1, "1"])} for _ in range(count)] for _ in range(2)]
        return tuple("".join(json.dumps(row) + "\n" for row in rows) for rows in made)  # type: ignore[return-value]
    if task in ("udpos", "panx"):
        tags = UPOS if task == "udpos" else IOB
        gold = [random.choices(tags, k=random.randrange(1, 7)) for _ in range(count)]
        ours = [[random.choice([tag, tag, random.choice(tags)]) for tag in row] for row in gold]
        return tuple("\n\n".join("\n".join(row) for row in rows) + "\n" for rows in (ours, gold))  # type: ignore[return-value]
    if task == "bucc2018":
        pairs = [
            [f"x-{random.randrange(4)}\ten-{random.randrange(4)}\n" for _ in range(count)] for _ in range(2)
        ]
        return "".join(pairs[0]), "".join(pairs[1])
    keys = [f"k{number}" for number in range(count)]
    if task in ("mewslix", "lareqa"):
        ids = [f"Q{number}" for number in range(30)]
        ranked = {key: random.sample(ids, random.randrange(30)) for key in keys if random.random() < 0.8}
        return json.dumps(ranked), json.dumps(
            {key: random.sample(ids, random.randrange(1, 25)) for key in keys}
        )
    answers = {key: [text(random) for _ in range(random.randrange(1, 4))] for key in keys}
    ours = {
        key: random.choice([text(random), random.choice(gold), random.choice(gold).upper() + "!"])
        for key, gold in answers.items()
        if random.random() < 0.9
    }
    qas = [
        {"id": key, "answers": [{"text": t, "answer_start": 0} for t in gold]}
        for key, gold in answers.items()
    ]
    return json.dumps({**ours, "other": "x"}), json.dumps({"data": [{"paragraphs": [{"qas": qas}]}]})


@pytest.mark.parametrize("benchmark", OFFICIAL)
@pytest.mark.parametrize("seed", range(6))
def test_whole_folders(tmp_path: Path, benchmark: str, seed: int) -> None:
    random, chosen = Random(f"{benchmark}/{seed}"), BENCHMARKS[benchmark]
    tasks = [task for task in chosen.languages if seed == 0 or random.random() < 0.7]
    wanted: dict[str, dict[str, dict[str, Fraction]]] = {}
    for task in tasks:
        wanted[task] = {}
        for language in chosen.languages[task]:
            paths = [
                tmp_path / side / task / f"test-{language}.{SUFFIX.get(task, 'tsv')}"
                for side in ("ours", "gold")
            ]
            for path, content in zip(paths, pair_of_files(task, random), strict=True):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.encode())
            wanted[task][language] = one_language(task, language, paths[0], paths[1])
    scores = score_folders(tmp_path / "ours", tmp_path / "gold", benchmark)  # type: ignore[arg-type]
    assert list(scores["tasks"]) == tasks
    headline: dict[str, Fraction] = {}
    for task, languages in wanted.items():
        found = scores["tasks"][task]
        for language, values in languages.items():
            assert found["languages"][language] == pytest.approx(_floats(values), abs=1e-9), (task, language)
        names = list(next(iter(languages.values())))
        means = {
            name: sum((values[name] for values in languages.values()), Fraction(0)) / len(languages)
            for name in names
        }
        assert found["average"] == pytest.approx(_floats(means), abs=1e-9), task
        if "exact_match" in means:
            headline[task] = (means["exact_match"] + means["f1"]) / 2
        else:
            headline[task] = means[next(name for name in ("f1", "accuracy", "map@20") if name in means)]
    groups = {
        group: float(sum((headline[task] for task in members), Fraction(0)) / len(members))
        for group, members in chosen.groups.items()
        if all(task in headline for task in members)
    }
    assert scores["groups"] == pytest.approx(groups, abs=1e-9)
    if len(tasks) < len(chosen.languages):
        assert scores["overall"] is None
    else:
        total = sum(headline.values(), Fraction(0)) / len(tasks)
        assert scores["overall"] == pytest.approx(float(total), abs=1e-9)


def _floats(values: Mapping[str, Fraction]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


# -- One metric at a time, on wilder input ------------------------------------------------------------------------

PIECES = st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=4)), max_size=6)


@given(PIECES, PIECES, st.sampled_from(["", " "]))
@settings(max_examples=200)
def test_squad(predicted: list[str], gold: list[str], between: str) -> None:
    ours, theirs = between.join(predicted), between.join(gold)
    exact, overlap = exact_and_overlap(squad_tokens(ours), squad_tokens(theirs))
    assert metrics.squad_exact_match(ours, [theirs]) == exact
    assert metrics.squad_f1(ours, [theirs]) == pytest.approx(float(overlap), abs=1e-12)


@given(PIECES, PIECES, st.sampled_from(XTREME.languages["mlqa"]), st.sampled_from(["", " "]))
@settings(max_examples=300)
def test_mlqa(predicted: list[str], gold: list[str], language: str, between: str) -> None:
    ours, theirs = between.join(predicted), between.join(gold)
    exact, overlap = exact_and_overlap(mlqa_tokens(ours, language), mlqa_tokens(theirs, language))
    assert metrics.mlqa_exact_match(ours, [theirs], language) == exact
    assert metrics.mlqa_f1(ours, [theirs], language) == pytest.approx(float(overlap), abs=1e-12)


TAG = st.one_of(
    st.sampled_from([*UPOS, *IOB, "S-PER", "E-PER", "O-", "B", "I", ".", "B-PER-X", "-", "_"]),
    st.text(st.sampled_from("BIESO-.PERLOC"), min_size=1, max_size=5),
)
ROWS = st.lists(st.lists(st.tuples(TAG, TAG), min_size=1, max_size=7), min_size=1, max_size=4)


@given(ROWS)
@settings(max_examples=300)
def test_tags(rows: list[list[tuple[str, str]]]) -> None:
    gold, predicted = ([[pair[side] for pair in row] for row in rows] for side in (0, 1))
    assert metrics.tagging_scores(gold, predicted) == pytest.approx(
        _floats(tagging(predicted, gold)), abs=1e-9
    )


IDS = st.lists(st.sampled_from([f"s{number}" for number in range(26)]), max_size=26)


@given(
    st.dictionaries(st.sampled_from("abc"), IDS.filter(bool), min_size=1),
    st.dictionaries(st.sampled_from("abcd"), IDS),
)
def test_rankings(gold: dict[str, list[str]], ranked: dict[str, list[str]]) -> None:
    wanted = ranking(ranked, gold, single=False)["map@20"]
    assert metrics.mean_average_precision_at_20(gold, ranked) == pytest.approx(float(wanted), abs=1e-9)


PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=9)


@given(PAIRS.filter(bool), PAIRS)
def test_mined_pairs(gold: list[tuple[str, str]], predicted: list[tuple[str, str]]) -> None:
    right = sum(1 for pair in dict.fromkeys(predicted) if pair in gold)
    wanted = counted(right, len(dict.fromkeys(predicted)), len(dict.fromkeys(gold)))
    assert metrics.bucc_scores(gold, predicted) == pytest.approx(_floats(wanted), abs=1e-9)
