"""What an upstream says in its answers, beside the status."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from services.upstream.domain import Method


class UnreadableError(Exception):
    """An answer is not in the form that the upstream's answers have; the message says what it is instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The upstream says that it has not done what was asked.

    Args:
        code: Its own, by which the file's errors are found.
        message: Its own words, which are shown where the file has none.
    """

    code: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """An answer that has come.

    Args:
        method: What was called.
        target: Where.
        status: The HTTP status.
        content_type: As the upstream has it.
        body: All of it, or, of a body that is stored for its size, None; of an error's, no more than is looked at.
        head: How it begins.
        tail: How it ends.
    """

    method: Method
    target: str
    status: int
    content_type: str
    body: bytes | None
    head: bytes
    tail: bytes


class Reading(Protocol):
    """Reads an upstream's answers: the code that is peculiar to it."""

    def __call__(self, received: Received) -> Refusal | None:
        """What was refused; None where the answer is one, or where the status tells all.

        Raises:
            UnreadableError: The answer is in no form that the upstream's answers have.
        """
        ...


def read_json(received: Received) -> Refusal | None:
    """Of an upstream that says all by its statuses: an answer is JSON or empty, and an error is what it likes."""
    if received.status >= HTTPStatus.BAD_REQUEST or received.body == b"":
        return None
    if received.body is not None:
        parsed(received.body)
    elif not _looks_like_json(received):
        raise UnreadableError("answered with what is not JSON")
    return None


def parsed(body: bytes) -> Any:
    """The body as JSON.

    Raises:
        UnreadableError: It is none.
    """
    try:
        return json.loads(body.decode())
    except UnicodeDecodeError:
        raise UnreadableError("answered with what is not UTF-8, as JSON is") from None
    except (ValueError, RecursionError):
        raise UnreadableError(f"answered with {described(body)} where JSON was due") from None


def described(body: bytes) -> str:
    """What a body is that cannot be read, in a word: never what is in it."""
    start = body.lstrip()[:100].lower()
    if not start:
        return "an empty body"
    if start.startswith((b"<!doctype html", b"<html")):
        return "a page in HTML"
    return "something else"


def _looks_like_json(received: Received) -> bool:
    """Of a body that is too large to be parsed here: whether it begins and ends as one."""
    edges = received.head.lstrip()[:1] + received.tail.rstrip()[-1:]
    return edges in {b"{}", b"[]"}
