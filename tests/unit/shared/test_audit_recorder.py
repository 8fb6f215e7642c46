"""Which calls are changes, for which an answer waits, and which are counted beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest
from penstock.auth.v1 import auth_pb2

from shared import errors
from shared.audit import Audit
from shared.audit.outbox import Held, Outbox
from shared.identity import Principal, PrincipalKind
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
