"""Operations are waited for, over whatever breaks, and no longer than they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from penstock_sdk import WaitTimeout, reasons

from sdks.python.tests.faulty_server import answer, error, reset_before
from sdks.python.tests.sides import done

if TYPE_CHECKING:
    from sdks.python.tests.faulty_server import FaultyServer
    from sdks.python.tests.sides import Clock

NAME = "operations/op_1"
GOES_ON = answer(200, {"name": NAME})
DONE = answer(200, {"name": NAME, "done": True, "response": {"@type": "x", "succeeded": "2"}})


async def test_an_operation_is_asked_for_until_it_is_done(penstock: Any, server: FaultyServer) -> None:
    server.will(GOES_ON, reset_before, error(503, "UNAVAILABLE"), DONE)
    operation = await done(penstock.operations.wait(NAME))
    assert operation.response == {"@type": "x", "succeeded": "2"}
    assert {each.target.partition("?")[0] for each in server.seen} == {"/api/v1/operations/op_1:wait"}
    assert server.replies == []


async def test_it_is_waited_for_no_longer_than_it_may_be(penstock: Any, server: FaultyServer, clock: Clock) -> None:
    server.will(*[GOES_ON] * 10)
    began = clock.now()
    with pytest.raises(WaitTimeout, match=r"operations/op_1 has not ended within 1 s"):
        await done(penstock.operations.wait(NAME, timeout_s=1))
    assert clock.now() - began < 1.5


async def test_one_that_there_is_not_ends_it_at_once(penstock: Any, server: FaultyServer) -> None:
    server.will(error(404, "OPERATION_NOT_FOUND"))
    with pytest.raises(reasons.OperationNotFound):
        await done(penstock.operations.wait(NAME))
    assert len(server.seen) == 1
