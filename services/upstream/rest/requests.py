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

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from services.upstream.connector import CallRequest
    from services.upstream.rest.data import Route, Target

_IN_QUERY = frozenset({"GET", "HEAD", "DELETE"})
_PLACEHOLDER = re.compile(r"\{([^}]*)\}")


class UnsendableError(ValueError):
    """Params that make no request; the message names the param."""


def request_of(call: CallRequest, route: Route, target: Target) -> HttpRequest:
    """The request of a call, without its credential.

    Raises:
        UnsendableError: A param cannot stand in the path.
    """
    params = dict(call.params)
    url = str(target.url) + _PLACEHOLDER.sub(lambda match: _segment(match[1], params.pop(match[1])), route.path)
    file = next((name for name in call.method.upload_params if name in params), None)
    upload = call.uploads[params.pop(file)] if file is not None else None
    params |= target.constants  # these win: what a job says changes neither the method nor the form of the answer
    if target.method_param:
        params[target.method_param] = call.method.name
    headers = CIMultiDict[str]()
    if route.idempotency_header:
        headers[route.idempotency_header] = call.idempotency_key
    if route.verb in _IN_QUERY:
        query = urlencode(list(_pairs(params, target)))
        return HttpRequest(verb=route.verb, url=URL(f"{url}?{query}" if query else url, encoded=True), headers=headers)
    if file is not None and upload is not None:
        form = form_with_file(list(_pairs(params, target)), file, upload)
        headers["Content-Type"] = form.content_type
        return HttpRequest(verb=route.verb, url=URL(url, encoded=True), headers=headers, body=form)
    if target.body is BodyForm.JSON:
        headers["Content-Type"] = "application/json"
        body = json.dumps(params, ensure_ascii=False, separators=(",", ":")).encode()
    else:
        headers["Content-Type"] = FORM
        body = urlencode(list(_pairs(params, target))).encode()
    return HttpRequest(verb=route.verb, url=URL(url, encoded=True), headers=headers, body=body)


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
