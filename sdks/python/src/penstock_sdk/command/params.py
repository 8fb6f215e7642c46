"""What is given as JSON on a command line: `-p key=text`, `-p key:=json`, `--params '{…}'`, `@file`, `-`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_SHOWN = 60
F = TypeVar("F", bound="Callable[..., Any]")


class JsonObject(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]  # generic in click 8.5 alone
    """An object of JSON: itself, `@FILE`, or `-` for the standard input."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """The object.

        Raises:
            click.UsageError: It is none, or its file cannot be read.
        """
        if isinstance(value, dict):
            return value
        try:
            found = json.loads(_read(value))
        except OSError as error:
            self.fail(f"{value[1:]}: {error.strerror}", param, ctx)
        except ValueError as error:
            self.fail(f"{_where(value)} is no JSON: {error}", param, ctx)
        if not isinstance(found, dict):
            self.fail(f"{_where(value)} is {_kind(found)}; give an object, as in '{{\"key\": 1}}'", param, ctx)
        return found


class Param(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]  # generic in click 8.5 alone
    """`key=text`, or `key:=json` for what is no text."""

    name = "param"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        """The key and its value.

        Raises:
            click.UsageError: There is no `=`, no key, or what is said to be JSON is none.
        """
        if isinstance(value, tuple):
            return value
        key, equals, text = value.partition("=")
        typed = key.endswith(":")
        key = key.removesuffix(":") if typed else key
        if not (key and equals):
            self.fail(
                f"{_cut(value)!r} is no param; give key=text, or key:=json for numbers, lists and objects", param, ctx
            )
        if not typed:
            return key, text
        try:
            return key, json.loads(text)
        except ValueError as error:
            self.fail(f"{key}: {_cut(text)!r} is no JSON: {error}; give {key}=… for plain text", param, ctx)


class Pair(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]  # generic in click 8.5 alone
    """`key=text`."""

    name = "key=text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The key and its text.

        Raises:
            click.UsageError: There is no `=`, or no key.
        """
        if isinstance(value, tuple):
            return value
        key, equals, text = value.partition("=")
        if not (key and equals):
            self.fail(f"{_cut(value)!r} has no key and value; give key=text", param, ctx)
        return key, text


def merged(whole: dict[str, Any] | None, parts: Iterable[tuple[str, Any]]) -> dict[str, Any] | None:
    """Params given as a whole with those given one by one, which count first; None where nothing is given.

    Raises:
        click.UsageError: A key is given twice.
    """
    single = dict[str, Any]()
    for key, value in parts:
        if key in single:
            raise click.UsageError(f"-p {key} is given twice; a list is {key}:='[…, …]'")
        single[key] = value
    return None if whole is None and not single else {**(whole or {}), **single}


def params_options(command: F) -> F:
    """`-p` and `--params` for a command that submits a job."""
    whole = click.option(
        "--params", type=JsonObject(), metavar="JSON|@FILE|-", help="All params at once: JSON, a file of it, or stdin."
    )
    single = click.option(
        "-p", "parts", type=Param(), multiple=True, metavar="KEY=TEXT",
        help="A param; KEY:=JSON for numbers, lists and objects. Counts before --params. As often as you like.",
    )  # fmt: skip
    return single(whole(command))


def _read(value: str) -> str:
    if value == "-":
        return sys.stdin.read()
    if value.startswith("@"):
        return Path(value[1:]).read_text(encoding="utf-8")
    return value


def _where(value: str) -> str:
    return "the standard input" if value == "-" else value[1:] if value.startswith("@") else repr(_cut(value))


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", str: "a text", list: "a list", type(None): "null"}
    return kinds.get(type(value), "a number")


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
