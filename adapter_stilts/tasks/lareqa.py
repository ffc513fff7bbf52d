"""LAReQA (XQuAD-R): find the sentences, of all languages together, that answer a question; nothing is trained.

Data set   XQuAD-R, https://github.com/google-research-datasets/lareqa
Paper      Roy et al. 2020, https://arxiv.org/abs/2004.05484
Licence    CC BY-SA 4.0
Languages  ar de el en es hi ru th tr vi zh

Questions are in one language; the pool is every sentence of the paragraphs in all eleven, so each question has
eleven right answers. A language's examples are its questions and its share of the pool; the topics of a sentence are
the ids of the questions it answers.

One paragraph of xquad-r/de.json (`sentences` repeats what `sentence_breaks` cuts):

    {"context": "Die Lampe ist alt. Sie brannte ab 1822.", "sentence_breaks": [[0, 18], [19, 39]], "sentences": [...],
     "qas": [{"id": "q1", "question": "Ab wann?", "answers": [{"text": "1822", "answer_start": 34}]}]}
"""

from __future__ import annotations

from adapter_stilts.tasks.base import Files, Membership, Task
from adapter_stilts.tasks.pools import pool_row

# Those of XQuAD-R in the XTREME-R paper (Ruder et al. 2021); the official scorer's table of them is empty.
LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")

TASK = Task(
    name="lareqa",
    role="target",
    format="retrieval",
    metric=("map@20",),
    languages=LANGUAGES,
    train_task=None,
    dataset="LAReQA (XQuAD-R)",
    address="https://github.com/google-research-datasets/lareqa",
    paper="https://arxiv.org/abs/2004.05484",
    licence="CC BY-SA 4.0",
    no_hub="it holds no copy of XQuAD-R",
    benchmarks={"xtreme-r": Membership(10, read=False)},
    test_sizes=dict.fromkeys(LANGUAGES, 1190),
    files={
        "test": Files(
            ("xquad-r/{language}.json", "{language}.json"),
            "answer_sentences",
            pool_row,
        ),
    },
)
