"""Belebele: which of four answers to a question on a short passage of FLORES is right?

Data set   Belebele, https://github.com/facebookresearch/belebele (hub: facebook/belebele, a config a language)
Paper      Bandarkar et al. 2024, https://arxiv.org/abs/2308.16884
Licence    CC BY-SA 4.0
Languages  122 variants of 115 languages, 900 questions in each, all parallel; six of them romanised (hi-Latn)

There is a test set alone. Trained on English CosmosQA, which of the choice tasks here is alone in its shape: a passage
with a question, and four answers. The paper trains on RACE and five others, which are not shipped; one that is declared
as a task of your own takes CosmosQA's place with target.train_task. A prompt that is too long is cut at its start, so
the question stays; formats.multiple_choice.max_length of 512 cuts the fewest passages.

One row of deu_Latn.jsonl; the hub's columns are taken to be the same, which is not checked here:

    {"link": "https://…", "question_number": 1, "flores_passage": "Die Fähre fährt um zwölf …",
     "question": "Wann fährt die Fähre?", "mc_answer1": "mittags", "mc_answer2": "nachts", "mc_answer3": "nie",
     "mc_answer4": "täglich", "correct_answer_num": "1", "dialect": "deu_Latn", "ds": "2023-05-03"}
"""

from __future__ import annotations

from adapter_stilts.formats.examples import MultipleChoiceExample
from adapter_stilts.tasks.africa import african
from adapter_stilts.tasks.base import INDEX, Files, Hub, Membership, Row, Task
from adapter_stilts.tasks.columns import label, text, value
from adapter_stilts.tasks.flores import codes_of

NUMBERS = ("1", "2", "3", "4")

CODES = codes_of("""
    acm_Arab afr_Latn als_Latn amh_Ethi apc_Arab arb_Arab arb_Latn ars_Arab ary_Arab arz_Arab asm_Beng azj_Latn
    bam_Latn ben_Beng ben_Latn bod_Tibt bul_Cyrl cat_Latn ceb_Latn ces_Latn ckb_Arab dan_Latn deu_Latn ell_Grek
    eng_Latn est_Latn eus_Latn fin_Latn fra_Latn fuv_Latn gaz_Latn grn_Latn guj_Gujr hat_Latn hau_Latn heb_Hebr
    hin_Deva hin_Latn hrv_Latn hun_Latn hye_Armn ibo_Latn ilo_Latn ind_Latn isl_Latn ita_Latn jav_Latn jpn_Jpan
    kac_Latn kan_Knda kat_Geor kaz_Cyrl kea_Latn khk_Cyrl khm_Khmr kin_Latn kir_Cyrl kor_Hang lao_Laoo lin_Latn
    lit_Latn lug_Latn luo_Latn lvs_Latn mal_Mlym mar_Deva mkd_Cyrl mlt_Latn mri_Latn mya_Mymr nld_Latn nob_Latn
    npi_Deva npi_Latn nso_Latn nya_Latn ory_Orya pan_Guru pbt_Arab pes_Arab plt_Latn pol_Latn por_Latn ron_Latn
    rus_Cyrl shn_Mymr sin_Latn sin_Sinh slk_Latn slv_Latn sna_Latn snd_Arab som_Latn sot_Latn spa_Latn srp_Cyrl
    ssw_Latn sun_Latn swe_Latn swh_Latn tam_Taml tel_Telu tgk_Cyrl tgl_Latn tha_Thai tir_Ethi tsn_Latn tso_Latn
    tur_Latn ukr_Cyrl urd_Arab urd_Latn uzn_Latn vie_Latn war_Latn wol_Latn xho_Latn yor_Latn zho_Hans zho_Hant
    zsm_Latn zul_Latn
""")

LANGUAGES = tuple(CODES)


def release_row(row: Row) -> MultipleChoiceExample:
    """The prompt is the passage and the question on it, as CosmosQA's; answers are counted from 1."""
    number = {"number": str(value(row, "correct_answer_num"))}
    return MultipleChoiceExample(
        id=str(row[INDEX]),
        prompt=f"{text(row, 'flores_passage')} {text(row, 'question')}",
        choices=tuple(text(row, f"mc_answer{each}") for each in NUMBERS),
        label=NUMBERS.index(label(number, "number", NUMBERS)),
    )


TASK = Task(
    name="belebele",
    role="target",
    format="multiple_choice",
    metric=("accuracy",),
    languages=LANGUAGES,
    train_task="cosmosqa",
    dataset="Belebele",
    address="https://github.com/facebookresearch/belebele",
    paper="https://arxiv.org/abs/2308.16884",
    licence="CC BY-SA 4.0",
    codes=CODES,
    benchmarks={"africa": Membership(4, ("multi_choice",), only=african(LANGUAGES))},
    test_sizes=dict.fromkeys(LANGUAGES, 900),
    files={
        "test": Files(("Belebele/{code}.jsonl", "data/{code}.jsonl", "{code}.jsonl"), "jsonl", release_row)
    },
    hub={"test": Hub("facebook/belebele", "{code}", "test", release_row)},
)
