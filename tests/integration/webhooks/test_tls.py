"""Endpoints that speak TLS: whom they are taken for is what their certificate says, wherever the name leads."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.certificates import Authority, self_signed
from tests.integration.webhooks.receiver import receiver as receiver_
from tests.integration.webhooks.tenant import State, tenant_at

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.webhooks.conftest import Mesh
    from tests.integration.webhooks.receiver import Receiver

pytestmark = pytest.mark.usefixtures("no_stalls")

NAME = "hooks.penstock.test"
HOUR = timedelta(hours=1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the name server answers beside what it always does."""
    answers = {NAME: "127.0.0.1"}
    ask = socket.getaddrinfo

    def answer(host: Any, *args: Any, **options: Any) -> Any:
        return ask(answers.get(host, host), *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return answers


async def test_a_server_is_taken_for_what_its_certificate_says(
    mesh: Mesh, authority: Authority, tmp_path: Path
) -> None:
    servers = {
        "right": authority.server(NAME),
        "other": authority.server("other.penstock.test"),
        "address": authority.server("127.0.0.1"),
        "expired": authority.server(NAME, expired=True),
        "self-signed": self_signed(tmp_path, NAME),
    }
    async with AsyncExitStack() as stack:
        receivers = {
            each: await stack.enter_async_context(receiver_(tls=tls, name=NAME)) for each, tls in servers.items()
        }
        settings = {"ca_files": (authority.certificate_file,), "webhook_ports": ports_of(*receivers.values())}
        process = await stack.enter_async_context(mesh.running(**settings))
        tenant = await stack.enter_async_context(tenant_at(process, mesh.identities))
        endpoints = {
            each: await tenant.endpoint(f"{receiver.url}/hook", pauses=[HOUR]) for each, receiver in receivers.items()
        }
        (job_id,) = await mesh.ended_jobs()
        deliveries = {
            each: await tenant.settled(endpoint_id, job_id, lambda delivery: bool(delivery.last_reason))
            for each, endpoint_id in endpoints.items()
        }
        received = {each: len(receiver.received) for each, receiver in receivers.items()}
    assert received == {"right": 1, "other": 0, "address": 0, "expired": 0, "self-signed": 0}
    details = {each: delivery.attempt_log[0].detail for each, delivery in deliveries.items()}
    assert deliveries.pop("right").state == State.DELIVERED
    assert {(each.state, each.last_reason) for each in deliveries.values()} == {(State.PENDING, "RECEIVER_UNREACHABLE")}
    assert "expired" in details["expired"]
    assert NAME in details["other"]
    assert "self" in details["self-signed"]


async def test_a_server_that_speaks_no_tls_is_not_spoken_to(mesh: Mesh) -> None:
    ports = ports_of(mesh.receiver)
    async with mesh.running(webhook_ports=ports) as process, tenant_at(process, mesh.identities) as tenant:
        endpoint_id = await tenant.endpoint(mesh.receiver.url.replace("http://127.0.0.1", f"https://{NAME}"))
        (job_id,) = await mesh.ended_jobs()
        delivery = await tenant.settled(endpoint_id, job_id, lambda each: bool(each.last_reason))
    assert delivery.last_reason in {"RECEIVER_UNREACHABLE", "RECEIVER_PROTOCOL"}
    assert delivery.attempt_log[0].detail
    assert not mesh.receiver.received


async def test_a_name_that_leads_to_a_forbidden_address_is_not_called(
    mesh: Mesh, authority: Authority, names: dict[str, str]
) -> None:
    names[NAME] = "169.254.169.254"
    async with receiver_(tls=authority.server(NAME), name=NAME) as receiver:
        settings = {"ca_files": (authority.certificate_file,), "webhook_ports": ports_of(receiver)}
        async with mesh.running(**settings) as process, tenant_at(process, mesh.identities) as tenant:
            endpoint_id = await tenant.endpoint(f"{receiver.url}/hook", pauses=[HOUR])
            (job_id,) = await mesh.ended_jobs()
            delivery = await tenant.settled(endpoint_id, job_id)
        assert not receiver.received
    assert (delivery.state, delivery.attempts, delivery.last_reason) == (State.FAILED, 1, "ADDRESS_FORBIDDEN")
    assert "169.254.169.254" not in delivery.attempt_log[0].detail, "a tenant must not map the network by it"


def ports_of(*receivers: Receiver) -> tuple[int, ...]:
    return tuple(urlsplit(each.url).port or 0 for each in receivers)
