"""To and from the hub, against a small server that speaks its API for repositories, commits and files.

The endpoint is read when huggingface_hub is imported, so each command is a process of its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from adapter_stilts.io import sha256_file

pytestmark = pytest.mark.slow

Process = Callable[..., Any]
NOBODY = "http://127.0.0.1:9"


@dataclass
class Hub:
    """Repositories: branch or tag -> files; a commit is named by its content."""

    endpoint: str = ""
    repositories: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    written: list[Any] = field(default_factory=list)

    def put(self, repository: str, folder: Path, **more: bytes | None) -> None:
        """A folder's files, and others; None takes one away."""
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        changed = {**files, ".gitattributes": b"*.safetensors filter=lfs\n", **more}
        self.repositories[repository] = {"main": {name: c for name, c in changed.items() if c is not None}}

    def files(self, repository: str, revision: str) -> dict[str, bytes] | None:
        branches = self.repositories[repository]
        by_commit = {commit(files): files for files in branches.values()}
        return branches.get(revision, by_commit.get(revision))


def commit(files: dict[str, bytes]) -> str:
    return hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        parts = path.strip("/").split("/")
        self.hub.asked.append(f"{self.command} {path}")
        if parts == ["api", "models"]:
            author = query.partition("author=")[2].partition("&")[0]
            names = [name for name in self.hub.repositories if name.startswith(f"{author}/")]
            self.json([{"id": name, "modelId": name} for name in names if "filter=adapter-stilts" in query])
            return
        api = parts[0] == "api"
        repository = "/".join(parts[2:4] if api else parts[:2])
        if repository not in self.hub.repositories:
            self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            return
        if api and parts[4:] == ["refs"]:
            refs = [
                {"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit(files)}
                for name, files in self.hub.repositories[repository].items()
            ]
            self.json({"branches": refs, "tags": [], "converts": []})
            return
        files = self.hub.files(
            repository, parts[5] if api and len(parts) > 5 else "main" if api else parts[3]
        )
        if files is None:
            self.send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif api and parts[4:5] in ([], ["revision"]):
            siblings = [{"rfilename": name} for name in files]
            self.json(
                {"id": repository, "sha": commit(files), "siblings": siblings, "private": False, "tags": []}
            )
        elif api:
            self.json(
                [{"type": "file", "path": n, "size": len(c), "oid": commit({n: c})} for n, c in files.items()]
            )
        else:
            content = files["/".join(parts[4:])]
            etag = hashlib.sha1(content).hexdigest()
            self.send(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": commit(files)})

    do_HEAD = do_GET

    def do_POST(self) -> None:
        parts = self.path.partition("?")[0].strip("/").split("/")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "Authorization" not in self.headers:
            self.send(401, b"{}", {})
            return
        if parts[1] == "validate-yaml":
            self.hub.written.append(("card", json.loads(body)["content"]))
            self.json({"errors": [], "warnings": []})
        elif parts[1] == "repos":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            self.hub.written.append(("create", name, asked.get("private")))
            self.hub.repositories.setdefault(name, {"main": {".gitattributes": b""}})
            self.json({"url": f"{self.hub.endpoint}/{name}"})
        elif parts[4] == "branch":
            branches = self.hub.repositories["/".join(parts[2:4])]
            branches.setdefault(parts[5], dict(branches["main"]))
            self.json({})
        elif parts[4] == "preupload":
            asked = json.loads(body)["files"]
            keep = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            self.json({"files": [{"path": file["path"], **keep} for file in asked]})
        else:
            self.commit("/".join(parts[2:4]), parts[5], [json.loads(line) for line in body.splitlines()])

    def commit(self, repository: str, branch: str, lines: list[Any]) -> None:
        files = self.hub.repositories[repository][branch]
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.hub.written.append(("commit", branch, value["summary"]))
            elif line["key"] == "deletedFile":
                del files[value["path"]]
            else:
                files[value["path"]] = base64.b64decode(value["content"])
        url = f"{self.hub.endpoint}/{repository}/commit/{commit(files)}"
        self.json({"commitUrl": url, "commitOid": commit(files), "hookOutput": "", "success": True})

    def json(self, value: Any) -> None:
        self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    state = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": state}))
    state.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def call(process: Process, hub: Hub, tmp_path: Path) -> Process:
    """A command line in a process of its own that finds the hub at our server."""

    def run(*arguments: object, **variables: str) -> Any:
        env = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "hf_x"}
        return process(*arguments, env={**env, "HF_HUB_DISABLE_PROGRESS_BARS": "1", **variables})

    return run


def test_push_then_pull(call: Process, hub: Hub, shared: Path, tmp_path: Path, listing: Any) -> None:
    hub.put("me/squad-lora", shared, **{"adapter_model.bin": b"older", "README.md": b"older"})
    pushed = call("hub", "push", shared, "hf://me/squad-lora", "--private", "--json")
    assert pushed.code == 0, pushed.err
    there = hub.repositories["me/squad-lora"]["main"]
    assert pushed.json["where"] == f"hf://me/squad-lora@{commit(there)}"
    # The repository holds the bundle and nothing that was there before.
    assert sorted(there) == sorted([*listing(shared), ".gitattributes"])
    assert there["README.md"] == (shared / "README.md").read_bytes()
    assert ("create", "me/squad-lora", True) in hub.written
    assert ("commit", "main", "squad_v1 (lora)") in hub.written
    assert ("card", (shared / "README.md").read_text()) in hub.written

    pulled = call("hub", "pull", "hf://me/squad-lora", tmp_path / "mine", "--json")
    assert pulled.code == 0, pulled.err
    assert pulled.json["digest"] == sha256_file(shared / "SHA256SUMS")
    assert pulled.json["commit"] == commit(there)
    assert listing(tmp_path / "mine") == listing(shared)
    assert not any(path.is_symlink() for path in (tmp_path / "mine").iterdir())

    assert "me/squad-lora" in call("hub", "list", "hf://me").out
    assert call("hub", "push", shared, "hf://me/squad-lora@v1", "--message", "First").code == 0
    assert ("commit", "v1", "First") in hub.written


def test_the_cache_answers_where_there_is_no_network(
    call: Process, hub: Hub, shared: Path, tmp_path: Path
) -> None:
    hub.put("me/squad-lora", shared)
    # A look at the card alone leaves no whole copy behind, which is said as such.
    assert "# squad_v1 (lora)" in call("hub", "show", "hf://me/squad-lora").out
    partial = call("hub", "verify", "hf://me/squad-lora", HF_ENDPOINT=NOBODY)
    assert partial.code == 1
    assert "Connection refused; the cache holds no whole copy" in partial.err

    assert call("hub", "verify", "hf://me/squad-lora").code == 0
    unplugged = call("hub", "pull", "hf://me/squad-lora", tmp_path / "one", HF_ENDPOINT=NOBODY)
    assert unplugged.code == 0, unplugged.err
    assert (
        "the hub gives no answer (ConnectionError: Connection refused); reading the cached copy"
        in unplugged.err
    )
    offline = call("hub", "pull", "hf://me/squad-lora", tmp_path / "two", HF_HUB_OFFLINE="1")
    assert offline.code == 0, offline.err


def test_an_address_on_the_hub_stands_for_a_bundle(
    call: Process, hub: Hub, shared: Path, tiny: Callable[..., list[str]], tiny_data: Path, tmp_path: Path
) -> None:
    hub.put("me/squad-lora", shared)
    ran = call(*tiny("--inter", "hf://me/squad-lora", "--target", "xquad", "--mode", "lora"))
    assert ran.code == 0, ran.err
    assert [stage["kind"] for stage in ran.json["stages"]] == ["fetch", "train", "evaluate"]
    trained = json.loads((Path(ran.json["stages"][1]["dir"]) / "bundle" / "bundle.json").read_text())
    pinned = f"hf://me/squad-lora@{commit(hub.repositories['me/squad-lora']['main'])}"
    assert f"--inter {pinned} --target xquad" in trained["command"]
    more = ("--data", tiny_data, "--store", tmp_path / "store", "--device", "cpu", "--json")
    evaluated = call("evaluate", pinned, "--target", "tatoeba", *more)
    assert evaluated.code == 0, evaluated.err
    # Another bundle at the same address is another stage.
    hub.put("me/squad-lora", shared, **{"README.md": b"x", "SHA256SUMS": relisted(shared, "README.md", b"x")})
    dry = call(*tiny("--inter", "hf://me/squad-lora", "--target", "xquad", "--mode", "lora", "--dry-run"))
    assert set(dry.statuses()) == {"to run"}


def relisted(folder: Path, name: str, content: bytes) -> bytes:
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    digest = hashlib.sha256(content).hexdigest()
    return "".join(
        f"{digest}  {name}\n" if line.endswith(f"  {name}") else f"{line}\n" for line in lines
    ).encode()


def test_what_is_refused(call: Process, hub: Hub, shared: Path, tmp_path: Path) -> None:
    hub.put("me/pickle", shared, **{"adapter_model.bin": b"x"})
    hub.put("me/changed", shared, **{"adapter_config.json": b"{}"})
    hub.put("me/unlisted", shared, **{"SHA256SUMS": None})
    hub.put("me/outside", shared, **{"../../outside.json": b"{}"})
    hub.put("me/whole", shared)
    hub.repositories["me/whole"]["v1"] = dict(hub.repositories["me/whole"]["main"])
    cases = {
        "hf://me/pickle": (1, "hf://me/pickle: adapter_model.bin is none of *.safetensors, *.json"),
        "hf://me/changed": (1, "adapter_config.json: its digest differs from SHA256SUMS"),
        "hf://me/unlisted": (1, "hf://me/unlisted: no SHA256SUMS, so it is no bundle of ours"),
        "hf://me/outside": (1, "hf://me/outside: '../../outside.json' is not a plain file"),
        "hf://me/whole@v2": (
            2,
            "unknown revision of hf://me/whole 'v2'. Choices: main, v1.",
        ),
        "hf://me/nothing": (1, "cannot fetch hf://me/nothing: RepositoryNotFoundError: 404"),
    }
    for address, (code, message) in cases.items():
        ran = call("hub", "pull", address, tmp_path / "mine")
        assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1), ran.err
        assert message in ran.err
        assert not list(tmp_path.glob("mine*"))
    # Where a name is refused, no file is fetched.
    assert not [line for line in hub.asked if "/me/pickle/resolve" in line or "/me/outside/resolve" in line]


def test_a_push_that_the_hub_or_we_refuse(call: Process, hub: Hub, shared: Path, tmp_path: Path) -> None:
    nameless = call("hub", "push", shared, "hf://me/new", HF_TOKEN="")
    assert (nameless.code, nameless.err.count("\n")) == (1, 1), nameless.err
    assert "cannot write to hf://me/new" in nameless.err
    assert "HTTP 401" in nameless.err
    assert "set HF_TOKEN" in nameless.err
    mine = Path(shutil.copytree(shared, tmp_path / "mine"))
    (mine / "training_args.bin").write_bytes(b"x")
    refused = call("hub", "push", mine, "hf://me/new")
    assert (refused.code, "training_args.bin is none of" in refused.err) == (1, True)
    assert hub.written == []


def test_plain_files_of_a_repository_are_two_and_no_others(
    call: Process, hub: Hub, shared: Path, tiny_base: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """What is not read is not fetched; the base is that which the config names, or the command."""
    config = json.loads((shared / "adapter_config.json").read_text())
    weights = (shared / "adapter_model.safetensors").read_bytes()
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "adapter_config.json").write_text(
        json.dumps({**config, "base_model_name_or_path": "other/encoder"})
    )
    (plain / "adapter_model.safetensors").write_bytes(weights)
    hub.put(
        "some/lora", plain, **{"training_args.bin": b"a pickle", "README.md": b"# Mine", "run.py": b"code"}
    )
    more = (
        "--data",
        tiny_data,
        "--store",
        tmp_path / "store",
        "--device",
        "cpu",
        "--json",
        "--base",
        tiny_base,
    )
    cache = {"ADAPTER_STILTS_CACHE": str(tmp_path / "cache")}
    ran = call("evaluate", "hf://some/lora", "--target", "tatoeba", *more, **cache)
    assert ran.code == 0, ran.err
    assert "hf://some/lora: plain files, without the fingerprint of the base" in ran.err
    assert "it names the base 'other/encoder'" in ran.err
    fetched = [line.rpartition("/")[2] for line in hub.asked if "/resolve/" in line]
    assert set(fetched) == {"adapter_config.json", "adapter_model.safetensors"}
    again = call("evaluate", "hf://some/lora", "--target", "tatoeba", *more, HF_HUB_OFFLINE="1", **cache)
    assert (again.code, again.json["results"]) == (0, ran.json["results"]), again.err

    out = tmp_path / "imported"
    made = call("hub", "import", "hf://some/lora", out, "--base", tiny_base, "--json", **cache)
    assert made.code == 0, made.err
    assert (made.json["task"], made.json["tuning"]) == ("lora", "lora")
    assert "hub import hf://some/lora BUNDLE" in made.json["command"]
    assert call("hub", "verify", out).code == 0


def test_a_pickle_of_a_repository_is_not_fetched(
    call: Process, hub: Hub, shared: Path, tiny_base: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    shutil.copy(shared / "adapter_config.json", plain)
    (plain / "adapter_model.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    hub.put("some/old", plain)
    ran = call("hub", "import", "hf://some/old", tmp_path / "out", "--base", tiny_base)
    assert (ran.code, ran.out) == (1, "")
    assert "hf://some/old: its weights are adapter_model.bin, a pickle, which is never read" in ran.err
    assert "weights_only=True" in ran.err
    assert not [line for line in hub.asked if "/resolve/" in line]
    assert not (tmp_path / "out").exists()
