"""API7:2023 Server side request forgery: every field that takes a URL, with every way to write where it must not lead.

The mesh of these tests may call itself (`PENSTOCK_ALLOW_LOOPBACK`), for its far end stands beside it; what is said of
loopback here are the writings that are refused all the same. The tests of `shared.addresses`, of the connector `http`
and of webhooks have loopback without that setting, and names that turn private (rebinding).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.e2e.attacks import rpcs
from tests.e2e.attacks.fields import good_request
from tests.e2e.fuzz.leaves import Leaf, leaves

if TYPE_CHECKING:
    from tests.e2e.api import Api
    from tests.e2e.attacks.rpcs import Rpc
    from tests.e2e.attacks.tenants import Tenant
    from tests.e2e.mesh import Mesh

#: Hosts that lead inside, or to nobody who is meant.
HOSTS = (
    # plain addresses: this network, private, carrier-grade NAT, link-local and clouds' metadata, multicast, reserved
    *("0.0.0.0", "0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.100.100.200"),
    *("169.254.169.254", "168.63.129.16", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    # the same and loopback in decimal, octal, hexadecimal, and cut short
    *("2130706433", "2852039166", "3232235777", "0177.0.0.1", "017700000001", "0251.0376.0251.0376"),
    *("0x7f000001", "0x7f.1", "0xa9fea9fe", "0xA9.0xFE.0xA9.0xFE", "127.1", "10.1", "169.254.43518"),
    *("10.0.0.1.", "169.254.169.254.", "127.0.0.1."),
    # IPv6: unspecified, unique local, link-local with and without its zone, site-local, multicast, documentation
    *("[::]", "[fc00::1]", "[fd00:ec2::254]", "[fe80::1]", "[fe80::1%25eth0]", "[fec0::1]", "[ff02::1]"),
    # IPv4 inside IPv6: mapped, compatible, translated, NAT64, 6to4, Teredo
    *("[::ffff:10.0.0.1]", "[::ffff:a9fe:a9fe]", "[0:0:0:0:0:ffff:169.254.169.254]", "[::10.0.0.1]", "[::a9fe:a9fe]"),
    *("[::ffff:0:10.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b::10.0.0.1]", "[64:ff9b:1::a00:1]"),
    *("[2001:db8::1]", "[2002:a9fe:a9fe::]", "[2002:a00:1::]", "[2001::a9fe:a9fe]"),
    # other digits and other full stops, which IDNA makes plain
    *("①⓪.⓪.⓪.①", "１６９.254.169.254", "169。254。169。254", "10．0．0．1"),  # noqa: RUF001  the point of it
    # an address behind what looks like a name, and a name of forbidden characters
    *("10.0.0.1%00.example.com", "10.0.0.1%2f.example.com", "example.com%0d%0a"),
)  # fmt: skip
#: URLs that are wrong by more than their host.
URLS = (
    *("http://good.example@10.0.0.1/", "http://good.example:80@10.0.0.1/", "http://10.0.0.1@good.example/"),
    *("http://good.example\\@10.0.0.1/", "http://good.example#@10.0.0.1\\", "http://10.0.0.1#@good.example/"),
    *("http://10.0.0.1?@good.example/", "http:10.0.0.1/", "http:/10.0.0.1/", "///10.0.0.1/", "//10.0.0.1/"),
    *("file:///etc/passwd", "gopher://10.0.0.1:6379/_INFO", "ftp://10.0.0.1/", "dict://10.0.0.1:11211/stat"),
    *("ldap://10.0.0.1/", "jar:http://10.0.0.1!/", "data:text/plain,hello", "javascript:alert(1)", "unix:/run/x.sock"),
    *("http://10.0.0.1:80:80/", "http://[::1/", "http://[10.0.0.1]/", "http://good.example:0/", "http://./"),
    *("http://good.example/ HTTP/1.1\r\nHost: 10.0.0.1", "http://good.example/\t10.0.0.1", " http://10.0.0.1/"),
    *("\nhttp://10.0.0.1/", "HTTP://10.0.0.1/", "http://10.0.0.1", "https://10.0.0.1:443/", "http://10.0.0.1:22/"),
)
#: Where browsers are sent, or what they are sent with; the mesh calls neither.
FOR_BROWSERS = {"return_url", "error_uri"}
#: What only sounds like one.
NO_URLS = {"callback_secret", "endpoint_id"}
#: So many faults a refusal names at the least.
_AT_ONCE = 30
EVERY = (*(f"http://{host}/" for host in HOSTS), *URLS)


def fields() -> list[tuple[Rpc, Leaf]]:
    """Every field of a request whose name says that it takes a URL."""
    words = ("url", "uri", "endpoint", "webhook", "link", "callback")
    return [
        (rpc, leaf)
        for rpc in rpcs.public()
        for leaf in leaves(rpc.request)
        if any(word in leaf.field.name for word in words) and leaf.field.name not in FOR_BROWSERS | NO_URLS
    ]


def params(api: Api) -> list[tuple[str, str]]:
    """Every param of the catalogue that takes a URL: its method, and its name."""
    found = []
    for upstream in api.call("GET", "/api/v1/upstreams").json["upstreams"]:
        for method in upstream["methods"]:
            for name, schema in method["paramsSchema"]["properties"].items():
                if schema.get("format") == "public-url":
                    found.append((method["name"], name))
                else:
                    told = f"{name} {schema.get('format', '')}".lower()
                    assert not any(word in told for word in ("url", "uri", "host", "endpoint", "callback")), (
                        f"{method['name']} has the param {name}: if it takes a URL, its format must be public-url"
                    )
    return found


@pytest.fixture(autouse=True)
def nothing_submitted(mesh: Mesh) -> Any:
    """No job of these tests is accepted, but for those that lead to redirects."""
    before, allowed = mesh.submitted(), []
    yield allowed
    assert mesh.submitted() - before == len(allowed)


@pytest.mark.parametrize(("rpc", "leaf"), fields(), ids=str)
def test_no_field_takes_a_url_that_leads_inside(mesh: Mesh, attacker: Tenant, rpc: Rpc, leaf: Leaf) -> None:
    good = good_request(rpc.request, attacker.things, f"{mesh.far_end}/post")
    for url in EVERY:
        for way, call in rpc.ways(attacker.api, attacker.channel).items():
            seen = call(leaf.put(good, url))
            assert (seen.status, seen.reason) == (400, "INVALID_ARGUMENT"), (way, url, seen)
            assert leaf.path in str(seen.body), (url, seen.body)


def test_no_param_takes_a_url_that_leads_inside(mesh: Mesh, attacker: Tenant) -> None:
    found = params(attacker.api)
    assert {name.partition(".")[0] for name, _ in found} == {"http"}
    for method, name in found:
        jobs = [{"upstream": method.partition(".")[0], "method": method, "params": {name: url}} for url in EVERY]
        for start in range(0, len(jobs), _AT_ONCE):
            some = jobs[start : start + _AT_ONCE]
            answer = attacker.api.call("POST", "/api/v1/batches", {"jobs": some})
            assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT"), (some, answer.body)
            assert answer.fields == {f"jobs[{number}].params.{name}" for number in range(len(some))}, answer.body
    submit = next(rpc for rpc in rpcs.public() if str(rpc) == "JobService.SubmitJob")
    by_grpc = submit.ways(attacker.api, attacker.channel)[submit.path]
    for job in jobs:
        answer = attacker.api.call("POST", "/api/v1/jobs", job)
        assert (answer.status, answer.reason, answer.fields) == (400, "INVALID_ARGUMENT", {f"params.{name}"}), job
        seen = by_grpc(job)
        assert (seen.status, seen.reason) == (400, "INVALID_ARGUMENT"), job
        assert f"params.{name}" in str(seen.body), seen


@pytest.mark.parametrize(
    "to",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "//192.168.1.1/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a00:1]/",
        "http://2852039166/",
        "http://0251.0376.0251.0376/",
        "http://good.example@10.0.0.1/",
        "file:///etc/passwd",
        "gopher://10.0.0.1:6379/_INFO",
    ],
)
def test_no_redirect_leads_inside(mesh: Mesh, intruder: Api, nothing_submitted: list[str], to: str) -> None:
    once = f"{mesh.far_end}/redirect-to?url={quote(to, safe='')}"
    twice = f"{mesh.far_end}/redirect-to?status_code=307&url={quote(once, safe='')}"
    for url in (once, twice):
        job = intruder.submit("http.get", {"url": url})
        nothing_submitted.append(job["id"])
        ended = intruder.wait(job["id"])
        assert (ended["state"], ended["error"]["reason"]) == ("FAILED", "ADDRESS_FORBIDDEN"), ended
        assert ended["attempt"] == 1  # the next time it is the same
        assert "result" not in ended


def test_a_header_cannot_send_a_call_elsewhere(mesh: Mesh, intruder: Api) -> None:
    for name in ("Host", "host", "Connection", "Transfer-Encoding", "Content-Length", "Proxy-Authorization", "Upgrade"):
        body = {
            "upstream": "http",
            "method": "http.get",
            "params": {"url": f"{mesh.far_end}/get", "headers": {name: "x"}},
        }
        answer = intruder.call("POST", "/api/v1/jobs", body)
        assert (answer.status, answer.fields) == (400, {f"params.headers.{name}"}), answer.body
