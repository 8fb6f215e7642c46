"""Which idempotency key a request carries."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shared.errors import FieldViolation

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CHARACTERS = 255
#: As callers write them, and as gRPC does.
HEADERS = {"Idempotency-Key": "idempotency-key", "X-Idempotency-Key": "x-idempotency-key"}
_VISIBLE = re.compile(r"[!-~]*")
#: A string of Structured Fields (RFC 9651, 3.3.3), as draft-ietf-httpapi-idempotency-key-header asks for.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')


def read_key(request_id: str, metadata: Mapping[str, str]) -> tuple[str, list[FieldViolation]]:
    """The key that a request carries in `requestId` or in either header, and what is wrong with it.

    The key is empty where none was given. The same key in several places is one key.

    Args:
        request_id: The request's field; empty for none.
        metadata: The call's metadata, by lower-case names.
    """
    given: dict[str, str] = {"requestId": request_id} if request_id else {}
    given |= {name: _unquoted(metadata[key]) for name, key in HEADERS.items() if key in metadata}
    faults = [FieldViolation(name, fault) for name, key in given.items() if (fault := _fault(key))]
    if not faults and len(set(given.values())) > 1:
        names = " and ".join(given)
        faults = [FieldViolation(name, f"{names} differ; send the key once, or the same in each") for name in given]
    return next(iter(given.values()), ""), faults


def _unquoted(header: str) -> str:
    text = header.strip(" \t")
    quoted = _QUOTED.fullmatch(text)
    return re.sub(r'\\(["\\])', r"\1", quoted[1]) if quoted else text


def _fault(key: str) -> str | None:
    if not key:
        return "is empty; send 1 to 255 visible ASCII characters, such as a UUID, or leave it out"
    if len(key) > MAX_CHARACTERS:
        return f"has {len(key)} characters; at most {MAX_CHARACTERS} are allowed"
    if not _VISIBLE.fullmatch(key):
        return "must consist of visible ASCII characters, without spaces"
    return None
