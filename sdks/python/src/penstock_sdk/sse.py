"""Server-sent events (WHATWG HTML, 9.2.6), read from bytes as they come."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What a server's stream says it is.
CONTENT_TYPE = "text/event-stream"
_LINE_END = re.compile(r"\r\n|\n|\r")
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """An event of a stream.

    Args:
        id: The id of the last event that had one, from which a client goes on.
        event: Its type.
        data: Its lines of data.
    """

    id: str
    event: str
    data: str


@dataclass(slots=True)
class EventParser:
    """Makes events of a stream's bytes, wherever these are cut."""

    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")(errors="replace")
    )
    _rest: str = ""
    _begun: bool = False
    _id: str = ""
    _event: str = ""
    _data: list[str] = field(default_factory=list[str])

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that are whole with these bytes; one that its empty line is missing of is none."""
        text = self._rest + self._decoder.decode(chunk)
        if text and not self._begun:
            text = text.removeprefix(_BYTE_ORDER_MARK)
            self._begun = True
        begin = 0
        for end in _LINE_END.finditer(text):
            if end.group() == "\r" and end.end() == len(text):
                break  # its line feed may come with the next bytes
            event = self._take(text[begin : end.start()])
            begin = end.end()
            if event is not None:
                yield event
        self._rest = text[begin:]

    def _take(self, line: str) -> ServerEvent | None:
        if not line:
            return self._dispatched()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._id = value
            case _:  # a comment (a heartbeat), `retry`, which the SDK's own pauses stand for, or what is not known yet
                pass
        return None

    def _dispatched(self) -> ServerEvent | None:
        data, event = self._data, self._event
        self._data, self._event = [], ""
        if not data:
            return None
        return ServerEvent(id=self._id, event=event or "message", data="\n".join(data))
