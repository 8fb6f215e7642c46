"""Making, showing, suspending and resuming tenants: rules over a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.auth.display_names import display_name_violations
from services.auth.domain import Suspension, Tenant, to_milliseconds
from shared import crash_points, ids, observability
from shared.crash_points import CrashPoint
from shared.errors import FieldViolation, InvalidArgument, OwnTenant, TenantExists, TenantNotFound, Unavailable, shown
from shared.streams import TENANT_RESUMED_SIGNAL, TENANT_SUSPENDED_SIGNAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from services.auth.keyring import Signals
    from services.auth.tenant_store import TenantStore
    from shared.clock import Clock
    from shared.identity import Principal
    from shared.paging import Position

log = observability.logger()

#: As of a pause: it is shown as one.
MAX_REASON_CHARACTERS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantOrder:
    """A tenant that somebody wants made."""

    name: str
    display_name: str = ""

    def violations(self) -> Iterator[FieldViolation]:
        """What is wrong with it."""
        if not ids.is_slug(self.name):
            yield FieldViolation(
                "name",
                f"{shown(self.name)} is no lower-case slug of at most 40 characters, such as acme-eu",
            )
        yield from display_name_violations(self.display_name)


class Tenants:
    """The tenants.

    Args:
        store: Where they are kept.
        signals: Where a change is told to every replica, and to services with open streams.
        clock: The time.
        changed: Called when the mesh has to be told of a change, too.
    """

    def __init__(self, *, store: TenantStore, signals: Signals, clock: Clock, changed: Callable[[], None]) -> None:
        self._store = store
        self._signals = signals
        self._clock = clock
        self._changed = changed

    async def create(self, order: TenantOrder, *, maker: Principal) -> Tenant:
        """Makes a tenant.

        Raises:
            InvalidArgument: The order is wrong.
            TenantExists: There is one of this name.
        """
        violations = list(order.violations())
        if violations:
            raise InvalidArgument.of(violations)
        tenant = Tenant(name=order.name, display_name=order.display_name, created_at=to_milliseconds(self._clock.now()))
        if not await self._store.add_tenant(tenant):
            raise TenantExists(
                f"there is a tenant {order.name!r} already; take another name, or use that one",
                metadata={"tenant": order.name},
            )
        log.info("tenant_created", owner=order.name, maker=maker.id)
        return tenant

    async def tenants(self, *, limit: int, suspended: bool | None, after: Position | None) -> Sequence[Tenant]:
        """Tenants, newest first: all, or those that are suspended, or those that are not."""
        return await self._store.tenants(limit=limit, suspended=suspended, after=after)

    async def tenant(self, name: str) -> Tenant:
        """One tenant.

        Raises:
            InvalidArgument: The name can be no tenant's.
            TenantNotFound: There is none of this name.
        """
        _check_name(name)
        return _found(name, await self._store.tenant(name))

    async def suspend(self, name: str, reason: str, *, by: Principal) -> Tenant:
        """Suspends a tenant until it is resumed, and tells every replica.

        Args:
            name: Whose.
            reason: For whoever asks; of a tenant that is suspended it takes the place of the one before.
            by: Who asks for it.

        Raises:
            InvalidArgument: The name can be no tenant's, or the reason cannot be shown.
            OwnTenant: The key that asks for it would work no more, and could not take it back.
            TenantNotFound: There is none of this name.
        """
        _check_name(name)
        _check_reason(reason)
        if name == by.tenant:
            raise OwnTenant(
                f"{name!r} is the tenant of the API key that asks, which would work no more and could not resume it; "
                "use an operator's key of another tenant",
                metadata={"tenant": name},
            )
        suspension = Suspension(at=to_milliseconds(self._clock.now()), reason=reason, by=by.id)
        tenant = _found(name, await self._store.suspend_tenant(name, suspension))
        log.info("tenant_suspended", owner=name, revision=tenant.revision, by=by.id)
        await self._tell(TENANT_SUSPENDED_SIGNAL, name)
        return tenant

    async def resume(self, name: str, *, by: Principal) -> Tenant:
        """Takes a suspension back, and tells every replica; a tenant that is not suspended stays as it is.

        Raises:
            InvalidArgument: The name can be no tenant's.
            TenantNotFound: There is none of this name.
        """
        _check_name(name)
        tenant = _found(name, await self._store.resume_tenant(name, to_milliseconds(self._clock.now())))
        log.info("tenant_resumed", owner=name, revision=tenant.revision, by=by.id)
        await self._tell(TENANT_RESUMED_SIGNAL, name)
        return tenant

    async def _tell(self, subject: str, name: str) -> None:
        crash_points.reach(CrashPoint.AUTH_TENANT_CHANGED)
        self._changed()
        try:
            await self._signals.signal(subject, name.encode())
        except Unavailable as error:  # the change is on disk; caches find out when they look again
            log.warning("auth_signal_lost", owner=name, subject=subject, error=error.message)


def _check_name(name: str) -> None:
    if not ids.is_slug(name):
        raise InvalidArgument.field("tenant", f"{shown(name)} is not a tenant's name: a lower-case slug")


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise InvalidArgument.field("reason", "is empty; say why, for the tenant's callers are told it")
    if len(reason) > MAX_REASON_CHARACTERS:
        raise InvalidArgument.field("reason", f"has {len(reason)} characters; it takes {MAX_REASON_CHARACTERS} at most")
    if not reason.isprintable():
        raise InvalidArgument.field("reason", "holds control characters or line breaks; write it in one line")


def _found(name: str, tenant: Tenant | None) -> Tenant:
    if tenant is None:
        raise TenantNotFound(f"there is no tenant {name!r}; make it first", metadata={"tenant": name})
    return tenant
