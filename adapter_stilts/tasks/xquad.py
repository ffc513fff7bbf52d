"""XQuAD: 240 paragraphs and 1,190 questions of SQuAD 1.1's dev set, translated into ten languages by people.

Data set   XQuAD, https://github.com/google-deepmind/xquad (hub: google/xtreme, config XQuAD.<language>)
Paper      Artetxe et al. 2020, https://arxiv.org/abs/1910.11856
Licence    CC BY-SA 4.0
Languages  en ar de el es hi ru th tr vi zh; trained on English SQuAD 1.1 (ro is in XTREME-R only)

One article of xquad.de.json; some contexts begin with U+FEFF, and `answer_start` counts it:

    {"paragraphs": [{"context": "Die Lampe brannte ab 1822.", "qas": [
      {"id": "q1", "question": "Ab wann?", "answers": [{"text": "1822", "answer_start": 21}]}]}]}
"""

from __future__ import annotations

from adapter_stilts.tasks.base import Files, Hub, Membership, Task
from adapter_stilts.tasks.columns import asked

LANGUAGES = ("en", "ar", "de", "el", "es", "hi", "ru", "th", "tr", "vi", "zh")

TASK = Task(
    name="xquad",
    role="target",
    format="span_qa",
    metric=("exact_match", "f1"),
    languages=LANGUAGES,
    train_task="squad_v1",
    dataset="XQuAD",
    address="https://github.com/google-deepmind/xquad",
    paper="https://arxiv.org/abs/1910.11856",
    licence="CC BY-SA 4.0",
    benchmarks={
        "xtreme": Membership(5, ("qa",)),
        "xtreme-r": Membership(5, ("qa",), more=("ro",)),
    },
    test_sizes=dict.fromkeys(LANGUAGES, 1190),
    files={"test": Files(("xquad.{language}.json",), "squad_json", asked)},
    hub={"test": Hub("google/xtreme", "XQuAD.{language}", "validation", asked)},
)
