"""The upstream `flickr`: its answers, which say how a call came out whatever the status; all else is in `flickr.yaml`.

REST answers are JSON, `{"stat": "ok", …}` or `{"stat": "fail", "code": 1, "message": "…"}`; those to uploads are XML,
`<rsp stat="ok">…</rsp>`; and a request whose signature does not pass is answered 401 and
`oauth_problem=signature_invalid&…`, as OAuth's problem reporting has it.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import defusedxml
import defusedxml.ElementTree

from services.upstream.rest.connector import RestConnector
from services.upstream.rest.loader import load
from services.upstream.rest.reading import Refusal, UnreadableError, described, parsed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yarl import URL

    from services.upstream.http_client import HttpClient
    from services.upstream.rest.reading import Received
    from shared.clock import Clock

_FILE = Path(__file__).with_suffix(".yaml")
_OAUTH_PROBLEM = re.compile(rb"(?:^|[&\s])oauth_problem=([a-z_]{1,100})(?:[&\s]|$)")
_STAT_OK = re.compile(rb'"stat"\s*:\s*"ok"')


def connector(client: HttpClient, clock: Clock, urls: Mapping[str, URL]) -> RestConnector:
    """Speaks to Flickr.

    Args:
        client: Makes the exchanges.
        clock: For the dates of `Retry-After`.
        urls: Where its targets are called instead, by their names.
    """
    return RestConnector(load(_FILE, urls=urls), client, clock, read)


def read(received: Received) -> Refusal | None:
    """What Flickr says; see `Reading`."""
    if received.status == HTTPStatus.UNAUTHORIZED and received.body is not None:
        problem = _OAUTH_PROBLEM.search(received.body)
        if problem is not None:
            return Refusal(code=problem[1].decode())
    if received.target != "rest":
        return _read_xml(received)
    if received.body is None:
        return _read_edges(received.head.lstrip(), received.tail.rstrip())
    return _read_json(parsed(received.body))


def _read_edges(head: bytes, tail: bytes) -> None:
    """What is too large to be parsed here is no refusal; it is whole where its ends are."""
    is_object = head.startswith(b"{") and tail.endswith(b"}")
    if not is_object or not any(map(_STAT_OK.search, (head, tail))):
        raise UnreadableError("answered with what is none of Flickr's answers")


def _read_json(answer: Any) -> Refusal | None:
    said = cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
    return _said(said.get("stat"), said.get("code"), said.get("message"))


def _read_xml(received: Received) -> Refusal | None:
    """The answer to an upload, which is small; entities and document types, which it has none of, are not read."""
    body = received.body or b""
    try:
        answer = defusedxml.ElementTree.fromstring(body, forbid_dtd=True)
    except (defusedxml.ElementTree.ParseError, defusedxml.DefusedXmlException, LookupError, ValueError):
        raise UnreadableError(f"answered with {described(body)} where XML was due") from None
    if answer.tag != "rsp":
        raise UnreadableError("answered with XML that is none of Flickr's answers")
    error = answer.find("err")
    return _said(answer.get("stat"), *(error.get(name) if error is not None else None for name in ("code", "msg")))


def _said(stat: object, code: object, message: object) -> Refusal | None:
    """What the three parts of an answer mean.

    Raises:
        UnreadableError: It has none of them.
    """
    if stat == "ok":
        return None
    if stat != "fail":
        raise UnreadableError("answered with what is none of Flickr's answers")
    return Refusal(code=str(code) if code is not None else "none", message=str(message or ""))
