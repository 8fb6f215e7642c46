"""Server-sent events, wherever their bytes are cut."""

from __future__ import annotations

import pytest
from penstock_sdk.sse import EventParser, ServerEvent

STREAM = (
    '\ufeff: a comment\nretry: 1000\n\nid: 1\nevent: running\ndata: {"a":\ndata:  1}\n\n'
    "id: bad\0id\r\ndata: é\r\n\r\nevent: lost\n\ndata\r\rid\ndata:x\nunknown: y\n\nid: 9\ndata: never ended"
)  # fmt: skip
EVENTS = [
    ServerEvent(id="1", event="running", data='{"a":\n 1}'),
    ServerEvent(id="1", event="message", data="é"),
    ServerEvent(id="1", event="message", data=""),
    ServerEvent(id="", event="message", data="x"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_the_same_wherever_their_bytes_are_cut(size: int) -> None:
    data, parser = STREAM.encode(), EventParser()
    chunks = [data[begin : begin + size] for begin in range(0, len(data), size)]
    assert [event for chunk in chunks for event in parser.feed(chunk)] == EVENTS
