"""The hub as a source, against a small server that speaks the hub's API for parquet data sets."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.formats.examples import PairClassificationExample, TaggingExample
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.base import Split
from adapter_stilts.tasks.files import FileSource
from adapter_stilts.tasks.hub import HubSource

pytestmark = pytest.mark.slow

COMMIT = "0" * 39 + "1"
REFUSED = {"gone/gone": 404, "secret/secret": 401, "gated/gated": 403, "busy/busy": 503, "gated/files": 403}
NLI_NAMES = ["entailment", "neutral", "contradiction"]

# The endpoint is read when huggingface_hub is imported, so each walk is a process of its own.
READ_ALL = """
import json, sys, time
from dataclasses import asdict, replace
from adapter_stilts.errors import SourceUnavailableError
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.hub import HubSource


class slept:
    # Seconds that anything asked to wait: what retries cost, however busy the machine is.

    total = 0.0


def sleep(seconds, really=time.sleep):
    slept.total += seconds
    really(seconds)


time.sleep = sleep
results = []
for name, split, language, dataset in json.load(sys.stdin):
    task = get_task(name)
    if dataset:
        task = replace(task, hub={**task.hub, split: replace(task.hub[split], dataset=dataset)})
    source, before = HubSource(), slept.total
    try:
        found = {
            "languages": source.languages(task, split),
            "examples": [asdict(example) for example in source.examples(task, split, language, {})],
            "fingerprint": source.fingerprint(task, split, language, {}),
        }
    except SourceUnavailableError as error:
        found = {"error": str(error)}
    results.append({**found, "slept": slept.total - before})
print(json.dumps(results))
"""

SPLITS = [
    ("hellaswag", "train", "en"),
    ("hellaswag", "test", "en"),
    ("commonsenseqa", "train", "en"),
    ("snli", "train", "en"),
    ("mnli", "train", "en"),
    ("squad_v1", "train", "en"),
    ("xnli", "dev", "en"),
    ("xnli", "test", "de"),
    ("xquad", "test", "de"),
    ("xquad", "test", "th"),
    ("tydiqa", "train", "en"),
    ("tydiqa", "dev", "en"),
    ("tydiqa", "test", "fi"),
    ("udpos", "train", "en"),
    ("tatoeba", "test", "de"),
    ("anli", "train", "en"),
    ("qqp", "dev", "en"),
    ("squad_v2", "train", "en"),
    ("cosmosqa", "train", "en"),
    ("cosmosqa", "test", "en"),
    ("siqa", "dev", "en"),
    ("copa", "train", "en"),
    ("pawsx", "test", "de"),
    ("panx", "train", "en"),
    ("panx", "test", "de"),
    ("mlqa", "test", "de"),
    ("xcopa", "test", "it"),
    ("belebele", "test", "sw"),
    ("belebele", "test", "hi-Latn"),
    ("afrixnli", "dev", "en"),
    ("afrixnli", "test", "sw"),
    ("uner", "train", "en"),
    ("uner", "test", "zh"),
]


def answers(texts: list[str], context: str) -> dict[str, list[Any]]:
    return {"text": texts, "answer_start": [context.index(text) for text in texts]}


def hub_tables(releases: Path) -> dict[str, dict[str, Any]]:
    """{data set: {config/split: table}}, the rows of the hand-written releases in the hub's columns."""
    from datasets import ClassLabel, Dataset, Features, Sequence, Value

    string = Value("string")
    answer = Sequence({"text": string, "answer_start": Value("int32")})

    def lines(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (releases / name).read_text().split("\n") if line]

    def questions(name: str, *extra: str) -> Dataset:
        rows = [
            {
                **dict.fromkeys(extra, ""),
                "id": each["id"],
                "context": paragraph["context"],
                "question": each["question"],
                "answers": answers([one["text"] for one in each["answers"]], paragraph["context"]),
            }
            for article in json.loads((releases / name).read_text())["data"]
            for paragraph in article["paragraphs"]
            for each in paragraph["qas"]
        ]
        columns = {**dict.fromkeys((*extra, "id", "context", "question"), string), "answers": answer}
        return Dataset.from_list(rows, Features(columns))

    def hellaswag(name: str) -> Dataset:
        rows = [{**row, "label": str(row.get("label", ""))} for row in lines(name)]
        columns: dict[str, Any] = dict.fromkeys(rows[0], string)
        return Dataset.from_list(
            rows, Features({**columns, "ind": Value("int32"), "endings": Sequence(string)})
        )

    def nli(name: str) -> Dataset:
        rows = [
            {
                "premise": row["sentence1"],
                "hypothesis": row["sentence2"],
                "label": -1 if row["gold_label"] == "-" else NLI_NAMES.index(row["gold_label"]),
            }
            for row in lines(name)
        ]
        return Dataset.from_list(
            rows, Features({"premise": string, "hypothesis": string, "label": ClassLabel(names=NLI_NAMES)})
        )

    def xnli(name: str) -> Dataset:
        fields = [line.split("\t") for line in (releases / name).read_text().split("\n")[1:] if line]
        names = ("language", "gold_label", "sentence1", "sentence2")
        return Dataset.from_list([dict(zip(names, row, strict=False)) for row in fields])

    csqa = lines("commonsenseqa/train_rand_split.jsonl")[0]
    listed = csqa["question"]["choices"]
    choices = {key: [choice[key] for choice in listed] for key in ("label", "text")}
    csqa_row = {
        "id": csqa["id"],
        "question": csqa["question"]["stem"],
        "question_concept": "umbrella",
        "choices": choices,
        "answerKey": csqa["answerKey"],
    }
    csqa_features = Features(
        {
            **dict.fromkeys(("id", "question", "question_concept", "answerKey"), string),
            "choices": Sequence({"label": string, "text": string}),
        }
    )

    def table(rows: list[dict[str, Any]], **features: Any) -> Dataset:
        """Rows whose columns are strings but for those given."""
        columns: dict[str, Any] = dict.fromkeys(rows[0], string)
        return Dataset.from_list(rows, Features({**columns, **features}))

    def anli(name: str) -> Dataset:
        letters = {"e": 0, "n": 1, "c": 2}
        rows = [
            {
                "uid": row["uid"],
                "premise": row["context"],
                "hypothesis": row["hypothesis"],
                "label": letters[row["label"]],
                "reason": row["reason"],
            }
            for row in lines(f"anli/anli_v1.0/{name}/train.jsonl")
        ]
        return table(rows, label=ClassLabel(names=NLI_NAMES))

    def qqp() -> Dataset:
        rows = [
            {"question1": found.premise, "question2": found.hypothesis, "label": found.label, "idx": number}
            for number, found in enumerate(FileSource(releases).examples(get_task("qqp"), "dev", "en", {}))
            if isinstance(found, PairClassificationExample)
        ]
        names = ["not_duplicate", "duplicate"]
        return table(rows, label=ClassLabel(names=names), idx=Value("int32"))

    def cosmosqa() -> Dataset:
        with (releases / "cosmosqa" / "train.csv").open(newline="") as file:
            rows = [{**row, "label": int(row["label"])} for row in csv.DictReader(file)]
        return table(rows, label=Value("int32"))

    def siqa() -> Dataset:
        labels = (releases / "siqa" / "dev-labels.lst").read_text().split()
        return table(
            [{**row, "label": one} for row, one in zip(lines("siqa/dev.jsonl"), labels, strict=True)]
        )

    def copa(name: str, **features: Any) -> Dataset:
        numbers = {"label": Value("int32"), "idx": Value("int32"), **features}
        return table(lines(name), **numbers)

    def pawsx() -> Dataset:
        text = (releases / "pawsx" / "x-final" / "de" / "test_2k.tsv").read_text().splitlines()[1:]
        names = ("sentence1", "sentence2", "label")
        return table([dict(zip(names, line.split("\t")[1:], strict=True)) for line in text])

    def panx(language: str) -> Dataset:
        tags = ClassLabel(names=["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"])
        rows = [
            {"tokens": found.words, "ner_tags": found.tags, "langs": [language] * len(found.words)}
            for found in FileSource(releases).examples(get_task("panx"), "test", language, {})
            if isinstance(found, TaggingExample)
        ]
        return table(rows, tokens=Sequence(string), ner_tags=Sequence(tags), langs=Sequence(string))

    def uner(split: Split, language: str) -> Dataset:
        tags = ClassLabel(names=list(get_task("uner").labels))
        rows = [
            {"tokens": found.words, "ner_tags": found.tags}
            for found in FileSource(releases).examples(get_task("uner"), split, language, {})
            if isinstance(found, TaggingExample)
        ]
        return table(rows, tokens=Sequence(string), ner_tags=Sequence(tags))

    def afrixnli(code: str, split: str) -> Dataset:
        with (releases / "afrixnli" / "data" / code / f"{split}.tsv").open(newline="") as file:
            rows = [{**row, "label": int(row["label"])} for row in csv.DictReader(file, delimiter="\t")]
        return table(rows, label=Value("int64"))

    english = FileSource(releases).examples(get_task("udpos"), "train", "en", {})
    upos = ClassLabel(names=list(get_task("udpos").labels))
    sentences = [{"tokens": each.words, "pos_tags": each.tags} for each in english]
    pairs = zip(
        *(
            (releases / "tatoeba" / f"tatoeba.deu-eng.{code}").read_text().split("\n")[:2]
            for code in ("deu", "eng")
        ),
        strict=True,
    )
    tatoeba = [
        {
            "source_sentence": one + "\n",
            "target_sentence": two + "\n",
            "source_lang": "deu",
            "target_lang": "eng",
        }
        for one, two in pairs
    ]
    return {
        "Rowan/hellaswag": {
            "default/train": hellaswag("hellaswag/hellaswag_train.jsonl"),
            "default/test": hellaswag("hellaswag/hellaswag_test.jsonl"),
        },
        "tau/commonsense_qa": {"default/train": Dataset.from_list([csqa_row], csqa_features)},
        "stanfordnlp/snli": {"plain_text/train": nli("snli/snli_1.0/snli_1.0_train.jsonl")},
        "nyu-mll/glue": {
            "mnli/train": nli("mnli/multinli_1.0/multinli_1.0_train.jsonl"),
            "qqp/validation": qqp(),
        },
        "facebook/anli": {f"plain_text/train_r{n}": anli(f"R{n}") for n in (1, 2, 3)},
        "rajpurkar/squad_v2": {"squad_v2/train": questions("squad/train-v2.0.json", "title")},
        "allenai/cosmos_qa": {
            "default/train": cosmosqa(),
            "default/test": table(
                [{**row, "label": -1} for row in lines("cosmosqa/test.jsonl")], label=Value("int32")
            ),
        },
        "allenai/social_i_qa": {"default/validation": siqa()},
        "aps/super_glue": {
            "copa/train": copa("copa/COPA/train.jsonl", label=ClassLabel(names=["choice1", "choice2"]))
        },
        "cambridgeltl/xcopa": {"it/test": copa("xcopa/data/it/test.it.jsonl", changed=Value("bool"))},
        "facebook/belebele": {
            f"{code}/test": table(lines(f"belebele/Belebele/{code}.jsonl"), question_number=Value("int64"))
            for code in ("swh_Latn", "hin_Latn", "zho_Hant")
        }
        # A language that the task does not list.
        | {"tlh/test": table(lines("belebele/Belebele/swh_Latn.jsonl"), question_number=Value("int64"))},
        "masakhane/afrixnli": {
            "eng/validation": afrixnli("eng", "dev"),
            "swa/test": afrixnli("swa", "test"),
            "ven/test": afrixnli("swa", "test"),
        },
        "BramVanroy/universal_ner": {
            "en_ewt/train": uner("train", "en"),
            "zh_gsdsimp/test": uner("test", "zh"),
        },
        "rajpurkar/squad": {"plain_text/train": questions("squad/train-v1.1.json", "title")},
        "google/xtreme": {
            "XNLI/validation": xnli("xnli/XNLI-1.0/xnli.dev.tsv"),
            "XNLI/test": xnli("xnli/XNLI-1.0/xnli.test.tsv"),
            "XQuAD.de/validation": questions("xquad/xquad.de.json"),
            "XQuAD.th/validation": questions("xquad/xquad.th.json"),
            "tydiqa/train": questions("tydiqa/tydiqa-goldp-v1.1-train.json", "title"),
            "tydiqa/validation": questions("tydiqa/tydiqa-goldp-v1.1-dev.json", "title"),
            "udpos.English/train": Dataset.from_list(
                sentences, Features({"tokens": Sequence(string), "pos_tags": Sequence(upos)})
            ),
            "tatoeba.deu/validation": Dataset.from_list(tatoeba),
            "MLQA.de.de/test": questions("mlqa/MLQA_V1/test/test-context-de-question-de.json", "title"),
            "PAWS-X.de/test": pawsx(),
            "PAN-X.de/test": panx("de"),
            "PAN-X.en/train": panx("en"),
        },
    }


def write_repository(folder: Path, tables: dict[str, Any]) -> None:
    configs: dict[str, list[str]] = {}
    for name, table in tables.items():
        config, split = name.split("/")
        (folder / config).mkdir(parents=True, exist_ok=True)
        table.to_parquet(folder / config / f"{split}-00000-of-00001.parquet")
        entry = f"  - split: {split}\n    path: {config}/{split}-*\n"
        configs.setdefault(config, []).append(entry)
    blocks = (
        f"- config_name: {config}\n  data_files:\n{''.join(entries)}" for config, entries in configs.items()
    )
    (folder / "README.md").write_text(f"---\nconfigs:\n{''.join(blocks)}---\n")


class HubHandler(BaseHTTPRequestHandler):
    """Enough of the hub: repository info, folder listings, path infos, and files."""

    root: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        repository = "/".join(parts[2:4] if parts[0] == "api" else parts[1:3])
        # A gated data set may be described to anyone and keep its files to itself.
        if repository in REFUSED and not (repository == "gated/files" and parts[0] == "api"):
            codes = {404: "RepoNotFound", 401: "RepoNotFound", 403: "GatedRepo", 503: "Busy"}
            self._send(REFUSED[repository], b"{}", {"X-Error-Code": codes[REFUSED[repository]]})
            return
        folder = self.root / repository
        if parts[0] == "api" and parts[4:5] in ([], ["revision"]):
            siblings = [{"rfilename": self._name(folder, file)} for file in folder.rglob("*.*")]
            self._send_json(
                {"id": repository, "sha": COMMIT, "siblings": siblings, "private": False, "tags": []}
            )
        elif parts[0] == "api" and parts[4] == "tree":
            below = folder / "/".join(parts[6:])
            listed = below.rglob("*") if "recursive=True" in self.path else below.iterdir()
            self._send_json([self._info(folder, file) for file in listed])
        elif parts[0] == "api" and parts[4] == "paths-info":
            length = int(self.headers["Content-Length"])
            body = json.loads(self.rfile.read(length))
            self._send_json(
                [self._info(folder, folder / name) for name in body["paths"] if (folder / name).exists()]
            )
        else:
            self._send_file(folder / "/".join(parts[5:]))

    do_HEAD = do_POST = do_GET

    def _name(self, folder: Path, file: Path) -> str:
        return file.relative_to(folder).as_posix()

    def _info(self, folder: Path, file: Path) -> dict[str, Any]:
        if file.is_dir():
            return {"type": "directory", "path": self._name(folder, file), "oid": COMMIT}
        content = file.read_bytes()
        oid = hashlib.sha1(content).hexdigest()
        return {"type": "file", "path": self._name(folder, file), "size": len(content), "oid": oid}

    def _send_file(self, file: Path) -> None:
        if file.is_file():
            content = file.read_bytes()
            self._send(
                200, content, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
            )
        else:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})

    def _send_json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def endpoint(releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("hub")
    for repository, tables in hub_tables(releases).items():
        write_repository(root / repository, tables)
    handler = type("Handler", (HubHandler,), {"root": root})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def read(walk: list[tuple[str, str, str, str | None]], cache: Path, **variables: str) -> list[dict[str, Any]]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL],
        input=json.dumps(walk),
        env={**inherited, "HF_HOME": str(cache), "NO_PROXY": "127.0.0.1", **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return results


@pytest.fixture(scope="module")
def online(endpoint: str, cache: Path) -> dict[tuple[str, str, str], dict[str, Any]]:
    results = read([(*walk, None) for walk in SPLITS], cache, HF_ENDPOINT=endpoint)
    return dict(zip(SPLITS, results, strict=True))


@pytest.mark.parametrize("walk", SPLITS, ids="-".join)
def test_hub_rows_give_the_examples_of_the_release(
    online: dict[tuple[str, str, str], dict[str, Any]], releases: Path, walk: tuple[str, str, str]
) -> None:
    name, split, language = walk
    release = FileSource(releases).examples(get_task(name), split, language, {})  # type: ignore[arg-type]
    assert "error" not in online[walk], online[walk]
    assert online[walk]["examples"] == json.loads(json.dumps([asdict(example) for example in release]))
    assert language in online[walk]["languages"]


def test_offline_reads_the_cache_and_gives_the_same_fingerprints(
    online: dict[tuple[str, str, str], dict[str, Any]], cache: Path
) -> None:
    walk = [(*each, None) for each in SPLITS]
    offline = read(walk, cache, HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9")
    for each, found in zip(SPLITS, offline, strict=True):
        assert found.get("examples") == online[each]["examples"], found
        assert found["fingerprint"] == online[each]["fingerprint"]


def test_an_unreachable_hub_falls_back_on_the_cache_quickly(
    online: dict[tuple[str, str, str], dict[str, Any]], cache: Path
) -> None:
    (found,) = read([(*SPLITS[0], None)], cache, HF_ENDPOINT="http://127.0.0.1:9")
    assert found["examples"] == online[SPLITS[0]]["examples"]
    assert found["fingerprint"] == online[SPLITS[0]]["fingerprint"]
    assert found["slept"] < 1  # retries would wait 23 s


def test_refusals_are_told_quickly_and_with_the_next_steps(endpoint: str, tmp_path: Path) -> None:
    repositories = [*REFUSED, "Rowan/hellaswag"]
    walk = [("hellaswag", "dev", "en", repository) for repository in repositories]
    for repository, found in zip(repositories, read(walk, tmp_path, HF_ENDPOINT=endpoint), strict=True):
        assert repository in found["error"]
        assert "'default'" in found["error"]
        assert "--data DIR" in found["error"]
        assert "HF_HUB_OFFLINE=1" in found["error"]
        assert "\n" not in found["error"]
        assert found["slept"] < 1  # retries would wait 23 s
        if REFUSED.get(repository) in (401, 403):
            assert "set HF_TOKEN" in found["error"]
        elif repository in REFUSED:
            assert f"HTTP {REFUSED[repository]}" in found["error"]


@pytest.mark.parametrize("offline", ["0", "1"])
def test_no_hub_and_no_cache(tmp_path: Path, offline: str) -> None:
    began = time.monotonic()
    walk = [("snli", "train", "en", None)]
    (found,) = read(walk, tmp_path, HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE=offline)
    assert "stanfordnlp/snli" in found["error"]
    assert ("offline" if offline == "1" else "Connection refused") in found["error"].replace(
        "Offline", "offline"
    )
    assert "--data DIR" in found["error"]
    assert time.monotonic() - began < 30


def test_fused_words_need_release_files() -> None:
    with pytest.raises(UsageError, match="--data DIR"):
        HubSource().examples(get_task("udpos"), "test", "de", {"words": "fused"})


def test_a_language_outside_the_benchmark() -> None:
    with pytest.raises(UnknownNameError, match="'xx'"):
        HubSource().examples(get_task("udpos"), "test", "xx", {})


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("bucc2018", "gold pairs .* only"),
        ("ccg", "LDC"),
        ("mewslix", "no copy"),
        ("lareqa", "no copy"),
        ("masakhaner2", "loading script"),
        ("masakhapos", "loading script"),
    ],
)
def test_tasks_that_the_hub_cannot_serve_say_why(name: str, why: str) -> None:
    task = get_task(name)
    with pytest.raises(UsageError, match=f"the hub cannot serve '{name}': .*{why}.*--data DIR"):
        HubSource().languages(task, "test")
    with pytest.raises(UsageError, match=why):
        HubSource().examples(task, "test", task.languages[0], {})


FURTHER = """
import json, logging, sys
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.hub import HubSource

heard = []
logging.getLogger("adapter_stilts").addHandler(logging.Handler())
logging.getLogger("adapter_stilts").handlers[0].emit = lambda record: heard.append(record.getMessage())
source, found = HubSource(), {}
for name, language in json.load(sys.stdin):
    task = get_task(name)
    held = source.further(task, language)
    rows = len(source.examples(task, "test", language, {})) if held else 0
    prints = source.fingerprint(task, "test", language, {}) if held else ""
    found[f"{name} {language}"] = (held, rows, bool(prints))
print(json.dumps([found, heard]))
"""


def further(asked: list[tuple[str, str]], cache: Path, **variables: str) -> Any:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", FURTHER],
        input=json.dumps(asked),
        env={**inherited, "HF_HOME": str(cache), "NO_PROXY": "127.0.0.1", **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_language_that_a_task_does_not_list_has_a_configuration_or_not(
    endpoint: str, tmp_path: Path
) -> None:
    asked = [("belebele", "tlh"), ("belebele", "xx"), ("belebele", "sw"), ("afrixnli", "ven"), ("xnli", "ven"),
             ("afrixnli", "../ven"), ("masakhaner2", "ven")]  # fmt: skip
    there = [[True, 2, True], *[[False, 0, False]] * 2, [True, 2, True], *[[False, 0, False]] * 3]
    found, heard = further(asked, tmp_path, HF_ENDPOINT=endpoint)
    assert list(found.values()) == there
    assert heard == []
    # What was read once is there without the hub; of what was not, it cannot be known.
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    found, heard = further([*asked[:1], ("afrixnli", "nbl")], tmp_path, **offline)
    assert list(found.values()) == [there[0], [False, 0, False]]
    assert "masakhane/afrixnli: the hub gives no answer" in heard[-1]
    assert "whether it has a configuration 'nbl' is not known" in heard[-1]


def test_languages_that_xtreme_r_adds_need_release_files() -> None:
    udpos = get_task("udpos")
    assert HubSource().languages(udpos, "test") == udpos.languages
    with pytest.raises(UsageError, match=r"has no 'lt', which XTREME-R adds.*--data DIR"):
        HubSource().examples(udpos, "test", "lt", {})


OVERLAY = """
import json, sys
from dataclasses import asdict
from adapter_stilts.errors import AdapterStiltsError
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.sources import open_source

folder, asked = json.load(sys.stdin)
found = []
for source in (open_source(folder, fill=True), open_source(folder), open_source(None)):
    told = []
    for name, split, language in asked:
        task = get_task(name)
        try:
            examples = [asdict(example) for example in source.examples(task, split, language, {})]
            told.append([source.fingerprint(task, split, language, {}), examples])
        except AdapterStiltsError as error:
            told.append(str(error))
    found.append([told, getattr(source, "notice", None)])
print(json.dumps(found))
"""


@pytest.fixture
def partial(releases: Path, tmp_path: Path) -> Path:
    """A folder with little in it: XQuAD in German, and CCGbank, which the hub lacks."""
    (tmp_path / "partial" / "xquad").mkdir(parents=True)
    shutil.copy(releases / "xquad" / "xquad.de.json", tmp_path / "partial" / "xquad")
    shutil.copytree(releases / "ccg", tmp_path / "partial" / "ccg")
    return tmp_path / "partial"


def overlaid(folder: Path, asked: list[tuple[str, str, str]], cache: Path, **variables: str) -> Any:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", OVERLAY],
        input=json.dumps([str(folder), asked]),
        env={**inherited, "HF_HOME": str(cache), "NO_PROXY": "127.0.0.1", **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


ASKED = [("xquad", "test", "de"), ("xquad", "test", "th"), ("ccg", "train", "en"), ("bucc2018", "test", "de")]


def test_the_hub_fills_what_a_folder_lacks(endpoint: str, partial: Path, cache: Path) -> None:
    (both, notice), (files, _), (hub, _) = overlaid(partial, ASKED, cache, HF_ENDPOINT=endpoint)
    assert both[0] == files[0] != hub[0], "what the folder holds is the folder's, with its fingerprint"
    assert both[1] == hub[1], "what it lacks is the hub's, with the hub's fingerprint"
    assert both[2] == files[2]
    assert both[3] == files[3], "which the hub cannot serve"
    assert "no file of bucc2018 test for 'de' in this folder" in both[3]
    assert notice == f"read from the hub, as {partial} lacks them: xquad test (th)"


def test_what_neither_the_folder_nor_a_silent_hub_holds(partial: Path, tmp_path: Path) -> None:
    (both, notice), _, _ = overlaid(partial, ASKED[:3], tmp_path / "none", HF_ENDPOINT="http://127.0.0.1:9")
    assert both[0][1], "the hub is not asked for what the folder holds"
    assert f"{partial} holds no xquad test for 'th', and --fill-from-hub finds none: cannot read" in both[1]
    assert "google/xtreme (config 'XQuAD.th', split 'validation') from the hub" in both[1]
    assert both[2][1]
    assert notice is None


def test_a_plan_tells_what_is_read_from_the_hub(
    endpoint: str, partial: Path, releases: Path, tiny_base: Path, cache: Path, tmp_path: Path
) -> None:
    shutil.copytree(releases / "squad", partial / "squad")
    command = [
        "train",
        "--dry-run",
        "--inter",
        "none",
        "--target",
        "xquad",
        "--languages",
        "de,th",
        "--device",
        "cpu",
    ]
    command += [
        "--data",
        str(partial),
        "--base",
        str(tiny_base),
        "--store",
        str(tmp_path / "store"),
        "--json",
    ]
    command += ["--set", "formats.span_qa.max_length=64"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = {**inherited, "HF_HOME": str(cache), "NO_PROXY": "127.0.0.1", "HF_ENDPOINT": endpoint}

    def run(*flags: str) -> subprocess.CompletedProcess[str]:
        started = [sys.executable, "-m", "adapter_stilts", *command, *flags]
        return subprocess.run(started, env=environment, capture_output=True, text=True, timeout=300)

    filled, alone = run("--fill-from-hub"), run()
    assert filled.returncode == 0, filled.stderr
    assert f"note: read from the hub, as {partial} lacks them: xquad test (th)" in filled.stderr
    assert [stage["kind"] for stage in json.loads(filled.stdout)["stages"]] == ["train", "evaluate"]
    assert alone.returncode == 1, "a folder alone is a folder alone"
    assert "holds no xquad test split in th; it holds de" in alone.stderr
