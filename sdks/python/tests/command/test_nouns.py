"""The other nouns ask what they are meant to ask, and print what comes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sdks.python.tests.command.conftest import asked_of

if TYPE_CHECKING:
    from sdks.python.tests.command.conftest import Shell
    from sdks.python.tests.command.fake_gateway import FakeGateway

ANSWERS: dict[tuple[str, str], Any] = {
    ("GET", "/queues"): {"queues": [{"upstream": "http", "depth": {"ready": "7"}, "pauses": [{"lane": "a.example"}]}]},
    ("GET", "/queues/http"): {"upstream": "http", "drainRate": 2.5},
    ("POST", "/queues/http:pause"): {"upstream": "http"},
    ("POST", "/queues/http:resume"): {"upstream": "http"},
    ("GET", "/upstreams"): {"upstreams": [{"name": "http", "title": "Any API", "methods": [{"name": "http.get"}]}]},
    ("GET", "/upstreams/http"): {
        "name": "http",
        "methods": [{"name": "http.get", "kind": "READ", "paramsSchema": {"properties": {"url": {}}}}],
    },
    ("POST", "/keys"): {"key": {"id": "key_1"}, "secret": "psk_live_new"},
    ("GET", "/keys"): {"keys": [{"id": "key_1", "name": "a", "role": "VIEWER", "prefix": "psk_live_a"}]},
    ("GET", "/keys/key_1"): {"id": "key_1"},
    ("GET", "/keys/key_1/usage"): {"keyId": "key_1", "days": [{"date": "2026-11-27", "requests": "12"}]},
    ("POST", "/keys/key_1:rotate"): {"key": {"id": "key_1"}, "secret": "psk_live_newer"},
    ("DELETE", "/keys/key_1"): {"id": "key_1"},
    ("GET", "/deliveries"): {"deliveries": [{"id": "dlv_1", "state": "FAILED", "lastStatus": 500}]},
    ("GET", "/deliveries/dlv_1"): {"id": "dlv_1"},
    ("POST", "/deliveries/dlv_1:replay"): {"id": "dlv_1", "state": "PENDING"},
    ("POST", "/deliveries:replay"): {"id": "rpl_1", "state": "RUNNING", "total": "9"},
    ("GET", "/stats"): {
        "total": {"submitted": "5", "ended": {"SUCCEEDED": "4"}},
        "buckets": [{"startTime": "2026-11-27T08:00:00Z", "submitted": "5"}],
        "errors": {"UPSTREAM_TIMEOUT": "1"},
    },
    ("POST", "/cache:invalidate"): {"entries": "3"},
    ("GET", "/providers"): {"providers": [{"name": "flickr", "scopes": ["read"]}]},
    ("GET", "/endpoints/ep_1/stats"): {"endpointId": "ep_1", "attempts": "2"},
    ("POST", "/endpoints/ep_1:test"): {"webhookId": "test_1", "attempt": {"status": 204}},
    ("POST", "/endpoints/ep_1:enable"): {"endpoint": {"id": "ep_1"}, "skippedDeliveries": "2"},
    ("POST", "/endpoints/ep_1:rotateSecret"): {"secret": "whsec_new"},
    ("PATCH", "/endpoints/ep_1"): {"id": "ep_1"},
}
CALLS = {
    "queues list": ["http", "7", "paused a.example"],
    "queues get http": ["drainRate", "2.5"],
    "queues pause http --lane a.example --reason later": ["`penstock queues resume http --lane a.example`"],
    "queues resume http --lane a.example": ["goes on"],
    "upstreams list": ["Any API"],
    "upstreams get http": ["http.get", "READ", "url"],
    "keys create a --role viewer --cidr 203.0.113.0/24": ["key_1\npsk_live_new"],
    "keys list": ["VIEWER", "psk_live_a"],
    "keys get key_1": ["key_1"],
    "keys usage key_1 --days 7": ["2026-11-27", "12"],
    "keys rotate key_1 --grace 1h": ["psk_live_newer"],
    "keys revoke key_1": ["key_1 is revoked"],
    "deliveries list --state failed": ["dlv_1", "FAILED", "500"],
    "deliveries get dlv_1": ["dlv_1"],
    "deliveries replay dlv_1": ["dlv_1  PENDING"],
    "deliveries replay --endpoint ep_1 --created-after 2026-11-27T08:00:00Z --max-per-second 5": ["rpl_1", "0 of 9"],
    "stats --from -24h --interval 1h": ["SUBMITTED", "total", "1 ended with UPSTREAM_TIMEOUT"],
    "cache invalidate --method http.get": ["3 answers are forgotten"],
    "connections providers": ["flickr"],
    "endpoints stats ep_1 --period 1h": ["attempts", "2"],
    "endpoints test ep_1": ["test_1", "204"],
    "endpoints enable ep_1": ["ep_1 is enabled; 2 were skipped meanwhile"],
    "endpoints rotate-secret ep_1 --grace 0s": ["whsec_new"],
    "endpoints update ep_1 --url https://a.example/": ["ep_1"],
}


@pytest.fixture(autouse=True)
def answers(gateway: FakeGateway) -> None:
    gateway.answers.update(ANSWERS)


@pytest.mark.parametrize("line", CALLS)
def test_an_answer_is_told_in_words_and_as_json(line: str, shell: Shell) -> None:
    told = shell(*line.split()).stdout
    assert [each for each in CALLS[line] if each not in told] == []
    for each in shell(*line.split(), "--json").stdout.replace("\n}\n", "\n}\x00").split("\x00"):
        if each.startswith("{\n"):
            json.loads(each)


def test_what_is_given_is_asked_for(shell: Shell, gateway: FakeGateway) -> None:
    for line in CALLS:
        shell(*line.split())
    assert asked_of(gateway, "POST", "/queues/http:pause") == [{"lane": "a.example", "reason": "later"}]
    assert asked_of(gateway, "POST", "/keys") == [{"name": "a", "role": "VIEWER", "allowedCidrs": ["203.0.113.0/24"]}]
    assert asked_of(gateway, "POST", "/keys/key_1:rotate") == [{"gracePeriod": "3600s"}]
    assert asked_of(gateway, "POST", "/endpoints/ep_1:rotateSecret") == [{"grace": "0s"}]
    assert asked_of(gateway, "PATCH", "/endpoints/ep_1") == [{"url": "https://a.example/"}]
    assert asked_of(gateway, "POST", "/deliveries:replay") == [
        {"filter": {"endpointId": "ep_1", "createdAfter": "2026-11-27T08:00:00Z"}, "maxPerSecond": 5}
    ]


def test_what_would_be_all_is_asked_for_by_name(shell: Shell) -> None:
    assert "--all alone" in shell("cache", "invalidate", code=2).stderr
    assert "name deliveries, or say which" in shell("deliveries", "replay", code=2).stderr
    shell("cache", "invalidate", "--all")


def test_a_test_message_that_is_not_taken_is_a_failure(shell: Shell, gateway: FakeGateway) -> None:
    gateway.answers["POST", "/endpoints/ep_1:test"] = {"webhookId": "test_1", "attempt": {"status": 500}}
    shell("endpoints", "test", "ep_1", code=1)
