"""Fetching: a bundle of somewhere else comes into the store, verified again as it arrives."""

from __future__ import annotations

from adapter_stilts.hub.transfer import copy
from adapter_stilts.stages.kinds import Running
from adapter_stilts.stages.parts import FetchPart


def run(running: Running, part: FetchPart) -> None:
    if running.context.machine.writes:
        with running.commit({}) as aside:
            (aside / "bundle").mkdir()
            copy(running.context.inputs.bundles[part.bundle], aside / "bundle", part.bundle)
