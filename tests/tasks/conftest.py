"""Hand-written releases of every task, a few rows each, in their true layouts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Write = Callable[[Path], None]

NLI = [
    ("neutral", "A girl feeds two ducks.", "A girl is on holiday."),
    ("-", "Two men talk.", "They argue."),
    ("entailment", 'A dog runs on the "beach".', "An animal moves."),
    ("contradiction", "Nobody is here.", "A crowd waits.\u2028"),
]


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small release of each data set."""
    root = tmp_path_factory.mktemp("releases")
    for write in (_hellaswag, _commonsenseqa, _snli, _mnli, _xnli, _squad, _xquad, _tydiqa, _ud, _tatoeba):
        write(root)
    return root


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def put_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    put(path, "".join(json.dumps(row) + "\n" for row in rows))


def _hellaswag(root: Path) -> None:
    rows = [
        {
            "ind": 7,
            "activity_label": "Baking bread",
            "ctx_a": "A baker kneads a ball of dough.",
            "ctx_b": "she",
            "ctx": "A baker kneads a ball of dough. she",
            "split": "train",
            "split_type": "indomain",
            "endings": ["sings to the oven.", "lets it rise in a bowl.", "paints it.", "swims away."],
            "source_id": "activitynet~v_1",
            "label": 1,
        },
        {
            "ind": 9,
            "activity_label": "How to rest",
            "ctx_a": "Lie down on something soft.",
            "ctx_b": "",
            "ctx": "Lie down on something soft.",
            "split": "train",
            "split_type": "indomain",
            "endings": ["Close your eyes.", "Run.", "Shout.", "Juggle."],
            "source_id": "wikihow~2",
            "label": 0,
        },
    ]
    put_jsonl(root / "hellaswag" / "hellaswag_train.jsonl", rows)
    put_jsonl(root / "hellaswag" / "hellaswag_val.jsonl", rows[1:])
    unlabelled = [{key: value for key, value in row.items() if key != "label"} for row in rows]
    put_jsonl(root / "hellaswag" / "hellaswag_test.jsonl", unlabelled)


def _commonsenseqa(root: Path) -> None:
    texts = ["lake", "cloud", "closet", "soup", "sky"]
    choices = [{"label": letter, "text": text} for letter, text in zip("ABCDE", texts, strict=True)]
    stem = "Where would you look for a dry umbrella?"
    question = {"question_concept": "umbrella", "choices": choices, "stem": stem}
    rows = [{"answerKey": "C", "id": "0f1e", "question": question}]
    put_jsonl(root / "commonsenseqa" / "train_rand_split.jsonl", rows)
    put_jsonl(root / "commonsenseqa" / "dev_rand_split.jsonl", rows)


def _snli(root: Path) -> None:
    rows = [
        {"gold_label": label, "sentence1": one, "sentence2": two, "pairID": f"{n}.jpg#0"}
        for n, (label, one, two) in enumerate(NLI)
    ]
    put_jsonl(root / "snli" / "snli_1.0" / "snli_1.0_train.jsonl", rows)
    put_jsonl(root / "snli" / "snli_1.0" / "snli_1.0_dev.jsonl", rows)
    # The .txt spells the same rows; a train row may end after the first annotator's label.
    header = "gold_label\tsentence1\tsentence2\tpairID\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\n"
    lines = (f"{label}\t{one}\t{two}\t{n}.jpg#0\tneutral\n" for n, (label, one, two) in enumerate(NLI))
    put(root / "snli" / "snli_1.0_test.txt", header + "".join(lines))


def _mnli(root: Path) -> None:
    rows = [{"gold_label": label, "sentence1": one, "sentence2": two} for label, one, two in NLI]
    put_jsonl(root / "mnli" / "multinli_1.0" / "multinli_1.0_train.jsonl", rows)
    lines = (f"{n}\t{one}\t{two}\t{label}\t{label}\n" for n, (label, one, two) in enumerate(NLI))
    put(
        root / "mnli" / "MNLI" / "dev_matched.tsv",
        "index\tsentence1\tsentence2\tlabel1\tgold_label\n" + "".join(lines),
    )


def _xnli(root: Path) -> None:
    header = "language\tgold_label\tsentence1\tsentence2\tmatch\n"
    rows = (
        ("ar", "neutral", "وقف الحافلة.", "الحافلة ممتلئة."),
        ("de", "neutral", "Der Bus hielt.", "Der Bus war voll."),
        ("en", "neutral", "The bus stopped.", "The bus was full."),
        ("de", "contradiction", "Es ist Nacht.", "Die Sonne scheint."),
        ("en", "contradiction", "It is night.", "The sun shines."),
    )
    text = header + "".join("\t".join((*row, "True")) + "\n" for row in rows)
    put(root / "xnli" / "XNLI-1.0" / "xnli.dev.tsv", text)
    put(root / "xnli" / "XNLI-1.0" / "xnli.test.tsv", text)


def squad_layout(*paragraphs: tuple[str, list[tuple[str, str, list[str]]]]) -> str:
    """SQuAD's JSON from (context, [(id, question, answers)]); an answer starts where it is first found."""
    articles = [
        {
            "paragraphs": [
                {
                    "context": context,
                    "qas": [
                        {
                            "id": id_,
                            "question": question,
                            "answers": [
                                {"text": text, "answer_start": context.index(text)} for text in answers
                            ],
                        }
                        for id_, question, answers in questions
                    ],
                }
            ]
        }
        for context, questions in paragraphs
    ]
    return json.dumps({"version": "1.1", "data": articles}, ensure_ascii=False)


def _squad(root: Path) -> None:
    lamp = ("The lamp was lit in 1822.", [("q1", "When?", ["1822"]), ("q2", "What?", ["The lamp", "lamp"])])
    put(root / "squad" / "train-v1.1.json", squad_layout(lamp))
    put(root / "squad" / "dev-v1.1.json", squad_layout(lamp))


def _xquad(root: Path) -> None:
    contexts = {
        "en": "The lamp was lit in 1822.",
        "de": "\ufeffDie Lampe 💡 brannte ab 1822.",
        "th": "\ufeffตะเกียง 1822",
    }
    for language, context in contexts.items():
        put(root / "xquad" / f"xquad.{language}.json", squad_layout((context, [("q1", "1822?", ["1822"])])))


def _tydiqa(root: Path) -> None:
    english = [
        (f"Lamp {n} was lit in {1800 + n}.", [(f"english-{n}-0", "When?", [f"{1800 + n}"])])
        for n in range(60)
    ]
    finnish = ("Lamppu syttyi vuonna 1822.", [("finnish--76-0", "Milloin?", ["1822", "vuonna 1822"])])
    put(root / "tydiqa" / "tydiqa-goldp-v1.1-train.json", squad_layout(finnish, *english))
    put(root / "tydiqa" / "tydiqa-goldp-v1.1-dev.json", squad_layout(finnish, english[0]))


def conllu(*sentences: str) -> str:
    """CoNLL-U from one line a sentence; a token is id:form:UPOS:head."""
    rows = []
    for sentence in sentences:
        rows.append("# text = by hand")
        for token in sentence.split():
            id_, form, tag, head = token.split(":")
            rows.append("\t".join((id_, form.replace("~", " "), "_", tag, "_", "_", head, "dep", "_", "_")))
        rows.append("")
    return "\n".join(rows) + "\n"


def _ud(root: Path) -> None:
    english = conllu("1:Lamps:NOUN:2 2:burn:VERB:0 3:.:PUNCT:2", "1:Stop:VERB:0")
    for split in ("train", "dev", "test"):
        put(root / "ud" / "UD_English-EWT" / f"en_ewt-ud-{split}.conllu", english)
    german = conllu("1:Licht:NOUN:0 2-3:vom:_:_ 2:von:ADP:4 3:dem:DET:4 4:Turm:NOUN:1 4.1:her:ADV:_")
    put(root / "ud" / "UD_German-GSD" / "de_gsd-ud-test.conllu", german)
    put(root / "ud" / "UD_German-HDT" / "de_hdt-ud-test.conllu", conllu("1:Ja:INTJ:0"))


def _tatoeba(root: Path) -> None:
    put(root / "tatoeba" / "tatoeba.deu-eng.deu", "Das Wasser ist kalt.\n Wer?\u2028\n")
    put(root / "tatoeba" / "tatoeba.deu-eng.eng", "The water is cold.\nWho?\n")
