"""Which calls are changes, for which an answer waits, and which are counted beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest
from penstock.auth.v1 import auth_pb2

from shared import errors
from shared.audit import OK, Audit, entry_on_behalf
from shared.audit.outbox import Held, Outbox
from shared.identity import CLIENT_ADDRESS_HEADER, Principal, PrincipalKind
from shared.rpc.call import Call

ADMIN = Principal(kind=PrincipalKind.KEY, id="key_1", tenant="acme", scopes=frozenset({"keys:write"}))


@dataclass
class Connection:
    def peer(self) -> str:
        return "ipv4:10.0.0.9:40404"


class Waited(Outbox):
    """Notes for which entries an answer waited."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[str] = []

    async def settled(self, held: Held, *, within_s: float | None) -> None:
        self.outcomes.append(held.entry.outcome)


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> Waited:
    waited = Waited()
    monkeypatch.setattr("shared.audit.recorder.Outbox", lambda: waited)
    return waited


def call_that_fails(error: errors.PenstockError, *, read: bool = True) -> Call:
    return Call(
        method="/penstock.auth.v1.KeyService/RevokeKey",
        service="auth",
        metadata={},
        context=cast("Any", Connection()),
        principal=ADMIN,
        request=auth_pb2.RevokeKeyRequest() if read else None,
        error=error,
    )


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (errors.Internal("x"), True),
        (errors.Unavailable("x"), True),
        (errors.DeadlineExceeded("x"), True),
        (errors.PermissionDenied("x"), False),
        (errors.Unauthenticated("x"), False),
        (errors.InvalidArgument("x"), False),
        (errors.KeyNotFound("x"), False),
        (errors.KeyNotActive("x"), False),
    ],
)
async def test_an_error_waits_for_its_entry_where_something_may_have_been_changed(
    waited: Waited, error: errors.PenstockError, *, waits: bool
) -> None:
    await Audit("auth").failed(call_that_fails(error))
    assert waited.outcomes == ([error.reason] if waits else [])


async def test_what_was_not_even_read_has_changed_nothing(waited: Waited) -> None:
    await Audit("auth").failed(call_that_fails(errors.DeadlineExceeded("x"), read=False))
    assert waited.outcomes == []


async def test_a_call_has_one_entry_though_its_caller_leaves_while_that_is_written(waited: Waited) -> None:
    audit = Audit("auth")
    call = call_that_fails(errors.Unavailable("x"))
    await audit.failed(call)
    audit.left(call)
    assert len(waited._changes) == 1


async def test_what_is_done_for_who_shows_no_key_is_waited_for_and_names_who_has_begun_it(waited: Waited) -> None:
    call = Call(
        method="/penstock.auth.v1.ConnectionService/ReceiveCallback",
        service="auth",
        metadata={CLIENT_ADDRESS_HEADER: "::ffff:192.0.2.7"},
        context=cast("Any", Connection()),
        request_id="psk_live_0123456secret",
    )
    entry = entry_on_behalf(call, ADMIN, kind="connection", id_="con_1", outcome=OK)
    await Audit("auth").acted(entry)
    assert waited.outcomes == ["OK"]
    assert (entry.service, entry.tenant, entry.actor.id) == ("auth", "acme", "key_1")
    assert (entry.action, entry.target.kind, entry.target.id) == (
        "ConnectionService.ReceiveCallback",
        "connection",
        "con_1",
    )
    assert (entry.client_address, entry.request_id) == ("192.0.2.7", "psk_live_0123456…")
    assert entry.time.seconds
