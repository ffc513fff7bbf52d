from __future__ import annotations

import json

import pytest

from adapter_stilts.errors import DataError
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.commonsenseqa import hub_row
from adapter_stilts.tasks.sources import open_source

TEXTS = ["lake", "cloud", "closet", "soup", "sky"]
ROW = {
    "answerKey": "C",
    "id": "0f1e2d",
    "question": {
        "question_concept": "umbrella",
        "stem": "Where would you look for a dry umbrella?",
        "choices": [{"label": label, "text": text} for label, text in zip("ABCDE", TEXTS, strict=True)],
    },
}


def read(folder, *rows):
    (folder / "commonsenseqa").mkdir(exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "commonsenseqa" / "train_rand_split.jsonl").write_text(lines)
    return open_source(str(folder)).examples(get_task("commonsenseqa"), "train", "en", {})


def test_release_and_hub_rows_give_the_same_example(tmp_path) -> None:
    (example,) = read(tmp_path, ROW)
    assert (example.prompt, list(example.choices), example.label) == (ROW["question"]["stem"], TEXTS, 2)
    hub = {
        "id": ROW["id"],
        "question": ROW["question"]["stem"],
        "question_concept": "umbrella",
        "answerKey": "C",
    }
    hub["choices"] = {"label": list("ABCDE"), "text": TEXTS}
    assert hub_row(hub) == example


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"answerKey": "F"}, "'F'"),
        ({"question": {**ROW["question"], "choices": ROW["question"]["choices"][:4]}}, "A, B, C, D, E"),
        ({"question": "Where?"}, "'stem' and 'choices'"),
    ],
)
def test_malformed_rows_are_named_by_line(tmp_path, change, why) -> None:
    with pytest.raises(DataError, match=why) as caught:
        read(tmp_path, ROW, {**ROW, "id": "other", **change})
    assert caught.value.line == 2


def test_real_slice(data_dir) -> None:
    task = get_task("commonsenseqa")
    source = open_source(str(data_dir))
    assert [len(source.examples(task, split, "en", {})) for split in ("train", "dev")] == [2000, 400]
