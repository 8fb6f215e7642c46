"""What a command prints: tables and words for people, the API's JSON for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from penstock_sdk import to_json
from penstock_sdk.command.tables import Column, Table, fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Rows whose widths are reckoned together; a longer list is printed while it is fetched.
_BLOCK = 100


@dataclass(frozen=True, slots=True)
class Output:
    """Where answers go.

    Args:
        as_json: Whether they are printed as JSON.
    """

    as_json: bool

    def one(self, thing: Any, *, said: str = "") -> None:
        """Prints a thing.

        Args:
            thing: A model, or JSON.
            said: What people are told of it; all its fields where nothing is given.
        """
        if self.as_json:
            click.echo(json.dumps(to_json(thing), ensure_ascii=False, indent=2))
        elif said:
            click.echo(said)
        else:
            for line in fields(to_json(thing)):
                click.echo(line)

    def line(self, thing: Any, said: str) -> None:
        """Prints one thing of a stream: a line, in JSON or in words."""
        click.echo(json_line(thing) if self.as_json else said)

    def many(
        self, things: Iterable[Any], columns: Sequence[Column], *, limit: int | None = None, ids: bool = False
    ) -> None:
        """Prints a list.

        Args:
            things: Models; more of them are fetched as they are printed.
            columns: Of the table for people. The first has what names a thing.
            limit: The most that are printed; all where it is None.
            ids: Whether nothing but what names them is printed, to be piped on.
        """
        rest = iter(things) if limit is None else islice(things, limit)
        table, headed, found = Table(columns), True, False
        while block := [to_json(thing) for thing in islice(rest, _BLOCK)]:
            found = True
            if self.as_json:
                lines = (json_line(thing) for thing in block)
            elif ids:
                lines = (columns[0].cell(thing) for thing in block)
            else:
                lines = table.lines(block, headed=headed)
            for line in lines:
                click.echo(line)
            headed = False
        if not (found or self.as_json or ids):
            note("none")

    def done(self, said: str) -> None:
        """Says what was done by a call that has no answer; programs go by the exit code."""
        if not self.as_json:
            click.echo(said)


def json_line(thing: Any) -> str:
    """A thing's JSON in one line."""
    return json.dumps(to_json(thing), ensure_ascii=False, separators=(",", ":"))


def note(said: str) -> None:
    """Says something that is no answer: on stderr."""
    click.echo(said, err=True)
