"""Pretrains the miniature's encoder: `python -m adapter_stilts.miniature.pretrain [FOLDER]`.

A small XLM-R: its architecture (Conneau et al. 2020, arXiv 1911.02116), a tokenizer over the world's text in all
languages, masked language modelling (Devlin et al. 2019) on documents and translation language modelling (Conneau
and Lample 2019, arXiv 1901.07291) on parallel sentences. In the same pass every word left visible is told to be the
original or not (replaced token detection: Clark et al. 2020, arXiv 2003.10555; over many languages Chi et al. 2022,
arXiv 2106.16138): an encoder this small learns to compare two sentences from that, and hardly without. Languages are
sampled with exponential smoothing, so that a language of which there is little is read more often than its share, as
XLM-R's were.

It has a loop of its own, because under `training/loop.py` the shipped encoder would come out as another one: here two
objectives share a pass, batches hold so many tokens instead of items, and one random stream runs through all steps.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from adapter_stilts.io import whole_directory, write_text
from adapter_stilts.miniature import CODES
from adapter_stilts.miniature.card import card
from adapter_stilts.miniature.pretrained import FOLDER, LOG, REBUILD, seal
from adapter_stilts.miniature.text import (
    ENGLISH_DOCUMENTS,
    ENGLISH_PAIRS,
    documents,
    pairs,
    reply_words,
    share,
)
from adapter_stilts.miniature.tokenizer import SPECIALS, train_tokenizer
from adapter_stilts.model.cpu_linear import linear_library, quicken

IGNORED = -100


@dataclass(frozen=True)
class Settings:
    """What a pretraining run depends on.

    Args:
        text: how much text is generated, as a factor.
        translation_share: share of the sequences that are parallel sentences.
        smoothing: languages are drawn in proportion to their number of sequences to this power.
        masked_replies: the same of the words that confirm, deny or add to what was said: few, and most telling.
        masked: share of the tokens to be predicted; of these 55 % show the mask, 35 % a word of the same sequence
            and 10 % themselves. Words of the same sequence (BERT: random ones), because those are seen to be wrong
            only by who did what to whom, which is what sentence pairs are about.
        detection: weight of telling replaced words from originals, beside that of predicting.
        batch_tokens: tokens of an optimizer step, padding included.
        chunk: sequences drawn at a time; within a chunk, batches are of like length.
    """

    seed: int = 0
    text: float = 1.0
    vocabulary: int = 4000
    hidden_size: int = 128
    layers: int = 4
    heads: int = 4
    positions: int = 258
    dropout: float = 0.0
    steps: int = 6000
    batch_tokens: int = 4096
    chunk: int = 8192
    learning_rate: float = 1.5e-3
    warmup: float = 0.05
    weight_decay: float = 0.01
    masked: float = 0.25
    masked_replies: float = 0.7
    detection: float = 10.0
    translation_share: float = 0.45
    smoothing: float = 0.5


def main() -> None:
    """Build text, tokenizer and encoder; leave them in a folder with a log, a card and digests."""
    parser = argparse.ArgumentParser(prog="python -m adapter_stilts.miniature.pretrain", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="default: the package's own")
    defaults = Settings()
    for name, value in asdict(defaults).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    arguments = vars(parser.parse_args())
    folder = arguments.pop("folder")
    pretrain(folder, Settings(**arguments))


def pretrain(folder: Path, settings: Settings) -> None:
    """Pretrain and replace ``folder`` by the result in one step."""
    began = time.perf_counter()
    torch.manual_seed(settings.seed)
    texts = {
        code: list(documents(code, settings.seed, round(settings.text * share(code) * ENGLISH_DOCUMENTS)))
        for code in ("en", *CODES)
    }
    parallel = {
        code: list(pairs(code, settings.seed, round(settings.text * share(code) * ENGLISH_PAIRS)))
        for code in CODES
    }
    everything = [text for each in texts.values() for text in each]
    tokenizer = train_tokenizer(everything, settings.vocabulary, settings.positions - 2)
    corpus = _Corpus(texts, parallel, tokenizer, settings)
    model = build_model(settings, len(tokenizer))
    print(
        f"{sum(p.numel() for p in model.parameters()):,} parameters, {time.perf_counter() - began:.0f} s",
        flush=True,
    )
    log = list(_train(model, corpus, settings, began))
    with whole_directory(folder) as directory:
        model.half().save_pretrained(directory)
        tokenizer.save_pretrained(directory)
        lines = [{"settings": asdict(settings), "linear_library": linear_library()}, *log]
        write_text(directory / LOG, "".join(json.dumps(line) + "\n" for line in lines))
        parameters = sum(parameter.numel() for parameter in model.parameters())
        write_text(directory / "README.md", card(command(settings), log, parameters))
        seal(directory)


def command(settings: Settings) -> str:
    """What makes this encoder again."""
    changed = {name: value for name, value in asdict(settings).items() if value != getattr(Settings(), name)}
    return REBUILD + "".join(f" --{name.replace('_', '-')} {value}" for name, value in changed.items())


def build_model(settings: Settings, vocabulary: int) -> Any:
    """XLM-R with its masked-language-modelling head, its weights random."""
    from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

    config = XLMRobertaConfig(
        vocab_size=vocabulary,
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        intermediate_size=4 * settings.hidden_size,
        max_position_embeddings=settings.positions,
        hidden_dropout_prob=settings.dropout,
        attention_probs_dropout_prob=settings.dropout,
        layer_norm_eps=1e-5,
        type_vocab_size=1,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )
    model = XLMRobertaForMaskedLM(config)
    quicken(model)
    return model


class _Corpus:
    """Token ids of all sequences, by kind and language, and the order in which they are read."""

    def __init__(
        self,
        texts: dict[str, list[str]],
        parallel: dict[str, list[tuple[str, str]]],
        tokenizer: Any,
        settings: Settings,
    ) -> None:
        self._settings = settings
        self._random = np.random.default_rng(settings.seed)
        self._tokenizer = tokenizer
        self._first_word = len(SPECIALS)
        replies = [word for code in texts for word in reply_words(code)]
        pieces = tokenizer(replies, add_special_tokens=False)["input_ids"]
        self._replies = [piece for each in pieces if len(each) == 1 for piece in each]
        self._kinds = np.array(
            [_kind(piece) for piece in tokenizer.convert_ids_to_tokens(range(len(tokenizer)))]
        )
        longest = settings.positions - 2
        self._pools: list[list[np.ndarray[Any, Any]]] = []
        weights: list[float] = []
        for part, pools in (
            (1 - settings.translation_share, {code: self._documents(each) for code, each in texts.items()}),
            (settings.translation_share, {code: self._pairs(each) for code, each in parallel.items()}),
        ):
            sizes = np.array([len(pool) for pool in pools.values()]) ** settings.smoothing
            weights += list(part * sizes / sizes.sum())
            self._pools += [[ids[:longest] for ids in pool] for pool in pools.values()]
        self._weights = np.array(weights)
        self._orders: list[list[int]] = [[] for _ in self._pools]

    def _documents(self, texts: Sequence[str]) -> list[np.ndarray[Any, Any]]:
        """Half of the documents of several sentences are cut in two, as pairs of a task are."""
        firsts, seconds = list[str](), list[str | None]()
        for text in texts:
            ends = [at + 1 for at, sign in enumerate(text[:-1]) if sign in ".?"]
            if ends and self._random.random() < 0.5:
                at = ends[self._random.integers(len(ends))]
                firsts.append(text[:at])
                seconds.append(text[at:].strip())
            else:
                firsts.append(text)
                seconds.append(None)
        return self._assembled(firsts, seconds)

    def _pairs(self, texts: Sequence[tuple[str, str]]) -> list[np.ndarray[Any, Any]]:
        """Either language may stand first."""
        turned = [pair if self._random.random() < 0.5 else pair[::-1] for pair in texts]
        return self._assembled([first for first, _ in turned], [second for _, second in turned])

    def _assembled(self, firsts: Sequence[str], seconds: Sequence[str | None]) -> list[np.ndarray[Any, Any]]:
        start, end = self._tokenizer.bos_token_id, self._tokenizer.eos_token_id
        one = self._tokenizer(list(firsts), add_special_tokens=False)["input_ids"]
        two = self._tokenizer([text or "" for text in seconds], add_special_tokens=False)["input_ids"]
        return [
            np.array([start, *a, end] if text is None else [start, *a, end, end, *b, end])
            for a, b, text in zip(one, two, seconds, strict=True)
        ]

    def batches(self) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Endless: ids, mask, labels with IGNORED where nothing is predicted, replaced (-1 where not told), each
        (sequences, tokens)."""
        while True:
            kinds = self._random.choice(len(self._pools), self._settings.chunk, p=self._weights)
            chunk = sorted((self._next(kind) for kind in kinds), key=len)
            cut, widest = [0], 0
            for at, ids in enumerate(chunk):
                widest = len(ids)
                if (at + 1 - cut[-1]) * widest > self._settings.batch_tokens:
                    cut.append(at)
            spans = list(zip(cut, [*cut[1:], len(chunk)], strict=True))
            for number in self._random.permutation(len(spans)):
                yield self._masked(chunk[slice(*spans[number])])

    def _next(self, kind: int) -> np.ndarray[Any, Any]:
        order = self._orders[kind]
        if not order:
            order.extend(self._random.permutation(len(self._pools[kind])).tolist())
        return self._pools[kind][order.pop()]

    def _masked(self, sequences: Sequence[np.ndarray[Any, Any]]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        width = max(map(len, sequences))
        ids = np.full((len(sequences), width), self._tokenizer.pad_token_id)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = sequence
        mask = ids != self._tokenizer.pad_token_id
        rates = np.where(np.isin(ids, self._replies), self._settings.masked_replies, self._settings.masked)
        chosen = (self._random.random(ids.shape) < rates) & (ids >= self._first_word)
        labels, labelled = np.where(chosen, ids, IGNORED), ids
        roll = self._random.random(ids.shape)
        ids = np.where(chosen & (roll < 0.55), self._tokenizer.mask_token_id, ids)
        ids = np.where(chosen & (roll >= 0.55) & (roll < 0.9), self._others(labelled), ids)
        replaced = np.where(
            (labelled >= self._first_word) & (ids != self._tokenizer.mask_token_id), ids != labelled, -1
        )
        arrays = (ids, mask.astype(np.int64), labels, replaced)
        return tuple(map(torch.from_numpy, arrays))  # type: ignore[return-value]

    def _others(self, ids: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """For each position a word of the same sequence and kind (itself, at times): a name for a name."""
        found: np.ndarray[Any, Any] = ids.copy()
        for kind in range(3):
            own = self._kinds[ids] == kind
            drawn = self._random.random(ids.shape) * own
            # Rows in random order, words of the kind first: place i takes the i-th of them, modulo their number.
            order = np.argsort(-drawn, axis=1)
            counts = np.maximum(own.sum(axis=1, keepdims=True), 1)
            places = np.arange(ids.shape[1])[None, :] % counts
            others = np.take_along_axis(ids, np.take_along_axis(order, places, axis=1), axis=1)
            found = np.where(own, others, found)
        return found


def _kind(piece: str) -> int:
    """0 for a word, 1 for a name, 2 for a number, -1 for special and punctuation marks."""
    start = piece.lstrip("▁")[:1]
    return 2 if start.isdigit() else 1 if start.isupper() else 0 if start.isalpha() else -1


def _train(model: Any, corpus: _Corpus, settings: Settings, began: float) -> Iterator[dict[str, float]]:
    """Train in place; yields a line of the log every hundred steps."""
    detector = nn.Linear(settings.hidden_size, 1)
    trained = [*model.parameters(), *detector.parameters()]
    decayed, plain = [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=settings.learning_rate,
        betas=(0.9, 0.98),
        eps=1e-6,
        fused=True,
    )
    warmup = max(1, round(settings.warmup * settings.steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warmup, (settings.steps - step) / max(1, settings.steps - warmup)),
    )
    model.train()
    sums = dict.fromkeys(("loss", "right", "predicted", "tokens", "found", "replaced", "detection"), 0.0)
    for step, (ids, mask, labels, replaced) in enumerate(corpus.batches(), start=1):
        states = model.roberta(input_ids=ids, attention_mask=mask).last_hidden_state
        where = labels != IGNORED
        logits = model.lm_head(states[where])
        loss = nn.functional.cross_entropy(logits, labels[where])
        told = replaced >= 0
        verdicts, truth = detector(states[told]).squeeze(-1), replaced[told]
        detection = nn.functional.binary_cross_entropy_with_logits(verdicts, truth.float())
        (loss + settings.detection * detection).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        count = int(where.sum())
        sums["loss"] += float(loss.detach()) * count
        sums["right"] += float((logits.detach().argmax(-1) == labels[where]).sum())
        sums["predicted"] += count
        sums["tokens"] += float(mask.sum())
        sums["found"] += float((verdicts.detach()[truth == 1] > 0).sum())
        sums["replaced"] += float(truth.sum())
        sums["detection"] += float(detection.detach())
        if step % 100 == 0 or step == settings.steps:
            line = {
                "step": step,
                "loss": round(sums["loss"] / sums["predicted"], 4),
                "accuracy": round(sums["right"] / sums["predicted"], 4),
                "detection": round(sums["detection"] / 100, 4),
                "replaced_found": round(sums["found"] / sums["replaced"], 4),
                "tokens": round(sums["tokens"]),
                "seconds": round(time.perf_counter() - began, 1),
            }
            print(json.dumps(line), flush=True)
            yield line
            sums = dict.fromkeys(sums, 0.0)
        if step == settings.steps:
            return


if __name__ == "__main__":
    main()
