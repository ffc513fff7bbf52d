"""Plain folders of PEFT or AdapterHub as bundles: what others trained without us, on a base that the user names."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from adapter_stilts.errors import BundleError
from adapter_stilts.model.backbone import ResolvedBase, load_encoder
from adapter_stilts.model.bundle import write_bundle
from adapter_stilts.model.bundle_info import NO_HEAD, BundleInfo
from adapter_stilts.model.tuning import get_tuning, tuning_names
from adapter_stilts.model.tuning.libraries.frozen import read_config
from adapter_stilts.model.tuning.libraries.peft_plain import rewrite
from adapter_stilts.runtime import versions

CONFIG = "adapter_config.json"


def named_base(directory: Path) -> str | None:
    """What a folder's config calls the base it was trained on; None where it names none. Raises BundleError."""
    values = read_config(directory / CONFIG)
    name = values.get("base_model_name_or_path") or values.get("model_name")
    return name if isinstance(name, str) and name else None


def tuning_of(directory: Path) -> str:
    """The tuning that made a folder's files, by its config. Raises BundleError."""
    values = read_config(directory / CONFIG)
    found = next((name for name in tuning_names() if get_tuning(name).made(values)), None)
    if found is None:
        both = " with use_dora and use_rslora" if values.get("use_dora") and values.get("use_rslora") else ""
        raise BundleError(
            f"{directory / CONFIG}: peft_type = {values.get('peft_type')!r}{both}; LORA and IA3 of PEFT, and "
            "bottlenecks and prefixes of AdapterHub are taken in"
        )
    return found


def adopt(
    directory: Path,
    out: Path,
    task: str,
    base: ResolvedBase,
    tokenizer: Any,
    command: str | None = None,
    dated: bool = True,
) -> BundleInfo:
    """Write a bundle of a plain folder's modules into an empty folder.

    They are loaded into the base, so that all that is wrong with them is told here. Their head stays behind: nothing in
    such files says which of its rows is which label.

    Args:
        task: what they were trained on, by any name.
        base: the encoder they were trained on; the files do not say which it was.
        command: what makes it, for its card.
        dated: name the versions that made it. Without, equal folders make equal bundles anywhere.

    Raises:
        BundleError: another library's files, damaged, or made for an encoder of another shape.
    """
    from adapter_stilts.model.task_model import TaskModel

    name = tuning_of(directory)
    tuning = get_tuning(name)
    model = TaskModel(load_encoder(base.location, base.commit, None, False), None, None)
    model.encoder.config.name_or_path = base.id  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory() as aside:
        if tuning.LIBRARY == "peft":
            rewrite(directory, model.encoder, Path(aside))
            directory = Path(aside)
        tuning.load_modules(model, directory)
    tuning.save(model, out, NO_HEAD, ())
    info = BundleInfo(
        tuning=name,
        base=base.id,
        base_revision=base.commit,
        base_fingerprint=base.fingerprint,
        task=task,
        format=NO_HEAD,
        labels=(),
        settings={"imported": True},
        parents=(),
        metrics={},
        versions=versions() if dated else {},
        command=command,
    )
    write_bundle(out, info, tokenizer)
    return info
