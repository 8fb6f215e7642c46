"""What the harness promises to the tests that stand on it."""

from __future__ import annotations

import asyncio
import socket
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shared.errors import Unauthenticated
from shared.permissions import Scope
from tests.stalls import watching_for_stalls
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.identities import Identities


def test_a_unit_test_that_connects_fails() -> None:
    with socket.socket() as client, pytest.raises(AssertionError, match="unit test connected"):
        client.connect(("127.0.0.1", 9))


def test_a_minted_token_vouches_for_its_tenant_and_scopes(identities: Identities) -> None:
    principal = identities.verifier().verify(identities.mint("acme", [Scope.JOBS_READ]))
    assert principal.tenant == "acme"
    assert principal.scopes == {"jobs:read"}


def test_a_token_past_its_lifetime_vouches_for_nobody(identities: Identities) -> None:
    token = identities.mint(lifetime=timedelta(minutes=-1))
    with pytest.raises(Unauthenticated):
        identities.verifier().verify(token)


async def test_eventually_returns_what_came_about() -> None:
    answers = iter([None, "", "here"])
    assert await eventually(lambda: next(answers)) == "here"


async def test_eventually_fails_after_its_deadline_and_says_what_it_saw_last() -> None:
    with pytest.raises(AssertionError, match=r"the moon did not come about .* last: 0"):
        await eventually(lambda: 0, within=0.05, what="the moon")


async def test_a_callback_that_keeps_the_processor_is_a_stall() -> None:
    async def busy() -> None:
        until = time.thread_time() + 0.12
        while time.thread_time() < until:
            pass

    with pytest.raises(AssertionError, match="stalled"), watching_for_stalls(max_cpu_s=0.02):
        await asyncio.create_task(busy())


async def test_a_callback_that_blocks_is_a_stall() -> None:
    async def blocked() -> None:
        time.sleep(0.05)  # noqa: ASYNC251  the very thing that is looked for

    with pytest.raises(AssertionError, match="stalled"), watching_for_stalls(max_wall_s=0.02):
        await asyncio.create_task(blocked())


async def test_waiting_is_no_stall() -> None:
    with watching_for_stalls(max_cpu_s=0.05, max_wall_s=0.5):
        await asyncio.sleep(0.06)
