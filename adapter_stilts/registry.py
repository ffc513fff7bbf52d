"""Things found by name: modules of this package, and what other packages declare as entry points.

A kind of thing is a folder of ours, with one module each, and a group of entry points:

    [project.entry-points."adapter_stilts.tunings"]
    small_lora = "my_package.small_lora"

Names are read from file names and from installed packages' metadata: nothing is imported to learn one. An entry point
is loaded, once a process, where the thing itself is asked for.
"""

from __future__ import annotations

import functools
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import AdapterStiltsError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

SAYS_WHAT_ONE_OFFERS = "base"
"""Module of every folder that is no thing of its kind."""


@dataclass(frozen=True)
class Registry:
    """One kind of thing.

    Args:
        kind: one of them, for messages.
        folder: of ours, below this file's.
        group: of entry points.
        elsewhere: names that other libraries have for one of them, each with what is to be written here.
    """

    kind: str
    folder: str
    group: str
    elsewhere: tuple[tuple[str, str], ...] = ()

    def modules(self) -> tuple[str, ...]:
        """The names of our modules, sorted."""
        return _modules(self.folder)

    def names(self, own: Iterable[str] | None = None) -> tuple[str, ...]:
        """Every name, ours first.

        Args:
            own: those of our modules that are things of this kind; None takes all.

        Raises:
            UsageError: two things have one name; says where both are.
        """
        ours = tuple(self.modules() if own is None else own)
        for name, entry in self.declared().items():
            if name in ours:
                raise self.taken(name, place_of(entry), f"adapter_stilts/{self.folder}/{name}.py")
        return (*ours, *self.declared())

    def check(self, name: str, kind: str | None = None) -> None:
        """Raises UnknownNameError where there is no such name; `kind` says otherwise what was named."""
        if name not in self.names():
            written = dict(self.elsewhere).get(name)
            hint = f"{name!r} is written {written}." if written else ""
            raise UnknownNameError(kind or self.kind, name, self.names(), hint)

    def declared(self) -> Mapping[str, EntryPoint]:
        """What installed packages declare, by name. Raises UsageError where two have one name."""
        return _declared(self)

    def load(self, name: str) -> Any:
        """What an entry point stands for. Raises UsageError naming its package where it cannot be loaded."""
        return _loaded(self, name)

    def check_offers(self, name: str, found: Any, interface: type) -> None:
        """Raises UsageError where what an entry point stands for lacks something of an interface."""
        wanted = (*interface.__annotations__, *vars(interface))
        lacking = [each for each in wanted if not each.startswith("_") and not hasattr(found, each)]
        if lacking:
            what = f"{interface.__module__}.{interface.__name__}"
            raise self.unfit(name, f"lacks {', '.join(dict.fromkeys(lacking))}, which {what} asks for")

    def unfit(self, name: str, why: str) -> UsageError:
        """The error for an entry point that is of no use; `why` ends a sentence that begins with it."""
        entry = self.declared()[name]
        return UsageError(
            f"{self.kind} {name!r} of {place_of(entry)} {why}. Mend that package, or take it away: "
            f"pip uninstall {_package(entry)}"
        )

    def taken(self, name: str, place: str, other: str) -> UsageError:
        """The error for two things of one name, by their places."""
        return UsageError(
            f"{self.kind} {name!r} is there twice, in {other} and in {place}: give one another name, or take it away"
        )


TASKS = Registry("task", "tasks", "adapter_stilts.tasks")
FORMATS = Registry("format", "formats", "adapter_stilts.formats")
# What AdapterHub calls a method is an architecture of one mode here.
_ARCHITECTURES = {
    **{name: name for name in ("pfeiffer", "houlsby", "parallel", "compacter", "prefix")},
    **{"seq_bn": "pfeiffer", "double_seq_bn": "houlsby", "par_bn": "parallel", "prefix_tuning": "prefix"},
}
TUNINGS = Registry(
    "mode",
    "model/tuning",
    "adapter_stilts.tunings",
    tuple(
        (name, f"--mode adapter --set tuning.adapter.architecture={ours}")
        for name, ours in _ARCHITECTURES.items()
    ),
)


def place_of(entry: EntryPoint) -> str:
    """Where an entry point comes from, for messages."""
    version = f" {entry.dist.version}" if entry.dist is not None else ""
    return f"package {_package(entry)}{version} (entry point {entry.name} = {entry.value} of {entry.group})"


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value.partition(".")[0]


@functools.cache
def _declared(registry: Registry) -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=registry.group), key=lambda entry: (entry.name, entry.value)):
        if entry.name in found:
            raise registry.taken(entry.name, place_of(entry), place_of(found[entry.name]))
        found[entry.name] = entry
    return found


@functools.cache
def _loaded(registry: Registry, name: str) -> Any:
    try:
        return registry.declared()[name].load()
    except AdapterStiltsError:
        raise
    except Exception as error:  # whatever the package's own code raises
        raise registry.unfit(name, f"cannot be loaded: {type(error).__name__}: {error}") from error


@functools.cache
def _modules(folder: str) -> tuple[str, ...]:
    """The modules of a folder of ours; listed once a process, as planning a matrix asks thousands of times."""
    found = pkgutil.iter_modules([str(Path(__file__).parent / folder)])
    return tuple(sorted(each.name for each in found if not each.ispkg and each.name != SAYS_WHAT_ONE_OFFERS))
