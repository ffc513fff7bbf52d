"""Which languages are Africa's: those that the benchmark `africa` has a task in.

Languages that more people write outside Africa (Arabic, English, French, Portuguese) are none of them, Arabic as it is
spoken in Egypt, Morocco and Tunisia is.
"""

from __future__ import annotations

from collections.abc import Iterable

# fmt: off
AFRICAN = frozenset((
    "aeb", "af", "ak", "am", "ary", "arz", "bbj", "bem", "bm", "cjk", "dik", "dyu", "ee", "ff", "fon", "ha",
    "ig", "kab", "kam", "kbp", "kea", "kg", "ki", "kmb", "kr", "lg", "ln", "lua", "luo", "mg", "mos", "nso",
    "nus", "ny", "om", "pcm", "rn", "rw", "sg", "sn", "so", "ss", "st", "sw", "taq", "ti", "tn", "ts", "tum",
    "tw", "tzm", "umb", "wo", "xh", "yo", "zu",
))
# fmt: on


def african(languages: Iterable[str]) -> tuple[str, ...]:
    """Those of some languages that are Africa's, in their order."""
    return tuple(language for language in languages if language.partition("-")[0] in AFRICAN)
