"""The small page that a browser is shown in the end. It loads nothing, runs nothing, and may be put into no frame."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import TYPE_CHECKING

from google.api import httpbody_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTENT_TYPE = "text/html; charset=utf-8"
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1.5rem;color:#1a1a1a;"
    "background:#fff}h1{font-size:1.4rem}p{overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#111}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
#: Takes the place of the gateway's own policy, which would forbid the style.
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def is_wanted(accept: str) -> bool:
    """Whether who asks for this reads pages: a browser names them, a program seldom does (RFC 9110, 12.5.1)."""
    return any(part.partition(";")[0].strip().lower() == "text/html" for part in accept.split(","))


def page(title: str, paragraphs: Sequence[str]) -> httpbody_pb2.HttpBody:
    """A page with a title and some paragraphs, all of them plain text."""
    text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{text}</main></body></html>"
    )
    return httpbody_pb2.HttpBody(content_type=CONTENT_TYPE, data=html.encode())
