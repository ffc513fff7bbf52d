"""BUCC 2018: find the sentences of two large texts that translate each other; nothing is trained.

Data set   BUCC 2018 shared task, https://comparable.limsi.fr/bucc2018
Paper      Zweigenbaum et al. 2018, https://comparable.limsi.fr/bucc2018/bucc2018-task.html
Licence    research use
Languages  de fr ru zh, each against English

A similarity from which on two sentences are a pair is chosen on the release's *sample* set (dev) of each language,
and applied to its *training* set, which XTREME uses as test because the gold pairs of the release's own test set are
not published. XTREME's scripts rename the files to dev and test, and take the gold pairs of test away.

One line each of de-en.sample.de, de-en.sample.en and de-en.sample.gold:

    de-000000007    Das Wasser ist kalt.
    en-000000031    The water is cold.
    de-000000007    en-000000031
"""

from __future__ import annotations

from adapter_stilts.tasks.base import Files, Membership, Task
from adapter_stilts.tasks.pools import pool_row


def files(part: str, *, gold: bool) -> Files:
    name = f"{{language}}-en.{part}"
    beside = (f"{name}.en", f"{name}.gold")[: 2 if gold else 1]
    return Files(
        (f"{{language}}-en/{name}.{{language}}", f"{name}.{{language}}"), "mining", pool_row, beside=beside
    )


TASK = Task(
    name="bucc2018",
    role="target",
    format="retrieval",
    metric=("f1",),
    languages=("de", "fr", "ru", "zh"),
    train_task=None,
    dataset="BUCC 2018",
    address="https://comparable.limsi.fr/bucc2018",
    paper="https://comparable.limsi.fr/bucc2018/bucc2018-task.html",
    licence="research use",
    no_hub="google/xtreme holds the gold pairs of BUCC 2018 only, not the texts they are to be found in",
    benchmarks={"xtreme": Membership(8, ("retrieval",))},
    files={
        "dev": (files("sample", gold=True), files("dev", gold=True)),
        "test": (files("training", gold=True), files("test", gold=True), files("test", gold=False)),
    },
)
