"""What the page says of averaging is what the exported results say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adapter_stilts.report.collect import collect
from adapter_stilts.report.pairing import compare
from adapter_stilts.report.scores import spread

ROOT = Path(__file__).resolve().parents[1]
STORE = ROOT / "benchmarks" / "results" / "averaging.zip"
ROW = re.compile(
    r"^\| (tydiqa|panx|xnli) \| (\S+) ± (\S+) \| (\S+) ± (\S+) \| (\S+) \((\S+) to (\S+)\)", re.MULTILINE
)


def test_scores_and_differences_are_those_of_the_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADAPTER_STILTS_CACHE", str(tmp_path))
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8").replace("−", "-")
    told = {target: list(map(float, numbers)) for target, *numbers in ROW.findall(page)}
    assert told.keys() == {"tydiqa", "panx", "xnli"}
    runs: dict[tuple[str, int | None], dict[int | None, float]] = {}
    for one in collect(STORE).found:
        key = (one.cell.setting.target, one.cell.setting.averaged_steps)
        score = sum(map(one.score, one.averaged)) / len(one.averaged)
        runs.setdefault(key, {})[one.cell.seed] = score
    for target, (best, best_sd, mean, mean_sd, difference, low, high) in told.items():
        chosen, averaged = spread(runs[target, None]), spread(runs[target, 5])
        assert chosen.seeds == averaged.seeds == (0, 1, 2, 3, 4)
        assert (best, best_sd) == pytest.approx((chosen.mean, chosen.deviation), abs=0.006)
        assert (mean, mean_sd) == pytest.approx((averaged.mean, averaged.deviation), abs=0.006)
        row = compare(STORE, "average 5", "average none", target).records[-1]
        assert (difference, low, high) == pytest.approx(
            (row["difference"], row["low"], row["high"]), abs=0.006
        )
