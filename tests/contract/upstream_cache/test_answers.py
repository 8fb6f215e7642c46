"""Answers, and the calls by which they come."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.upstream.cache.entries import Scope
from services.upstream.cache.store import Held, Hit, Lead, Wait
from tests.contract.upstream_cache.conftest import TTL, UNBOUND, answer, large, spot

if TYPE_CHECKING:
    from services.upstream.cache.entries import Spot
    from shared import kv
    from tests.contract.upstream_cache.conftest import Store

pytestmark = pytest.mark.usefixtures("no_stalls")


async def test_an_answer_that_is_kept_is_found_as_it_was_until_its_time_is_over(store: Store) -> None:
    kept = answer(b"\x00\xff cats", etag='"1"', date="today")
    await store.keep(spot(), kept)
    assert await store.look(spot()) == Hit(answer=kept)
    await store.at(299.9)
    assert await store.look(spot()) == Hit(answer=kept)
    await store.at(300)
    assert await store.look(spot()) == Lead()


async def test_where_a_body_lies_is_kept_in_its_place(store: Store) -> None:
    await store.keep(spot(), large(name="0198"))
    assert await store.look(spot()) == Hit(answer=large(name="0198"))


async def test_an_answer_serves_no_longer_than_whoever_asks_wants(store: Store) -> None:
    await store.keep(spot())
    await store.at(60)
    assert await store.look(spot(), ttl=timedelta(seconds=61)) == Hit(answer=answer())
    assert await store.look(spot(), ttl=timedelta(seconds=60)) == Lead()


async def test_the_newest_answer_takes_the_place_of_the_one_before(store: Store) -> None:
    first = await store.keep(spot(), large(1000, "a"))
    assert await store.look(spot(), refresh=True) == Lead()
    kept = await store.one.keep(spot(), large(2000, "b"), token="t1", ttl=TTL)
    assert kept.takes is not None
    assert (kept.takes.in_redis, kept.takes.in_objects) == (first.in_redis, 2000)
    assert kept.takes.revision > first.revision
    assert [each.name for each in kept.stale] == ["a"]
    assert await store.hit(spot()) == large(2000, "b")


@pytest.mark.parametrize(
    "other",
    [
        spot(tenant="globex"),
        spot(connection="con_1"),
        spot(method="flickr.photos.getInfo"),
        spot(2),
        spot("1"),
        spot(1.0),
        spot([1]),
    ],
)
async def test_an_answer_serves_nobody_elses_call(store: Store, other: Spot) -> None:
    await store.keep(spot())
    assert await store.look(other) == Lead()


async def test_one_calls_and_all_others_wait_until_it_is_believed_no_more(store: Store) -> None:
    assert await store.look(spot(), "t1") == Lead()
    await store.at(2)
    assert await store.look(spot(), "t2") == Wait(seconds=4)
    assert await store.hold(spot(), "t1") == Held(own=True, waited=True)
    await store.at(7.999)
    assert await store.look(spot(), "t2") == Wait(seconds=0.001)
    await store.at(8)
    assert await store.look(spot(), "t2") == Lead()
    assert await store.hold(spot(), "t1") == Held(own=False, waited=True)
    assert (await store.store(spot(), "t1")).takes is None, "its call is another's now"
    assert await store.look(spot(), "t3") == Wait(seconds=6)


async def test_a_call_that_is_let_go_is_the_next_ones(store: Store) -> None:
    assert await store.look(spot(), "t1") == Lead()
    assert await store.hold(spot(), "t1", for_=timedelta()) == Held(own=True, waited=False)
    assert await store.look(spot(), "t2") == Lead()
    assert await store.look(spot(), "t3") == Wait(seconds=6)
    assert await store.hold(spot(), "t1", for_=timedelta()) == Held(own=False, waited=True)
    kept = await store.store(spot(), "t2")
    assert (kept.takes is not None, kept.waited) == (True, True)
    assert await store.hold(spot(), "t2") == Held(own=False, waited=True), "it ended with its answer"


async def test_who_refreshes_calls_whatever_there_is_and_takes_the_waiters_over(store: Store) -> None:
    await store.keep(spot())
    assert await store.look(spot(), "t1", refresh=True) == Lead()
    assert await store.hit(spot()) == answer(), "others are served meanwhile"
    assert await store.look(spot("new"), "t1") == Lead()
    assert await store.look(spot("new"), "t2") == Wait(seconds=6)
    assert await store.look(spot("new"), "t3", refresh=True) == Lead()
    assert (await store.store(spot("new"), "t1")).takes is None
    assert (await store.store(spot("new"), "t3")).waited


async def test_a_call_that_nobody_has_said_a_word_of_for_an_hour_is_swept(store: Store) -> None:
    for token in ("t1", "t2"):
        assert await store.look(spot(token), token) == Lead()
    await store.at(3605)
    assert (await store.hold(spot("t2"), "t2")).own
    await store.at(3607)
    await store.one.evict("acme", in_redis=0, in_all=0)
    assert [(await store.hold(spot(token), token)).own for token in ("t1", "t2")] == [False, True]


CON_1, CON_2 = "con_1", "con_2"
SCOPES = [
    Scope(connection=connection, upstream="flickr", method=method)
    for connection in ("", CON_1, CON_2)
    for method in ("flickr.photos.search", "flickr.photos.getInfo")
]


@pytest.mark.parametrize(
    "wanted",
    [
        Scope(),
        Scope(connection=CON_1),
        Scope(connection="con"),
        Scope(upstream="flickr"),
        Scope(upstream="http"),
        Scope(method="flickr.photos.search"),
        Scope(method="flickr.photos"),
        Scope(connection=CON_2, method="flickr.photos.getInfo"),
        Scope(connection=CON_2, upstream="http"),
        Scope(connection=CON_2, upstream="flickr", method="flickr.photos.getInfo"),
    ],
)
async def test_what_fits_all_that_is_given_is_forgotten_and_counted(store: Store, wanted: Scope) -> None:
    spots = [spot(number, connection=scope.connection, method=scope.method) for scope in SCOPES for number in range(3)]
    others = [spot(connection=CON_1, tenant="globex"), spot(connection=CON_1, tenant="acme2")]
    for each in (*spots, *others):
        await store.keep(each)
    fitting = [each for each in spots if each.scope.fits(wanted)]
    forgotten = await store.one.forget("acme", wanted, after="")
    assert (forgotten.count, forgotten.last) == (len(fitting), "")
    assert {each.digest for each in spots if await store.hit(each) is None} == {each.digest for each in fitting}
    assert [await store.hit(each) for each in others] == [answer()] * 2
    assert (await store.one.forget("acme", wanted, after="")).count == 0


async def test_a_call_under_way_keeps_nothing_of_what_was_forgotten_since(store: Store) -> None:
    mine, others = spot(connection=CON_1), spot(connection=CON_2)
    for each in (mine, others):
        assert await store.look(each, "t1") == Lead()
        assert await store.look(each, "t2") == Wait(seconds=6)
    forgotten = await store.one.forget("acme", Scope(connection=CON_1), after="")
    assert (forgotten.count, list(forgotten.waited)) == (0, [mine.digest])
    assert (await store.store(mine, "t1")).takes is None
    assert (await store.store(others, "t1")).takes is not None
    assert await store.look(mine, "t3") == Lead(), "and nobody waits for it"


async def test_the_objects_of_what_goes_are_named(store: Store) -> None:
    await store.keep(spot(), large(name="a"))
    await store.keep(spot(2))
    forgotten = await store.one.forget("acme", Scope(), after="")
    assert [(each.tenant, each.digest, each.name) for each in forgotten.stale] == [("acme", spot().digest, "a")]
    assert (forgotten.takes.in_redis, forgotten.takes.in_objects) == (0, 0)


@pytest.mark.parametrize("name", ["flickr.a\nb", "flickr.\x00", "flickr. %0A", "flickr.ü{cache}"])
async def test_a_method_may_be_called_anything(store: Store, name: str) -> None:
    await store.keep(spot(method=name))
    assert await store.hit(spot(method=name)) == answer()
    evicted = await store.one.evict("acme", in_redis=1, in_all=0)
    assert list(evicted.scopes) == [Scope(upstream="flickr", method=name)]
    await store.keep(spot(method=name))
    assert (await store.one.forget("acme", Scope(method=name), after="")).count == 1


async def test_many_are_forgotten_in_steps(redis_store: Store) -> None:
    for number in range(600):
        await redis_store.keep(spot(number, method=f"flickr.{number % 2}"))
    wanted, count, last, steps = Scope(method="flickr.1"), 0, "", 0
    while True:
        step = await redis_store.one.forget("acme", wanted, after=last)
        count, last, steps = count + step.count, step.last, steps + 1
        if not last:
            break
    assert (count, steps) == (300, 3)
    assert (await redis_store.one.forget("acme", Scope(), after="")).count == 256


async def test_nothing_stays_of_what_is_forgotten_and_all_of_it_ends_by_itself(
    redis_store: Store, redis: kv.Client
) -> None:
    takes = await redis_store.keep(spot())
    await redis_store.one.note(takes, UNBOUND)
    left = {key: await redis.pttl(key) for key in await redis.keys("*") if b"{cache:" in key}
    assert all(0 < ms <= 2 * 24 * 3600 * 1000 for ms in left.values()), left
    assert 0 < await redis.pttl(f"{{cache:acme}}:entry:{spot().digest}") <= 300_000
    forgotten = await redis_store.one.forget("acme", Scope(), after="")
    await redis_store.one.note(forgotten.takes, UNBOUND)
    assert set(await redis.keys("*")) == {b"upstream-test-clock", b"{cache:acme}:takes", b"{cache}:sums"}
