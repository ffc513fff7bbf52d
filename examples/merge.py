"""Two LoRA bundles become one without training, and the merged one starts a target's training.

python examples/merge.py
"""

import adapter_stilts as stilts

small = {"mode": "lora", "recipe": "miniature", "limit_train": 100, "limit_eval": 10}
trained = stilts.train(inter=["mnli", "squad_v1"], target="tatoeba", **small)  # retrieval trains nothing more
mnli, squad = (trained.cell(task, "tatoeba").bundle for task in ("mnli", "squad_v1"))

made = stilts.compose(f"0.5*{mnli} + 0.5*{squad}", out="mixed", no_head=True)
print(f"mixed: {made.tuning} of {made.task}")

results = stilts.train(inter=["none", "./mixed"], target="tydiqa", **small)
print(
    results.frame()
    .query("language != 'en'")
    .groupby(["inter", "metric"])["value"]
    .mean()
    .round(2)
    .to_string()
)
