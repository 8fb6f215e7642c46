"""Messages, as they go out and come in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

CONTENT_TYPE = "application/protobuf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message to publish.

    Args:
        subject: Where it goes.
        payload: A protobuf message's bytes.
        message_id: Under which the stream knows it, and takes it once within its window.
        traceparent: The W3C trace context that it is part of.
    """

    subject: str
    payload: bytes
    message_id: str
    traceparent: str = ""

    def headers(self) -> dict[str, str]:
        """The message's headers."""
        headers = {"Nats-Msg-Id": self.message_id, "Content-Type": CONTENT_TYPE}
        if self.traceparent:
            headers["traceparent"] = self.traceparent
        return headers


@dataclass(slots=True, kw_only=True)
class Incoming:
    """A message consumed; it is acknowledged when its batch was handled, unless the handler said otherwise."""

    subject: str
    payload: bytes
    headers: Mapping[str, str]
    #: Its sequence in the stream.
    sequence: int
    #: How often it was delivered, from 1.
    deliveries: int
    #: Where the verdict goes.
    reply: str
    verdict: bytes = b"+ACK"

    @property
    def traceparent(self) -> str:
        """The W3C trace context that it is part of, or an empty text."""
        return self.headers.get("traceparent", "")

    def retry(self, delay: timedelta) -> None:
        """Has it delivered again after the delay, while the rest of the batch is acknowledged."""
        self.verdict = b"-NAK " + json.dumps({"delay": int(delay.total_seconds() * 1e9)}).encode()

    def term(self) -> None:
        """Has it never delivered again: it cannot be understood, and no repetition will change that."""
        self.verdict = b"+TERM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a consumer is in its stream.

    Args:
        acknowledged: The sequence up to which all that it was to handle was acknowledged.
        given: That of the newest message that it was given.
    """

    acknowledged: int
    given: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far a consumer is behind.

    Args:
        messages: That it has not acknowledged, whether or not it was given them.
        oldest: When the oldest of them was stored; None where there is none.
    """

    messages: int
    oldest: datetime | None
