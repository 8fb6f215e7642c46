"""What connections give to call with: of each kind, for how long, and when they give nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from penstock.auth.v1 import connections_pb2, credentials_pb2

from services.auth.connections.credentials import known as known_
from services.auth.connections.credentials.servicer import CredentialServicer
from services.auth.connections.domain import (
    BasicLogin,
    BearerToken,
    HeaderKey,
    OAuth1Token,
    OAuth2Tokens,
    ReauthPolicy,
    State,
)
from shared import ids
from shared.errors import ConnectionNeedsReauth, ConnectionNotFound, Unavailable
from tests.fakes.connection_store import FakeConnectionStore
from tests.fakes.data_keys import FakeKeys
from tests.fakes.refreshing import HOUR, Hands, Replica, RotatingProvider, Signals, sealed_connection
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.auth.connections.domain import Connection, Secret

CONTEXT: Any = None
TOKEN = BearerToken(token="t0p-s3cret")


class Desk:
    """One replica, and a clock that it knows what it has read by."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hands, self.store, self.keys = Hands(), FakeConnectionStore(), FakeKeys()
        self.provider = RotatingProvider(self.hands)
        self.replica = Replica(self.store, self.provider, Signals(), self.hands, self.keys)
        self.now_s = 1000.0
        self.replica.known._monotonic = lambda: self.now_s
        self.servicer = CredentialServicer(self.replica.credentials)

    async def connection(self, secret: Secret, **fields: Any) -> Connection:
        return await sealed_connection(self.store, self.replica.vault, secret, self.hands, **fields)

    async def get(self, connection: Connection, tenant: str = "acme") -> credentials_pb2.Credential:
        request = credentials_pb2.GetCredentialRequest(tenant=tenant, connection_id=connection.id)
        return await self.servicer.GetCredential(request, CONTEXT)

    async def report(
        self, connection: Connection, version: int = 1, reason: str = "said 401", *, certain: bool = True
    ) -> credentials_pb2.Credential:
        request = credentials_pb2.ReportRefusedCredentialRequest(
            tenant="acme", connection_id=connection.id, version=version, reason=reason, certain=certain
        )
        return await self.servicer.ReportRefusedCredential(request, CONTEXT)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        (TOKEN, {"bearer": credentials_pb2.BearerCredential(token="t0p-s3cret")}),
        (
            HeaderKey(name="X-Key", value="t0p-s3cret"),
            {"header": credentials_pb2.HeaderCredential(name="X-Key", value="t0p-s3cret")},
        ),
        (
            BasicLogin(username="ann", password="t0p-s3cret"),
            {"basic": credentials_pb2.BasicCredential(username="ann", password="t0p-s3cret")},
        ),
        (
            OAuth1Token(token="t", token_secret="u"),
            {
                "oauth1": credentials_pb2.OAuth1Credential(
                    client_key="key", client_secret="client-s3cret", token="t", token_secret="u"
                )
            },
        ),
        (OAuth2Tokens(access_token="a", refresh_token="r"), {"bearer": credentials_pb2.BearerCredential(token="a")}),
    ],
)
async def test_each_kind_of_secret_is_answered_as_it_is_called_with(
    desk: Desk, secret: Secret, expected: dict[str, Any]
) -> None:
    connection = await desk.connection(secret, provider="flickr", hosts=("api.example.com",))
    answer = await desk.get(connection)
    keep_until = desk.hands.now() + timedelta(seconds=30)
    wanted = credentials_pb2.Credential(
        connection_id=connection.id, upstream="http", version=1, hosts=["api.example.com"], **expected
    )
    wanted.keep_until.FromDatetime(keep_until)
    assert answer == wanted
    assert "refresh" not in str(answer)


async def test_a_token_is_not_kept_beyond_its_end(desk: Desk) -> None:
    ends = desk.hands.now() + timedelta(seconds=20)
    connection = await desk.connection(OAuth2Tokens(access_token="a", expires_at=ends))
    assert (await desk.get(connection)).keep_until.seconds < int(ends.timestamp())


async def test_a_token_that_has_ended_and_cannot_be_refreshed_gives_its_connection_up(desk: Desk) -> None:
    connection = await desk.connection(OAuth2Tokens(access_token="a", expires_at=desk.hands.now() + HOUR))
    desk.hands.time += HOUR - timedelta(minutes=1)
    assert (await desk.get(connection)).bearer.token == "a"
    desk.hands.time += HOUR
    with pytest.raises(ConnectionNeedsReauth, match="nothing to refresh it with"):
        await desk.get(connection)
    assert desk.store.by_id[connection.id].state is State.NEEDS_REAUTH


async def test_a_client_whose_provider_this_mesh_does_not_know_can_be_set_by_its_operator(desk: Desk) -> None:
    connection = await desk.connection(OAuth1Token(token="t", token_secret="u"), provider="other")
    with pytest.raises(Unavailable, match="no client at the provider 'other'"):
        await desk.get(connection)


async def test_facts_have_no_secret(desk: Desk) -> None:
    connection = await desk.connection(TOKEN, hosts=("a.example", "b.example:8443"), reauth_policy=ReauthPolicy.WAIT)
    request = credentials_pb2.DescribeConnectionRequest(tenant="acme", connection_id=connection.id)
    assert await desk.servicer.DescribeConnection(request, CONTEXT) == credentials_pb2.ConnectionFacts(
        connection_id=connection.id,
        upstream="http",
        hosts=["a.example", "b.example:8443"],
        state=connections_pb2.Connection.ACTIVE,
        reauth_policy=connections_pb2.Connection.WAIT,
    )


@pytest.mark.parametrize("named", ["", "con_1", "con_$where", ids.new_connection_id(), "x" * 5000])
async def test_what_is_no_connection_is_not_found(desk: Desk, named: str) -> None:
    for ask in (
        desk.servicer.GetCredential(credentials_pb2.GetCredentialRequest(tenant="acme", connection_id=named), CONTEXT),
        desk.servicer.DescribeConnection(
            credentials_pb2.DescribeConnectionRequest(tenant="acme", connection_id=named), CONTEXT
        ),
        desk.servicer.ReportRefusedCredential(
            credentials_pb2.ReportRefusedCredentialRequest(tenant="acme", connection_id=named, version=1), CONTEXT
        ),
    ):
        with pytest.raises(ConnectionNotFound):
            await ask


async def test_another_tenants_connection_is_not_found(desk: Desk) -> None:
    connection = await desk.connection(TOKEN)
    await desk.get(connection)
    with pytest.raises(ConnectionNotFound):
        await desk.get(connection, tenant="rival")
    assert (await desk.get(connection)).bearer.token == "t0p-s3cret"


@pytest.mark.parametrize(("policy", "waits"), [(ReauthPolicy.WAIT, "true"), (ReauthPolicy.FAIL, "false")])
async def test_what_needs_to_be_authorized_anew_says_whether_its_jobs_wait(
    desk: Desk, policy: ReauthPolicy, waits: str
) -> None:
    connection = await desk.connection(TOKEN, reauth_policy=policy)
    with pytest.raises(ConnectionNeedsReauth, match="http refuses its secret: said 401") as caught:
        await desk.report(connection)
    assert caught.value.metadata == {"connection": connection.id, "jobs_wait": waits}
    with pytest.raises(ConnectionNeedsReauth) as caught:
        await desk.get(connection)
    assert caught.value.metadata["jobs_wait"] == waits


async def test_a_status_alone_gives_up_no_secret(desk: Desk) -> None:
    connection = await desk.connection(TOKEN)
    assert (await desk.report(connection, certain=False)).version == 1
    assert desk.store.by_id[connection.id].state is State.ACTIVE


async def test_a_report_of_an_older_secret_changes_nothing(desk: Desk) -> None:
    connection = await desk.connection(TOKEN, version=3)
    assert (await desk.report(connection, version=2)).version == 3
    assert desk.store.by_id[connection.id].state is State.ACTIVE


async def test_what_an_upstream_has_said_is_kept_short_and_readable(desk: Desk) -> None:
    connection = await desk.connection(TOKEN)
    with pytest.raises(ConnectionNeedsReauth):
        await desk.report(connection, reason="bad\r\n\x00" + "x" * 5000)
    reason = desk.store.by_id[connection.id].state_reason
    assert reason.isprintable()
    assert len(reason) <= 300


async def test_what_is_known_serves_while_mongodb_is_away_and_no_longer_than_that(desk: Desk) -> None:
    connection = await desk.connection(TOKEN)
    await desk.get(connection)
    desk.store.away = True
    for _ in range(14):
        desk.now_s += 60
        assert (await desk.get(connection)).bearer.token == "t0p-s3cret"
    desk.now_s += 120
    with pytest.raises(Unavailable):
        await desk.get(connection)
    desk.store.away = False
    assert (await desk.get(connection)).bearer.token == "t0p-s3cret"


async def test_a_signal_counts_while_mongodb_is_away(desk: Desk) -> None:
    connection = await desk.connection(TOKEN)
    await desk.get(connection)
    desk.store.away = True
    desk.replica.known.forget(connection.id)
    with pytest.raises(Unavailable):
        await desk.get(connection)


async def test_a_mongodb_that_hangs_delays_nobody_who_has_something_to_go_by(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_, "_LOOKUP_TIMEOUT_S", 0.05)
    connection = await desk.connection(TOKEN)
    await desk.get(connection)
    reads = 0

    async def hang(tenant: str, connection_id: str) -> None:
        nonlocal reads
        reads += 1
        await asyncio.Event().wait()

    monkeypatch.setattr(desk.store, "connection", hang)
    desk.now_s += 60
    for _ in range(20):
        assert (await desk.get(connection)).bearer.token == "t0p-s3cret"
    assert reads == 1


async def test_after_a_lost_link_to_the_signals_what_is_known_is_read_anew_and_serves_if_it_cannot_be(
    desk: Desk,
) -> None:
    connection = await desk.connection(TOKEN)
    await desk.get(connection)
    desk.replica.known.forget_all()
    desk.store.away = True
    assert (await desk.get(connection)).bearer.token == "t0p-s3cret"
    desk.store.away = False
    await desk.store.delete("acme", connection.id, desk.hands.now())
    desk.now_s += 60
    with pytest.raises(ConnectionNotFound):
        await desk.get(connection)


async def test_a_connection_that_was_deleted_gives_nothing_after_its_signal(desk: Desk) -> None:
    connection = await desk.connection(TOKEN)
    await desk.get(connection)
    await desk.store.delete("acme", connection.id, desk.hands.now())
    desk.replica.known.forget(connection.id)
    with pytest.raises(ConnectionNotFound):
        await desk.get(connection)


async def test_many_who_ask_at_once_share_one_look(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = await desk.connection(TOKEN)
    gate, reads = asyncio.Event(), 0
    read = desk.store.connection

    async def counted(tenant: str, connection_id: str) -> Connection | None:
        nonlocal reads
        reads += 1
        await gate.wait()
        return await read(tenant, connection_id)

    monkeypatch.setattr(desk.store, "connection", counted)
    asked = [asyncio.create_task(desk.get(connection)) for _ in range(20)]
    await eventually(lambda: reads)
    asked[0].cancel()
    gate.set()
    answers = await asyncio.gather(*asked[1:])
    assert {answer.version for answer in answers} == {1}
    assert reads == 1


@pytest.mark.parametrize("lost", [False, True])
async def test_a_key_provider_that_is_away_or_a_key_that_is_lost_revokes_nothing(desk: Desk, *, lost: bool) -> None:
    connection = await desk.connection(TOKEN)
    if lost:
        desk.keys.by_id.clear()
    else:
        desk.keys.away = True
    for ask in (desk.get, desk.report):
        with pytest.raises(Unavailable):
            await ask(connection)
    assert desk.store.by_id[connection.id].state is State.ACTIVE


async def test_no_secret_is_in_what_is_logged_or_raised(desk: Desk) -> None:
    with structlog.testing.capture_logs() as logs:
        connection = await desk.connection(desk.provider.tokens())
        desk.hands.time += 2 * HOUR
        await desk.get(connection)
        desk.hands.time += 2 * HOUR
        desk.provider.revoked = True
        with pytest.raises(ConnectionNeedsReauth) as caught:
            await desk.get(connection)
    assert len(logs) > 1
    told = f"{logs} {caught.value!r} {caught.value.metadata} {desk.store.by_id[connection.id]!r}"
    assert "access-" not in told
    assert "refresh-" not in told
    usable = await desk.replica.credentials.credential("acme", (await desk.connection(TOKEN)).id)
    assert "s3cret" not in repr(usable)
