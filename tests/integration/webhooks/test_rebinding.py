"""A receiver whose name turns private after it was checked (DNS rebinding): asked for once, judged as it is called."""

from __future__ import annotations

import socket
from datetime import timedelta

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from services.webhooks.deliveries.domain import Reason
from services.webhooks.delivering.sender import Sender
from shared.addresses import AddressGuard
from shared.clock import SystemClock
from tests.integration.webhooks.receiver import receiver as receiver_

PUBLIC = "93.184.215.14"


class Names(AbstractResolver):
    """A name server whose answers change from question to question; the last one stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [ResolveResult(hostname=host, host=each, port=port, family=family, proto=0, flags=0) for each in answer]

    async def close(self) -> None:
        return


def sender(names: Names) -> Sender:
    return Sender(AddressGuard(), clock=SystemClock(), timeout=timedelta(seconds=5), limit=1, resolver=names)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        [PUBLIC, "127.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
    ],
)
async def test_a_name_that_leads_inside_is_not_called(addresses: list[str]) -> None:
    async with receiver_() as receiver:
        url = receiver.url.replace("127.0.0.1", "trick.example")
        calling = sender(Names(addresses))
        outcome = await calling.send(f"{url}/hook", b"{}", {})
        await calling.close()
        assert outcome.reason is Reason.ADDRESS_FORBIDDEN
        assert not receiver.received


async def test_a_name_is_asked_for_once_and_what_was_checked_is_what_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def connect(self: socket.socket, address: tuple[str, int]) -> None:
        called.append(address[0])
        raise ConnectionRefusedError

    async with receiver_() as receiver:
        monkeypatch.setattr(socket.socket, "connect", connect)
        names = Names([PUBLIC], ["127.0.0.1"])
        calling = sender(names)
        outcome = await calling.send(receiver.url.replace("127.0.0.1", "rebinding.example"), b"{}", {})
        await calling.close()
        assert outcome.reason is Reason.RECEIVER_UNREACHABLE
        assert (called, names.asked) == ([PUBLIC], 1)
        assert not receiver.received
