"""How many unfinished jobs there may be: of one tenant, and of all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared import ids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingLimits:
    """Of unfinished jobs.

    Args:
        default: Those of a tenant for which nothing else is set.
        by_tenant: Those of tenants that have a limit of their own.
    """

    default: int
    by_tenant: Mapping[str, int] = field(default_factory=dict[str, int])

    def of(self, tenant: str) -> int:
        """Those of this tenant."""
        return self.by_tenant.get(tenant, self.default)


def read_tenant_limits(texts: Sequence[str]) -> dict[str, int]:
    """Limits by tenant, as a setting has them.

    Args:
        texts: Each `tenant=number`.

    Raises:
        ValueError: One is malformed, or names a tenant that another one names too.
    """
    limits: dict[str, int] = {}
    for text in texts:
        tenant, _, number = (part.strip() for part in text.partition("="))
        if not ids.is_slug(tenant) or not number.isdecimal() or int(number) < 1:
            raise ValueError(f"holds {text!r}; it takes tenant=number, such as acme=5000, several parted by commas")
        if tenant in limits:
            raise ValueError(f"names {tenant!r} twice; keep one")
        limits[tenant] = int(number)
    return limits
