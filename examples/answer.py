"""A trained bundle answers questions that nobody has labelled, and is evaluated in a language of one's choice.

python examples/answer.py
"""

import adapter_stilts as stilts
from adapter_stilts.miniature import MiniatureSource

results = stilts.train(target="tydiqa", mode="lora", recipe="miniature", limit_train=100, limit_eval=10)
bundle = stilts.load_bundle(results.cell("none", "tydiqa").bundle)
print(f"{bundle.info.task}, {bundle.info.tuning}, on {bundle.info.base}; English dev: {bundle.info.metrics}")

questions = MiniatureSource().examples(stilts.get_task("tydiqa"), "test", "qaa", {})[:3]
for question, answer in zip(questions, bundle.predict(questions), strict=True):
    print(f"{question.question!r}: {answer!r}")

scores = stilts.evaluate(bundle, "xquad", languages=["qaa"], recipe="miniature", limit_eval=10)
print(scores.frame()[["target", "language", "metric", "value", "n"]].to_string(index=False))
