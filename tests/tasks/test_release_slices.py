"""Real slices of the releases: counts, and that every gold answer is where it is said to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter_stilts.formats.examples import RetrievalExample, SpanQAExample, TaggingExample
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.base import Split
from adapter_stilts.tasks.files import FileSource

TATOEBA = (
    "ar",
    "bg",
    "bn",
    "de",
    "el",
    "es",
    "et",
    "eu",
    "fa",
    "fi",
    "fr",
    "he",
    "hi",
    "hu",
    "id",
    "it",
    "ja",
    "ko",
    "ru",
    "sw",
    "ta",
    "te",
    "th",
    "tr",
    "vi",
    "zh",
)
XNLI = get_task("xnli").languages
UD = ("ar", "de", "en", "es", "fi", "hi", "ja", "ru", "th", "tr", "zh")

PANX, PAWSX, XCOPA = (get_task(name).languages for name in ("panx", "pawsx", "xcopa"))
MLQA = {"en": 25, "ar": 24, "de": 9, "es": 8, "hi": 21, "vi": 3, "zh": 2}
# 248 questions, and the sentences of 40 paragraphs.
XQUAD_R = {
    **{"ar": 387, "de": 401, "el": 395, "en": 386, "es": 390, "hi": 387, "ru": 390, "th": 361, "tr": 390},
    **{"vi": 388, "zh": 383},
}

COUNTS: list[tuple[str, Split, dict[str, int]]] = [
    ("anli", "train", {"en": 1918}),
    ("anli", "dev", {"en": 639}),
    ("cosmosqa", "train", {"en": 1502}),
    ("cosmosqa", "dev", {"en": 300}),
    ("squad_v2", "train", {"en": 1494}),
    ("squad_v2", "dev", {"en": 1668}),
    ("lareqa", "test", XQUAD_R),
    ("mlqa", "dev", {"en": 8}),
    ("mlqa", "test", MLQA),
    ("panx", "train", {"en": 1}),
    ("panx", "dev", {"en": 1}),
    ("panx", "test", dict.fromkeys(PANX, 1)),
    ("pawsx", "train", {"en": 4}),
    ("pawsx", "dev", {"en": 4}),
    ("pawsx", "test", dict.fromkeys(PAWSX, 4)),
    ("xcopa", "test", dict.fromkeys(XCOPA, 400)),
    ("hellaswag", "train", {"en": 600}),
    ("hellaswag", "dev", {"en": 200}),
    ("commonsenseqa", "train", {"en": 2000}),
    ("commonsenseqa", "dev", {"en": 400}),
    ("snli", "train", {"en": 1500}),
    ("snli", "dev", {"en": 200}),
    ("snli", "test", {"en": 200}),
    ("squad_v1", "train", {"en": 1027}),
    ("squad_v1", "dev", {"en": 599}),
    ("xnli", "dev", {"en": 1}),
    ("xnli", "test", dict.fromkeys(XNLI, 1)),
    ("xquad", "test", dict.fromkeys(get_task("xquad").all_languages, 248)),
    ("tydiqa", "test", dict.fromkeys(("en", "ar", "bn", "fi", "ru", "sw"), 1)),
    ("udpos", "train", {"en": 1500}),
    ("udpos", "dev", {"en": 150}),
    ("udpos", "test", dict.fromkeys(UD, 150)),
    ("uner", "dev", {"en": 1500}),
    ("uner", "test", {"en": 300, "de": 300}),
    ("tatoeba", "test", {language: 600 if language != "te" else 468 for language in TATOEBA}),
]


@pytest.mark.parametrize(
    ("name", "split", "counts"), COUNTS, ids=[f"{name}-{split}" for name, split, _ in COUNTS]
)
def test_counts(data_dir: Path, name: str, split: Split, counts: dict[str, int]) -> None:
    task, source = get_task(name), FileSource(data_dir)
    found = {each: len(source.examples(task, split, each, {})) for each in source.languages(task, split)}
    assert found == counts


ORIGINAL = [
    ("hellaswag/original_lines", "hellaswag", "train", "en", 2),
    ("hellaswag/original_lines", "hellaswag", "test", "en", 2),
    ("commonsenseqa/original_lines", "commonsenseqa", "train", "en", 5),
    ("snli/original_lines", "snli", "train", "en", 3),
    ("snli/original_lines", "snli", "dev", "en", 2),
    ("snli/original_lines/snli_1.0", "snli", "test", "en", 1),
    ("mnli/original_lines", "mnli", "train", "en", 5),
    ("mnli/original_lines", "mnli", "dev", "en", 5),
    ("mnli/original_lines/glue", "mnli", "train", "en", 3),
    ("mnli/original_lines/glue", "mnli", "dev", "en", 2),
    ("mnli/original_lines/glue", "mnli", "test", "en", 1),
    ("tydiqa/original_lines", "tydiqa", "test", "ar", 1),
    ("commonsenseqa/original_lines", "commonsenseqa", "dev", "en", 2),
    ("commonsenseqa/original_lines", "commonsenseqa", "test", "en", 2),
    ("hellaswag/original_lines", "hellaswag", "dev", "en", 2),
    ("cosmosqa/original_lines", "cosmosqa", "train", "en", 2),
    ("cosmosqa/original_lines", "cosmosqa", "dev", "en", 2),
    ("cosmosqa/original_lines", "cosmosqa", "test", "en", 2),
    ("anli/original_lines", "anli", "train", "en", 9),
    ("anli/original_lines", "anli", "dev", "en", 9),
    ("anli/original_lines", "anli", "test", "en", 9),
    ("masakhaner", "masakhaner2", "test", "sw", 150),
    ("masakhaner", "masakhaner2", "test", "yo", 150),
]


@pytest.mark.parametrize(("folder", "name", "split", "language", "count"), ORIGINAL)
def test_untouched_lines_of_the_releases(
    data_dir: Path, folder: str, name: str, split: Split, language: str, count: int
) -> None:
    assert len(FileSource(data_dir / folder).examples(get_task(name), split, language, {})) == count


@pytest.mark.parametrize("suffix", ["jsonl", "txt"])
def test_both_spellings_of_multinli(data_dir: Path, tmp_path: Path, suffix: str) -> None:
    original = data_dir / "mnli" / "original_lines" / "multinli_1.0"
    for part in ("train", "dev_matched"):
        name = f"multinli_1.0_{part}.{suffix}"
        (tmp_path / name).write_bytes((original / name).read_bytes())
    for split, count in {
        "train": 5 if suffix == "jsonl" else 4,
        "dev": 5 if suffix == "jsonl" else 4,
    }.items():
        assert len(FileSource(tmp_path).examples(get_task("mnli"), split, "en", {})) == count  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "split"), [("squad_v1", "train"), ("squad_v1", "dev"), ("xquad", "test"), ("tydiqa", "test")]
)
def test_every_answer_is_a_slice_of_its_context(data_dir: Path, name: str, split: Split) -> None:
    task, source = get_task(name), FileSource(data_dir)
    marked = set()
    for language in source.languages(task, split):
        for example in source.examples(task, split, language, {}):
            assert isinstance(example, SpanQAExample)
            assert example.answers
            if example.context.startswith("\ufeff"):
                marked.add(language)
            for answer in example.answers:
                assert example.context[answer.start : answer.start + len(answer.text)] == answer.text
    if name == "xquad":
        assert {"ar", "de", "th", "zh"} <= marked


def test_words_of_universal_dependencies(data_dir: Path) -> None:
    udpos, source = get_task("udpos"), FileSource(data_dir)
    for language in source.languages(udpos, "test"):
        syntactic = source.examples(udpos, "test", language, {"words": "syntactic"})
        fused = source.examples(udpos, "test", language, {"words": "fused"})
        assert len(syntactic) == len(fused)
        for one, other in zip(syntactic, fused, strict=True):
            assert isinstance(one, TaggingExample)
            assert isinstance(other, TaggingExample)
            assert len(other.words) <= len(one.words)
            assert other.tags is not None
            assert set(other.tags) <= set(udpos.labels)
    german = source.examples(udpos, "test", "de", {"words": "fused"})
    words = {word for example in german if isinstance(example, TaggingExample) for word in example.words}
    assert {"im", "zur"} <= words


def test_pairs_of_tatoeba(data_dir: Path) -> None:
    examples = FileSource(data_dir).examples(get_task("tatoeba"), "test", "fa", {})
    sides: dict[str, list[str | None]] = {"foreign": [], "english": []}
    for example in examples:
        assert isinstance(example, RetrievalExample)
        sides[example.side].append(example.pair)
    assert sides["foreign"] == sides["english"] == [str(index) for index in range(300)]
