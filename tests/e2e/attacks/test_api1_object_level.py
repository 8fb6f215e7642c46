"""API1:2023 Broken object level authorization: another tenant's ids, in every field that takes one, on every RPC.

The answer must be the one to an id that exists nowhere, to the letter; the thing itself stays as it was.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from penstock.gateway.v1 import external_auth_pb2

from tests.e2e.attacks import rpcs, tenants
from tests.e2e.attacks.fields import KINDS, VALUES, filled, good_request, kind_of, naming
from tests.e2e.attacks.rpcs import form
from tests.e2e.attacks.tenants import CANARY, LISTED, everything_of, nowhere
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.attacks.rpcs import Rpc, Seen
    from tests.e2e.attacks.tenants import Tenant
    from tests.e2e.mesh import Mesh

#: RPCs that name nothing of a tenant's own, each with what it is about instead.
ABOUT_NOTHING = {
    "TenantService.CreateTenant": "for operators alone",
    "DataKeyService.RotateDataKey": "for operators alone",
    "ConnectionService.CreateConnection": "what it makes is new, and the caller's own",
    "EndpointService.CreateEndpoint": "what it makes is new, and the caller's own",
    "EndpointService.ListEventTypes": "the event types are the same for all",
    "UpstreamService.GetUpstream": "the catalogue is the same for all",
    "QueueService.GetQueueSettings": "an upstream's, and for operators alone",
    "QueueService.RecoverQueue": "an upstream's, and for operators alone",
    "Operations.ListOperations": "the caller's own alone are listed",
    "CallbackSecretService.GetCallbackSecret": "it takes no field, so it is always the caller's own",
}
#: RPCs whose fields are filters: to a thing that is nowhere they answer with nothing, and so to another tenant's.
FILTERS = {
    "HistoryService.ListJobs",
    "HistoryService.ExportJobs",
    "HistoryService.GetStats",
    "HistoryService.CancelJobs",
    "HistoryService.RetryJobs",
    "AuditService.ListAuditEntries",
    "CacheService.InvalidateCache",
    "DeliveryService.ListDeliveries",
    "DeliveryService.ReplayDeliveries",
}


@pytest.fixture(scope="module", autouse=True)
def nothing_changed(victim: Tenant) -> Iterator[None]:
    """No attack of this file changes anything that the victim has; what has changed tells by which."""
    before = everything_of(victim)
    yield
    assert everything_of(victim) == before


@pytest.mark.parametrize("rpc", rpcs.keyed(), ids=str)
def test_another_tenants_things_are_as_good_as_nowhere(mesh: Mesh, victim: Tenant, attacker: Tenant, rpc: Rpc) -> None:
    named = naming(rpc.request)
    assert named or str(rpc) in ABOUT_NOTHING, f"{rpc} names nothing: say in ABOUT_NOTHING why that is right"
    good = good_request(rpc.request, attacker.things, f"{mesh.far_end}/post")
    for leaf in named:
        kind = kind_of(leaf)
        for way, call in rpc.ways(attacker.api, attacker.channel).items():
            for thing in victim.of(kind):
                unknown = nowhere(kind)
                seen, expected = call(filled(leaf, good, thing)), call(filled(leaf, good, unknown))
                about = (way, str(leaf), thing, seen, expected)
                assert told(seen, thing) == told(expected, unknown), about
                assert seen.status < 500, about
                assert seen.status >= 400 or kind in VALUES or str(rpc) in FILTERS, about
                assert CANARY not in seen.everything, about
                assert not {
                    known for known in victim.known() - attacker.known() - {thing} if known in seen.everything
                }, about


def told(seen: Seen, thing: str) -> Any:
    """What an answer tells: of a refusal each word, but for the id; of what was made its form, for its id is new."""
    body = json.loads(json.dumps(seen.body).replace(thing, "<id>"))
    return seen.status, seen.reason, body if seen.reason else form(body)


def test_every_kind_of_thing_is_made_for_the_victim(victim: Tenant) -> None:
    assert set(KINDS.values()) == victim.things.keys()
    assert all(victim.things.values())


async def test_the_victim_itself_is_answered(victim: Tenant) -> None:
    """What is refused above is there: the very same requests succeed for whom it belongs to."""
    for path, seen in everything_of(victim).items():
        assert seen, path
    for token, path in zip(victim.things["page token"], LISTED, strict=True):
        assert victim.api.call("GET", f"{path}?pageSize=1&pageToken={token}").status == 200
    (key,), (request,) = victim.things["audited key"], victim.things["request"]
    audited = f"/api/v1/audit?target={key}&requestId={request}"
    assert await eventually(lambda: victim.api.call("GET", audited).json.get("entries"), what="the key's entry")


def test_a_field_of_which_nothing_is_known_fails_until_something_is() -> None:
    with pytest.raises(AssertionError, match="add it to KINDS"):
        naming(external_auth_pb2.CheckRequest.DESCRIPTOR)


def test_ids_of_different_things_are_not_taken_for_each_other(victim: Tenant, attacker: Tenant) -> None:
    paths = (
        "jobs/{}",
        "jobs/{}:wait?timeout=1s",
        "jobs/{}/result",
        "batches/{}",
        "uploads/{}",
        "keys/{}",
        "connections/{}",
        "endpoints/{}",
        "endpoints/{}/secret",
        "endpoints/{}/stats",
        "deliveries/{}",
        "replays/{}",
        "operations/{}",
    )
    for thing in victim.known():
        for path in paths:
            answer = attacker.api.call("GET", "/api/v1/" + path.format(tenants.quoted(thing)))
            assert answer.status in {400, 404}, (path, thing, answer.body)
            assert CANARY not in answer.body.decode()
