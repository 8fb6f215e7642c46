"""Secrets: typed where nobody sees them, or piped in; never on a command line, which others can list."""

from __future__ import annotations

import sys

import click


def unseen(what: str, *, piped: bool) -> str:
    """A secret from whoever sits at the terminal, or from the first line of the standard input.

    Raises:
        click.UsageError: There is nothing in it.
    """
    given = sys.stdin.readline() if piped else click.prompt(what, hide_input=True, err=True)
    text = str(given).strip()
    if not text:
        where = " on the standard input" if piped else ""
        raise click.UsageError(f"{what}: nothing came{where}")
    return text
