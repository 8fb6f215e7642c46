"""Events are received on this machine, verified and printed, and the endpoint for it is gone in the end."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from sdks.python.tests.command.conftest import asked_of
from sdks.python.tests.command.fake_gateway import Refused

if TYPE_CHECKING:
    from sdks.python.tests.command.conftest import Shell
    from sdks.python.tests.command.fake_gateway import FakeGateway

EVENT = {"type": "job.succeeded", "timestamp": "2026-11-27T08:00:01.5Z", "data": {"id": "http-1", "state": "SUCCEEDED"}}


def send(endpoint: Any, event: Any, message_id: str = "msg_1", secret: str = "") -> int:
    """Posts a message as Penstock does; the status of the answer."""
    body, at = json.dumps(event).encode(), str(int(time.time()))
    key = base64.b64decode((secret or endpoint["secret"]).removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, f"{message_id}.{at}.".encode() + body, hashlib.sha256)).decode()
    headers = {"webhook-id": message_id, "webhook-timestamp": at, "webhook-signature": f"v1,{signature}"}
    request = urllib.request.Request(endpoint["url"], body, {**headers, "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def made(gateway: FakeGateway) -> Any:
    gateway.wait_for(lambda: bool(gateway.things["endpoints"]))
    return asked_of(gateway, "POST", "/endpoints")[0]


def test_listen_prints_what_is_signed_once_and_nothing_else(shell: Shell, gateway: FakeGateway) -> None:
    statuses = list[int]()

    def penstock() -> None:
        endpoint = made(gateway)
        forged = f"whsec_{base64.b64encode(bytes(32)).decode()}"
        statuses.append(send(endpoint, EVENT, secret=forged))
        statuses.extend(send(endpoint, EVENT) for _ in range(2))
        other = {**EVENT, "type": "job.failed"}
        batch = {"type": "events.batch", "timestamp": EVENT["timestamp"], "data": {"events": [{"id": "e", **other}]}}
        statuses.append(send(endpoint, batch, "msg_2"))

    sending = threading.Thread(target=penstock)
    sending.start()
    done = shell("endpoints", "listen", "--event", "job.*", "--count", "2", "--timeout", "20s")
    sending.join()
    assert statuses == [401, 204, 204, 204]
    assert done.stdout.splitlines() == [
        "2026-11-27T08:00:01Z  job.succeeded  http-1",
        '  {"id":"http-1","state":"SUCCEEDED"}',
        "2026-11-27T08:00:01Z  job.failed  http-1",
        '  {"id":"http-1","state":"SUCCEEDED"}',
    ]
    assert "refused a message" in done.stderr
    assert asked_of(gateway, "POST", "/endpoints")[0]["filter"] == {"eventTypes": ["job.*"]}
    assert gateway.things["endpoints"] == {}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_listen_leaves_no_endpoint_behind(shell: Shell, gateway: FakeGateway, number: int, code: int) -> None:
    def interrupt() -> None:
        made(gateway)  # perhaps before the answer has come that names it
        os.kill(os.getpid(), number)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    done = shell("endpoints", "listen", "--timeout", "20s", code=code)
    interrupting.join()
    assert "deleted ep_" in done.stderr
    assert gateway.things["endpoints"] == {}


def test_a_penstock_that_is_elsewhere_asks_for_a_tunnel(shell: Shell, gateway: FakeGateway) -> None:
    refused = Refused(400, "INVALID_ARGUMENT", "url: must be https", ("url", "must be https"))
    gateway.answers["POST", "/endpoints"] = refused
    assert "start a tunnel to --port" in shell("endpoints", "listen", code=2).stderr


def test_an_endpoint_is_made_as_it_was_typed_and_shows_its_secret(shell: Shell, gateway: FakeGateway) -> None:
    done = shell(
        "endpoints", "create", "https://client.example/hook", "--event", "job.*", "-m", "a=b", "--header", "X-A=1",
        "--retry", '{"pauses": ["5s"]}', "--disabled",
    )  # fmt: skip
    assert asked_of(gateway, "POST", "/endpoints") == [
        {
            "url": "https://client.example/hook",
            "filter": {"eventTypes": ["job.*"], "metadata": {"a": "b"}},
            "headers": {"values": {"X-A": "1"}},
            "retry": {"pauses": ["5s"]},
            "enabled": False,
        }
    ]
    endpoint_id = done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[1] == "secret      whsec_made"
    assert shell("endpoints", "list", "-q").stdout.strip() == endpoint_id
    assert "say what is to change" in shell("endpoints", "update", endpoint_id, code=2).stderr
    assert shell("endpoints", "delete", endpoint_id).stdout == f"{endpoint_id} is deleted\n"
    shell("endpoints", "delete", endpoint_id, code=4)
