"""Making, showing and revoking keys: the rules of `domain` over a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from services.auth.domain import Key, KeyHasher, KeyOrder, KeySecret, PrefixTaken, shown, to_milliseconds
from shared import ids, observability
from shared.errors import InvalidArgument, KeyNotFound, TenantNotFound, Unavailable
from shared.streams import AUTH_CHANGED_SIGNAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.auth.store import Store
    from shared.clock import Clock
    from shared.identity import Principal
    from shared.paging import Position

log = observability.logger()


class Signals(Protocol):
    """Publishes what may be lost; `shared.bus.Bus` is one."""

    async def signal(self, subject: str, payload: bytes = b"") -> None:
        """Publishes to whoever listens now; raises `Unavailable`."""
        ...


async def issue(order: KeyOrder, *, store: Store, hasher: KeyHasher, clock: Clock) -> tuple[Key, KeySecret]:
    """Makes a key, whoever asks; answers with it and with its secret, which is known to nobody afterwards."""
    while True:
        secret = KeySecret.new()
        key = Key(
            id=ids.new_key_id(),
            tenant=order.tenant,
            name=order.name,
            prefix=secret.prefix,
            digest=hasher.digest(secret),
            scopes=frozenset(order.scopes),
            created_at=to_milliseconds(clock.now()),
            expires_at=to_milliseconds(order.expires_at) if order.expires_at is not None else None,
        )
        try:
            await store.add_key(key)
        except PrefixTaken:  # one in 62^7 for each key that there is; the next draw is another one
            continue
        return key, secret


class Keyring:
    """The keys of all tenants.

    Args:
        store: Where they are kept.
        hasher: How their secrets are.
        signals: Where a revocation is told to every replica.
        clock: The time.
    """

    def __init__(self, *, store: Store, hasher: KeyHasher, signals: Signals, clock: Clock) -> None:
        self._store = store
        self._hasher = hasher
        self._signals = signals
        self._clock = clock

    async def create(self, order: KeyOrder, *, maker: Principal) -> tuple[Key, KeySecret]:
        """Makes a key on a maker's behalf.

        Raises:
            InvalidArgument: The order is wrong.
            PermissionDenied: The maker may not have it made.
            TenantNotFound: An operator named a tenant that there is not.
        """
        violations = list(order.violations(self._clock.now()))
        if violations:
            raise InvalidArgument.of(violations)
        order.check_grantable_by(maker)
        if await self._store.tenant(order.tenant) is None:
            raise TenantNotFound(
                f"there is no tenant {order.tenant!r}; make it first", metadata={"tenant": order.tenant}
            )
        key, secret = await issue(order, store=self._store, hasher=self._hasher, clock=self._clock)
        log.info(
            "key_created", key=key.id, prefix=key.prefix, owner=key.tenant, scopes=sorted(key.scopes), maker=maker.id
        )
        return key, secret

    async def keys(self, tenant: str, *, limit: int, after: Position | None) -> Sequence[Key]:
        """The tenant's keys, newest first."""
        return await self._store.keys(tenant, limit=limit, after=after)

    async def key(self, tenant: str, key_id: str) -> Key:
        """One of the tenant's keys.

        Raises:
            InvalidArgument: The id is none.
            KeyNotFound: There is none of this id.
        """
        _check_id(key_id)
        key = await self._store.key(tenant, key_id)
        if key is None:
            raise _not_found(key_id)
        return key

    async def revoke(self, tenant: str, key_id: str) -> Key:
        """Revokes one of the tenant's keys for good, and tells every replica; a revoked key stays as it is.

        Raises:
            InvalidArgument: The id is none.
            KeyNotFound: There is none of this id.
        """
        _check_id(key_id)
        key = await self._store.revoke_key(tenant, key_id, to_milliseconds(self._clock.now()))
        if key is None:
            raise _not_found(key_id)
        log.info("key_revoked", key=key.id, prefix=key.prefix)
        try:
            await self._signals.signal(AUTH_CHANGED_SIGNAL, key.prefix.encode())
        except Unavailable as error:  # the key is revoked; caches find out when they look again
            log.warning("revocation_signal_lost", key=key.id, error=error.message)
        return key


def _check_id(key_id: str) -> None:
    if not ids.is_key_id(key_id):
        raise InvalidArgument.field("keyId", f"{shown(key_id)} is not a key's id, which looks like key_0198c6f2-…")


def _not_found(key_id: str) -> KeyNotFound:
    return KeyNotFound(f"there is no key {key_id!r}; list the keys to find its id", metadata={"key": key_id})
