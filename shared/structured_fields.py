"""Structured fields of HTTP (RFC 9651): lists and dictionaries of items with parameters, dictionaries of inner lists.

Upstreams' quotas come as the former, signatures of requests as the latter. Inner lists among items, dates and display
strings are not read: no field that is read here has them.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Bare = str | int | float | bool | bytes

_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_NUMBER = re.compile(r"-?[0-9]{1,12}\.[0-9]{1,3}|-?[0-9]{1,15}")
_STRING = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*")
_BYTES = re.compile(r":([A-Za-z0-9+/=]*):")
_BOOLEAN = re.compile(r"\?[01]")
_ESCAPED = re.compile(r'\\(["\\])')
_SPACES = " "
#: Optional white space around the commas of a list (RFC 9110, 5.6.3).
_WHITE_SPACE = " \t"


class MalformedFieldError(ValueError):
    """The field is not structured as it should be; RFC 9651 has it ignored as a whole."""


class Token(str):
    """A token: equal to the string of its characters, and told from it by its class alone."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A value and its parameters."""

    value: Bare
    parameters: Mapping[str, Bare]


@dataclass(frozen=True, slots=True)
class InnerList:
    """Items in parentheses, and the parameters of the whole."""

    items: Sequence[Item]
    parameters: Mapping[str, Bare]
    #: It as it was written, parentheses and parameters included.
    text: str


def parse_list(text: str) -> list[Item]:
    """The items of a list (RFC 9651, 4.2.1).

    Raises:
        MalformedFieldError: The text is none.
    """
    reader = _Reader(text)
    items: list[Item] = []
    while reader.next_member(first=not items):
        items.append(reader.item())
    return items


def parse_dictionary(text: str) -> dict[str, Item]:
    """The items of a dictionary by their keys (RFC 9651, 4.2.2); the last of a key stands.

    Raises:
        MalformedFieldError: The text is none.
    """
    reader = _Reader(text)
    items: dict[str, Item] = {}
    while reader.next_member(first=not items):
        key = reader.key()
        items[key] = reader.item() if reader.take("=") else Item(True, reader.parameters())  # noqa: FBT003  the RFC's
    return items


def parse_inner_lists(text: str) -> dict[str, InnerList]:
    """The inner lists of a dictionary that has no other members, by their keys; the last of a key stands.

    Raises:
        MalformedFieldError: The text is no such dictionary.
    """
    reader = _Reader(text)
    lists: dict[str, InnerList] = {}
    while reader.next_member(first=not lists):
        key = reader.key()
        reader.expect("=")
        lists[key] = reader.inner_list()
    return lists


class _Reader:
    """Reads a text from its start to its end, once."""

    def __init__(self, text: str) -> None:
        self._text = text.strip(_SPACES)
        self._at = 0

    def next_member(self, *, first: bool) -> bool:
        """Whether there is another member, at which the reader stands then."""
        if first:
            return self._at < len(self._text)
        self._skip(_WHITE_SPACE)
        if self._at == len(self._text):
            return False
        self.expect(",")
        self._skip(_WHITE_SPACE)
        return True

    def item(self) -> Item:
        return Item(self._bare(), self.parameters())

    def inner_list(self) -> InnerList:
        start = self._at
        self.expect("(")
        items: list[Item] = []
        while True:
            spaced = self._skip(_SPACES)
            if self.take(")"):
                break
            if items and not spaced:
                raise self._malformed()
            items.append(self.item())
        parameters = self.parameters()
        return InnerList(items, parameters, self._text[start : self._at])

    def parameters(self) -> dict[str, Bare]:
        parameters: dict[str, Bare] = {}
        while self.take(";"):
            self._skip(_SPACES)
            key = self.key()
            parameters[key] = self._bare() if self.take("=") else True
        return parameters

    def key(self) -> str:
        key = self._match(_KEY)
        if key is None:
            raise self._malformed()
        return key[0]

    def take(self, character: str) -> bool:
        found = self._text.startswith(character, self._at)
        self._at += found
        return found

    def expect(self, character: str) -> None:
        if not self.take(character):
            raise self._malformed()

    def _bare(self) -> Bare:
        if found := self._match(_NUMBER):
            return float(found[0]) if "." in found[0] else int(found[0])
        if found := self._match(_STRING):
            return _ESCAPED.sub(r"\1", found[1])
        if found := self._match(_TOKEN):
            return Token(found[0])
        if found := self._match(_BOOLEAN):
            return found[0] == "?1"
        if found := self._match(_BYTES):
            try:
                return base64.b64decode(found[1], validate=True)
            except binascii.Error as error:
                raise self._malformed() from error
        raise self._malformed()

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found:
            self._at = found.end()
        return found

    def _skip(self, characters: str) -> bool:
        start = self._at
        while self._at < len(self._text) and self._text[self._at] in characters:
            self._at += 1
        return self._at > start

    def _malformed(self) -> MalformedFieldError:
        return MalformedFieldError(f"the field is malformed at character {self._at}")
