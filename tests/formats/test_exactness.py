"""Features of every slice of real data: one prediction a word in windows of any length, and no choice is ever cut.

(Answers of questions: `benchmarks/answer_spans.py`.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapter_stilts.formats import multiple_choice, tagging
from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.formats.tokens import template_of, tokenize
from adapter_stilts.tasks import all_tasks
from adapter_stilts.tasks.base import Task
from adapter_stilts.tasks.files import FileSource


def slices(data: Path, task: Task, options: dict[str, str]) -> list[Any]:
    """Every example of a task in the data, whatever the split and language."""
    roots = [data, data / (task.folder or task.name) / "original_lines"]
    return [
        example
        for source in (FileSource(root) for root in roots if root.is_dir())
        for split in task.files
        for language in source.languages(task, split)
        for example in source.examples(task, split, language, options)
    ]


TAGGING = [("panx", {}), ("udpos", {"words": "syntactic"}), ("udpos", {"words": "fused"})]


@pytest.mark.parametrize("max_length", [8, 32, 256])
@pytest.mark.parametrize(("name", "options"), TAGGING, ids=["panx", "udpos-syntactic", "udpos-fused"])
def test_every_word_has_exactly_one_prediction(
    data_dir: Path, base_tokenizer: Any, name: str, options: dict[str, str], max_length: int
) -> None:
    task = next(task for task in all_tasks() if task.name == name)
    examples = slices(data_dir, task, options)
    settings = tagging.Settings(max_length=max_length)
    features = tagging.encode(examples, base_tokenizer, settings, task.labels)
    assert features.input_ids.lengths.max() <= max_length
    starts, gold = features.per_sequence["word_start"], features.per_sequence["gold"]
    assert isinstance(starts, Ragged)
    assert isinstance(gold, Ragged)
    words = sum(len(example.words) for example in examples)
    assert int(starts.values.sum()) == words == int((gold.values != tagging.IGNORED).sum())
    # What a model that is always right would leave behind gives every word its own tag back.
    counts = np.add.reduceat(starts.values.astype(np.int64), starts.offsets[:-1])
    reduced = {"label": Ragged.from_lengths(gold.values[starts.values], counts)}
    decoded = tagging.decode(examples, features, reduced, settings, task.labels)
    assert decoded == [example.tags for example in examples]
    if max_length == 32:
        assert features.num_sequences > len(examples), "some sentences are longer than the window"


CHOICES = [task for task in all_tasks() if task.format == "multiple_choice"]


@pytest.mark.parametrize("task", CHOICES, ids=lambda task: task.name)
def test_no_choice_is_cut(data_dir: Path, base_tokenizer: Any, task: Task) -> None:
    examples = slices(data_dir, task, {})
    if not examples:
        pytest.skip(f"no slice of {task.name}")
    prompts = tokenize(base_tokenizer, [e.prompt for e in examples for _ in e.choices]).ids
    choices = tokenize(base_tokenizer, [choice for e in examples for choice in e.choices]).ids
    special = template_of(base_tokenizer, pair=True).num_special
    # The study's window, and the shortest there can be: the longest choice alone fills it.
    for max_length in (256, int(choices.lengths.max()) + special):
        settings = multiple_choice.Settings(max_length=max_length)
        features = multiple_choice.encode(examples, base_tokenizer, settings, ())
        assert features.num_sequences == len(choices.lengths)
        kept = _check_parts(features, prompts, choices, special)
        room = np.maximum(0, max_length - special - choices.lengths)
        assert (kept == np.minimum(prompts.lengths, room)).all(), "no more of a prompt is cut than has to be"
    settings = multiple_choice.Settings(max_length=max(8, max_length - 1), too_long="error")
    with pytest.raises(ValueError, match=r"a choice has \d+ tokens, more than fit"):
        multiple_choice.encode(examples, base_tokenizer, settings, ())


def _check_parts(features: Features, prompts: Ragged, choices: Ragged, special: int) -> Any:
    """Every sequence ends in its whole choice and holds the end of its prompt; returns the prompts' lengths."""
    kept = features.input_ids.lengths - special - choices.lengths
    for row in range(features.num_sequences):
        ids, prompt, choice = features.input_ids[row], prompts[row], choices[row]
        assert list(ids[-1 - len(choice) : -1]) == list(choice)
        assert list(ids[1 : 1 + kept[row]]) == list(prompt[len(prompt) - kept[row] :])
    return kept
