"""Exports to sentence-transformers: its layout, and vectors that are those of our retrieval.

The library itself is not installed where this runs: what it does with these files (load the checkpoint at the root with
AutoModel, tokenise to `max_seq_length`, pool by `1_Pooling/config.json`) is done by hand.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapter_stilts.errors import UsageError
from adapter_stilts.evaluation.predict import predict
from adapter_stilts.formats import get_format, retrieval
from adapter_stilts.formats.examples import RetrievalExample
from adapter_stilts.model.backbone import load_encoder, load_tokenizer, resolve_base
from adapter_stilts.model.bundle import read_bundle, write_bundle
from adapter_stilts.model.bundle_info import BundleInfo
from adapter_stilts.model.export import Choice, check_export, export
from adapter_stilts.model.heads import build_head
from adapter_stilts.model.task_model import TaskModel, states_of_layer
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.recipe import Base

# Transformers warns of heads that start at random; DeBERTa is compiled with torch.jit where it is imported.
pytestmark = [
    pytest.mark.filterwarnings(r"ignore:`torch.jit.script:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:UserWarning"),
]
TEXTS = [
    "The lamp of Riga was lit yesterday in 1800.",
    "Lampe in Riga: angezündet im Jahr 1807.",
    "Who?",
    "lit " * 300,
]
DEPTH = 3
SMALL = {
    "vocab_size": 300, "hidden_size": 32, "num_hidden_layers": DEPTH, "num_attention_heads": 2, "intermediate_size": 48,
    "max_position_embeddings": 140, "initializer_range": 0.2,
}  # fmt: skip
FAMILIES: dict[str, tuple[str, dict[str, Any], str]] = {
    "xlm-roberta": ("XLMRobertaConfig", {**SMALL, "type_vocab_size": 1, "pad_token_id": 1}, "XLMRobertaModel"),
    "bert": ("BertConfig", {**SMALL, "pad_token_id": 1}, "BertModel"),
    "distilbert": (
        "DistilBertConfig",
        {"vocab_size": 300, "dim": 32, "n_layers": DEPTH, "n_heads": 2, "hidden_dim": 48,
         "max_position_embeddings": 140, "pad_token_id": 1},
        "DistilBertModel",
    ),
    "deberta-v2": (
        "DebertaV2Config",
        {**SMALL, "pad_token_id": 1, "relative_attention": True, "position_buckets": 8, "pos_att_type": ["p2c", "c2p"],
         "position_biased_input": False, "share_att_key": True, "norm_rel_ebd": "layer_norm", "type_vocab_size": 0},
        "DebertaV2Model",
    ),
    "modernbert": (
        "ModernBertConfig",
        {**SMALL, "pad_token_id": 1, "cls_token_id": 0, "sep_token_id": 2, "bos_token_id": 0, "eos_token_id": 2,
         "local_attention": 8},
        "ModernBertModel",
    ),
    "mt5": (
        "MT5Config",
        {"vocab_size": 300, "d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": DEPTH, "num_heads": 2,
         "decoder_start_token_id": 0, "pad_token_id": 1},
        "MT5ForConditionalGeneration",
    ),
}  # fmt: skip
# Their last layer's output is normalised once more.
NORMALISING = ("modernbert", "mt5")


@pytest.fixture
def base_of(tiny_base: Path, tmp_path: Path) -> Any:
    import transformers

    def call(family: str) -> Path:
        config_class, arguments, model_class = FAMILIES[family]
        folder = tmp_path / "base"
        torch.manual_seed(0)
        getattr(transformers, model_class)(getattr(transformers, config_class)(**arguments)).save_pretrained(
            folder
        )
        for path in tiny_base.glob("*token*"):
            shutil.copy(path, folder)
        return folder

    return call


def bundle_of(base: Path, mode: str, folder: Path) -> tuple[Path, TaskModel]:
    """A bundle of a classifier whose every tensor has moved, and the encoder it was saved from."""
    tuning, labels = get_tuning(mode), ("a", "b", "c")
    encoder = load_encoder(str(base), None, None, False)
    model = TaskModel(encoder, build_head("pair_classification", labels, encoder.config), None)
    tuning.attach(model, tuning.Settings(), 3)
    generator = torch.Generator().manual_seed(3)
    for tensor in tuning.state(model).values():
        tensor += 0.1 * torch.randn(tensor.shape, generator=generator)
    resolved = resolve_base(Base(id=str(base)))
    folder.mkdir()
    tuning.save(model, folder, "pair_classification", labels)
    info = BundleInfo(
        tuning=mode, base=str(base), base_revision=None, base_fingerprint=resolved.fingerprint, task="snli",
        format="pair_classification", labels=labels, settings={"seed": 0}, parents=(), metrics={}, versions={},
    )  # fmt: skip
    write_bundle(folder, info, load_tokenizer(resolved))
    return folder, TaskModel(encoder, None, None).eval()


def ours(model: TaskModel, tokenizer: Any, layer: int, max_length: int) -> np.ndarray[Any, Any]:
    """Vectors as evaluations of retrieval make them."""
    settings = retrieval.Settings(layer=layer, max_length=max_length)
    examples = [RetrievalExample(str(n), text, "english", n) for n, text in enumerate(TEXTS)]
    features = retrieval.encode(examples, tokenizer, settings, ())
    with states_of_layer(model, layer):
        found = predict(model, get_format("retrieval"), features, settings, 4096)["vector"]
    assert isinstance(found, np.ndarray)
    return found


def theirs(folder: Path) -> np.ndarray[Any, Any]:
    """Vectors as sentence-transformers makes them, from the files alone."""
    import transformers

    modules = json.loads((folder / "modules.json").read_text())
    assert [(m["idx"], m["path"], m["type"].rpartition(".")[2]) for m in modules] == [
        (0, "", "Transformer"), (1, "1_Pooling", "Pooling"),
    ]  # fmt: skip
    asked = json.loads((folder / "sentence_bert_config.json").read_text())
    config = transformers.AutoConfig.from_pretrained(folder)
    loads = {"mt5": "MT5EncoderModel"}.get(config.model_type, "AutoModel")
    model, loading = getattr(transformers, loads).from_pretrained(folder, output_loading_info=True)
    assert not loading["unexpected_keys"]
    assert not [name for name in loading["missing_keys"] if "pooler" not in name]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    taken = tokenizer(
        TEXTS,
        padding=True,
        truncation="longest_first",
        return_tensors="pt",
        max_length=asked["max_seq_length"],
    )
    pooling = json.loads((folder / "1_Pooling" / "config.json").read_text())
    assert [name for name, on in pooling.items() if name.startswith("pooling_mode_") and on] == [
        "pooling_mode_mean_tokens"
    ]
    with torch.inference_mode():
        states = model.eval()(
            input_ids=taken["input_ids"], attention_mask=taken["attention_mask"]
        ).last_hidden_state
    assert states.shape[-1] == pooling["word_embedding_dimension"]
    mask = taken["attention_mask"][..., None].float()
    return np.asarray(((states * mask).sum(1) / mask.sum(1).clamp(min=1e-9)).numpy())


def exported(bundle: Path, **choice: Any) -> tuple[Path, BundleInfo]:
    info = read_bundle(bundle)
    out = bundle.parent / "vectors"
    out.mkdir()
    base = resolve_base(Base(id=str(bundle) if get_tuning(info.tuning).WHOLE else info.base))
    return out, export(bundle, "sentence-transformers", Choice(**choice), out, base, "adapter-stilts export")


@pytest.mark.parametrize("mode", ["full", "lora", "ia3"])
@pytest.mark.parametrize("layer", [None, 1, DEPTH])
def test_vectors_are_those_of_retrieval(base_of: Any, tmp_path: Path, mode: str, layer: int | None) -> None:
    base = base_of("xlm-roberta")
    bundle, model = bundle_of(base, mode, tmp_path / "bundle")
    out, info = exported(bundle, layer=layer)
    kept = layer or retrieval.layer_for(retrieval.Settings(), DEPTH)
    assert info.settings["export"]["layer"] == kept
    assert json.loads((out / "config.json").read_text())["num_hidden_layers"] == kept
    tokenizer = load_tokenizer(resolve_base(Base(id=str(base))))
    longest = json.loads((out / "sentence_bert_config.json").read_text())["max_seq_length"]
    assert longest == 138
    assert float(np.abs(theirs(out) - ours(model, tokenizer, kept, longest)).max()) < 1e-5
    # A bundle again, which our own evaluation reads as it is.
    assert read_bundle(out).format == "none"
    again = TaskModel(load_encoder(str(out), None, None, False), None, None).eval()
    assert (
        float(np.abs(ours(again, tokenizer, kept, longest) - ours(model, tokenizer, kept, longest)).max())
        < 1e-5
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_cut_or_says_why_not(base_of: Any, tmp_path: Path, family: str) -> None:
    base = base_of(family)
    bundle, model = bundle_of(base, "lora", tmp_path / "bundle")
    layer = None
    if family in NORMALISING:
        with pytest.raises(
            UsageError, match=rf"'{family}' normalises its last layer's .*--layer {DEPTH} exports"
        ):
            exported(bundle)
        shutil.rmtree(tmp_path / "vectors")
        layer = DEPTH
    out, info = exported(bundle, layer=layer)
    kept = info.settings["export"]["layer"]
    longest = json.loads((out / "sentence_bert_config.json").read_text())["max_seq_length"]
    tokenizer = load_tokenizer(resolve_base(Base(id=str(base))))
    assert float(np.abs(theirs(out) - ours(model, tokenizer, kept, longest)).max()) < 1e-5


def test_what_is_refused(base_of: Any, tmp_path: Path) -> None:
    bundle, _ = bundle_of(base_of("xlm-roberta"), "lora", tmp_path / "bundle")
    info = read_bundle(bundle)
    for layer in (0, DEPTH + 1, -1):
        with pytest.raises(UsageError, match=rf"--layer {layer}: .* states after its layers 1 to {DEPTH}"):
            exported(bundle, layer=layer)
        (tmp_path / "vectors").rmdir()
    with pytest.raises(UsageError, match=r"--layer 1: --to transformers pools nothing"):
        check_export("transformers", info, Choice(layer=1))
    with pytest.raises(UsageError, match=r"--head x: --to sentence-transformers writes vectors"):
        check_export("sentence-transformers", info, Choice(head="x"))
    with pytest.raises(UsageError, match=r"of a bundle of --mode adapter: bottlenecks"):
        check_export("sentence-transformers", info.model_copy(update={"tuning": "adapter"}), Choice())
    from adapter_stilts.model.sentence_vectors import check_type

    with pytest.raises(UsageError, match="'umt5' with its decoder"):
        check_type("umt5")


def test_the_card(base_of: Any, tmp_path: Path) -> None:
    bundle, _ = bundle_of(base_of("xlm-roberta"), "lora", tmp_path / "bundle")
    out, _ = exported(bundle, layer=2)
    card = (out / "README.md").read_text()
    assert "library_name: sentence-transformers\n" in card
    assert "after layer 2, which is the last that is kept" in card
    assert "--set formats.retrieval.layer=2" in card
    code = card.split("```python\n")[1].split("```")[0].replace('"DIR"', repr(str(out)))
    compile(code, "card", "exec")
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["vectors"].shape == (2, 32)


def test_a_list_of_modules_that_names_other_code_is_no_bundle(base_of: Any, tmp_path: Path) -> None:
    from adapter_stilts.errors import BundleError
    from adapter_stilts.io import sha256_file

    bundle, _ = bundle_of(base_of("xlm-roberta"), "lora", tmp_path / "bundle")
    out, _ = exported(bundle)
    path, listing = out / "modules.json", out / "SHA256SUMS"
    before = sha256_file(path)
    modules = json.loads(path.read_text())
    path.write_text(json.dumps([*modules, {"idx": 2, "name": "2", "path": "", "type": "their.code"}]))
    listing.write_text(listing.read_text().replace(before, sha256_file(path)))
    with pytest.raises(
        BundleError, match=r"modules\.json: names other modules than an encoder and its pooling"
    ):
        read_bundle(out)
