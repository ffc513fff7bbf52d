"""Tokenizers and an encoder small enough to build for a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

TEXT = [
    "the red dog saw a cat",
    "a cat saw the red dog .",
    "who ? fish one two three four",
    "dogs and catfish",
    "猫は犬を見た แมว",
]


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """XLM-R's special tokens and layout over a handful of pieces."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import XLMRobertaTokenizerFast

    built = Tokenizer(models.Unigram())
    built.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=90, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    built.train_from_iterator(TEXT * 20, trainer)
    built.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return XLMRobertaTokenizerFast(tokenizer_object=built)


@pytest.fixture(scope="session")
def bert_tokenizer() -> Any:
    """BERT's layout, with segment ids."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted({w for t in TEXT for w in t.split()})]
    built = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    built.normalizer = normalizers.BertNormalizer(lowercase=False)
    built.pre_tokenizer = pre_tokenizers.Whitespace()
    built.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return BertTokenizerFast(tokenizer_object=built)


@pytest.fixture(scope="session")
def base_tokenizer(base_dir) -> Any:
    """The tokenizer of the small real encoder."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base_dir)


@pytest.fixture
def tiny_encoder() -> Callable[[], Any]:
    """Builds a random XLM-R of three layers."""
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaModel

    def build() -> Any:
        torch.manual_seed(0)
        config = XLMRobertaConfig(
            vocab_size=100,
            hidden_size=16,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=66,
            pad_token_id=1,
        )
        return XLMRobertaModel(config, add_pooling_layer=False).eval()

    return build
