"""The tokenizer of the miniature's encoder: pieces after "▁" as XLM-R's, trained on the world's text.

The pieces are those of byte-pair encoding: a Unigram trainer takes its candidates from strings that several *different*
words share, which in a world of a few thousand words leaves most of them in letters.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")


def train_tokenizer(texts: Iterable[str], vocabulary: int, longest: int) -> Any:
    """A fast tokenizer, specials numbered as XLM-R's, the mask last.

    Args:
        vocabulary: number of pieces, specials included, the mask not.
        longest: tokens of the longest sequence the encoder has positions for.
    """
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation("isolated")]
    )
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=list(SPECIALS), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", SPECIALS.index("<s>")), ("</s>", SPECIALS.index("</s>"))],
    )
    # By no family's class: Transformers 5 builds those anew, each with the pieces of its own kind.
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=longest,
        model_input_names=["input_ids", "attention_mask"],
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token=AddedToken("<mask>", lstrip=True),
    )
