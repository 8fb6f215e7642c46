"""RetentionService in the service itself, and what it sweeps; on real servers."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from google.protobuf import json_format
from penstock.history.v1 import retention_pb2, retention_pb2_grpc

from services.history.__main__ import serve
from services.history.config import Config
from services.history.retention.domain import DAY
from shared.config import Secret
from shared.identity import ServiceIdentity
from shared.permissions import Scope
from shared.retentions import RetentionService, ToldRetentions
from shared.rpc import client
from tests import object_stores
from tests.service import channel, running
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from shared.bus import Bus
    from shared.objects import ObjectSettings
    from tests.identities import Identities
    from tests.integration.history.retention.conftest import Shelf

pytestmark = pytest.mark.usefixtures("no_stalls")


@pytest.fixture
async def address(
    *, shelf: Shelf, bus: Bus, nats_url: str, mongo_url: str, object_settings: ObjectSettings, identities: Identities
) -> AsyncGenerator[str]:
    del shelf, bus
    config = Config(
        grpc_address="127.0.0.1:0",
        identity_keys_file=identities.keys_file,
        service_key=identities.service_key("history"),
        mongo_url=Secret(mongo_url),
        nats_url=Secret(nats_url),
        **dict.fromkeys(_ADDRESSES, "127.0.0.1:9"),
        retention_deliveries=12 * DAY,
        retention_interval=timedelta(milliseconds=200),
        **object_stores.as_config(object_settings),
    )
    async with running("history", serve, config) as started:
        yield started


_ADDRESSES = ("auth_address", "intake_address", "scheduler_address", "upstream_address", "webhooks_address")


@asynccontextmanager
async def retention(address: str, token: str) -> AsyncGenerator[Any]:
    async with channel(address, token) as connection:
        yield retention_pb2_grpc.RetentionServiceStub(connection)


def update(**fields: Any) -> retention_pb2.UpdateRetentionRequest:
    return json_format.ParseDict(fields, retention_pb2.UpdateRetentionRequest())


async def test_a_tenant_and_an_operator_say_how_long_and_other_services_are_told(
    address: str, identities: Identities
) -> None:
    async with retention(address, identities.mint("acme", frozenset(Scope) - {Scope.OPERATOR})) as stub:
        changed = await stub.UpdateRetention(update(retention={"deliveries": "691200s", "indexedMetadata": ["order"]}))
        assert changed == await stub.GetRetention(retention_pb2.GetRetentionRequest())
        assert (changed.deliveries.seconds, changed.audit.seconds) == (691200, 365 * 86400)
        for asked in ("other", "-"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.GetRetention(retention_pb2.GetRetentionRequest(tenant=asked))
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    async with retention(address, identities.mint("staff", frozenset(Scope))) as stub:
        other = await stub.UpdateRetention(update(tenant="other", retention={"archive": False}))
        assert (other.archive, other.deliveries.seconds) == (False, 12 * 86400)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.UpdateRetention(update(tenant="-", retention={"audit": "1s"}, updateMask="audit,tenant"))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        for path in ("tenant:", "updateMask:", "retention.audit:"):
            assert path in (refused.value.details() or "")
    identity = ServiceIdentity("webhooks", identities.signer("webhooks"))
    asking = client.connect(address, identity, default_timeout=timedelta(seconds=5))
    try:
        told = ToldRetentions(cast("RetentionService", retention_pb2_grpc.RetentionServiceStub(asking)))
        await told.ask()
    finally:
        await asking.close()
    kept = {tenant: told.of(tenant) for tenant in ("acme", "other", "third")}
    assert {tenant: each and each.deliveries.seconds for tenant, each in kept.items()} == {
        "acme": 691200,
        "other": 12 * 86400,
        "third": 12 * 86400,
    }


async def test_the_service_sweeps_by_itself(address: str, shelf: Shelf) -> None:
    assert address
    job_id = await shelf.add()  # half a year ago

    async def is_gone() -> bool:
        return not await shelf.listed()

    await eventually(is_gone)
    assert await shelf.archived_ids() == [job_id]
