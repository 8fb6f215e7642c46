"""Credentials at the worker: asked for once, kept for a short time, and forgotten when they change."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from penstock.auth.v1 import credentials_pb2

from services.upstream import connections as connections_
from services.upstream.connections import MAX_KEPT, Connections
from services.upstream.credentials import BasicSecret, BearerSecret, Credential, HeaderSecret, OAuth1Secret
from shared.clock import SystemClock
from shared.errors import ConnectionNeedsReauth, ConnectionNotFound, InvalidArgument, Unavailable
from tests.fakes.credentials import CONNECTION, FakeCredentials
from tests.waiting import eventually

if TYPE_CHECKING:
    from penstock.auth.v1.credentials_pb2_grpc import CredentialServiceAsyncStub


class Desk:
    """Connections, and the time that they go by."""

    def __init__(self, auth: FakeCredentials, *, patience: timedelta = timedelta(seconds=5)) -> None:
        self.now_s = 1000.0
        self.connections = Connections(
            cast("CredentialServiceAsyncStub", auth),
            clock=SystemClock(),
            monotonic=lambda: self.now_s,
            patience=patience,
        )

    async def version(self) -> int:
        return (await self.credential()).version

    async def credential(self, tenant: str = "acme", connection_id: str = CONNECTION) -> Credential:
        return await self.connections.credential(tenant, connection_id, upstream="shop")


async def test_all_who_call_at_the_same_time_share_one_question() -> None:
    auth = FakeCredentials()
    desk = Desk(auth)
    auth.open.clear()
    asking = [asyncio.create_task(desk.version()) for _ in range(50)]
    await eventually(lambda: auth.asked)
    asking[0].cancel()  # who asked first need not wait for the answer
    auth.open.set()
    assert await asyncio.gather(*asking[1:]) == [1] * 49
    assert len(auth.asked) == 1


async def test_a_credential_is_kept_as_long_as_auth_says_and_no_longer() -> None:
    auth = FakeCredentials(keep_for=timedelta(seconds=30))
    desk = Desk(auth)
    await desk.version()
    desk.now_s += 29
    auth.version = 2
    assert await desk.version() == 1
    desk.now_s += 2
    assert await desk.version() == 2
    assert len(auth.asked) == 2


async def test_a_clock_that_is_wrong_keeps_nothing_for_long() -> None:
    auth = FakeCredentials(keep_for=timedelta(hours=3))
    desk = Desk(auth)
    await desk.version()
    desk.now_s += MAX_KEPT.total_seconds() + 1
    await desk.version()
    assert len(auth.asked) == 2
    auth.keep_for = timedelta(hours=-3)
    desk.now_s += MAX_KEPT.total_seconds() + 1
    assert [await desk.version(), await desk.version()] == [1, 1]
    assert len(auth.asked) == 4


async def test_a_connection_that_changes_is_asked_for_anew() -> None:
    auth = FakeCredentials()
    desk = Desk(auth)
    await desk.version()
    await desk.connections.changed(b"con_another")
    await desk.version()
    auth.error = ConnectionNotFound("gone")
    await desk.connections.changed(CONNECTION.encode())
    with pytest.raises(ConnectionNotFound):
        await desk.version()


async def test_what_was_asked_before_a_change_is_not_kept_after_it() -> None:
    auth = FakeCredentials()
    desk = Desk(auth)
    auth.open.clear()
    before = asyncio.create_task(desk.version())
    await eventually(lambda: auth.asked)
    auth.version = 2
    await desk.connections.changed(CONNECTION.encode())
    after = asyncio.create_task(desk.version())
    await eventually(lambda: len(auth.asked) == 2)
    auth.open.set()
    assert (await before, await after, await desk.version()) == (1, 2, 2)
    assert len(auth.asked) == 2


async def test_after_a_lost_link_to_the_signals_all_is_asked_for_anew() -> None:
    auth = FakeCredentials()
    desk = Desk(auth)
    await desk.version()
    desk.connections.forget_all()
    await desk.version()
    assert len(auth.asked) == 2


async def test_a_short_absence_of_auth_is_waited_out_and_a_long_one_is_told() -> None:
    auth = FakeCredentials(away_for=2)
    assert await Desk(auth).version() == 1
    auth.away_for = 1000
    with pytest.raises(Unavailable, match=r"no credential could be had for 0\.1 s"):
        await Desk(auth, patience=timedelta(seconds=0.1)).version()


async def test_one_tenants_credential_is_never_anothers() -> None:
    desk = Desk(FakeCredentials())
    await desk.version()
    with pytest.raises(ConnectionNotFound):
        await desk.credential("rival")


async def test_a_connection_of_another_upstream_is_not_called_with() -> None:
    desk = Desk(FakeCredentials(upstream="flickr"))
    for _ in range(2):  # asked, and from memory
        with pytest.raises(InvalidArgument, match="is for flickr"):
            await desk.version()


async def test_no_more_is_kept_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections_, "MAX_CREDENTIALS", 2)

    class Many(FakeCredentials):
        def _credential(self, tenant: str, connection_id: str) -> credentials_pb2.Credential:
            answer = super()._credential("acme", CONNECTION)
            answer.connection_id = connection_id
            return answer

    auth = Many()
    desk = Desk(auth)
    for connection_id in ("con_1", "con_2", "con_1", "con_3", "con_1", "con_2"):
        await desk.credential(connection_id=connection_id)
    assert [request.connection_id for request in auth.asked] == ["con_1", "con_2", "con_3", "con_2"]


async def test_a_refused_credential_is_reported_once_for_all_and_replaced() -> None:
    auth = FakeCredentials()
    desk = Desk(auth)
    refused = await desk.credential()
    auth.open_to_reports.clear()
    reports = [
        asyncio.create_task(desk.connections.refused("acme", refused, "said 401", certain=True)) for _ in range(20)
    ]
    await eventually(lambda: auth.reported)
    auth.open_to_reports.set()
    assert {fresh.version for fresh in await asyncio.gather(*reports)} == {2}
    [report] = auth.reported
    assert (report.tenant, report.connection_id, report.version, report.reason) == ("acme", CONNECTION, 1, "said 401")
    assert report.certain
    assert await desk.version() == 2
    late = await desk.connections.refused("acme", refused, "said 401", certain=True)
    assert late.version == 2, "who was called with the old one is told the new one"
    assert (len(auth.asked), len(auth.reported)) == (1, 1)


async def test_a_refused_credential_is_not_called_with_again_whatever_auth_says() -> None:
    auth = FakeCredentials(report_error=ConnectionNeedsReauth("revoked"))
    desk = Desk(auth)
    refused = await desk.credential()
    with pytest.raises(ConnectionNeedsReauth):
        await desk.connections.refused("acme", refused, "said 401", certain=True)
    auth.error = ConnectionNeedsReauth("revoked")
    with pytest.raises(ConnectionNeedsReauth):
        await desk.version()


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        (
            {
                "oauth1": credentials_pb2.OAuth1Credential(
                    client_key="k", client_secret="s3", token="t", token_secret="u"
                )
            },
            OAuth1Secret(client_key="k", client_secret="s3", token="t", token_secret="u"),
        ),
        ({"bearer": credentials_pb2.BearerCredential(token="t0p")}, BearerSecret(token="t0p")),
        (
            {"header": credentials_pb2.HeaderCredential(name="X-Key", value="t0p")},
            HeaderSecret(name="X-Key", value="t0p"),
        ),
        (
            {"basic": credentials_pb2.BasicCredential(username="ann", password="t0p")},
            BasicSecret(username="ann", password="t0p"),
        ),
    ],
)
async def test_each_kind_of_secret_comes_as_it_is_and_is_shown_to_nobody(
    secret: dict[str, Any], expected: object
) -> None:
    class Other(FakeCredentials):
        def _credential(self, tenant: str, connection_id: str) -> credentials_pb2.Credential:
            answer = super()._credential(tenant, connection_id)
            answer.MergeFrom(credentials_pb2.Credential(**secret))
            return answer

    credential = await Desk(Other()).credential()
    assert credential.secret == expected
    assert credential.hosts == {"shop.example.com"}
    assert not {"t0p", "s3", "'t'", "'u'"} & set(repr(credential).replace("(", " ").replace(")", " ").split())


async def test_a_secret_of_a_kind_that_is_not_known_here_is_none() -> None:
    class Newer(FakeCredentials):
        def _credential(self, tenant: str, connection_id: str) -> credentials_pb2.Credential:
            answer = super()._credential(tenant, connection_id)
            answer.ClearField("bearer")
            return answer

    with pytest.raises(Unavailable, match="a kind that this program does not know"):
        await Desk(Newer()).credential()
