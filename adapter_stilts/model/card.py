"""A bundle's model card: what the hub reads at its top, and what a person wants to know before using it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from adapter_stilts.formats import format_names, get_format
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.tasks import all_tasks
from adapter_stilts.tasks.base import language_names
from adapter_stilts.tasks.declaration import Declaration, Where
from adapter_stilts.tasks.declared import declaration_of

if TYPE_CHECKING:
    from adapter_stilts.model.bundle_info import BundleInfo


def model_card(info: BundleInfo, loading: str | None = None) -> str:
    """README.md of a bundle.

    Args:
        loading: the Python that loads it from the folder DIR without adapter-stilts.
    """
    front = "".join(f"{key}: {_yaml(value)}\n" for key, value in front_matter(info).items())
    parts = [
        f"---\n{front}---\n",
        f"# {info.task} ({info.tuning})\n",
        _what(info),
        *_optional(info, loading),
        *(_own_task(declaration_of(values, Where(name)), info) for name, values in info.declared.items()),
        _use(info),
    ]
    return "\n".join(parts)


def front_matter(info: BundleInfo) -> dict[str, Any]:
    """The fields that the hub indexes. A base in a folder of somebody's own has no place there: the text names it."""
    formats = [head.format for head in info.heads.values()] or [info.format]
    found = {
        "library_name": _exported_to(info) or get_tuning(info.tuning).LIBRARY,
        "base_model": info.base if _on_hub(info) else None,
        "tags": ["adapter-stilts", "cross-lingual-transfer", info.tuning, *map(_dashed, formats)],
        "metrics": _metrics(info),
        "pipeline_tag": get_format(info.format).PIPELINE if info.format in format_names() else None,
    }
    return {key: value for key, value in found.items() if value}


def _exported_to(info: BundleInfo) -> str | None:
    """The library that an export is for, where it is none that loads bundles."""
    export = info.settings.get("export")
    found = export.get("library") if isinstance(export, Mapping) else None
    return found if isinstance(found, str) else None


def _on_hub(info: BundleInfo) -> bool:
    return info.base_revision is not None


def _metrics(info: BundleInfo) -> list[str]:
    """Names of metrics; the dev score of a stage over several tasks has theirs instead."""
    named = {task.name: task.metric for task in all_tasks()}
    tasks = [task for head in info.heads.values() for task in head.tasks]
    return list(dict.fromkeys(metric for t in tasks for metric in named.get(t, ())) or info.metrics)


def _what(info: BundleInfo) -> str:
    made = "Merged from bundles" if "merge" in info.settings else f"Trained on `{info.task}`{_in(info)}"
    made = f"`{info.task}`, trained elsewhere, taken in" if "imported" in info.settings else made
    base = f"`{info.base}`" + (f" (revision `{info.base_revision}`)" if info.base_revision else "")
    version = info.versions.get("adapter-stilts", "")
    lines = [f"{made} with adapter-stilts {version}, on the encoder {base}".rstrip() + "."]
    if info.metrics:
        scores = ", ".join(f"{name} {value:.1f}" for name, value in sorted(info.metrics.items()))
        dev = f"{language_names(info.dev_languages)} dev".strip()
        chose = ", which chose the checkpoint" if info.average is info.evaluation_step is None else ""
        lines.append(f"{dev[:1].upper()}{dev[1:]}{chose}, in percent: {scores}.")
    if info.evaluation_step is not None:
        lines.append(
            f"The weights at step {info.evaluation_step} of the run, kept to be compared with those that it ended with."
        )
    if info.average is not None:
        lines.append(
            f"The mean of the weights at {info.average} equidistant steps of the run (arXiv 2305.16834)."
        )
    if "export" in info.settings:
        lines += ["", *_exported(info)]
    return "\n".join(lines) + "\n"


def _in(info: BundleInfo) -> str:
    """In which languages, as far as that is known."""
    drawn = info.train_languages
    told = [
        language_names([name]) + (f" ({count} examples)" if count else "") for name, count in drawn.items()
    ]
    before = info.settings.get("after", [])
    known = isinstance(before, list) and before and all(isinstance(name, str) for name in before)
    first = f" in {language_names(before)}, and then" if known else ""
    return f"{first} in {', '.join(told)}" if told else ""


def _exported(info: BundleInfo) -> list[str]:
    """What was done to it, and how its logits compare with those it was trained to give."""
    tuning, precision = info.settings["export"]["tuning"], info.settings["export"]["precision"]
    made = (
        ""
        if tuning == "full"
        else f"The change of a `{tuning}` bundle is merged into the encoder's weights. "
    )
    trained = info.settings.get("precision", "fp32")
    lines = [f"{made}Weights are in {precision}."]
    layer = info.settings["export"].get("layer")
    if layer is not None:
        lines.append(
            f"Its vectors are the mean of the states after layer {layer}, which is the last that is kept; to evaluate "
            f"them here, add `--set formats.retrieval.layer={layer}`. The head, if it had one, is left out."
        )
    if trained != precision:
        lines.append(
            f"It was trained under `--precision {trained}`: its logits here differ from those by what that rounds "
            "(8bit and 4bit: by the quantisation of the encoder's weights), and so may its scores from the above."
        )
    return lines


def _optional(info: BundleInfo, loading: str | None) -> list[str]:
    found = []
    if info.heads:
        rows = (
            f"- head `{name}`: {head.format} ({', '.join(head.tasks)})\n"
            for name, head in sorted(info.heads.items())
        )
        found.append("".join(rows))
    if info.command:
        found.append(f"Made by\n\n```sh\n{info.command}\n```\n")
    if loading:
        found.append(
            f"DIR being this folder, and with nothing of adapter-stilts,\n\n```python\n{loading}\n```\n"
        )
    return found


def _own_task(declared: Declaration, info: BundleInfo) -> str:
    """A task that its maker declared, and how whoever has its data evaluates the bundle on it."""
    facts = {
        "labels": ", ".join(declared.labels),
        "train splits in": ", ".join(declared.train_languages),
        "test splits in": ", ".join(declared.languages),
        "data": declared.dataset if declared.dataset != declared.name else "",
        "got at": declared.address,
        "licence": declared.licence,
        "to be cited": declared.citation,
    }
    lines = "".join(f"- {name}: {' '.join(fact.split())}\n" for name, fact in facts.items() if fact)
    files = ", ".join(f"`{name}`" for name in declared.files.test)
    words = [f"adapter-stilts evaluate ADDRESS --target {declared.name}"]
    words += ["--recipe miniature --set data=real"] if info.base == "miniature" else []
    words += ["--data DIR"] if files else []
    where = f", DIR being a folder with {files}" if files else ""
    return (
        f"`{declared.name}` is a task of its maker's own ({declared.format}), declared in `bundle.json`:\n\n{lines}\n"
        f"To evaluate it{where}:\n\n```sh\n{' '.join(words)}\n```\n"
    )


def _use(info: BundleInfo) -> str:
    tuning = get_tuning(info.tuning)
    written = {"transformers": "Transformers", "peft": "PEFT", "adapter-transformers": "AdapterHub"}
    library = written.get(tuning.LIBRARY, tuning.LIBRARY)
    # The miniature's data and encoder come together, with its recipe.
    where = "--recipe miniature" if info.base == "miniature" else f"--base {_word(info.base)}"
    return f"""Go on from it, or evaluate it:

```sh
adapter-stilts train --inter ADDRESS --target tydiqa --mode {info.tuning} {where}
adapter-stilts evaluate ADDRESS --target tatoeba{" " + where if info.base == "miniature" else ""}
```

ADDRESS is this folder, or `hf://ORG/NAME`. {library} loads it too. `bundle.json` holds every setting, `SHA256SUMS` the
digest of every file.
"""


def _word(text: str) -> str:
    return json.dumps(text) if " " in text else text


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _yaml(value: Any) -> str:
    """A value on one line; JSON's quotes are YAML's."""
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    assert not isinstance(value, Mapping)
    plain = all(letter.isalnum() or letter in "-_./" for letter in value) and value[:1].isalpha()
    return value if plain else json.dumps(value)
