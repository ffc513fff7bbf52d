"""Does an intermediate task help, and where? Two cells, and the gain in each language.

python examples/gain.py [TASK]
"""

import sys

import adapter_stilts as stilts

task = sys.argv[1] if len(sys.argv) > 1 else "hellaswag"
results = stilts.train(
    inter=["none", task],
    target="tydiqa",
    mode="lora",
    recipe="miniature",
    limit_train=100,  # leave these two out for what the miniature can show
    limit_eval=10,
)
frame = results.frame()
after = frame[frame["inter"] == task]
print(after.pivot(index="language", columns="metric", values=["value", "gain"]).round(2).to_string())
