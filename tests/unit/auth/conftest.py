"""A time that tests move, and a store in memory."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from services.auth.domain import KeyHasher, KeySecret, Tenant
from services.auth.keyring import issue
from services.auth.orders import KeyOrder
from services.auth.signing_keys import SigningKeys
from shared.config import Secret
from tests.fakes.auth_store import FakeStore

START = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
PEPPER = Secret("0123456789abcdef0123456789abcdef")
SEALING_KEY = Secret(base64.b64encode(bytes(range(32))).decode())


@dataclass
class Time:
    """Both clocks of a process."""

    elapsed: timedelta = timedelta()

    def now(self) -> datetime:
        return START + self.elapsed

    def monotonic(self) -> float:
        return 1000.0 + self.elapsed.total_seconds()

    def advance(self, **by: float) -> None:
        self.elapsed += timedelta(**by)


@dataclass
class World:
    """A store with the tenant acme, and the time."""

    store: FakeStore
    time: Time
    hasher: KeyHasher
    signing_keys: SigningKeys

    async def make_key(
        self,
        tenant: str = "acme",
        *,
        scopes: tuple[str, ...] = ("jobs:read",),
        expires_in: timedelta | None = None,
        cidrs: tuple[str, ...] = (),
        rate_limit: int = 0,
    ) -> KeySecret:
        expires_at = self.time.now() + expires_in if expires_in is not None else None
        order = KeyOrder(
            tenant=tenant, name="laptop", scopes=scopes, expires_at=expires_at, cidrs=cidrs, rate_limit=rate_limit
        )
        _, secret = await issue(
            order, store=self.store, hasher=self.hasher, signing_keys=self.signing_keys, clock=self.time
        )
        return secret

    def revoke(self, secret: KeySecret) -> None:
        """Revokes a key in the store alone: no cache hears of it."""
        key = next(key for key in self.store.by_id.values() if key.prefix == secret.prefix)
        self.store.by_id[key.id] = replace(key, revoked_at=self.time.now())


@pytest.fixture
async def world() -> World:
    world = World(FakeStore(), Time(), KeyHasher(PEPPER), SigningKeys(SEALING_KEY))
    for name in ("acme", "globex"):
        await world.store.add_tenant(Tenant(name=name, created_at=START))
    return world
