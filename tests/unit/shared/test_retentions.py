"""What a service knows of how long things are kept: what history has told last."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from penstock.history.v1 import retention_pb2

from shared.errors import Unavailable
from shared.retentions import ToldRetentions
from tests.virtual_time import VirtualTimeLoop

DAY_S = 86400


class History:
    """Answers, unless it is away."""

    def __init__(self) -> None:
        self.answer = retention_pb2.ListRetentionsResponse()
        self.answer.default_retention.audit.seconds = 365 * DAY_S
        self.away = False

    async def ListRetentions(
        self, request: retention_pb2.ListRetentionsRequest
    ) -> retention_pb2.ListRetentionsResponse:
        del request
        if self.away:
            raise Unavailable("history does not answer")
        return self.answer


def days(retentions: ToldRetentions, tenant: str) -> int | None:
    told = retentions.of(tenant)
    return None if told is None else told.audit.seconds // DAY_S


async def test_what_was_told_last_holds_while_history_is_away() -> None:
    retentions = ToldRetentions(history := History())
    assert days(retentions, "acme") is None
    history.answer.retentions["acme"].audit.seconds = 30 * DAY_S
    await retentions.ask()
    history.away = True
    with pytest.raises(Unavailable):
        await retentions.ask()
    assert (days(retentions, "acme"), days(retentions, "other")) == (30, 365)


async def test_who_has_none_of_its_own_any_more_has_what_all_have() -> None:
    retentions = ToldRetentions(history := History())
    history.answer.retentions["acme"].audit.seconds = 30 * DAY_S
    await retentions.ask()
    history.answer.retentions.clear()
    await retentions.ask()
    assert days(retentions, "acme") == 365


def test_a_first_answer_is_waited_for_and_not_for_ever() -> None:
    async def away() -> bool:
        retentions = ToldRetentions(history := History())
        history.away = True
        running = asyncio.create_task(retentions.run())
        await retentions.first_answer(within=timedelta(seconds=15))
        assert days(retentions, "acme") is None
        history.away = False
        await retentions.first_answer(within=timedelta(minutes=1))
        running.cancel()
        return days(retentions, "acme") == 365

    loop = VirtualTimeLoop()
    try:
        assert loop.run_until_complete(away())
    finally:
        loop.close()


async def test_where_nobody_is_asked_nobody_is_waited_for() -> None:
    retentions = ToldRetentions(None)
    await retentions.first_answer(within=timedelta(days=1))
    await retentions.ask()
    assert days(retentions, "acme") is None
