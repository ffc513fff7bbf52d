"""The model card of the miniature's encoder."""

from __future__ import annotations

from collections.abc import Sequence

from adapter_stilts.miniature.languages import CODES, LANGUAGES, SHARE
from adapter_stilts.miniature.pretrained import LOG


def card(command: str, log: Sequence[dict[str, float]], parameters: int) -> str:
    """Markdown with a hub's front matter, and the figures of the run.

    Args:
        command: what makes the encoder again.
        log: the lines of the run, the last of them its end.
    """
    last, tokens = log[-1], sum(line["tokens"] for line in log) / 1e6
    levels = "; ".join(
        f"{level}: {', '.join(language.code for language in LANGUAGES if language.level == level)} "
        f"({share:g} times the text of English)"
        for level, share in SHARE.items()
    )
    return f"""\
---
license: apache-2.0
library_name: transformers
pipeline_tag: fill-mask
tags: [xlm-roberta, constructed-languages, cross-lingual-transfer]
---

# The miniature's encoder

XLM-R's architecture with {parameters:,} parameters, over the English of a constructed
world and {len(CODES)} constructed languages. It knows that world and nothing else: no natural
language, not even English as it is spoken. It exists so that cross-lingual intermediate
training can be watched at work offline, on a laptop.

Made by

    {command}

which masks tokens of generated documents and of parallel sentences: {last["step"]:,} steps,
{tokens:.1f} million tokens, {last["seconds"] / 60:.0f} minutes on one core. At the end it predicted
{100 * last["accuracy"]:.1f} % of the masked tokens (loss {last["loss"]:.3f}); `{LOG}` holds every hundredth
step. Another processor or number of threads rounds differently, so that a rebuilt file
need not be equal bit for bit.

Resource levels: {levels}.

Text that means what a dev or test example of any task means was left out.
"""
