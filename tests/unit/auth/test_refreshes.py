"""Refreshes of tokens over several replicas, at a provider that rotates refresh tokens and punishes reuse."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from services.auth.connections.domain import Change, GivenSecret, Kind, OAuth2Tokens, State
from services.auth.connections.sealing.vault import Vault
from shared.errors import ConnectionNeedsReauth, ConnectionNotFound, Unavailable
from shared.retry import Backoff
from tests.fakes.connection_store import FakeConnectionStore
from tests.fakes.data_keys import FakeKeys
from tests.fakes.refreshing import HOUR, Hands, Replica, RotatingProvider, Signals, sealed_connection
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.auth.connections.domain import Connection
    from services.auth.connections.sealing.vault import Keys


class Scene:
    """Three replicas on one store, and a connection whose token the provider has just given."""

    connection: Connection

    def __init__(self) -> None:
        self.hands = Hands()
        self.store = FakeConnectionStore()
        self.provider = RotatingProvider(self.hands)
        self.signals = Signals()
        self.keys = FakeKeys()
        self.replicas = [self.replica() for _ in range(3)]

    def replica(self, keys: Keys | None = None, hands: Hands | None = None, **times: Any) -> Replica:
        return Replica(self.store, self.provider, self.signals, hands or self.hands, keys or self.keys, **times)

    async def begun(self) -> Scene:
        self.connection = await sealed_connection(self.store, Vault(self.keys), self.provider.tokens(), self.hands)
        return self

    @property
    def record(self) -> Connection:
        return self.store.by_id[self.connection.id]

    async def all_tokens(self, workers: int = 50) -> set[str]:
        """What so many workers at all replicas are told to call with."""
        asked = (self.replicas[index % 3].token(self.connection) for index in range(workers))
        return set(await asyncio.gather(*asked))

    async def all_refused(self, version: int, workers: int = 50) -> set[str]:
        asked = (self.replicas[index % 3].refused(self.connection, version) for index in range(workers))
        return set(await asyncio.gather(*asked))


@pytest.fixture
async def scene() -> Scene:
    return await Scene().begun()


async def test_fifty_workers_of_three_replicas_make_one_refresh_and_all_get_the_fresh_token(scene: Scene) -> None:
    scene.hands.time += 2 * HOUR
    assert await scene.all_tokens() == {"access-2"}
    assert scene.provider.refreshes == 1
    assert scene.provider.takes("access-2")
    assert scene.record.version == 2


async def test_the_connection_lives_through_twenty_expiries(scene: Scene) -> None:
    for round_ in range(20):
        scene.hands.time += 2 * HOUR
        (token,) = await scene.all_tokens()
        assert scene.provider.takes(token)
        assert scene.provider.refreshes == round_ + 1
    assert scene.record.state is State.ACTIVE


async def test_a_token_that_is_about_to_end_is_served_while_it_is_refreshed_beside(scene: Scene) -> None:
    scene.provider.asked.clear()
    scene.hands.time += HOUR - timedelta(minutes=1)
    assert await scene.all_tokens() == {"access-1"}
    await eventually(lambda: scene.provider.refreshes == 1)
    scene.provider.asked.set()
    await eventually(lambda: scene.record.version == 2)
    assert await scene.all_tokens() == {"access-2"}
    assert scene.provider.refreshes == 1


async def test_nobody_is_given_a_token_before_it_is_kept(scene: Scene) -> None:
    scene.hands.time += 2 * HOUR
    scene.provider.answers.clear()
    asked = [asyncio.create_task(replica.token(scene.connection)) for replica in scene.replicas]
    await eventually(lambda: scene.provider.issued == 2)
    scene.store.away = True
    scene.provider.answers.set()
    done, _ = await asyncio.wait(asked, timeout=0.2)
    assert not done
    with pytest.raises(Unavailable):
        await scene.replica().token(scene.connection)
    scene.store.away = False
    assert {await each for each in asked} == {"access-2"}
    assert scene.record.version == 2
    assert (scene.provider.refreshes, scene.provider.revoked) == (1, False)


async def test_who_holds_fresh_tokens_while_the_store_is_away_keeps_them_though_its_claim_has_lapsed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = asyncio.Event()
    keep = scene.store.replace_secret

    async def noted(*named: Any, **fields: Any) -> Connection | None:
        tried.set()
        return await keep(*named, **fields)

    monkeypatch.setattr(scene.store, "replace_secret", noted)
    monkeypatch.setattr(Backoff, "pause", lambda *_: timedelta(seconds=0.4))
    scene.hands.time += 2 * HOUR
    scene.provider.answers.clear()
    owner = asyncio.create_task(scene.replicas[0].token(scene.connection))
    await eventually(lambda: scene.provider.issued == 2)
    scene.store.away = True
    scene.provider.answers.set()
    await tried.wait()
    fence, _ = scene.store.claims[scene.connection.id]
    scene.store.claims[scene.connection.id] = (fence, 1e-9)  # it lapsed while the store was away
    scene.store.away = False
    others = [asyncio.create_task(replica.token(scene.connection)) for replica in scene.replicas[1:]]
    assert {await owner, *[await other for other in others]} == {"access-2"}
    assert (scene.provider.refreshes, scene.provider.revoked) == (1, False)


async def test_a_replica_that_dies_before_the_provider_is_asked_is_succeeded(scene: Scene) -> None:
    scene.hands.time += 2 * HOUR
    scene.provider.asked.clear()
    dying = asyncio.create_task(scene.replicas[0].token(scene.connection))
    await eventually(lambda: scene.provider.refreshes == 1)
    await scene.replicas[0].kill()
    with pytest.raises(Unavailable):
        await dying
    scene.provider.asked.set()
    assert await scene.replicas[1].token(scene.connection) == "access-2"
    assert scene.record.version == 2


async def test_a_replica_that_dies_with_the_providers_answer_loses_it_and_the_connection_says_so(scene: Scene) -> None:
    scene.hands.time += 2 * HOUR
    scene.provider.answers.clear()
    dying = asyncio.create_task(scene.replicas[0].token(scene.connection))
    await eventually(lambda: scene.provider.issued == 2)
    await scene.replicas[0].kill()
    with pytest.raises(Unavailable):
        await dying
    with pytest.raises(ConnectionNeedsReauth, match="invalid_grant"):
        await scene.replicas[1].token(scene.connection)
    assert scene.record.state is State.NEEDS_REAUTH
    assert scene.connection.id in scene.store.untold_ids


async def test_a_claim_whose_signal_was_lost_is_looked_at_again_when_it_ends(scene: Scene) -> None:
    scene.hands.time += 2 * HOUR
    scene.signals.cut = True
    scene.provider.asked.clear()
    owner = asyncio.create_task(scene.replicas[0].token(scene.connection))
    await eventually(lambda: scene.provider.refreshes == 1)
    waiter = asyncio.create_task(scene.replicas[1].token(scene.connection))
    await asyncio.wait({waiter}, timeout=0.05)
    scene.provider.asked.set()
    assert {await owner, await waiter} == {"access-2"}
    assert scene.provider.refreshes == 1


async def test_a_providers_outage_is_no_revocation(scene: Scene) -> None:
    pauses = Hands()  # a pause is of random length: here it ends when it is said to
    scene.replicas = [scene.replica(monotonic=pauses.monotonic) for _ in range(3)]
    scene.provider.fault = Unavailable("the provider does not answer")
    scene.hands.time += HOUR - timedelta(minutes=1)
    assert await scene.all_tokens() == {"access-1"}, "the old one still works"
    await eventually(lambda: scene.provider.refreshes)
    scene.hands.time += 2 * HOUR
    for replica in scene.replicas:
        with pytest.raises(Unavailable):
            await replica.token(scene.connection)
    assert scene.record.state is State.ACTIVE
    assert scene.provider.refreshes == 3, "each replica pauses after a fault"
    scene.provider.fault = None
    pauses.time += HOUR
    assert await scene.all_tokens() == {"access-2"}


async def test_a_fault_that_nobody_foresaw_ends_no_connection_and_lets_others_claim(scene: Scene) -> None:
    scene.hands.time += 2 * HOUR
    scene.provider.fault = RuntimeError("a fault")
    with pytest.raises(RuntimeError):
        await scene.replicas[0].token(scene.connection)
    scene.provider.fault = None
    assert await scene.replicas[1].token(scene.connection) == "access-2"


async def test_a_refused_refresh_gives_the_connection_up_once_for_all(scene: Scene) -> None:
    scene.hands.time += 2 * HOUR
    scene.provider.revoked = True
    answers = await asyncio.gather(
        *(scene.replicas[index % 3].token(scene.connection) for index in range(30)), return_exceptions=True
    )
    assert all(isinstance(answer, ConnectionNeedsReauth) for answer in answers)
    assert scene.provider.refreshes == 1
    assert (scene.record.state, scene.record.revision) == (State.NEEDS_REAUTH, 2)
    assert scene.connection.id in scene.store.untold_ids


async def test_a_refusal_of_a_token_that_was_replaced_meanwhile_ends_nothing(scene: Scene) -> None:
    scene.hands.time += 2 * HOUR
    scene.provider.asked.clear()
    asked = asyncio.create_task(scene.replicas[0].token(scene.connection))
    await eventually(lambda: scene.provider.refreshes == 1)
    given = OAuth2Tokens(access_token="another", refresh_token="r", expires_at=scene.hands.now() + HOUR)
    sealed = await scene.replicas[0].vault.seal(given, tenant="acme", connection_id=scene.connection.id)
    secret = GivenSecret(kind=Kind.OAUTH2, sealed=sealed, expires_at=given.expires_at)
    await scene.store.change("acme", scene.connection.id, Change(at=scene.hands.now(), given=secret))
    scene.provider.revoked = True
    scene.provider.asked.set()
    assert await asked == "another"
    assert scene.record.state is State.ACTIVE


async def test_a_connection_that_is_deleted_while_it_is_refreshed_is_gone(scene: Scene) -> None:
    scene.hands.time += 2 * HOUR
    scene.provider.asked.clear()
    asked = [asyncio.create_task(replica.token(scene.connection)) for replica in scene.replicas]
    await eventually(lambda: scene.provider.refreshes == 1)
    await scene.store.delete("acme", scene.connection.id, scene.hands.now())
    scene.provider.asked.set()
    for each in asked:
        with pytest.raises(ConnectionNotFound):
            await each


async def test_what_could_not_be_sealed_afterwards_is_not_asked_for(scene: Scene) -> None:
    class Opens(FakeKeys):
        async def current(self) -> tuple[str, bytes]:
            raise Unavailable("the key provider does not answer")

    scene.hands.time += 2 * HOUR
    keys = Opens()
    keys.by_id = scene.keys.by_id
    replica = scene.replica(keys)
    with pytest.raises(Unavailable):
        await replica.token(scene.connection)
    assert scene.provider.refreshes == 0
    assert await scene.replicas[0].token(scene.connection) == "access-2"


async def test_a_replica_that_stops_finishes_what_it_has_claimed_and_begins_nothing(scene: Scene) -> None:
    scene.hands.time += 2 * HOUR
    scene.provider.answers.clear()
    asked = asyncio.create_task(scene.replicas[0].token(scene.connection))
    await eventually(lambda: scene.provider.issued == 2)
    waiter = asyncio.create_task(scene.replicas[1].token(scene.connection))
    await asyncio.wait({waiter}, timeout=0.05)
    await scene.replicas[1].refreshes.drain()
    with pytest.raises(Unavailable):
        await waiter
    draining = asyncio.create_task(scene.replicas[0].refreshes.drain())
    await asyncio.wait({draining}, timeout=0.05)
    assert not draining.done()
    scene.provider.answers.set()
    await draining
    assert await asked == "access-2"
    assert scene.record.version == 2
    with pytest.raises(Unavailable):
        await scene.replicas[0].refreshes.newest(scene.record)


async def test_a_refused_token_is_refreshed_once_for_all_who_report_it(scene: Scene) -> None:
    assert await scene.all_refused(1) == {"access-2"}
    assert await scene.all_refused(1) == {"access-2"}, "who comes late is told the newest"
    assert scene.provider.refreshes == 1


async def test_an_upstream_that_refuses_whatever_it_is_shown_causes_no_storm(scene: Scene) -> None:
    assert await scene.replicas[0].refused(scene.connection, 1) == "access-2"
    assert await scene.replicas[1].refused(scene.connection, 2) == "access-2", "there is no other"
    assert scene.provider.refreshes == 1
    assert scene.record.state is State.ACTIVE, "a status may be about the one thing that was asked for"


async def test_an_upstream_that_says_of_a_fresh_token_too_that_it_is_none_ends_the_connection(scene: Scene) -> None:
    assert await scene.replicas[0].refused(scene.connection, 1, certain=True) == "access-2"
    with pytest.raises(ConnectionNeedsReauth, match="refuses its secret: said 401"):
        await scene.replicas[1].refused(scene.connection, 2, certain=True)
    assert scene.provider.refreshes == 1
    assert scene.record.state is State.NEEDS_REAUTH


async def test_a_token_that_is_refused_after_a_while_is_refreshed_again(scene: Scene) -> None:
    assert await scene.replicas[0].refused(scene.connection, 1) == "access-2"
    scene.hands.time += timedelta(minutes=2)
    assert await scene.replicas[1].refused(scene.connection, 2) == "access-3"


@pytest.mark.parametrize("skew", [-timedelta(minutes=7), timedelta(minutes=7)])
async def test_replicas_whose_clocks_differ_keep_the_connection(scene: Scene, skew: timedelta) -> None:
    other = Hands()
    odd = scene.replica(hands=other)
    for _ in range(5):
        scene.hands.time += HOUR + timedelta(minutes=10)
        other.time = scene.hands.time + skew
        tokens = await asyncio.gather(*(each.token(scene.connection) for each in (*scene.replicas, odd) * 5))
        version = scene.record.version
        assert await odd.refused(scene.connection, version - 1) in tokens
    assert not scene.provider.revoked
    assert scene.record.state is State.ACTIVE
    assert scene.provider.refreshes <= 10
