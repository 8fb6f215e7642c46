"""The store of authorizations in memory; `tests/contract/test_authorization_store.py` holds it to the real one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from services.auth.connections.authorizing.authorization import Authorization


class FakeAuthorizationStore:
    """Keeps authorizations in memory; can be away.

    Args:
        now: The database's clock.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self.by_digest: dict[bytes, Authorization] = {}
        self.claimed_until: dict[bytes, datetime] = {}
        #: Every call raises `Unavailable` while it is.
        self.away = False

    async def prepare(self) -> None:
        self._check()

    async def add(self, authorization: Authorization) -> None:
        self._check()
        assert authorization.digest not in self.by_digest
        self.by_digest[authorization.digest] = authorization

    async def find(self, digest: bytes) -> Authorization | None:
        self._check()
        found = self.by_digest.get(digest)
        return found if found is not None and found.ends_at > self._now() else None

    async def bind(self, digest: bytes, browser: bytes) -> bool:
        found = await self.find(digest)
        if found is None or found.browser is not None:
            return False
        self.by_digest[digest] = replace(found, browser=browser)
        return True

    async def claim(self, digest: bytes, *, lasting: timedelta) -> bool:
        found = await self.find(digest)
        if found is None or self.claimed_until.get(digest, self._now()) > self._now():
            return False
        self.claimed_until[digest] = self._now() + lasting
        return True

    async def release(self, digest: bytes) -> None:
        self._check()
        self.claimed_until.pop(digest, None)

    async def remove(self, digest: bytes) -> None:
        self._check()
        self.by_digest.pop(digest, None)

    def _check(self) -> None:
        if self.away:
            raise Unavailable("the store is away")
