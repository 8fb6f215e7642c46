"""Whatever happens in whichever order, nobody presents a spent refresh token, or is given what is not kept."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from services.auth.connections.credentials import faults, refreshes
from services.auth.connections.credentials.claims import ClaimTimes
from services.auth.connections.domain import OAuth2Tokens, State
from services.auth.connections.sealing.vault import Vault
from shared.errors import ConnectionNeedsReauth, Unavailable
from shared.retry import Backoff
from tests.fakes.connection_store import FakeConnectionStore
from tests.fakes.data_keys import FakeKeys
from tests.fakes.refreshing import HOUR, Hands, Replica, RotatingProvider, Signals, sealed_connection
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.auth.connections.domain import Connection, Refreshed

REPLICAS = 3
TIMES = ClaimTimes(lasting=timedelta(milliseconds=30), grace=timedelta(milliseconds=60))
QUICK = Backoff(initial=timedelta(milliseconds=1), maximum=timedelta(milliseconds=5))
STEPS = st.one_of(
    st.tuples(st.just("ask"), st.integers(0, REPLICAS - 1)),
    st.tuples(st.just("kill"), st.integers(0, REPLICAS - 1)),
    st.tuples(
        st.sampled_from(
            [
                *("expire", "hold questions", "hold answers", "let go", "lose the store", "find the store"),
                *("cut signals", "mend signals", "break the provider", "mend the provider", "let time pass"),
            ]
        ),
        st.just(0),
    ),
)


class NotedStore(FakeConnectionStore):
    """Notes which tokens it keeps."""

    def __init__(self, vault: Vault) -> None:
        super().__init__()
        self.kept: set[str] = set()
        self._vault = vault

    async def note(self, connection: Connection) -> None:
        secret = await self._vault.open(connection.sealed, tenant="acme", connection_id=connection.id)
        assert isinstance(secret, OAuth2Tokens)
        self.kept.add(secret.access_token)

    async def replace_secret(
        self, tenant: str, connection_id: str, refreshed: Refreshed, *, version: int, fence: int
    ) -> Connection | None:
        kept = await super().replace_secret(tenant, connection_id, refreshed, version=version, fence=fence)
        if kept is not None:
            await self.note(kept)
        return kept


class History:
    """Replicas that ask, die and come back, and what is away meanwhile."""

    connection: Connection

    def __init__(self) -> None:
        self.hands, self.keys, self.signals = Hands(), FakeKeys(), Signals()
        self.provider = RotatingProvider(self.hands)
        self.store = NotedStore(Vault(self.keys))
        self.replicas = [self._replica() for _ in range(REPLICAS)]
        self.asking: list[asyncio.Task[str]] = []
        #: A replica died with tokens that the provider had given it.
        self.lost = False

    def _replica(self) -> Replica:
        return Replica(self.store, self.provider, self.signals, self.hands, self.keys, times=TIMES)

    async def run(self, steps: list[tuple[str, int]]) -> None:
        vault = Vault(self.keys)
        self.connection = await sealed_connection(self.store, vault, self.provider.tokens(), self.hands)
        await self.store.note(self.connection)
        for step, index in steps:
            await self._take(step, index)
            await asyncio.sleep(0)  # whoever can go on does
        await self._heal()

    async def _take(self, step: str, index: int) -> None:
        match step:
            case "ask":
                self.asking.append(asyncio.create_task(self._ask(self.replicas[index])))
            case "kill":
                await self._kill(index)
            case "expire":
                self.hands.time += 2 * HOUR
            case "hold questions":
                self.provider.asked.clear()
            case "hold answers":
                self.provider.answers.clear()
            case "let go":
                self._let_go()
            case "lose the store" | "find the store":
                self.store.away = step == "lose the store"
            case "cut signals" | "mend signals":
                self.signals.cut = step == "cut signals"
            case "break the provider" | "mend the provider":
                self.provider.fault = Unavailable("away") if step == "break the provider" else None
            case _:
                self._let_go()  # providers are not waited for as long as claims last
                later = time.monotonic() + 0.04
                await eventually(lambda: time.monotonic() > later)

    async def _ask(self, replica: Replica) -> str:
        token = await replica.token(self.connection)
        assert token in self.store.kept, "it was given before it was kept"
        return token

    async def _kill(self, index: int) -> None:
        dying = self.replicas[index]
        self.lost |= self._holds_fresh_tokens(dying)
        self.signals.replicas.remove(dying)
        await dying.kill()
        self.replicas[index] = self._replica()

    def _holds_fresh_tokens(self, replica: Replica) -> bool:
        record = self.store.by_id[self.connection.id]
        return bool(replica.refreshes._claimed) and self.provider.issued > record.version

    def _let_go(self) -> None:
        self.provider.asked.set()
        self.provider.answers.set()

    async def _heal(self) -> None:
        """Everything is well again: so is the connection, unless a replica took fresh tokens with it."""
        self._let_go()
        self.store.away, self.signals.cut, self.provider.fault = False, False, None
        for answer in await asyncio.gather(*self.asking, return_exceptions=True):
            allowed = (str, Unavailable, *((ConnectionNeedsReauth,) if self.lost else ()))
            assert isinstance(answer, allowed), answer

        async def settled() -> bool:
            with suppress(Unavailable):
                await asyncio.gather(*(self._ask(replica) for replica in self.replicas))
                return True
            return False

        try:
            await eventually(settled)
        except ConnectionNeedsReauth:
            assert self.lost
        else:
            assert not self.provider.revoked or self.lost
        record = self.store.by_id[self.connection.id]
        assert record.state is State.ACTIVE or self.lost
        for replica in self.replicas:
            await replica.kill()


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=5, max_size=40))
def test_no_history_loses_a_connection_but_a_death_with_fresh_tokens(steps: list[tuple[str, int]]) -> None:
    with mock.patch.object(refreshes, "_KEEP_BACKOFF", QUICK), mock.patch.object(faults, "_BACKOFF", QUICK):
        asyncio.run(History().run(steps))
