"""A question on a context, answered by a span of it. Long contexts are read in overlapping windows.

Windows as in BERT's run_squad (the study's settings): `stride` is the distance between the starts of
neighbouring windows. Answers are cut from the untouched context by the tokenizer's character offsets, so that
no text is ever rebuilt from pieces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from adapter_stilts.formats.base import FormatSettings, HeadShape, Judged
from adapter_stilts.formats.examples import SpanQAExample
from adapter_stilts.formats.features import Array, Column, Features, Indices, Ragged, slice_indices
from adapter_stilts.formats.tokens import Pieces, assemble, template_of, tokenize, with_marks
from adapter_stilts.formats.wordwise import token_ids

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA = 2
ITEMS: Literal["examples", "sequences"] = "sequences"
JUDGED = {"exact_match": Judged("answers", "answers")}
TASK_CLASS = "AutoModelForQuestionAnswering"
PEFT_TASK = "QUESTION_ANS"
PIPELINE = "question-answering"


class Settings(FormatSettings):
    LATER = frozenset({"max_context"})

    max_length: int = Field(default=384, ge=16)
    """Tokens of a window: question, context and special tokens."""
    stride: int = Field(default=128, ge=1)
    """Context tokens between the starts of neighbouring windows."""
    max_question_length: int = Field(default=64, ge=1)
    """Tokens kept of a question."""
    max_answer_length: int = Field(default=30, ge=1)
    """Tokens of the longest answer considered."""
    n_best: int = Field(default=20, ge=1)
    """Start and end positions considered in each window."""
    max_context: bool = False
    """Whether an answer's start counts only in the window where its token has most context, as BERT's run_squad and the
    study's code (jiant) have it."""


def head_shape(labels: Sequence[str]) -> HeadShape:
    return HeadShape("all_tokens", dense=False, outputs=2)


def encode(
    examples: Sequence[SpanQAExample], tokenizer: Any, settings: Settings, labels: Sequence[str]
) -> Features:
    (questions,) = token_ids(tokenizer, [example.question for example in examples])
    texts = [example.context for example in examples]
    contexts = with_marks(tokenize(tokenizer, texts), texts)
    template = template_of(tokenizer, pair=True)
    asked = np.minimum(questions.lengths, settings.max_question_length)
    room = settings.max_length - template.num_special - asked
    if len(room) and room.min() < 1:
        raise ValueError(
            f"formats.span_qa.max_length = {settings.max_length} leaves no room for a context beside a question of "
            f"{asked.max()} tokens: raise it, or lower formats.span_qa.max_question_length"
        )
    owner, first, length = _windows(contexts.ids.lengths, room, settings.stride)
    layout = assemble(
        template,
        questions,
        (questions.offsets[:-1][owner], asked[owner]),
        contexts.ids,
        (contexts.ids.offsets[:-1][owner] + first, length),
    )
    context_start = len(template.prefix) + asked[owner] + len(template.middle)
    begin, end = _gold_pieces(examples, contexts)
    inside = (begin[owner] >= first) & (end[owner] < first + length) & (begin[owner] >= 0)
    place = context_start - first
    of_context = layout.second >= 0
    widest = {}
    if settings.max_context:
        widest["max_context"] = Ragged(
            _most_context(layout.second, owner, first, length), layout.input_ids.offsets
        )
    return Features(
        layout.input_ids,
        np.searchsorted(owner, np.arange(len(examples) + 1)).astype(np.int64),
        layout.token_types,
        per_sequence={
            # Windows without the answer, and unanswerable questions, point at the first token.
            "start": np.where(inside, begin[owner] + place, 0),
            "end": np.where(inside, end[owner] + place, 0),
            "context_start": context_start,
            "context_length": length,
            "char_start": _beside(layout.input_ids, of_context, contexts.starts, layout.second),
            "char_end": _beside(layout.input_ids, of_context, contexts.ends, layout.second),
            **widest,
        },
    )


def _windows(lengths: Indices, room: Indices, stride: int) -> tuple[Indices, Indices, Indices]:
    """Example, first context piece and number of pieces of every window."""
    step = np.minimum(stride, room)  # a stride beyond the window would skip text
    counts = 1 + np.maximum(0, -(-(lengths - room) // step))
    owner = np.repeat(np.arange(len(lengths)), counts)
    first = slice_indices(np.zeros_like(counts), counts) * step[owner]
    return owner, first, np.minimum(room[owner], lengths[owner] - first)


def _most_context(piece: Array, owner: Indices, first: Indices, length: Indices) -> Array:
    """Whether a token stands in the window that gives its context piece most context; False for other tokens.

    Context is the smaller number of pieces on either side, and a hundredth of the window's length; of equal windows the
    first counts. Source: `_check_is_max_context` of BERT's run_squad.py.

    Args:
        piece: of each token, in the flat context pieces; -1 for other tokens. (tokens,)
        owner, first, length: of the windows, as `_windows` gives them.
    """
    tokens = np.flatnonzero(piece >= 0)
    window = np.repeat(np.arange(len(owner)), length)  # a window's context tokens stand in a row
    left = slice_indices(np.zeros_like(length), length)
    context = np.minimum(left, length[window] - 1 - left) + 0.01 * length[window]
    order = np.lexsort((window, -context, piece[tokens]))
    chosen = (
        np.concatenate([[True], np.diff(piece[tokens][order]) != 0]) if len(order) else order.astype(bool)
    )
    found = np.zeros(len(piece), dtype=bool)
    found[tokens[order[chosen]]] = True
    return found


def _gold_pieces(examples: Sequence[SpanQAExample], contexts: Pieces) -> tuple[Indices, Indices]:
    """First and last context piece of each example's first answer; -1 where there is none.

    One search over all contexts at once: positions are shifted apart by more than any context is long.
    """
    answered = np.asarray([bool(example.answers) for example in examples], dtype=bool)
    start = np.asarray([e.answers[0].start if e.answers else 0 for e in examples], dtype=np.int64)
    size = np.asarray([len(e.answers[0].text) if e.answers else 0 for e in examples], dtype=np.int64)
    owner = np.repeat(np.arange(len(examples)), contexts.ids.lengths)
    shift = np.int64(2 + max((len(example.context) for example in examples), default=0))
    base = np.arange(len(examples)) * shift
    starts = contexts.starts.values.astype(np.int64) + shift * owner
    ends = contexts.ends.values.astype(np.int64) + shift * owner
    # First piece that ends after the answer begins; last piece that begins before the answer ends.
    begin = np.searchsorted(ends, base + start, side="right") - contexts.ids.offsets[:-1]
    end = np.searchsorted(starts, base + start + size, side="left") - 1 - contexts.ids.offsets[:-1]
    answered &= (begin <= end) & (begin < contexts.ids.lengths)
    return np.where(answered, begin, -1), np.where(answered, end, -1)


def _beside(ids: Ragged, mask: Array, column: Ragged, origin: Array) -> Ragged:
    values = np.zeros(len(ids.values), dtype=np.int32)
    values[mask] = column.values[origin[mask]]
    return Ragged(values, ids.offsets)


def units(features: Features, items: Indices) -> float:
    return float(len(items))


def loss_sum(
    outputs: Sequence[Tensor], parts: Sequence[Indices], features: Features, items: Indices
) -> Tensor:
    """Mean of the start and the end position's cross-entropy over the real tokens of each window."""
    import torch

    losses = []
    for output, rows in zip(outputs, parts, strict=True):
        length = torch.as_tensor(features.input_ids.lengths[rows], device=output.device)
        padding = torch.arange(output.shape[1], device=output.device) >= length[:, None]
        logits = output.float().masked_fill(padding[..., None], -torch.inf)
        for side, name in enumerate(("start", "end")):
            gold = torch.as_tensor(np.asarray(features.per_sequence[name])[rows], device=output.device)
            losses.append(torch.nn.functional.cross_entropy(logits[..., side], gold, reduction="sum"))
    return torch.stack(losses).sum() / 2


def reduce(outputs: Tensor, features: Features, rows: Indices, settings: Settings) -> dict[str, Column]:
    """The best span of each window (positions in the window and score), and the score of no answer.

    A span lies in the context, start <= end, of at most `max_answer_length` tokens, its ends among the
    `n_best` starts and ends. Where no such pair exists the score is -inf.
    """
    import torch

    logits = outputs.float()
    device = logits.device

    def column(name: str) -> Tensor:
        return torch.as_tensor(np.asarray(features.per_sequence[name])[rows], device=device)

    place = torch.arange(logits.shape[1], device=device)
    first, count = column("context_start")[:, None], column("context_length")[:, None]
    outside = (place < first) | (place >= first + count)
    null = logits[:, 0, 0] + logits[:, 0, 1]
    kept = []
    for side in (0, 1):
        inside = logits[..., side].masked_fill(outside, -torch.inf)
        floor = inside.topk(min(settings.n_best, inside.shape[1]), dim=1).values[:, -1:]
        kept.append(inside.masked_fill(inside < floor, -torch.inf))
    starts, ends = kept
    if settings.max_context:
        widest = features.per_sequence["max_context"]
        assert isinstance(widest, Ragged)
        most = torch.as_tensor(widest.padded(rows, 0).astype(bool), device=device)
        starts = starts.masked_fill(~most, -torch.inf)
    best = torch.full_like(starts, -torch.inf)  # score of the best span that begins here
    span = torch.zeros_like(starts, dtype=torch.long)
    for extra in range(min(settings.max_answer_length, starts.shape[1])):
        width = starts.shape[1] - extra
        score = starts[:, :width] + ends[:, extra:]
        better = score > best[:, :width]
        best[:, :width] = torch.where(better, score, best[:, :width])
        span[:, :width] = torch.where(better, extra, span[:, :width])
    score, start = best.max(dim=1)
    end = start + span.gather(1, start[:, None])[:, 0]
    return {name: value.cpu().numpy() for name, value in
            {"score": score, "start": start, "end": end, "null": null}.items()}  # fmt: skip


def decode(
    examples: Sequence[SpanQAExample],
    features: Features,
    reduced: Mapping[str, Column],
    settings: Settings,
    labels: Sequence[str],
) -> list[str]:
    """The text of the best span over all windows of each question; empty where no window has one."""
    score, start, end = (np.asarray(reduced[name]) for name in ("score", "start", "end"))
    char_start, char_end = features.per_sequence["char_start"], features.per_sequence["char_end"]
    assert isinstance(char_start, Ragged)
    assert isinstance(char_end, Ragged)
    answers = []
    for row, example in enumerate(examples):
        windows = slice(features.sequences[row], features.sequences[row + 1])
        window = int(features.sequences[row] + score[windows].argmax())
        if not np.isfinite(score[window]):
            answers.append("")
            continue
        base = char_start.offsets[window]
        begin = int(char_start.values[base + start[window]])
        # A word-initial piece spans the blank before it: strip the span, never the context.
        answers.append(example.context[begin : int(char_end.values[base + end[window]])].strip())
    return answers


def no_answer_margins(features: Features, reduced: Mapping[str, Column]) -> npt.NDArray[np.float64]:
    """By how much the score of no answer exceeds that of the best span, per question, over all its windows.

    No answer is as good as in the window that likes it least (BERT's run_squad): an answer in one window is one.
    """
    score, null = (np.asarray(reduced[name], dtype=np.float64) for name in ("score", "null"))
    starts = features.sequences[:-1]
    return np.minimum.reduceat(null, starts) - np.maximum.reduceat(score, starts)
