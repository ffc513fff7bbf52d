"""Real data and a small real encoder, where there are any: tests that need them skip by name elsewhere.

Most tests need neither: `tiny_base` is a random encoder of XLM-R's shape with a tokenizer of its own, `tiny_data`
a folder of made-up release files in English and German. A training run on them takes about a second.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# How quick a machine is decides no test: examples may be drawn slowly beside other work.
settings.register_profile(
    "any-machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("any-machine")

# Tiny models gain nothing from threads, which wait for one another where cores are shared.
os.environ.setdefault("OMP_NUM_THREADS", "1")

_BESIDE = Path(__file__).resolve().parents[2] / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The file that takes longest goes first, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: item.path.name != "test_study.py")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, object, object]:
    """What needs AdapterHub's package skips by name where it is not installed, as on Transformers 5."""
    try:
        return (yield)
    except BaseException as error:
        there = "adapters" in sys.modules or importlib.util.find_spec("adapters") is not None
        if not there and _needs_adapterhub(error):
            pytest.skip("AdapterHub's package 'adapters' is not installed")
        raise


def _needs_adapterhub(error: BaseException | None) -> bool:
    """Whether an error, or what it comes from, is that the package is missing."""
    while error is not None:
        if "need AdapterHub's package" in str(error) or getattr(error, "name", None) == "adapters":
            return True
        error = error.__cause__ or error.__context__
    return False


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Slices of the real data sets in their release formats."""
    return _folder("ADAPTER_STILTS_DATA", _BESIDE / "data")


@pytest.fixture(scope="session")
def making() -> ModuleType:
    """The module that makes stores with made-up scores, as a matrix would leave them."""
    script = Path(__file__).parents[1] / "benchmarks" / "made_store.py"
    spec = importlib.util.spec_from_file_location("made_store", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["made_store"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def base_dir() -> Path:
    """A small encoder of XLM-R's shape, pretrained on real text."""
    return _folder("ADAPTER_STILTS_BASE", _BESIDE / "models" / "nano-xlmr")


def _folder(variable: str, fallback: Path) -> Path:
    folder = Path(os.environ.get(variable) or fallback)
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}: set ${variable}")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Encoded features of tests stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADAPTER_STILTS_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        yield


THINGS = (
    ("lamp", "Lampe", "lit", "angezündet"),
    ("bridge", "Brücke", "built", "gebaut"),
    ("tower", "Turm", "sold", "verkauft"),
    ("school", "Schule", "opened", "eröffnet"),
    ("clock", "Uhr", "repaired", "repariert"),
    ("garden", "Garten", "closed", "geschlossen"),
)
PLACES = ("Riga", "Lagos", "Quito", "Hanoi", "Perth")
EXTRA = ("yesterday", "in the rain", "after a long and quiet winter", "by two old friends of the mayor", "")


@dataclass(frozen=True)
class Fact:
    """One made-up fact, from which the rows of all data sets are made."""

    thing: str
    german: str
    done: str
    getan: str
    place: str
    extra: str
    year: int

    @property
    def english_text(self) -> str:
        return f"The {self.thing} of {self.place} was {self.done} {self.extra} in {self.year}."

    @property
    def german_text(self) -> str:
        return f"{self.german} in {self.place}: {self.getan} im Jahr {self.year}."


def facts() -> list[Fact]:
    pairs = list(itertools.product(THINGS, PLACES))
    return [
        Fact(*thing, place, EXTRA[(n * 7) % len(EXTRA)], 1800 + 7 * n)
        for n, (thing, place) in enumerate(pairs)
    ]


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Release files of several tasks: 24 English facts to train on, 6 for dev and test. Do not write here."""
    root = tmp_path_factory.mktemp("tiny_data")
    known, new = facts()[:24], facts()[24:]
    for name, chosen in (("train", known), ("val", new)):
        _write_rows(root / "hellaswag" / f"hellaswag_{name}.jsonl", map(_ending, chosen))
    for name, chosen in (("train", known), ("dev", new)):
        _write(root / "squad" / f"{name}-v1.1.json", _questions(chosen, "english_text"))
        _write_rows(root / "snli" / f"snli_1.0_{name}.jsonl", itertools.chain(*map(_pairs, chosen)))
        _write(root / "ud" / "UD_English-EWT" / f"en_ewt-ud-{name}.conllu", "".join(map(_tagged, chosen)))
    _write(root / "ud" / "UD_English-EWT" / "en_ewt-ud-test.conllu", "".join(map(_tagged, new)))
    _write(root / "ud" / "UD_German-GSD" / "de_gsd-ud-test.conllu", "".join(map(_tagged_german, new)))
    _write(root / "xquad" / "xquad.en.json", _questions(new, "english_text"))
    _write(root / "xquad" / "xquad.de.json", _questions(new, "german_text"))
    rows = [(lang, *row) for fact in new for lang, row in _pairs_by_language(fact)]
    header = "language\tgold_label\tsentence1\tsentence2\n"
    _write(root / "xnli" / "xnli.test.tsv", header + "".join("\t".join(row) + "\n" for row in rows))
    _write(root / "tatoeba" / "tatoeba.deu-eng.deu", "".join(fact.german_text + "\n" for fact in new))
    _write(root / "tatoeba" / "tatoeba.deu-eng.eng", "".join(fact.english_text + "\n" for fact in new))
    return root


def _ending(fact: Fact) -> dict[str, Any]:
    endings = [
        "fell asleep.",
        f"was {fact.done} in {fact.year}.",
        "sang to the sea.",
        "never came back home again.",
    ]
    label = fact.year % 4
    endings[1], endings[label] = endings[label], endings[1]
    context = f"People talk about {fact.place} {fact.extra}."
    return {"ctx_a": context, "ctx_b": f"the {fact.thing}", "endings": endings, "label": label}


def _questions(chosen: Sequence[Fact], text: str) -> str:
    articles = []
    for fact in chosen:
        context = getattr(fact, text)
        answers = [{"text": str(fact.year), "answer_start": context.index(str(fact.year))}]
        places = [{"text": fact.place, "answer_start": context.index(fact.place)}]
        asked = [
            {
                "id": f"{fact.year}-when",
                "question": f"When was the {fact.thing} {fact.done}?",
                "answers": answers,
            },
            {"id": f"{fact.year}-where", "question": f"Where is the {fact.thing}?", "answers": places},
        ]
        articles.append({"title": fact.thing, "paragraphs": [{"context": context, "qas": asked}]})
    return json.dumps({"version": "1.1", "data": articles}, ensure_ascii=False)


def _pairs(fact: Fact) -> list[dict[str, str]]:
    return [
        {"gold_label": label, "sentence1": fact.english_text, "sentence2": hypothesis}
        for label, hypothesis in (
            ("entailment", f"A {fact.thing} was {fact.done}."),
            ("neutral", f"The {fact.thing} was red."),
            ("contradiction", f"Nobody ever saw the {fact.thing}."),
        )
    ]


def _pairs_by_language(fact: Fact) -> Iterator[tuple[str, tuple[str, str, str]]]:
    for row in _pairs(fact):
        yield "en", (row["gold_label"], row["sentence1"], row["sentence2"])
    yield "de", ("entailment", fact.german_text, f"{fact.german}: {fact.getan}.")
    yield "de", ("neutral", fact.german_text, f"{fact.german}: rot.")


def _tagged(fact: Fact) -> str:
    tags = {
        "The": "DET",
        "of": "ADP",
        fact.place: "PROPN",
        "was": "AUX",
        fact.done: "VERB",
        fact.thing: "NOUN",
    }
    words = [*fact.english_text.removesuffix(".").split(), "."]
    return _conllu([(word, "PUNCT" if word == "." else tags.get(word, "X")) for word in words])


def _tagged_german(fact: Fact) -> str:
    return _conllu(
        [(fact.german, "NOUN"), ("in", "ADP"), (fact.place, "PROPN"), (fact.getan, "VERB"), (".", "PUNCT")]
    )


def _conllu(words: Sequence[tuple[str, str]]) -> str:
    lines = [f"{n}\t{word}\t_\t{tag}\t_\t_\t0\tdep\t_\t_\n" for n, (word, tag) in enumerate(words, 1)]
    return "".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write_rows(path: Path, rows: Any) -> None:
    _write(path, "".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random XLM-R of two layers with hidden size 32, and a Unigram tokenizer. Do not write here."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import XLMRobertaConfig, XLMRobertaModel, XLMRobertaTokenizerFast

    folder = tmp_path_factory.mktemp("tiny_base")
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    texts = [text for fact in facts() for text in (fact.english_text, fact.german_text, *_words(fact))]
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    XLMRobertaTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    config = XLMRobertaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=514,
        type_vocab_size=1,
        initializer_range=0.2,
    )
    torch.manual_seed(0)
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def pooled_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny encoder with a pooler in its checkpoint, as XLM-R's holds one. Do not write here."""
    import torch
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("pooled_base")
    shutil.copytree(tiny_base, folder, dirs_exist_ok=True)
    weights = load_file(folder / "model.safetensors")
    generator = torch.Generator().manual_seed(5)
    for kind, shape in (("weight", (32, 32)), ("bias", (32,))):
        weights[f"pooler.dense.{kind}"] = torch.randn(shape, generator=generator)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _words(fact: Fact) -> list[str]:
    return [question for row in (_ending(fact),) for question in (row["ctx_a"], *row["endings"])]


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of two layers, whose task classes name their parts otherwise. Do not write here."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny_bert")
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([fact.english_text for fact in facts()], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    BertTokenizerFast(tokenizer_object=tokenizer, do_lower_case=False).save_pretrained(folder)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        initializer_range=0.2,
    )
    torch.manual_seed(0)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def scores(self) -> dict[str, dict[str, Any]]:
        """The results without the name they were asked for by, and what the command's own flags say of them."""
        about = ("inter", "label", "base", "limits")
        return {
            target: {key: value for key, value in result.items() if key not in about}
            for target, result in self.json["results"].items()
        }

    def statuses(self) -> list[str]:
        return [stage["status"] for stage in self.json["stages"]]


_SEVERAL = {"--inter", "--target", "--few-shot", "--track"}


def last_wins(arguments: Iterable[object]) -> list[str]:
    """A command line in which the last of an option's values, or of a key's after ``--set``, stands alone.

    Tests share the beginnings of their commands; a command itself takes no option twice.
    """
    words = [str(argument) for argument in arguments]
    kept: list[list[str]] = []
    while words:
        takes = len(words) > 1 and words[0].startswith("--") and not words[1].startswith("--")
        kept.append(words[: 2 if takes else 1])
        del words[: len(kept[-1])]
    names = [
        f"--set {word[1].partition('=')[0]}" if word[0] == "--set" and len(word) > 1 else word[0]
        for word in kept
    ]
    return [
        part
        for number, (name, word) in enumerate(zip(names, kept, strict=True))
        if len(word) == 1 or name in _SEVERAL or name not in names[number + 1 :]
        for part in word
    ]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command line in this process; see `last_wins`."""
    from adapter_stilts.cli.main import run

    def call(*arguments: object) -> Ran:
        capsys.readouterr()
        code = run(last_wins(arguments))
        return Ran(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def process() -> Callable[..., Ran]:
    """Run a command line in a process of its own, as a user does; see `last_wins`."""

    def call(*arguments: object, env: Mapping[str, str] | None = None, timeout: float = 120) -> Ran:
        ran = subprocess.run(
            [sys.executable, "-m", "adapter_stilts", *last_wins(arguments)],
            capture_output=True,
            text=True,
            env={**os.environ, **(env or {})},
            timeout=timeout,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    return call


@pytest.fixture
def tiny(tiny_base: Path, tiny_data: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Arguments of a short `train` on the tiny world; options given again come later and win."""

    def arguments(*more: object) -> list[str]:
        fixed = (
            "train",
            "--base",
            tiny_base,
            "--data",
            tiny_data,
            "--store",
            tmp_path / "store",
            "--device",
            "cpu",
        )
        short = ("--set", "intermediate.max_steps=4", "--set", "target.max_steps=4")
        return last_wins((*fixed, *short, "--json", *more))

    return arguments


@pytest.fixture
def own_data(tiny_data: Path, tmp_path: Path) -> Path:
    """A copy of `tiny_data` that a test may damage."""
    shutil.copytree(tiny_data, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def listing() -> Callable[[Path], list[str]]:
    """Every file below a folder, relative and sorted, without the inside of features and tokenizers."""

    def call(folder: Path) -> list[str]:
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    return call
