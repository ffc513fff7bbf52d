"""FLORES-200's names of languages, and ours: what Belebele and others built on its sentences share.

FLORES names a language by ISO 639-3 and its script, ``deu_Latn``. Ours are ISO codes of two letters where there are
any, else three, as XTREME has them: ``de``, ``fa`` for ``pes_Arab``, ``zh`` for ``zho_Hans``. A language in another
script than its usual one has that behind a hyphen: ``zh-Hant``, ``hi-Latn``.
"""

from __future__ import annotations

from collections.abc import Mapping

# fmt: off
TWO_LETTERS: Mapping[str, str] = {
    "afr": "af", "aka": "ak", "als": "sq", "amh": "am", "arb": "ar", "asm": "as", "ayr": "ay", "azj": "az", "bak": "ba",
    "bam": "bm", "bel": "be", "ben": "bn", "bod": "bo", "bos": "bs", "bul": "bg", "cat": "ca", "ces": "cs", "cym": "cy",
    "dan": "da", "deu": "de", "dzo": "dz", "ell": "el", "eng": "en", "epo": "eo", "est": "et", "eus": "eu", "ewe": "ee",
    "fao": "fo", "fij": "fj", "fin": "fi", "fra": "fr", "fuv": "ff", "gaz": "om", "gla": "gd", "gle": "ga", "glg": "gl",
    "grn": "gn", "guj": "gu", "hat": "ht", "hau": "ha", "heb": "he", "hin": "hi", "hrv": "hr", "hun": "hu", "hye": "hy",
    "ibo": "ig", "ind": "id", "isl": "is", "ita": "it", "jav": "jv", "jpn": "ja", "kan": "kn", "kas": "ks", "kat": "ka",
    "kaz": "kk", "khk": "mn", "khm": "km", "kik": "ki", "kin": "rw", "kir": "ky", "kmr": "ku", "knc": "kr", "kon": "kg",
    "kor": "ko", "lao": "lo", "lim": "li", "lin": "ln", "lit": "lt", "ltz": "lb", "lug": "lg", "lvs": "lv", "mal": "ml",
    "mar": "mr", "mkd": "mk", "mlt": "mt", "mri": "mi", "mya": "my", "nld": "nl", "nno": "nn", "nob": "nb", "npi": "ne",
    "nya": "ny", "oci": "oc", "ory": "or", "pan": "pa", "pbt": "ps", "pes": "fa", "plt": "mg", "pol": "pl", "por": "pt",
    "quy": "qu", "ron": "ro", "run": "rn", "rus": "ru", "sag": "sg", "san": "sa", "sin": "si", "slk": "sk", "slv": "sl",
    "smo": "sm", "sna": "sn", "snd": "sd", "som": "so", "sot": "st", "spa": "es", "srd": "sc", "srp": "sr", "ssw": "ss",
    "sun": "su", "swe": "sv", "swh": "sw", "tam": "ta", "tat": "tt", "tel": "te", "tgk": "tg", "tgl": "tl", "tha": "th",
    "tir": "ti", "tsn": "tn", "tso": "ts", "tuk": "tk", "tur": "tr", "twi": "tw", "uig": "ug", "ukr": "uk", "urd": "ur",
    "uzn": "uz", "vie": "vi", "wol": "wo", "xho": "xh", "ydd": "yi", "yor": "yo", "zho": "zh", "zsm": "ms", "zul": "zu",
}
"""Of ISO 639-3; of a language that has two letters only together with its neighbours (``swh``), those."""

OTHER_SCRIPTS = frozenset((
    "ace_Arab", "arb_Latn", "ben_Latn", "bjn_Arab", "hin_Latn", "kas_Deva", "knc_Latn", "min_Arab", "npi_Latn",
    "sin_Latn", "taq_Tfng", "urd_Latn", "zho_Hant",
))
# fmt: on


def code_of(name: str) -> str:
    """Our code of one of FLORES's names."""
    language, _, script = name.partition("_")
    code = TWO_LETTERS.get(language, language)
    return f"{code}-{script}" if name in OTHER_SCRIPTS else code


def codes_of(names: str) -> dict[str, str]:
    """Our codes, sorted, with FLORES's names: what `Task.codes` wants of a task whose files are named so.

    Args:
        names: FLORES's, with blanks between.
    """
    found = {code_of(name): name for name in names.split()}
    return dict(sorted(found.items()))
