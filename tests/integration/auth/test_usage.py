"""What keys were used for, counted at every replica and shown by any."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.auth.v1 import auth_pb2

from services.auth import usage as usage_
from shared import errors
from tests.integration.auth.conftest import identity_of
from tests.integration.auth.test_keys import paths, refused
from tests.integration.auth.test_limits import limited_key
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.identities import Identities
    from tests.integration.auth.conftest import Auth

pytestmark = pytest.mark.usefixtures("no_stalls")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_, "FLUSH_INTERVAL", timedelta(milliseconds=50))


async def test_use_is_counted_by_day_and_outcome_over_all_replicas(
    auth: Auth, other_replica: Auth, identities: Identities
) -> None:
    made = await limited_key(auth, identities, rate_limit=6, allowed_cidrs=["192.0.2.0/24"])
    for replica in (auth, other_replica):
        for _ in range(4):
            await replica.check(made.secret)
        await replica.check(made.secret, source="198.51.100.1")
    today = datetime.now(UTC).date()

    async def usage() -> auth_pb2.KeyUsage | None:
        async with other_replica.keys(identities.mint("acme")) as keys:
            found = await keys.GetKeyUsage(auth_pb2.GetKeyUsageRequest(key_id=made.key.id, days=3))
        return found if sum(day.requests for day in found.days) == 10 else None

    found = await eventually(usage, what="all of the use")
    assert [day.date for day in found.days] == [str(today - timedelta(days=back)) for back in range(3)]
    day = next(day for day in found.days if day.requests)
    assert (day.requests, day.allowed, day.rate_limited, day.refused) == (10, 6, 2, 2)


async def test_the_minute_of_its_last_use_is_shown_with_a_key(auth: Auth, identities: Identities) -> None:
    made = await limited_key(auth, identities)
    assert not made.key.HasField("last_used_at")
    before = datetime.now(UTC).replace(second=0, microsecond=0)
    assert identity_of(await auth.check(made.secret)) is not None

    async def last_used() -> datetime | None:
        async with auth.keys(identities.mint("acme")) as keys:
            key = await keys.GetKey(auth_pb2.GetKeyRequest(key_id=made.key.id))
        return key.last_used_at.ToDatetime(tzinfo=UTC) if key.HasField("last_used_at") else None

    seen = await eventually(last_used, what="the time of the last use")
    assert before <= seen <= datetime.now(UTC)
    assert (seen.second, seen.microsecond) == (0, 0)


async def test_use_is_shown_to_its_tenant_alone_and_for_days_that_are_kept(auth: Auth, identities: Identities) -> None:
    made = await limited_key(auth, identities)
    async with auth.keys(identities.mint("acme")) as keys:
        for days in (-1, 91):
            request = auth_pb2.GetKeyUsageRequest(key_id=made.key.id, days=days)
            assert paths(await refused(keys.GetKeyUsage(request))) == ["days"]
        for days, shown in ((0, 30), (90, 90)):
            found = await keys.GetKeyUsage(auth_pb2.GetKeyUsageRequest(key_id=made.key.id, days=days))
            assert len(found.days) == shown
    async with auth.keys(identities.mint("globex")) as keys:
        error = await refused(keys.GetKeyUsage(auth_pb2.GetKeyUsageRequest(key_id=made.key.id)))
    assert isinstance(error, errors.KeyNotFound)
