"""How many predictions each file of a submission holds: the sizes of the benchmarks' test sets.

Source: the published dataset_infos of google/xtreme and cambridgeltl/xcopa on the hub, and the questions of XQuAD
and XQuAD-R (the same 1,190 in each language). Where a size is not published there (what XTREME-R adds, TyDiQA's
languages one by one, mined pairs, Mewsli-X) nothing is compared.
"""

from __future__ import annotations

from collections.abc import Mapping

from adapter_stilts.evaluation.membership import XTREME


def _sizes(text: str) -> dict[str, int]:
    words = text.split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


# Task -> language -> size, with the size of all other languages of XTREME under "".
SIZES: Mapping[str, Mapping[str, int]] = {
    "xnli": {"": 5010},
    "pawsx": {"": 2000, "ko": 1999},
    "xcopa": {"": 500},
    "xquad": {"": 1190},
    "lareqa": {"": 1190},
    "mlqa": _sizes("ar 5335 de 4517 en 11590 es 5253 hi 4918 vi 5495 zh 5137"),
    "udpos": _sizes(
        "af 425 ar 1680 bg 1116 de 22458 el 2809 en 5440 es 3147 et 3760 eu 1799 fa 600 fi 4422 fr 9465 he 491 "
        "hi 2684 hu 449 id 1557 it 3518 ja 2372 kk 1047 ko 4276 mr 47 nl 1471 pt 2681 ru 11336 ta 120 te 146 "
        "th 1000 tl 55 tr 4785 ur 535 vi 800 yo 100 zh 5528"
    ),
    "panx": {
        "": 10000,
        **_sizes(
            "af 1000 bn 1000 hi 1000 kk 1000 ml 1000 mr 1000 ms 1000 sw 1000 ta 1000 te 1000 tl 1000 ur 1000"
        ),
        **_sizes("jv 100 my 100 yo 100"),
    },
    "tatoeba": {"": 1000, **_sizes("jv 205 te 234 ta 307 sw 390 th 548 kk 575 ml 687 ka 746")},
}


def size_of(task: str, language: str) -> int | None:
    """Predictions in a complete file of a task and language; None where that is not known."""
    sizes = SIZES.get(task, {})
    added = task in XTREME.languages and language not in XTREME.languages[task]
    return None if added else sizes.get(language, sizes.get(""))
