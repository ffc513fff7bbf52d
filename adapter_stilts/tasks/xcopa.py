"""XCOPA: COPA's question, translated into eleven languages by people.

Data set   XCOPA, https://github.com/cambridgeltl/xcopa (hub: cambridgeltl/xcopa)
Paper      Ponti et al. 2020, https://arxiv.org/abs/2005.00333
Licence    CC BY 4.0
Languages  et ht id it qu sw ta th tr vi zh; trained on English Social IQa

The dev sets are in the same languages, none in English, and not read: nothing is chosen on a target language.
XTREME-R trains on Social IQa and then on COPA: here on Social IQa, or on COPA with target.train_task=copa, which after
--inter siqa is both.

One row of data/it/test.it.jsonl:

    {"premise": "La lampada si spense.", "choice1": "L'olio era finito.", "choice2": "Passarono delle navi.",
     "question": "cause", "label": 0, "idx": 3, "changed": false}
"""

from __future__ import annotations

from adapter_stilts.tasks.base import Files, Hub, Membership, Task
from adapter_stilts.tasks.copa import release_row

LANGUAGES = ("et", "ht", "id", "it", "qu", "sw", "ta", "th", "tr", "vi", "zh")

# The release's folders, and XTREME-R's one.
RELEASE = (
    "data/{language}/test.{language}.jsonl",
    "{language}/test.{language}.jsonl",
    "test.{language}.jsonl",
)

TASK = Task(
    name="xcopa",
    role="target",
    format="multiple_choice",
    metric=("accuracy",),
    languages=LANGUAGES,
    train_task="siqa",
    dataset="XCOPA",
    address="https://github.com/cambridgeltl/xcopa",
    paper="https://arxiv.org/abs/2005.00333",
    licence="CC BY 4.0",
    benchmarks={"xtreme-r": Membership(2, ("classification", "multi_choice"))},
    test_sizes=dict.fromkeys(LANGUAGES, 500),
    files={"test": Files(RELEASE, "jsonl", release_row)},
    hub={"test": Hub("cambridgeltl/xcopa", "{language}", "test", release_row)},
)
