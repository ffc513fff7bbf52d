"""Bringing bundles from one address to another, whole or not at all.

From the hub they come through huggingface_hub's own snapshots, whose cache answers where there is no network; to the
hub through its own upload of a folder, in one commit.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from adapter_stilts.errors import (
    BundleError,
    PlainFilesError,
    SourceUnavailableError,
    UnknownNameError,
    UsageError,
    cause_of,
    hub_refusals,
)
from adapter_stilts.hub.address import MAIN, Address, HubAddress, existing_folder, parse
from adapter_stilts.hub.verify import verify
from adapter_stilts.io import whole_directory
from adapter_stilts.model.bundle import bundle_digest, read_info
from adapter_stilts.model.bundle_files import HOUSEKEEPING, check_names, files_of
from adapter_stilts.model.bundle_info import BundleInfo

TAG = "adapter-stilts"
"""Of the cards of all bundles: by it the hub finds them."""
ANSWER_SECONDS = 10.0
SHOWN_OF_CARD = 200_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """A bundle that is here, verified.

    Args:
        directory: where it may be read; of a hub's bundle, in huggingface_hub's cache.
        digest: of its digests: what a stage's key pins.
        commit: of a hub's bundle.
    """

    address: Address
    directory: Path
    info: BundleInfo
    digest: str
    commit: str | None = None


def locate(text: str) -> Path:
    """A folder to read a bundle from; one on the hub is fetched into the hub's cache and verified.

    What a folder of one's own holds is checked where it is read.

    Raises:
        UsageError: no such address.
        SourceUnavailableError: neither the hub nor the cache has it.
        BundleError: what came is no bundle that may be read.
    """
    address = parse(text)
    return existing_folder(address) if isinstance(address, Path) else fetch(text).directory


def fetch(text: str) -> Found:
    """The same, with all of its files verified wherever it is."""
    address = parse(text)
    if isinstance(address, Path):
        directory = existing_folder(address)
        return Found(address, directory, verify(directory), bundle_digest(directory))
    found = _snapshot(address)
    try:
        info = verify(found.directory)
    except PlainFilesError:
        raise
    except BundleError as error:
        if found.refusal is None:
            raise
        raise _unavailable(address, found.refusal, f"the cache holds no whole copy ({error})") from error
    digest = bundle_digest(found.directory)
    return Found(address, found.directory, info, digest, found.directory.name)


def copy(source: Path, target: Path, digest: str) -> None:
    """Copy a bundle's files into an empty folder, and verify what arrived.

    Args:
        source: of `Found`: a folder, or a snapshot in the hub's cache.
        digest: of the bundle that was found there.

    Raises:
        BundleError: it is another by now, or damaged.
    """
    for path in sorted(source.iterdir()):
        if path.name in HOUSEKEEPING:
            continue
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            name = file.relative_to(source)
            (target / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(file, target / name)
    verify(target)
    if bundle_digest(target) != digest:
        raise BundleError(f"{source}: changed since it was looked at; run the same command again")


def pull(text: str, target: Path) -> Found:
    """Bring a bundle into a new folder: copied aside, verified, renamed in one step.

    Raises:
        UsageError: the folder is there already, or there is no such address.
    """
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target}: is there already; name a new folder, or remove it")
    found = fetch(text)
    with whole_directory(target) as aside:
        copy(found.directory, aside, found.digest)
    return found


def push(source: Path, text: str, private: bool = False, message: str | None = None) -> str:
    """Bring a bundle of a folder to an address, which then holds it and nothing else; tells where it is, by its commit.

    Args:
        private: of a hub repository that is made for it.
        message: of the commit on the hub.

    Raises:
        BundleError: the folder is no bundle that may be shared.
        UsageError: the target folder is there already, or the repository has no such revision to write to.
        SourceUnavailableError: the hub refuses or gives no answer.
    """
    address = parse(text)
    info = verify(existing_folder(source))
    if isinstance(address, Path):
        pull(str(source.resolve()), address)
        return str(address)
    return _upload(source, address, info, private, message)


def _upload(source: Path, address: HubAddress, info: BundleInfo, private: bool, message: str | None) -> str:
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        api.create_repo(address.repository, private=private, exist_ok=True)
        if address.revision != MAIN:
            api.create_branch(address.repository, branch=address.revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=address.repository,
            folder_path=source,
            revision=address.revision,
            commit_message=message or f"{info.task} ({info.tuning})",
            allow_patterns=files_of(source),
            # The repository is the bundle: a file that an older one left would be in no list of digests.
            delete_patterns="*",
        )
    except hub_refusals() as error:
        raise SourceUnavailableError(
            f"cannot write to {address}: {cause_of(error)}. Where the hub can be reached, log in with `hf auth login`, "
            "or set HF_TOKEN to a token that may write there"
        ) from error
    return str(HubAddress(address.repository, commit.oid))


@dataclass(frozen=True)
class Description:
    """What a bundle says it is.

    Args:
        sizes: of its files, in bytes; empty where they are not here.
        card: its README.md.
    """

    info: BundleInfo
    sizes: Mapping[str, int]
    card: str


def describe(text: str) -> Description:
    """What a bundle says it is, without fetching its weights or verifying anything. Raises as `fetch`."""
    address = parse(text)
    if isinstance(address, Path):
        directory = existing_folder(address)
        sizes = {name: (directory / name).stat().st_size for name in files_of(directory)}
    else:
        directory = _snapshot(address, only=("bundle.json", "README.md")).directory
        sizes = {}
    info = read_info(directory)
    card = directory / "README.md"
    return Description(info, sizes, _beginning(card) if card.is_file() else "")


def _beginning(card: Path) -> str:
    """A card, as much of it as anyone reads."""
    with card.open("rb") as file:
        said = file.read(SHOWN_OF_CARD).decode("utf-8", errors="replace")
    left = card.stat().st_size - SHOWN_OF_CARD
    return f"{said}\n… and {left:,} bytes more in {card.name}" if left > 0 else said


def hub_bundles(organisation: str) -> list[HubAddress]:
    """The repositories of an organisation or user on the hub that are tagged as bundles. Raises as `fetch`."""
    from huggingface_hub import HfApi

    try:
        models = list(HfApi().list_models(author=organisation, filter=TAG))
    except hub_refusals() as error:
        raise SourceUnavailableError(f"cannot list hf://{organisation}: {cause_of(error)}") from error
    return [HubAddress(model.id) for model in models]


@dataclass(frozen=True)
class _Snapshot:
    """A folder of huggingface_hub's cache, named by its commit.

    Args:
        refusal: why the hub was not asked, or gave no answer; None where the folder is what the hub has now.
    """

    directory: Path
    refusal: Exception | None = None


def snapshot(address: HubAddress, choose: Callable[[list[str], str], list[str]]) -> Path:
    """The folder of some files of a revision.

    Args:
        choose: those to fetch, of the names of all of them and the address. What it raises is raised.

    Raises:
        UnknownNameError, SourceUnavailableError: as `fetch`.
    """
    return _snapshot(address, choose=choose).directory


def _every(names: list[str], where: str) -> list[str]:
    check_names(names, where)
    return names


def _snapshot(
    address: HubAddress,
    only: tuple[str, ...] | None = None,
    choose: Callable[[list[str], str], list[str]] = _every,
) -> _Snapshot:
    """The files of a revision: from the hub, else from its cache, which is then said.

    One request without retries comes first: the names of all files are looked at before one is fetched.

    Args:
        only: fetch these alone.
        choose: what to fetch of all names; it raises where they are not those of what is looked for.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError, RevisionNotFoundError

    repository, revision = address.repository, address.revision
    try:
        found = HfApi().model_info(repository, revision=revision, timeout=ANSWER_SECONDS)
        names = [sibling.rfilename for sibling in found.siblings or ()]
        names = [name for name in names if name.split("/")[0] not in HOUSEKEEPING]
        wanted = choose(names, str(address))
        return _Snapshot(
            Path(snapshot_download(repository, revision=revision, allow_patterns=list(only or wanted)))
        )
    except RevisionNotFoundError as error:
        kind = f"revision of {HubAddress(repository)}"
        raise UnknownNameError(kind, revision, _revisions(repository)) from error
    except hub_refusals() as error:
        refusal = error
    try:
        cached = snapshot_download(repository, revision=revision, local_files_only=True)
    except (LocalEntryNotFoundError, OSError, ValueError):
        raise _unavailable(address, refusal, "nothing of it is in the cache") from refusal
    _log.warning("%s: the hub gives no answer (%s); reading the cached copy", address, cause_of(refusal))
    return _Snapshot(Path(cached), refusal)


def _revisions(repository: str) -> list[str]:
    """Branches and tags; none where the hub does not tell."""
    from huggingface_hub import HfApi

    try:
        refs = HfApi().list_repo_refs(repository)
    except hub_refusals():
        return []
    return [ref.name for ref in (*refs.branches, *refs.tags)]


def _unavailable(address: HubAddress, error: Exception, why: str) -> SourceUnavailableError:
    return SourceUnavailableError(
        f"cannot fetch {address}: {cause_of(error)}; {why}. Check the name (a private repository needs HF_TOKEN), and "
        "fetch it once online, after which HF_HUB_OFFLINE=1 reads the cache; or give a folder that holds the bundle"
    )
