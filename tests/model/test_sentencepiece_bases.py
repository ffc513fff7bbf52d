"""Bases whose tokenizer is SentencePiece's own file alone, as older checkpoints have it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from adapter_stilts.errors import UsageError
from adapter_stilts.model.backbone import load_tokenizer, resolve_base
from adapter_stilts.recipe import Base

TEXTS = (
    "the lamp of riga was lit yesterday",
    "the bridge in lagos was built",
    "der turm in hanoi wurde verkauft",
    "a clock of perth was repaired in the rain",
)
FILES = {"xlm-roberta": "sentencepiece.bpe.model", "albert": "spiece.model", "t5": "spiece.model"}


def sentencepiece(vocabulary: int) -> bytes:
    """A model of Unigram pieces over a handful of sentences."""
    import sentencepiece as library

    written = io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 20),
        model_writer=written,
        vocab_size=vocabulary,
        hard_vocab_limit=False,
        control_symbols=["<pad>", "[CLS]", "[SEP]", "[MASK]"],
        minloglevel=2,
    )
    return written.getvalue()


def encoder(family: str) -> Any:
    import transformers

    size = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    if family == "t5":
        config = transformers.T5Config(vocab_size=256, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
        return transformers.T5EncoderModel(config)
    if family == "albert":
        return transformers.AlbertModel(transformers.AlbertConfig(vocab_size=256, embedding_size=8, **size))
    return transformers.XLMRobertaModel(transformers.XLMRobertaConfig(vocab_size=256, **size))


@pytest.fixture
def bare(tmp_path: Path) -> Callable[[str, int], Path]:
    """A random encoder's folder with SentencePiece's file and nothing else of a tokenizer."""

    def call(family: str, vocabulary: int) -> Path:
        folder = tmp_path / f"{family}-{vocabulary}"
        torch.manual_seed(0)
        encoder(family).save_pretrained(folder)
        (folder / FILES[family]).write_bytes(sentencepiece(vocabulary))
        return folder

    return call


@pytest.mark.parametrize("family", FILES)
def test_a_fast_tokenizer_is_made_of_it(bare: Callable[[str, int], Path], family: str) -> None:
    import sentencepiece as library

    folder = bare(family, 60)
    tokenizer = load_tokenizer(resolve_base(Base(id=str(folder))))
    assert tokenizer.is_fast
    model = library.SentencePieceProcessor(model_file=str(folder / FILES[family]))
    for text in TEXTS:
        assert tokenizer.tokenize(text) == model.encode(text, out_type=str)


@pytest.mark.parametrize("family", FILES)
def test_its_file_is_part_of_the_fingerprint(bare: Callable[[str, int], Path], family: str) -> None:
    one, other = (resolve_base(Base(id=str(bare(family, size)))).fingerprint for size in (40, 60))
    assert one != other


def test_no_tokenizer_at_all_names_what_is_looked_for(bare: Callable[[str, int], Path]) -> None:
    folder = bare("albert", 50)
    (folder / "spiece.model").unlink()
    with pytest.raises(
        UsageError, match=r"holds no tokenizer \(tokenizer\.json, or SentencePiece's own file: "
    ):
        resolve_base(Base(id=str(folder)))
