"""How replicas agree on which of them rebuilds a server."""

from __future__ import annotations

from datetime import timedelta

from services.intake.rebuilds import Rebuilds
from tests.fakes.intake_bucket import FakeBucket
from tests.waiting import eventually

NOW = timedelta(0)
NEVER = timedelta(days=1)


async def test_one_replica_has_the_claim_and_the_other_learns_of_the_end() -> None:
    bucket = FakeBucket()
    one, other = Rebuilds(bucket, patience=NEVER), Rebuilds(bucket, patience=NEVER)
    claim = await one.claim("a1")
    assert claim is not None
    assert await other.claim("a1") is None
    assert not await other.is_done("a1")
    assert await one.renew("a1", claim) is not None
    await one.finish("a1")
    assert await other.is_done("a1")
    assert await other.claim("a1") is None
    assert not await other.is_done("b2")


async def test_a_replica_takes_its_own_claim_up_again() -> None:
    rebuilds = Rebuilds(FakeBucket(), patience=NEVER)
    first = await rebuilds.claim("a1")
    second = await rebuilds.claim("a1")
    assert first is not None
    assert second is not None
    assert await rebuilds.renew("a1", first) is None
    assert await rebuilds.renew("a1", second) is not None


async def test_a_claim_that_is_not_renewed_goes_to_another_and_is_lost_to_the_first() -> None:
    bucket = FakeBucket()
    one, other = Rebuilds(bucket), Rebuilds(bucket, patience=timedelta(milliseconds=20))
    claim = await one.claim("a1")
    assert claim is not None
    taken = await eventually(lambda: other.claim("a1"))
    assert taken is not None
    assert await one.renew("a1", claim) is None
    assert await other.renew("a1", taken) is not None


async def test_a_claim_that_moves_on_is_left_alone() -> None:
    bucket = FakeBucket()
    one, other = Rebuilds(bucket), Rebuilds(bucket, patience=NOW)
    claim = await one.claim("a1")
    other._seen, other._seen_at = ("a1", -1), 0.0  # what it saw last was another revision
    other._patience_s = 3600
    assert claim is not None
    for _ in range(3):
        assert await other.claim("a1") is None
        claim = await one.renew("a1", claim)
        assert claim is not None


async def test_only_the_newest_servers_are_kept() -> None:
    bucket = FakeBucket()
    rebuilds = Rebuilds(bucket)
    for number in range(40):
        await rebuilds.finish(f"server{number}")
    assert sorted(await bucket.entries()) == sorted(f"server{number}" for number in range(24, 40))
