"""Making, showing, rotating and revoking keys: the rules of `orders` over a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from services.auth.domain import KeptSecret, Key, KeyHasher, KeySecret, PrefixTaken, to_milliseconds
from services.auth.orders import check_covers, grace_violations
from shared import ids, observability
from shared.errors import InvalidArgument, KeyNotActive, KeyNotFound, TenantNotFound, Unavailable, shown
from shared.streams import AUTH_CHANGED_SIGNAL, PRINCIPAL_REVOKED_SIGNAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from services.auth.orders import KeyOrder
    from services.auth.signing_keys import SigningKeys
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


async def issue(
    order: KeyOrder, *, store: Store, hasher: KeyHasher, signing_keys: SigningKeys, clock: Clock
) -> tuple[Key, KeySecret]:
    """Makes a key, whoever asks; answers with it and with its secret, which is known to nobody afterwards."""
    while True:
        key_id, secret = ids.new_key_id(), KeySecret.new()
        key = Key(
            id=key_id,
            tenant=order.tenant,
            name=order.name,
            prefix=secret.prefix,
            digest=hasher.digest(secret),
            sealed_signing_key=signing_keys.sealed(secret, tenant=order.tenant, key_id=key_id),
            scopes=order.granted,
            created_at=to_milliseconds(clock.now()),
            expires_at=to_milliseconds(order.expires_at) if order.expires_at is not None else None,
            role=order.role,
            networks=order.networks,
            rate_limit=order.rate_limit or None,
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
        signing_keys: How their signing keys are.
        signals: Where a revocation is told to every replica.
        clock: The time.
    """

    def __init__(
        self, *, store: Store, hasher: KeyHasher, signing_keys: SigningKeys, signals: Signals, clock: Clock
    ) -> None:
        self._store = store
        self._hasher = hasher
        self._signing_keys = signing_keys
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
        key, secret = await issue(
            order, store=self._store, hasher=self._hasher, signing_keys=self._signing_keys, clock=self._clock
        )
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

    async def rotate(self, tenant: str, key_id: str, *, grace: timedelta, maker: Principal) -> tuple[Key, KeySecret]:
        """Gives one of the tenant's keys a new secret; answers with both.

        One write does it, so that a replica that dies here leaves the key as it was, or rotated with the secret that it
        had in its grace period: then nobody knows the new secret, and the key is rotated once more.

        Args:
            tenant: Whose key.
            key_id: Its id.
            grace: How long its secret until now works on.
            maker: Who is told the new secret.

        Raises:
            InvalidArgument: The id is none, or the grace period is out of bounds.
            KeyNotFound: There is none of this id.
            PermissionDenied: The key may do what the maker may not.
            KeyNotActive: It was revoked or has expired.
        """
        violations = list(grace_violations(grace))
        if violations:
            raise InvalidArgument.of(violations)
        check_covers((await self.key(tenant, key_id)).scopes, maker)
        now = to_milliseconds(self._clock.now())
        ends = to_milliseconds(now + grace)
        while True:
            secret = KeySecret.new()
            fresh = KeptSecret(
                prefix=secret.prefix,
                digest=self._hasher.digest(secret),
                sealed_signing_key=self._signing_keys.sealed(secret, tenant=tenant, key_id=key_id),
            )
            try:
                before = await self._store.rotate_key(tenant, key_id, fresh, former_expires_at=ends, at=now)
            except PrefixTaken:  # as when a key is made
                continue
            break
        if before is None:
            key = await self.key(tenant, key_id)
            state = key.state(now).value
            raise KeyNotActive(f"the key {key_id} is {state}; make a new one", metadata={"key": key_id, "state": state})
        log.info("key_rotated", key=key_id, prefix=fresh.prefix, grace_s=grace.total_seconds(), maker=maker.id)
        await self._signal(key_id, AUTH_CHANGED_SIGNAL, before.prefixes)
        return before.rotated(fresh, ends), secret

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
        await self._signal(key_id, AUTH_CHANGED_SIGNAL, key.prefixes)
        await self._signal(key_id, PRINCIPAL_REVOKED_SIGNAL, (key_id,))
        return key

    async def _signal(self, key_id: str, subject: str, payloads: Iterable[str]) -> None:
        try:
            for payload in payloads:
                await self._signals.signal(subject, payload.encode())
        except Unavailable as error:  # the change is on disk; caches find out when they look again
            log.warning("auth_signal_lost", key=key_id, subject=subject, error=error.message)


def _check_id(key_id: str) -> None:
    if not ids.is_key_id(key_id):
        raise InvalidArgument.field("keyId", f"{shown(key_id)} is not a key's id, which looks like key_0198c6f2-…")


def _not_found(key_id: str) -> KeyNotFound:
    return KeyNotFound(f"there is no key {key_id!r}; list the keys to find its id", metadata={"key": key_id})
