"""What a call sends: its params in the path, the query or the body, as its route and target say."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode

from multidict import CIMultiDict
from yarl import URL

from services.upstream.authorization import FORM
from services.upstream.http_client import HttpRequest
from services.upstream.multipart import form_with_file
from services.upstream.rest.data import BodyForm
from services.upstream.wire import text_of
from shared.addresses import MAX_URL_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from services.upstream.connector import CallRequest
    from services.upstream.rest.data import Route, Target

_IN_QUERY = frozenset({"GET", "HEAD", "DELETE"})
_PLACEHOLDER = re.compile(r"\{([^}]*)\}")


class UnsendableError(ValueError):
    """Params that make no request; the message says why."""


def request_of(call: CallRequest, route: Route, target: Target) -> HttpRequest:
    """The request of a call, without its credential.

    Raises:
        UnsendableError: A param cannot stand in the path, or all of them make too long a URL.
    """
    params = dict(call.params)
    path = _PLACEHOLDER.sub(lambda match: _segment(match[1], params.pop(match[1])), route.path)
    url = f"{str(target.url).rstrip('/')}/{path}" if path else str(target.url)
    file = next((name for name in call.method.upload_params if name in params), None)
    upload = call.uploads[params.pop(file)] if file is not None else None
    params |= target.constants  # these win: what a job says changes neither the method nor the form of the answer
    if target.method_param:
        params[target.method_param] = call.method.name
    headers = CIMultiDict[str]()
    if route.idempotency_header:
        headers[route.idempotency_header] = call.idempotency_key
    verb = route.verb
    if verb in _IN_QUERY:
        whole = f"{url}?{urlencode(list(_pairs(params, target)))}" if params else url
        if len(whole) <= MAX_URL_CHARACTERS:
            return HttpRequest(verb=verb, url=URL(whole, encoded=True), headers=headers)
        if not target.posts_long_queries:
            raise UnsendableError(
                f"params make a URL of {len(whole)} characters; at most {MAX_URL_CHARACTERS} are sent"
            )
        verb = "POST"
    if file is not None and upload is not None:
        body = form_with_file(list(_pairs(params, target)), file, upload)
        headers["Content-Type"] = body.content_type
    elif target.body is BodyForm.JSON:
        body = json.dumps(params, ensure_ascii=False, separators=(",", ":")).encode()
        headers["Content-Type"] = "application/json"
    else:
        body = urlencode(list(_pairs(params, target))).encode()
        headers["Content-Type"] = FORM
    return HttpRequest(verb=verb, url=URL(url, encoded=True), headers=headers, body=body)


def _segment(name: str, value: object) -> str:
    text = text_of(value)
    if text in {"", ".", ".."}:  # of which a path makes another path
        raise UnsendableError(f"params.{name} is {text!r}, which cannot stand in a path")
    return quote(text, safe="")


def _pairs(params: Mapping[str, Any], target: Target) -> Iterator[tuple[str, str]]:
    """Names and values as texts; a list gives its name once for each item."""
    no, yes = target.truths
    for name, value in params.items():
        for each in cast("list[object]", value if isinstance(value, list) else [value]):
            yield name, text_of(each, true=yes, false=no)
