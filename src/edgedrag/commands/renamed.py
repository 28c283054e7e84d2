"""Commands under the names that they had before there were families."""

from __future__ import annotations

import click

from edgedrag.commands.family import Family

# Version 0.1 accepts these; the next version does not.
RENAMED = {
    "build": ("engines", "build"),
    "export": ("bundle", "export"),
    "calibrate": ("bundle", "calibrate"),
    "pairs": ("learn", "pairs"),
    "train": ("learn", "train"),
    "distill": ("learn", "distill"),
    "finetune": ("learn", "finetune"),
    "average": ("learn", "average"),
}


class RootFamily(Family):
    """The families and the commands outside them; an old name runs the command that it was given to."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in RENAMED:
            return super().resolve_command(ctx, args)
        family, name = RENAMED[args[0]]
        click.echo(
            f"note: `edgedrag {args[0]}` is now `edgedrag {family} {name}`; the next version drops the old name",
            err=True,
        )
        group = self.commands[family]
        assert isinstance(group, click.Group)
        return f"{family} {name}", group.commands[name], args[1:]
