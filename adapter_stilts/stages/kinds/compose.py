"""Composing: several intermediate bundles as one, without training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adapter_stilts.model.bundle import read_bundle
from adapter_stilts.model.compose import merge_bundles
from adapter_stilts.model.merge import Merge
from adapter_stilts.model.soup import heads_began_alike
from adapter_stilts.stages.command import command_of
from adapter_stilts.stages.kinds import Running
from adapter_stilts.stages.parts import ComposePart


def run(running: Running, part: ComposePart) -> None:
    stage, context = running.stage, running.context
    bundles = [context.bundle_at(parent) for parent in stage.parents]
    if context.machine.writes:
        with running.commit({}) as aside:
            out = aside / "bundle"
            out.mkdir()
            merge_bundles(
                bundles,
                part.merge,
                out,
                context.inputs.base,
                context.tokenizer.tokenizer,
                tuple(parent.key for parent in stage.parents),
                command_of(stage, context.inputs),
                keep_head=_keeps_head(part.merge, bundles),
            )


def _keeps_head(how: Merge, bundles: Sequence[Path]) -> bool:
    """Whether the heads have a mean; where they have none, a target trains its own."""
    return how.has_mean and (how.method != "soup" or heads_began_alike([read_bundle(one) for one in bundles]))
