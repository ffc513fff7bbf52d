"""Verbs that have verbs of their own."""

from __future__ import annotations

import click


class Verbs(click.Group):
    """In the order of use, as they are defined, and a misspelt one is told as everywhere else."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            from adapter_stilts.errors import UnknownNameError

            raise UnknownNameError(f"{self.name} command", args[0], self.commands)
        return super().resolve_command(ctx, args)
