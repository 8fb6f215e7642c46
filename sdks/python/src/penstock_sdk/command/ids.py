"""Ids as arguments; `-` stands for those on the standard input, so that a list can be piped on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

F = TypeVar("F", bound="Callable[..., Any]")


class IdType(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]  # generic in click 8.5 alone
    """An id, or `-`."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The id.

        Raises:
            click.UsageError: It is empty, as an unset variable of a shell is.
        """
        if not value.strip():
            self.fail("the id is empty; is a variable unset?", param, ctx)
        if value == "-" and param is not None and param.nargs == 1:
            return next(_piped(), "") or self.fail("there is no id on the standard input", param, ctx)
        return value


def id_argument(name: str, metavar: str) -> Callable[[F], F]:
    """The one id that a command is about."""
    return click.argument(name, type=IdType(), metavar=metavar)


def ids_argument(name: str, metavar: str, *, required: bool = True) -> Callable[[F], F]:
    """Ids, one or several."""
    shown = f"{metavar}...|-" if required else f"[{metavar}...|-]"
    return click.argument(name, type=IdType(), nargs=-1, required=required, metavar=shown, callback=_several)


def ids_option(command: F) -> F:
    """`-q`: nothing but ids, to be piped on."""
    return click.option("-q", "--ids", "ids", is_flag=True, help="Print nothing but ids, one a line.")(command)


def _several(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ARG001  # click's signature
    if context.resilient_parsing:
        return given
    found = [each for value in given for each in (_piped() if value == "-" else (value,))]
    if "-" in given and not found:  # a list that has found nothing: no mistake
        click.echo("no ids on the standard input: nothing to do", err=True)
        context.exit()
    return tuple(dict.fromkeys(found))


def _piped() -> Iterator[str]:
    """The first word of each line."""
    for line in sys.stdin:
        words = line.split()
        if words:
            yield words[0]
