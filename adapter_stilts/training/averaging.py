"""Which steps of a run are averaged (Schmidt et al. 2023, "Free Lunch", arXiv 2305.16834, section 2)."""

from __future__ import annotations

from adapter_stilts.errors import TrainingError


def averaged_steps(total: int, count: int | None) -> tuple[int, ...]:
    """So many equidistant steps of a run of `total`, its last among them; none of None.

    Raises:
        TrainingError: there are fewer steps.
    """
    if count is None:
        return ()
    if count > total:
        raise TrainingError(
            f"average = {count} takes the mean of the weights at as many steps, and this stage has {total}: give "
            f"{total} or less, or more steps (epochs, max_steps; after --few-shot few_shot_epochs)"
        )
    return tuple(total * number // count for number in range(1, count + 1))
