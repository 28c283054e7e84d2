"""Options gathered into classes: a field is an option, a command gets an object for each group.

>>> @option_group
... class Run:
...     seed: int = option("--seed", default=0, show_default=True)
>>> @click.command()
... @option_groups(run=Run)
... def train(run: Run) -> None: ...
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from typing import Any, TypeVar

import click

Function = Callable[..., None]
Group = TypeVar("Group")


def option(*names: str, **settings: Any) -> Any:
    """A field that is an option; arguments as of `click.option`."""
    return field(metadata={"names": names, "settings": settings})


def option_group(kind: type[Group]) -> type[Group]:
    """A dataclass without the methods that no command calls: making those is most of what `import` takes here."""
    return dataclass(eq=False, repr=False)(kind)


def option_groups(**groups: type[Any]) -> Callable[[Function], Function]:
    """Add the options of groups to a command, which gets each group as the argument of that name."""

    def decorate(command: Function) -> Function:
        @functools.wraps(command)
        def with_groups(**values: Any) -> None:
            made = {name: kind(**{f.name: values.pop(f.name) for f in fields(kind)}) for name, kind in groups.items()}
            command(**made, **values)

        decorated: Function = with_groups
        for each in reversed([each for kind in groups.values() for each in fields(kind)]):
            decorated = _click_option(each)(decorated)
        return decorated

    return decorate


def _click_option(each: Field[Any]) -> Callable[[Function], Function]:
    return click.option(*each.metadata["names"], each.name, **each.metadata["settings"])
