"""Many comparisons at once: of forty languages two differ at 0.05 where none does."""

from __future__ import annotations

from collections.abc import Mapping

from adapter_stilts.errors import UsageError


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values adjusted so that the chance of even one false finding among all is at most the level asked for.

    Holm 1979, Scandinavian Journal of Statistics 6: the least is multiplied by their number, the next by one less, and
    so on; none falls below the one before it, none exceeds 1. Holds whatever the p-values' dependence. For languages of
    one comparison: Dror et al. 2017 (ACL Q17-1033).

    Args:
        p_values: by language, or by whatever is looked at together.

    Returns:
        By the same names, in the same order.

    Raises:
        UsageError: a p-value is no probability.
    """
    for name, value in p_values.items():
        if not 0 <= value <= 1:
            raise UsageError(f"p-value {value} of {name} is no probability")
    adjusted: dict[str, float] = {}
    least = 0.0
    for place, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        least = max(least, min(1.0, p_values[name] * (len(p_values) - place)))
        adjusted[name] = least
    return {name: adjusted[name] for name in p_values}
