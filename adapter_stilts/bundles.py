"""What the command line's verbs do with bundles, as functions: merge them, write them out, take others' in.

Keywords are the verbs' long flags. Functions raise what goes wrong, return the account of what was made, print nothing.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from adapter_stilts.errors import UsageError
from adapter_stilts.loaded import LoadedBundle, check_own_encoder
from adapter_stilts.model.bundle_info import BundleInfo
from adapter_stilts.recipe import Base

Note: TypeAlias = Callable[[str], object]

_log = logging.getLogger(__name__)


def compose(
    expression: str,
    out: str | Path,
    *,
    base: str | Path | None = None,
    no_head: bool = False,
    note: Note | None = None,
) -> BundleInfo:
    """Merge bundles of one mode and base into a new one, without training.

    Args:
        expression: e.g. ``"0.7*mnli.bundle + 0.3*squad.bundle"``, ``"ties(a.bundle, b.bundle, density=0.3)"``.
        out: the new bundle's folder; should not be there yet.
        base: the encoder; None is where the bundles were trained.
        no_head: leave the heads out, also where they have a mean.
        note: is told what cannot be checked of plain adapters of PEFT or AdapterHub; None logs a warning.

    Raises:
        UsageError, BundleError: the expression is wrong, or bundles do not go together.
    """
    from adapter_stilts.io import whole_directory
    from adapter_stilts.model import compose as composing
    from adapter_stilts.model.backbone import load_tokenizer
    from adapter_stilts.model.bundle import read_bundle
    from adapter_stilts.stages.adopting import locate_any
    from adapter_stilts.stages.context import find_base

    terms = composing.parse(expression)
    _check_new(out)
    own_base = None if base is None else Base(id=str(base))
    terms = tuple(
        term.located(lambda name: locate_any(name, own_base, note or _log.warning)) for term in terms
    )
    bundles = [bundle for term in terms for bundle in term.bundles()]
    info = read_bundle(bundles[0])
    own = Base(id=info.base, revision=info.base_revision or "main")
    found = find_base(own_base or own)
    command = shlex.join(["adapter-stilts", "compose", expression, "--out", "DIR", *["--no-head"] * no_head])
    with whole_directory(Path(out), "another --out") as directory:
        return composing.compose(terms, directory, found, load_tokenizer(found), command, not no_head)


def export(
    bundle: LoadedBundle | str | Path,
    out: str | Path,
    to: str = "transformers",
    *,
    base: str | Path | None = None,
    precision: str | None = None,
    head: str | None = None,
    layer: int | None = None,
    note: Note | None = None,
) -> BundleInfo:
    """Write a bundle for those who have nothing of ours.

    Args:
        to: ``transformers`` (the whole model, the change merged into its weights), ``sentence-transformers`` (the same
            without a head, cut after the layer whose states are pooled), ``peft`` or ``adapterhub``.
        base: an adapter's or LoRA's encoder; None is where it was trained.
        precision: of a checkpoint's weights, fp32 or bf16; None is fp32.
        head: of a bundle with several, the one to take; ``none`` takes none.
        layer: of sentence-transformers, whose states are pooled; None is that which retrieval takes.
        note: as in `compose`.

    Raises:
        UsageError: the bundle has no such form, or the folder is there already.
        BundleError: it is damaged, or of another base.
    """
    from adapter_stilts.io import whole_directory
    from adapter_stilts.model import export as exporting
    from adapter_stilts.model.bundle import base_of, read_info
    from adapter_stilts.stages.adopting import locate_any
    from adapter_stilts.stages.context import find_base

    _check_new(out)
    name = str(bundle.directory if isinstance(bundle, LoadedBundle) else bundle)
    own = None if base is None else Base(id=str(base))
    directory = locate_any(name, own, note or _log.warning)
    info = read_info(directory)  # the export itself verifies every file
    choice = exporting.Choice(precision, head, layer)
    exporting.check_export(to, info, choice)
    check_own_encoder(name, info, None if own is None else own.id)
    found = find_base(own or base_of(directory, info))
    options = {"--to": to, "--precision": precision, "--head": head, "--layer": layer, "--out": "DIR"}
    given = [word for pair in options.items() if pair[1] is not None for word in pair]
    command = shlex.join(["adapter-stilts", "export", name, *map(str, given)])
    with whole_directory(Path(out), "another --out") as target:
        return exporting.export(directory, to, choice, target, found, command)


def import_bundle(
    address: str | Path,
    bundle: str | Path,
    *,
    base: str | Path,
    task: str | None = None,
    note: Note | None = None,
) -> BundleInfo:
    """Make a bundle, without a head, of a plain folder of PEFT or AdapterHub.

    Args:
        address: the folder, or ``hf://ORG/NAME``.
        bundle: the new bundle's folder; should not be there yet.
        base: the encoder that it was trained on.
        task: what it was trained on, by any name; None is the folder's or repository's name.
        note: as in `compose`.

    Raises:
        UsageError, BundleError: the folder is a bundle already, or holds nothing that is understood.
    """
    from adapter_stilts.hub.address import existing_folder, parse
    from adapter_stilts.hub.plain import find_plain
    from adapter_stilts.hub.verify import verify
    from adapter_stilts.io import whole_directory
    from adapter_stilts.model.backbone import load_tokenizer
    from adapter_stilts.model.foreign import adopt
    from adapter_stilts.stages.adopting import check_name, notice_of, task_of
    from adapter_stilts.stages.context import find_base

    if Path(bundle).exists():
        raise UsageError(f"{bundle}: is there already; name a new folder")
    where = parse(str(address))
    if isinstance(where, Path) and (existing_folder(where) / "bundle.json").is_file():
        raise UsageError(f"{address}: is a bundle already; `hub pull` copies it")
    plain = find_plain(str(address))
    name = task or task_of(plain.name)
    found = find_base(Base(id=str(base)))
    check_name(plain, found)
    # A folder's path is its owner's; who reads the card has another.
    given = "FOLDER" if isinstance(where, Path) else str(where)
    words = ["adapter-stilts", "hub", "import", given, "BUNDLE", "--base", str(base), "--task", name]
    with whole_directory(Path(bundle)) as directory:
        made = adopt(plain.directory, directory, name, found, load_tokenizer(found), shlex.join(words))
        verify(directory)
    (note or _log.warning)(notice_of(plain, found))
    return made


def _check_new(out: str | Path) -> None:
    if Path(out).exists():
        raise UsageError(f"--out {out}: is there already; name a new folder")
