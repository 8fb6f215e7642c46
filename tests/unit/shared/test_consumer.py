"""What a consumer reads off the subject of an acknowledgement."""

from __future__ import annotations

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.bus.consumer import Consumer


@pytest.mark.parametrize(
    "reply",
    [
        "$JS.ACK.JOBS.history.3.1234.77.1764156000000000000.5",
        "$JS.ACK.hub.AHB6ASDF.JOBS.history.3.1234.77.1764156000000000000.5.token",
        "$JS.ACK._.AHB6ASDF.JOBS.history.3.1234.77.1764156000000000000.5",
    ],
)
def test_a_message_has_its_sequence_and_how_often_it_was_delivered(reply: str) -> None:
    message = Consumer._incoming(Msg(_client=Client(), subject="jobs.started.http", reply=reply, data=b"payload"))
    assert (message.sequence, message.deliveries, message.reply) == (1234, 3, reply)
