"""Formats that the schemas of params name beside JSON Schema's own: checked at submit, and again before the call."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from shared import ids
from shared.addresses import ForbiddenAddressError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.addresses import AddressGuard

#: A URL that may be called.
PUBLIC_URL = "public-url"
#: The name of a header that a caller may set.
CALLABLE_HEADER = "callable-header"
#: What a caller may set such a header to.
HEADER_VALUE = "header-value"
#: The id of an upload.
UPLOAD_ID = "upload-id"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 9110, 5.6.2
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e]*")  # RFC 9110, 5.5, without the bytes that it calls opaque
#: Say who calls; they come from connections.
_CREDENTIALS = frozenset({"authorization", "cookie", "cookie2"})
#: Are Penstock's own to set: they frame the message, speak to the next hop only, or carry the trace.
_OWN = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_OWN_PREFIXES = ("proxy-", "x-penstock-")


@dataclass(frozen=True, slots=True)
class Format:
    """A format of texts.

    Args:
        problem: What is wrong with a text, to be read behind the field's path; None where it is well.
    """

    problem: Callable[[str], str | None]

    def accepts(self, text: str) -> bool:
        """Whether the text is well; this is what a JSON Schema validator asks."""
        return self.problem(text) is None


def formats(guard: AddressGuard) -> Mapping[str, Format]:
    """Every format by its name.

    Args:
        guard: Decides which URLs may be called.
    """

    def url_problem(text: str) -> str | None:
        try:
            guard.check_url(text)
        except ForbiddenAddressError as error:
            return str(error)
        return None

    return MappingProxyType(
        {
            PUBLIC_URL: Format(url_problem),
            CALLABLE_HEADER: Format(_header_name_problem),
            HEADER_VALUE: Format(header_value_problem),
            UPLOAD_ID: Format(_upload_id_problem),
        }
    )


def credential_header_problem(text: str) -> str | None:
    """What is wrong with the name of a header that a connection's secret goes in; None where it is well."""
    name = text.lower()
    if _TOKEN.fullmatch(text) is None:
        return "is not the name of a header; use 1 to 128 letters, digits and !#$%&'*+-.^_`|~"
    if name in _OWN or name.startswith(_OWN_PREFIXES):
        return f"must not set {text}, which Penstock sets itself; leave it out"
    return None


def header_value_problem(text: str) -> str | None:
    """What is wrong with the value of a header; None where it is well."""
    if _FIELD_VALUE.fullmatch(text) is None:
        return "must be visible ASCII characters, spaces and tabs"
    return None


def _header_name_problem(text: str) -> str | None:
    if text.lower() in _CREDENTIALS:
        return f"must not set {text}; credentials come from connections"
    return credential_header_problem(text)


def _upload_id_problem(text: str) -> str | None:
    return None if ids.is_upload_id(text) else "is no id of an upload; create one, and send its id, upl_…"
