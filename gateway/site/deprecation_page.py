"""`/docs/deprecation`: what is deprecated, since when, and what takes its place; made of the protos' marks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from gateway import deprecation, descriptors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from google.protobuf.descriptor import Descriptor, MethodDescriptor
    from starlette.routing import Route

    from gateway.deprecation import Deprecation
    from gateway.site.frame import Frame

PATH = "/docs/deprecation"
_INTRODUCTION = """<h1>What is deprecated</h1>
<p class="lead">It works on as before for now, and something else takes its place.</p>
<p>An answer to a call that uses something of this list says so by <code>Deprecation</code> (RFC 9745), by
<code>Sunset</code> (RFC 8594) where the day is known from which on it may be gone, and by a <code>Link</code> to this
page.</p>
"""


def routes(frame: Frame) -> Sequence[Route]:
    """The page."""
    rows = [_row(*each) for each in sorted(_marks(), key=lambda each: each[:2])]
    table = (
        "<table><thead><tr><th>Deprecated</th><th>Of</th><th>Instead</th><th>Since</th><th>May be gone from</th></tr>"
        f"</thead><tbody>{''.join(rows)}</tbody></table>"
        if rows
        else "<p>Nothing is.</p>"
    )
    return [frame.page(title="Deprecation", main=_INTRODUCTION + table, path=PATH).at(PATH)]


def _row(name: str, of: str, mark: Deprecation) -> str:
    sunset = f"{mark.sunset:%Y-%m-%d}" if mark.sunset is not None else "no day is set"
    return (
        f"<tr><td><code>{escape(name)}</code></td><td><code>{escape(of)}</code></td>"
        f"<td><code>{escape(mark.instead)}</code></td><td>{mark.since:%Y-%m-%d}</td><td>{sunset}</td></tr>"
    )


def _marks() -> Iterator[tuple[str, str, Deprecation]]:
    """What is marked, of what it is a part, and the mark."""
    for service in descriptors.services():
        for method in service.methods:
            yield from _of_method(method)
    for file in descriptors.files():
        for message in file.message_types_by_name.values():
            yield from _of_message(message)


def _of_method(method: MethodDescriptor) -> Iterator[tuple[str, str, Deprecation]]:
    if (mark := deprecation.of_rpc(method)) is not None:
        yield method.name, method.containing_service.full_name, mark
    for path, mark in deprecation.of_paths(method).items():
        yield path, method.full_name, mark


def _of_message(message: Descriptor) -> Iterator[tuple[str, str, Deprecation]]:
    for field in message.fields:
        if (mark := deprecation.of_field(field)) is not None:
            yield field.name, message.full_name, mark
    for nested in message.nested_types:
        yield from _of_message(nested)
