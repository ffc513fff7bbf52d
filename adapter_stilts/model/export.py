"""Exports: a bundle for those who have nothing of ours, in one of several forms.

transformers    the whole model: a checkpoint of Transformers' own class, with the change merged into its weights
peft            PEFT's files, with the tokenizer
adapterhub      AdapterHub's files, with the tokenizer
sentence-transformers    the encoder as that library loads it, cut after the layer that retrieval pools

Every export is a bundle again, so that what reads bundles reads it too.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.formats import get_format
from adapter_stilts.formats.retrieval import Settings as RetrievalSettings
from adapter_stilts.model import sentence_vectors, task_classes
from adapter_stilts.model.backbone import ResolvedBase, load_encoder, load_tokenizer
from adapter_stilts.model.bundle import bundle_digest, check_base, read_bundle, write_bundle
from adapter_stilts.model.bundle_files import DIGESTS, HEADS, HOUSEKEEPING
from adapter_stilts.model.bundle_info import NO_HEAD, BundleInfo
from adapter_stilts.model.door import build_config
from adapter_stilts.model.encoders import ENCODER_OF
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.model.tuning.base import Tuning
from adapter_stilts.recipe import MINIATURE

PRECISIONS = ("fp32", "bf16")
"""Types of a checkpoint's weights: no form holds integers."""


@dataclass(frozen=True)
class Choice:
    """Choices that an export leaves.

    Args:
        precision: of the weights; None takes fp32, or leaves a whole model's as they are.
        head: of a bundle with several, its name; ``none`` leaves every head out; None takes what there is.
        layer: whose states are pooled (``sentence-transformers`` alone); None is that which retrieval takes.
    """

    precision: str | None = None
    head: str | None = None
    layer: int | None = None


@dataclass(frozen=True)
class Form:
    """One form.

    Args:
        library: bundles of this library (`Tuning.LIBRARY`) have the form already: their files are copied.
        whole: whether it is a whole model, which bundles of other libraries become by merging.
        lines: the Python that loads one from the folder DIR.
    """

    library: str
    whole: bool
    lines: Callable[[BundleInfo, ResolvedBase, Path], list[str]]


def forms_of(tuning: Tuning) -> tuple[str, ...]:
    """The forms that bundles of a tuning can be exported to."""
    return tuple(name for name in FORMS if _refusal(name, tuning) is None)


def check_export(name: str, info: BundleInfo, choice: Choice) -> None:
    """Raises UsageError where a bundle has no such form, or the form no such choice; nothing is loaded."""
    if name not in FORMS:
        raise UnknownNameError("form to export to", name, FORMS)
    tuning = get_tuning(info.tuning)
    why = _refusal(name, tuning)
    if why is not None:
        raise UsageError(
            f"--to {name}, of a bundle of --mode {info.tuning}: {why}. Choices: {', '.join(forms_of(tuning))}"
        )
    if choice.precision is not None and choice.precision not in PRECISIONS:
        raise UnknownNameError(
            "precision of an export",
            choice.precision,
            PRECISIONS,
            "Integers are made when a model is loaded.",
        )
    given = [f"--{key} {value}" for key, value in vars(choice).items() if value is not None]
    if choice.layer is not None and name != sentence_vectors.LIBRARY:
        raise UsageError(
            f"--layer {choice.layer}: --to {name} pools nothing; it is for --to {sentence_vectors.LIBRARY}"
        )
    if name == sentence_vectors.LIBRARY and choice.head not in (None, NO_HEAD):
        raise UsageError(
            f"--head {choice.head}: --to {name} writes vectors of sentences, which no head answers"
        )
    if given and not FORMS[name].whole:
        raise UsageError(
            f"{' '.join(given)}: --to {name} copies the bundle's files as they are; it is for --to "
            f"{', '.join(form for form in FORMS if FORMS[form].whole)}"
        )
    _heads(info, choice.head)


def export(
    bundle: Path, name: str, choice: Choice, out: Path, base: ResolvedBase, command: str | None = None
) -> BundleInfo:
    """Write a bundle in another form into an empty folder.

    Args:
        name: of the form.
        base: the encoder the bundle was trained on, or the bundle itself where it holds one.
        command: what makes the export, for its card.

    Raises:
        UsageError: as `check_export`.
        BundleError: the bundle is damaged, or of another base.
    """
    info = read_bundle(bundle)
    check_export(name, info, choice)
    check_base(bundle, info, base.id, base.fingerprint)
    form = FORMS[name]
    if name == sentence_vectors.LIBRARY:
        sentence_vectors.check_type(base.config["model_type"])
        depth = int(build_config(base.config, base.id).num_hidden_layers)
        choice = replace(choice, head=NO_HEAD, layer=sentence_vectors.chosen_layer(choice.layer, depth))
    if form.library == get_tuning(info.tuning).LIBRARY and choice == Choice():
        _copy(bundle, out)
        made = info
    else:
        made = _merged(bundle, info, choice, out, base).model_copy(update={"command": command})
    tokenizer = load_tokenizer(base)
    tokenizer.save_pretrained(out, legacy_format=False)
    write_bundle(out, made, tokenizer, loading="\n".join(form.lines(made, base, out)))
    return made


def _refusal(name: str, tuning: Tuning) -> str | None:
    """Why bundles of a tuning have no such form; None where they have."""
    form = FORMS[name]
    if form.library == tuning.LIBRARY:
        return None
    if not form.whole:
        return (
            f"its bundles are files of another library than --to {name} writes, and are not turned into them"
        )
    try:
        tuning.check_fold()
    except UsageError as error:
        return str(error)
    return None


def _copy(bundle: Path, out: Path) -> None:
    """The files of a bundle but what is written anew. Every one of them has been verified."""
    anew = ("README.md", "bundle.json", DIGESTS)
    shutil.copytree(bundle, out, ignore=shutil.ignore_patterns(*HOUSEKEEPING, *anew), dirs_exist_ok=True)


def _heads(info: BundleInfo, asked: str | None) -> tuple[str, tuple[str, ...], str | None]:
    """The format and labels of the head that goes along, and its name among several. Raises UsageError."""
    if asked == NO_HEAD or (asked is None and (info.heads or info.format == NO_HEAD)):
        return NO_HEAD, (), None
    if asked is None:
        return info.format, info.labels, None
    # Language modelling's head is tied to the embeddings; its format has no head of its own.
    fitting = {n: h for n, h in info.heads.items() if get_format(h.format).head_shape(h.labels) is not None}
    if asked not in fitting:
        one = "no head" if info.format == NO_HEAD else f"one head, of {info.format}"
        hint = "" if info.heads else f"It has {one}: leave out --head."
        raise UnknownNameError("head of this bundle", asked, (*fitting, NO_HEAD), hint)
    return fitting[asked].format, fitting[asked].labels, asked


def _merged(bundle: Path, info: BundleInfo, choice: Choice, out: Path, base: ResolvedBase) -> BundleInfo:
    """A checkpoint of the whole model; every head of several goes along unless one is asked for."""
    import torch

    from adapter_stilts.model.build import bundle_head
    from adapter_stilts.model.task_model import TaskModel
    from adapter_stilts.model.tuning import full

    tuning = get_tuning(info.tuning)
    encoder = load_encoder(base.location, base.commit, None, False)
    format_name, labels, name = _heads(info, choice.head)
    headless = format_name == NO_HEAD
    head = None if headless else bundle_head(bundle, info, format_name, labels, encoder.config, name)
    pooler = not headless and (info.pooler if name is None else info.heads[name].pooler)
    model = TaskModel(encoder, head, None).eval()
    tuning.load_modules(model, bundle)
    tuning.fold(model)
    precision = choice.precision or "fp32"
    layer = {}
    if choice.layer is not None:
        sentence_vectors.cut(model, choice.layer)
        longest = min(RetrievalSettings().max_length, base.max_length or RetrievalSettings().max_length)
        sentence_vectors.write_layout(out, int(encoder.config.hidden_size), longest)
        layer = {"library": sentence_vectors.LIBRARY, "layer": choice.layer}
    model.to(torch.bfloat16 if precision == "bf16" else torch.float32)
    full.save(model, out, format_name, labels)
    several = info.heads if choice.head is None else {}
    if several:
        shutil.copyfile(bundle / HEADS, out / HEADS)
    return info.model_copy(
        update={
            "tuning": "full",
            "format": info.format if several else format_name,
            "labels": labels,
            "heads": several,
            "pooler": pooler,
            "settings": {**info.settings, "export": {"tuning": info.tuning, "precision": precision, **layer}},
            "parents": (bundle_digest(bundle),),
        }
    )


def _auto_class(info: BundleInfo, model_type: str) -> str:
    """The class of Transformers that a bundle's head belongs to, or that of the bare encoder."""
    if task_classes.has_task_class(model_type, info.format, info.pooler):
        return str(task_classes.class_of(info.format))
    return ENCODER_OF.get(model_type, "AutoModel")


def _base_lines(info: BundleInfo, base: ResolvedBase, first: str) -> list[str]:
    name = _auto_class(info, base.config["model_type"])
    lines = [first, f"from transformers import {name}\n"]
    if base.commit:
        arguments = [_literal(base.id), f"revision={_literal(base.commit)}"]
    else:
        # A name without a slash would be looked for among everybody's models on the hub.
        known = "the miniature's, adapter_stilts/miniature/encoder in adapter-stilts"
        lines.append(
            f"# The encoder's folder ({known if base.id == MINIATURE else 'on the machine that wrote this'})"
        )
        arguments = [_literal(str(Path(base.location).resolve()))]
    outputs = task_classes.outputs_of(info.format, info.labels)
    if "id2label" in outputs:
        lines.append(f"labels = [{', '.join(map(_literal, outputs['label2id']))}]")
        arguments += [
            "id2label=dict(enumerate(labels))",
            "label2id={label: i for i, label in enumerate(labels)}",
        ]
    if "problem_type" in outputs:
        arguments.append(f"problem_type={_literal(outputs['problem_type'])}")
    return [*lines, f"model = {name}.from_pretrained({', '.join(arguments)})"]


def _literal(text: str) -> str:
    """A string of Python's that ends no block of Markdown."""
    return json.dumps(text, ensure_ascii=False).replace("`", "\\u0060")


def _transformers(info: BundleInfo, base: ResolvedBase, out: Path) -> list[str]:
    name = _auto_class(info, json.loads((out / "config.json").read_text(encoding="utf-8"))["model_type"])
    beside = [path.name for path in sorted(out.glob("head*.safetensors"))]
    return [
        f"from transformers import {name}, AutoTokenizer\n",
        f'model = {name}.from_pretrained("DIR")',
        'tokenizer = AutoTokenizer.from_pretrained("DIR")',
        *(f"# The weights of what answers, of no class of Transformers: {file}" for file in beside),
    ]


def _peft(info: BundleInfo, base: ResolvedBase, out: Path) -> list[str]:
    lines = _base_lines(info, base, "from peft import PeftModel")
    return [*lines, 'model = PeftModel.from_pretrained(model, "DIR")']


def _adapterhub(info: BundleInfo, base: ResolvedBase, out: Path) -> list[str]:
    several = (out / "adapter_setup.json").exists()
    load = "load_adapter_setup" if several else "load_adapter"
    lines = _base_lines(info, base, "import adapters")
    return [*lines, "adapters.init(model)", f'model.{load}("DIR", set_active=True, use_safetensors=True)']


def _sentence_transformers(info: BundleInfo, base: ResolvedBase, out: Path) -> list[str]:
    return [
        "from sentence_transformers import SentenceTransformer\n",
        'model = SentenceTransformer("DIR")',
        'vectors = model.encode(["A sentence.", "Ein Satz."])',
    ]


FORMS = {
    "transformers": Form("transformers", True, _transformers),
    "peft": Form("peft", False, _peft),
    "adapterhub": Form("adapter-transformers", False, _adapterhub),
    sentence_vectors.LIBRARY: Form(sentence_vectors.LIBRARY, True, _sentence_transformers),
}
