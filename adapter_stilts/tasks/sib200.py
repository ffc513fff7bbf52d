"""SIB-200: which of seven topics is a sentence of Wikinews, Wikijunior or Wikivoyage about?

Data set   SIB-200, https://github.com/dadelani/sib-200 (hub: Davlan/sib200, config eng_Latn, deu_Latn ...)
Paper      Adelani et al. 2024, https://arxiv.org/abs/2309.07445
Licence    CC BY-SA 4.0
Languages  204 sentences of FLORES-200 to test in each of 205; here those that XTREME-R or XLM-R know, and more of
           Africa's, by their codes of two letters; trained on 701
           sentences of English, whose translations can be trained on as well (--inter-languages)

One row of data/annotated/eng_Latn/train.tsv. Fields with a quote in them stand in quotes, as pandas writes them:

    index_id  category  text
    1028      sports    The second match was called off after heavy rain.

Left out are languages of XLM-R that FLORES-200 has not (br, fy, la). Not checked against the data, which were not at
hand: the number of rows (as the paper has them) and that every config of the hub is named as the release's folder is.
"""

from __future__ import annotations

from adapter_stilts.formats.examples import TextClassificationExample
from adapter_stilts.tasks.africa import african
from adapter_stilts.tasks.base import Files, Hub, Membership, Row, Task
from adapter_stilts.tasks.columns import label, text, value

LABELS = (
    "science/technology",
    "travel",
    "politics",
    "sports",
    "health",
    "entertainment",
    "geography",
)

# fmt: off
CODES = {
    "en": "eng_Latn",
    "af": "afr_Latn", "am": "amh_Ethi", "ar": "arb_Arab", "as": "asm_Beng", "az": "azj_Latn", "be": "bel_Cyrl",
    "bg": "bul_Cyrl", "bm": "bam_Latn", "bn": "ben_Beng", "bs": "bos_Latn", "ca": "cat_Latn", "cs": "ces_Latn",
    "cy": "cym_Latn", "da": "dan_Latn", "de": "deu_Latn", "ee": "ewe_Latn", "el": "ell_Grek", "eo": "epo_Latn",
    "es": "spa_Latn", "et": "est_Latn", "eu": "eus_Latn", "fa": "pes_Arab", "ff": "fuv_Latn", "fi": "fin_Latn",
    "fr": "fra_Latn", "ga": "gle_Latn", "gd": "gla_Latn", "gl": "glg_Latn", "gu": "guj_Gujr", "ha": "hau_Latn",
    "he": "heb_Hebr", "hi": "hin_Deva", "hr": "hrv_Latn", "ht": "hat_Latn", "hu": "hun_Latn", "hy": "hye_Armn",
    "id": "ind_Latn", "ig": "ibo_Latn", "is": "isl_Latn", "it": "ita_Latn", "ja": "jpn_Jpan", "jv": "jav_Latn",
    "ka": "kat_Geor", "kg": "kon_Latn", "ki": "kik_Latn", "kk": "kaz_Cyrl", "km": "khm_Khmr", "kn": "kan_Knda",
    "ko": "kor_Hang", "ku": "kmr_Latn", "ky": "kir_Cyrl", "lg": "lug_Latn", "ln": "lin_Latn", "lo": "lao_Laoo",
    "lt": "lit_Latn", "lv": "lvs_Latn", "mg": "plt_Latn", "mk": "mkd_Cyrl", "ml": "mal_Mlym", "mn": "khk_Cyrl",
    "mr": "mar_Deva", "ms": "zsm_Latn", "my": "mya_Mymr", "ne": "npi_Deva", "nl": "nld_Latn", "no": "nob_Latn",
    "ny": "nya_Latn", "om": "gaz_Latn", "or": "ory_Orya", "pa": "pan_Guru", "pl": "pol_Latn", "ps": "pbt_Arab",
    "pt": "por_Latn", "qu": "quy_Latn", "rn": "run_Latn", "ro": "ron_Latn", "ru": "rus_Cyrl", "rw": "kin_Latn",
    "sa": "san_Deva", "sd": "snd_Arab", "si": "sin_Sinh", "sk": "slk_Latn", "sl": "slv_Latn", "sn": "sna_Latn",
    "so": "som_Latn", "sq": "als_Latn", "sr": "srp_Cyrl", "ss": "ssw_Latn", "st": "sot_Latn", "su": "sun_Latn",
    "sv": "swe_Latn", "sw": "swh_Latn", "ta": "tam_Taml", "te": "tel_Telu", "th": "tha_Thai", "ti": "tir_Ethi",
    "tl": "tgl_Latn", "tn": "tsn_Latn", "tr": "tur_Latn", "ts": "tso_Latn", "tw": "twi_Latn", "ug": "uig_Arab",
    "uk": "ukr_Cyrl", "ur": "urd_Arab", "uz": "uzn_Latn", "vi": "vie_Latn", "wo": "wol_Latn", "xh": "xho_Latn",
    "yi": "ydd_Hebr", "yo": "yor_Latn", "zh": "zho_Hans", "zu": "zul_Latn",
}
# fmt: on
"""FLORES-200's code of each language; of those with several scripts or varieties the one that XLM-R read."""


def row(row: Row) -> TextClassificationExample:
    return TextClassificationExample(
        id=str(value(row, "index_id")), text=text(row, "text"), label=label(row, "category", LABELS)
    )


def release(split: str) -> Files:
    patterns = (f"data/annotated/{{code}}/{split}.tsv", f"{{code}}/{split}.tsv")
    return Files(patterns, "csv", row, options={"delimiter": "\t"})


def hub(split: str) -> Hub:
    return Hub("Davlan/sib200", "{code}", split, row)


TASK = Task(
    name="sib200",
    role="target",
    format="text_classification",
    metric=("accuracy",),
    languages=tuple(CODES),
    train_task="sib200",
    dataset="SIB-200",
    address="https://github.com/dadelani/sib-200",
    paper="https://arxiv.org/abs/2309.07445",
    licence="CC BY-SA 4.0",
    labels=LABELS,
    codes=CODES,
    benchmarks={"africa": Membership(5, ("classification",), only=african(tuple(CODES)))},
    test_sizes=dict.fromkeys(CODES, 204),
    files={"train": release("train"), "dev": release("dev"), "test": release("test")},
    hub={"train": hub("train"), "dev": hub("validation"), "test": hub("test")},
)
