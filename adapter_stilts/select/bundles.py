"""Trained sources by their addresses: bundles, folders of bundles, organisations of the hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapter_stilts.errors import UsageError
from adapter_stilts.hub.address import SCHEME, bundles_in, is_address
from adapter_stilts.hub.transfer import hub_bundles
from adapter_stilts.model.backbone import ResolvedBase
from adapter_stilts.model.bundle import read_bundle
from adapter_stilts.model.bundle_info import BundleInfo
from adapter_stilts.recipe import Base
from adapter_stilts.recipe_sections import EACH
from adapter_stilts.stages.adopting import locate_any
from adapter_stilts.tasks import all_tasks
from adapter_stilts.tasks.base import Task
from adapter_stilts.tasks.groups import UNIONS


@dataclass(frozen=True)
class TrainedSource:
    """A bundle that is here.

    Args:
        address: as it is typed after ``--inter``.
    """

    address: str
    directory: Path
    info: BundleInfo


def names_bundles(text: str) -> bool:
    """Whether a word names bundles: it holds a slash, or is a folder's name and no task's."""
    tasks = {EACH, *UNIONS, *(task.name for task in all_tasks())}
    return is_address(text) or (text not in tasks and Path(text).is_dir())


def trained_sources(
    typed: Sequence[str], base: ResolvedBase, mode: str | None
) -> tuple[list[TrainedSource], tuple[str, ...]]:
    """The bundles that were named, and what was left out.

    Of a folder of bundles, or an organisation, those of another base or mode are left out; one that is named by itself
    has to fit.

    Args:
        mode: None takes all, which have to be of one.

    Raises:
        UsageError: a bundle does not fit, or there are fewer than two.
        BundleError, SourceUnavailableError: one cannot be read, or fetched.
    """
    found: dict[Path, TrainedSource] = {}
    notices: list[str] = []
    again: dict[str, str] = {}
    for text in typed:
        inner = _inside(text)
        for address in inner or (_as_typed(text),):
            directory = locate_any(address, Base(id=base.id), notices.append)
            source = TrainedSource(address, directory, read_bundle(directory))
            why = _unfit(source, base, mode)
            if why is None:
                first = found.setdefault(directory.resolve(), source)
                again |= {address: first.address} if first is not source else {}
            elif inner is None:
                raise UsageError(f"--among {address}: {why}")
            elif mode is None or source.info.tuning == mode:
                notices.append(f"{address}: left out, {why}")
    told = [f"{address} is the same bundle as {first}, and ranked once" for address, first in again.items()]
    modes = sorted({source.info.tuning for source in found.values()})
    if len(modes) > 1:
        raise UsageError(
            f"--among {','.join(typed)}: bundles of several modes ({', '.join(modes)}); say which with --mode"
        )
    if len(found) < 2:
        held = f"only {next(iter(found.values())).address}" if found else "no bundle"
        held += f" of the encoder {base.id}{f' and mode {mode}' if mode else ''}"
        raise UsageError(
            f"--among {','.join(typed)}: {held}, which leaves nothing to rank{''.join(f' ({one})' for one in told)}; "
            "name several, or another --recipe, --base or --mode"
        )
    return list(found.values()), (*notices, *told)


def own_source(typed: str, base: ResolvedBase, mode: str, target: Task) -> TrainedSource:
    """The target's own bundle.

    Raises:
        UsageError: it is of another base, mode or task.
        BundleError, SourceUnavailableError: it cannot be read, or fetched.
    """
    directory = locate_any(typed, Base(id=base.id), lambda _: None)
    source = TrainedSource(typed, directory, read_bundle(directory))
    why = _unfit(source, base, None)
    if why is None and source.info.tuning != mode:
        why = (
            f"of mode {source.info.tuning}, and the bundles after --among are of {mode}, which its update is held "
            f"against: name one of mode {mode}, or rank bundles of mode {source.info.tuning}"
        )
    if why is None and source.info.task != target.name:
        why = f"trained on {source.info.task}, and the target is trained on {target.name}"
    if why is not None:
        raise UsageError(f"--own {typed}: {why}")
    return source


def _inside(text: str) -> list[str] | None:
    """The bundles of a folder or an organisation; None where a bundle itself is named."""
    if text.startswith(SCHEME):
        organisation = text.removeprefix(SCHEME)
        return None if "/" in organisation else [str(one) for one in hub_bundles(organisation)]
    folder = Path(text)
    if (folder / "bundle.json").is_file() or not (inner := bundles_in(folder)):
        return None
    return [_as_typed(str(one)) for one in inner]


def _as_typed(text: str) -> str:
    """An address as `--inter` takes it, where a word without a slash names a task."""
    return text if is_address(text) else f"./{text}"


def _unfit(source: TrainedSource, base: ResolvedBase, mode: str | None) -> str | None:
    """Why a bundle cannot stand beside others; None where it can."""
    info = source.info
    if info.base_fingerprint != base.fingerprint:
        return (
            f"trained on the base {info.base!r} (fingerprint {info.base_fingerprint[:12]}), and the recipe's is "
            f"{base.id!r} ({base.fingerprint[:12]}): give --base, or the --recipe, with its own"
        )
    if mode is not None and info.tuning != mode:
        return f"of mode {info.tuning}, and --mode is {mode}: leave it out, or name another"
    return None
