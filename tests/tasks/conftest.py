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
    for write in WRITERS:
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


def _anli(root: Path) -> None:
    letters = {"neutral": "n", "entailment": "e", "contradiction": "c"}
    for name, rows in {"R1": NLI[:1], "R2": NLI[2:3], "R3": NLI[2:]}.items():
        written = [
            {"uid": f"{name}-{n}", "context": one, "hypothesis": two, "label": letters[label], "reason": ""}
            for n, (label, one, two) in enumerate(rows)
        ]
        for split in ("train", "dev", "test"):
            put_jsonl(root / "anli" / "anli_v1.0" / name / f"{split}.jsonl", written)


def _qqp(root: Path) -> None:
    text = (
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
        '7\t15\t16\tHow do I boil "an" egg?\tWhat is the way to boil eggs?\t1\n'
        "8\t17\t18\tThis one is broken\n"
        "in two.\tIs it?\t0\n"
        "9\t19\t20\tWho?\tWhere?\t0\n"
    )
    for split in ("train", "dev"):
        put(root / "qqp" / "QQP" / f"{split}.tsv", text)


def _squad_v2(root: Path) -> None:
    held = json.loads(
        squad_layout(("The lamp was lit in 1822.", [("q1", "When?", ["1822"]), ("q2", "Who?", [])]))
    )
    for question in held["data"][0]["paragraphs"][0]["qas"]:
        question["is_impossible"] = not question["answers"]
        if question["is_impossible"]:
            question["plausible_answers"] = [{"text": "lamp", "answer_start": 4}]
    for split in ("train", "dev"):
        put(root / "squad" / f"{split}-v2.0.json", json.dumps(held))


def _cosmosqa(root: Path) -> None:
    header = "id,context,question,answer0,answer1,answer2,answer3"
    row = '9##q1,"It rained, so we ate ""indoors"" .",Where had they meant to eat ?,Outside .,At sea .,"A,\nB",None .'
    for split in ("train", "valid"):
        put(root / "cosmosqa" / f"{split}.csv", f"{header},label\n{row},0\n{row.replace('9##', '8##')},3\n")
    unlabelled = {
        "id": "7##q1",
        "context": "It rained .",
        "question": "Where ?",
        **{f"answer{number}": str(number) for number in range(4)},
    }
    put_jsonl(root / "cosmosqa" / "test.jsonl", [unlabelled])


def _siqa(root: Path) -> None:
    row = {"context": "Ada lent Bo her bicycle.", "question": "How would Bo feel?"}
    answers = {"answerA": "grateful", "answerB": "asleep", "answerC": "like a thief"}
    for split in ("train", "dev"):
        put_jsonl(root / "siqa" / f"{split}.jsonl", [{**row, **answers}, {**row, **answers}])
        put(root / "siqa" / f"{split}-labels.lst", "1\n3\n")


def _copa(root: Path) -> None:
    rows = [
        {
            "premise": "The lamp went out.",
            "choice1": "The oil was used up.",
            "choice2": "Ships passed by.",
            "question": asked,
            "label": label,
            "idx": label,
        }
        for label, asked in enumerate(("cause", "effect"))
    ]
    for split in ("train", "val"):
        put_jsonl(root / "copa" / "COPA" / f"{split}.jsonl", rows)
    italian = {**rows[0], "premise": "La lampada si spense.", "choice1": "L'olio finì.", "changed": False}
    for split in ("val", "test"):
        put_jsonl(root / "xcopa" / "data" / "it" / f"{split}.it.jsonl", [italian])


AUTO = (
    "ID=wsj_0201.1 PARSER=GOLD NUMPARSE=1\n"
    "(<T S[dcl] 0 2> (<L NP NNP NNP Ada NP>) (<L S[dcl]\\NP VBZ VBZ sings S[dcl]\\NP_1>) )\n"
)


def _ccg(root: Path) -> None:
    auto = root / "ccg" / "data" / "AUTO"
    for section in range(2, 22):
        put(auto / f"{section:02}" / f"wsj_{section:02}01.auto", AUTO)
    put(auto / "00" / "wsj_0001.auto", AUTO.replace("<L NP ", "<L N "))


def _pawsx(root: Path) -> None:
    text = (
        "id\tsentence1\tsentence2\tlabel\n"
        '1\t"Links" steht der Turm .\tDer Turm steht "links .\t1\n'
        "2\tA liebt B .\tB liebt A .\t0\n"
    )
    for language, names in {"de": ("translated_train",), "en": ("train",)}.items():
        for name in (*names, "dev_2k", "test_2k"):
            put(root / "pawsx" / "x-final" / language / f"{name}.tsv", text)


def _panx(root: Path) -> None:
    words = (("Ada", "B-PER"), (":", "O"), ("Riga", "B-LOC"))
    for language in ("de", "en", "lt"):
        text = "".join(f"{language}:{word}\t{tag}\n" for word, tag in words)
        for split in ("train", "dev", "test"):
            put(root / "panx" / language / split, f"{text}\n{language}:Riga\tB-LOC\n\n\n")


def _mlqa(root: Path) -> None:
    context = "Die Lampe brannte ab 1822."
    for split in ("dev", "test"):
        for language, asked in {"de": "Ab wann?", "es": "¿Desde cuándo?"}.items():
            name = f"{split}-context-de-question-{language}.json"
            put(root / "mlqa" / "MLQA_V1" / split / name, squad_layout((context, [("a1", asked, ["1822"])])))


def _bucc2018(root: Path) -> None:
    for part in ("sample", "training"):
        folder = root / "bucc2018" / "de-en"
        put(folder / f"de-en.{part}.de", "de-1\tDas Wasser ist kalt.\nde-2\tWer?\n")
        put(folder / f"de-en.{part}.en", "en-1\tNobody.\nen-2\tThe water is cold.\n")
        put(folder / f"de-en.{part}.gold", "de-1\ten-2\n")


def _lareqa(root: Path) -> None:
    for language in ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"):
        context = f"\ufeff{language}: alt. Ab 1822."
        questions = [("q1", f"{language}?", ["1822"]), ("q2", f"{language}: wann?", ["Ab"])]
        held = json.loads(squad_layout((context, questions)))
        paragraph = held["data"][0]["paragraphs"][0]
        paragraph["sentence_breaks"] = [[0, 9], [10, 18]]
        paragraph["sentences"] = [context[:9], context[10:]]
        put(root / "lareqa" / "xquad-r" / f"{language}.json", json.dumps(held))


def _mewslix(root: Path) -> None:
    def article(language: str, text: str, mention: str, entity: str) -> dict[str, Any]:
        start = text.index(mention)
        span = {"start": start, "end": start + len(mention), "text": mention}
        ends = text.index(".") + 1
        context = {
            "language": language,
            "text": text,
            "sentence_spans": [{"start": 0, "end": ends}, {"start": ends + 1, "end": len(text)}],
        }
        return {
            "context": context,
            "mentions": [{"example_id": f"{language}-1", "entity_id": entity, "mention_span": span}],
        }

    rows = [
        article("de", "Es regnet. Riga feiert.", "Riga", "Q1773"),
        article("tr", "Evet. Riga burada.", "Riga", "Q1773"),
    ]
    for split in ("dev", "test"):
        put_jsonl(root / "mewslix" / f"wikinews_mentions-{split}.jsonl", rows)
    entities = [
        {"entity_id": "Q7", "description_language": "tr", "description": "Perth uzakta."},
        {"entity_id": "Q1773", "description_language": "lv", "description": "Rīga ir galvaspilsēta."},
    ]
    put_jsonl(root / "mewslix" / "candidate_set_entities.jsonl", entities)


def _sib200(root: Path) -> None:
    rows = {
        "eng_Latn": [(7, "travel", "The old bridge is closed."), (9, "sports", 'They call it "the derby".')],
        "deu_Latn": [(7, "travel", "Die alte Brücke ist zu."), (9, "sports", 'Man nennt es "das Derby".')],
    }
    for code, told in rows.items():
        lines = [f"{number}\t{topic}\t{_quoted(text)}\n" for number, topic, text in told]
        for split in ("train", "dev", "test"):
            put(
                root / "sib200" / "data" / "annotated" / code / f"{split}.tsv",
                "index_id\tcategory\ttext\n" + "".join(lines),
            )


def _quoted(text: str) -> str:
    """A field as pandas writes it."""
    doubled = text.replace('"', '""')
    return f'"{doubled}"' if '"' in text else text


BELEBELE = {
    "link": "https://example.org/ferry",
    "question_number": 1,
    "flores_passage": "The ferry leaves at noon.",
    "question": "When does it leave?",
    **dict(
        zip(
            ("mc_answer1", "mc_answer2", "mc_answer3", "mc_answer4"),
            ("at one", "at noon", "never", "daily"),
            strict=True,
        )
    ),
    "correct_answer_num": "2",
    "dialect": "eng_Latn",
    "ds": "2023-05-03",
}


def _belebele(root: Path) -> None:
    for code in ("eng_Latn", "hin_Deva", "hin_Latn", "swh_Latn", "zho_Hans", "zho_Hant"):
        put_jsonl(root / "belebele" / "Belebele" / f"{code}.jsonl", [{**BELEBELE, "dialect": code}, BELEBELE])


def iob2(*sentences: str) -> str:
    """UNER's layout from one line a sentence; a word is form:tag."""
    rows = []
    for sentence in sentences:
        rows += ["# newdoc id = by hand", "# text = by hand"]
        for number, word in enumerate(sentence.split(), start=1):
            form, tag = word.split(":")
            rows.append(f"{number}\t{form}\t{tag}\t-\tada")
        rows.append("")
    return "\n".join(rows) + "\n"


def _uner(root: Path) -> None:
    english = iob2("Ada:B-PER Lovelace:I-PER sails:O", "Riga:B-LOC")
    for split in ("train", "dev", "test"):
        put(root / "uner" / "UNER_English-EWT" / f"en_ewt-ud-{split}.iob2", english)
    put(root / "uner" / "UNER_English-PUD" / "en_pud-ud-test.iob2", iob2("Oslo:B-LOC"))
    put(root / "uner" / "UNER_Chinese-GSD" / "zh_gsd-ud-test.iob2", iob2("\u5967\u65af\u9678:B-LOC"))
    put(root / "uner" / "UNER_Chinese-GSDSIMP" / "zh_gsdsimp-ud-test.iob2", iob2("\u5965\u65af\u9646:B-LOC"))


def _masakhaner2(root: Path) -> None:
    text = "Ada B-PER\nalifika O\nJumatatu B-DATE\nasubuhi I-DATE\n. O\n\nRiga B-LOC\n\n"
    folder = root / "masakhaner2" / "masakhane-ner" / "MasakhaNER2.0" / "data"
    for code in ("swa", "yor"):
        for split in ("train", "dev", "test"):
            put(folder / code / f"{split}.txt", text)
    put(root / "masakhaner2" / "masakhane-ner" / "data" / "wol" / "test.txt", "of O\nversion O\n1.0 O\n")


def _masakhapos(root: Path) -> None:
    for split in ("train", "dev", "test"):
        path = root / "masakhapos" / "masakhane-pos" / "data" / "swa" / f"{split}.txt"
        put(path, "Ada PROPN\nalifika VERB\n. PUNCT\n\nNdiyo INTJ\n")


def _afrixnli(root: Path) -> None:
    text = 'premise\thypothesis\tlabel\n"Alisema ""ndiyo""."\tAlikubali.\t0\nNi usiku.\tJua linawaka.\t2\n'
    for code in ("eng", "swa"):
        for split in ("dev", "test"):
            put(root / "afrixnli" / "data" / code / f"{split}.tsv", text)


WRITERS: tuple[Write, ...] = (
    _hellaswag,
    _commonsenseqa,
    _snli,
    _mnli,
    _xnli,
    _squad,
    _xquad,
    _tydiqa,
    _ud,
    _tatoeba,
    _anli,
    _qqp,
    _squad_v2,
    _cosmosqa,
    _siqa,
    _copa,
    _ccg,
    _pawsx,
    _panx,
    _mlqa,
    _bucc2018,
    _lareqa,
    _mewslix,
    _sib200,
    _belebele,
    _uner,
    _masakhaner2,
    _masakhapos,
    _afrixnli,
)
