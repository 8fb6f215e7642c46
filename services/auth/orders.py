"""What somebody may order: a key to be made, a secret to be replaced; and who may order it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from services.auth import networks
from shared import ids
from shared.errors import FieldViolation, PermissionDenied, shown
from shared.permissions import ROLE_SCOPES, Role, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from services.auth.networks import Network
    from shared.identity import Principal

_NAME_MAX_CHARACTERS = 100
MAX_CIDRS = 20
#: Requests a minute that a key's own limit may be; its tenant's limit holds beside it.
MAX_RATE_LIMIT = 1_000_000
#: How long a secret works on that a rotation has replaced.
DEFAULT_GRACE = timedelta(hours=24)
MAX_GRACE = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOrder:
    """A key that somebody wants made."""

    tenant: str
    name: str
    scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None
    #: Instead of scopes.
    role: Role | None = None
    cidrs: tuple[str, ...] = ()
    #: 0 for none of its own.
    rate_limit: int = 0

    @property
    def granted(self) -> frozenset[str]:
        """The scopes that the key will have."""
        return scopes_of(self.role, self.scopes)

    @property
    def networks(self) -> tuple[Network, ...]:
        """From where it will work, each network once, in the order in which they were named."""
        return tuple(dict.fromkeys(map(networks.network, self.cidrs)))

    def violations(self, now: datetime) -> Iterator[FieldViolation]:
        """What is wrong with it, whoever asks."""
        yield from _name_violations(self.name)
        if self.role is None:
            yield from _scope_violations(self.scopes)
        elif self.scopes:
            yield FieldViolation(
                "scopes", f"stand beside the role {self.role.value}, which has its own; give one of both"
            )
        yield from _cidr_violations(self.cidrs)
        if not 0 <= self.rate_limit <= MAX_RATE_LIMIT:
            yield FieldViolation(
                "rateLimit",
                f"is {self.rate_limit}; it takes 1 to {MAX_RATE_LIMIT} requests a minute, or 0 for the default",
            )
        if self.expires_at is not None and self.expires_at <= now:
            yield FieldViolation(
                "expiresAt",
                f"{self.expires_at.isoformat()} is past; name a time to come, or none for a key without end",
            )
        if not ids.is_slug(self.tenant):
            yield FieldViolation("tenant", f"{shown(self.tenant)} is not a tenant's name: a lower-case slug")

    def check_grantable_by(self, maker: Principal) -> None:
        """Lets a maker pass who may have this key made.

        Raises:
            PermissionDenied: It would hold a scope that its maker has not, or belong to another tenant, which takes an
                operator.
        """
        if self.tenant != maker.tenant and Scope.OPERATOR not in maker.scopes:
            raise PermissionDenied(
                f"this API key belongs to the tenant {maker.tenant!r}; keys for another tenant need the scope "
                f"{Scope.OPERATOR.value!r}",
                metadata={"scope": Scope.OPERATOR.value},
            )
        check_covers(self.granted, maker)


def scopes_of(role: Role | None, scopes: Iterable[str]) -> frozenset[str]:
    """What a key with this role, or else with these scopes, may do."""
    return frozenset(scopes if role is None else map(str, ROLE_SCOPES[role]))


def check_covers(scopes: Iterable[str], maker: Principal) -> None:
    """Lets a maker pass who may hand on all of these scopes.

    Raises:
        PermissionDenied: It lacks one of them itself.
    """
    beyond = sorted(set(scopes) - maker.scopes)
    if beyond:
        raise PermissionDenied(
            f"a key can grant only scopes that its maker has; this API key lacks {', '.join(map(repr, beyond))}",
            metadata={"scope": beyond[0]},
        )


def grace_violations(grace: timedelta) -> Iterator[FieldViolation]:
    """What is wrong with a grace period."""
    if not timedelta() <= grace <= MAX_GRACE:
        yield FieldViolation(
            "gracePeriod", f"is {grace.total_seconds():g} s; it takes 0 s to {MAX_GRACE.total_seconds():g} s (7 days)"
        )


def _name_violations(name: str) -> Iterator[FieldViolation]:
    if not name.strip():
        yield FieldViolation("name", f"is empty; say in 1 to {_NAME_MAX_CHARACTERS} characters what the key is for")
    elif len(name) > _NAME_MAX_CHARACTERS:
        yield FieldViolation("name", f"has {len(name)} characters; at most {_NAME_MAX_CHARACTERS} are kept")
    elif not name.isprintable():
        yield FieldViolation("name", f"{shown(name)} holds characters that cannot be shown; leave them out")


def _scope_violations(scopes: tuple[str, ...]) -> Iterator[FieldViolation]:
    known = [scope.value for scope in Scope]
    if not scopes:
        yield FieldViolation("scopes", f"is empty; name at least one of {', '.join(known)}")
    elif len(scopes) > len(known):
        yield FieldViolation("scopes", f"names {len(scopes)} scopes; there are {len(known)}, each named once")
    else:
        for index, scope in enumerate(scopes):
            if scope not in known:
                yield FieldViolation(f"scopes[{index}]", f"{shown(scope)} is no scope; there are {', '.join(known)}")


def _cidr_violations(cidrs: tuple[str, ...]) -> Iterator[FieldViolation]:
    if len(cidrs) > MAX_CIDRS:
        yield FieldViolation("allowedCidrs", f"names {len(cidrs)} networks; a key takes at most {MAX_CIDRS}")
        return
    for index, cidr in enumerate(cidrs):
        try:
            networks.network(cidr)
        except ValueError:  # told as what is wrong with the field
            yield FieldViolation(
                f"allowedCidrs[{index}]", f"{shown(cidr)} is no network; write it as 203.0.113.0/24 or 2001:db8::/32"
            )
