"""API8:2023 Security misconfiguration: what every answer carries and keeps to itself, and doors that are not there."""

from __future__ import annotations

import importlib
import re
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from deploy.local.programs import PROGRAMS
from shared import ids
from shared.config import ConfigError, load
from tests.e2e.api import TIMEOUT_S, Answer, Api
from tests.e2e.attacks import rpcs
from tests.e2e.attacks.fields import good_request
from tests.e2e.attacks.rpcs import path_of
from tests.e2e.attacks.tenants import nobodys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.mesh import Mesh

#: Words that tell what Penstock is made of, or where something of it is.
TELLTALE = re.compile(
    r"traceback|\.py\b|line \d+, in |[a-z]+error\b|exception|envoy|grpc[_-]?(?:python|core|c)\b|uvloop|asyncio|"
    r"redis|mongo|nats|jetstream|lua\b|/work|/home|/tmp|/usr|site-packages|127\.0\.0\.1|localhost|"
    r"connection refused|econn|errno|socket|upstream connect|stack|null pointer|[A-Z]:\\",
    re.IGNORECASE,
)  # fmt: skip
SECURITY = {
    "strict-transport-security": re.compile(r"max-age=\d{8,}; includeSubDomains"),
    "x-content-type-options": re.compile("nosniff"),
    "x-frame-options": re.compile("DENY"),
    "referrer-policy": re.compile("no-referrer"),
    "content-security-policy": re.compile(r"default-src 'none'; frame-ancestors 'none'(; sandbox)?"),
    "cache-control": re.compile("no-store|private, no-cache"),
    "server": re.compile("penstock"),
}
#: Headers that no answer has.
NEVER = ("set-cookie", "x-powered-by", "via", "access-control-allow-origin", "access-control-allow-credentials")
ORIGINS = ("https://evil.example", "null", "http://127.0.0.1", "https://penstock", "file://")


def answers(mesh: Mesh, api: Api) -> Iterator[tuple[str, Answer]]:
    """Answers of every kind that a client can bring about, from every path of the API."""
    nobody = Api(mesh.url)
    for rpc in rpcs.public():
        request = good_request(rpc.request, nobodys(), "https://example.com/", upstream="nowhere")
        for binding in rpc.bindings:
            path = path_of(binding, request)
            yield f"401 {binding.name}", nobody.call(binding.verb, path)
            yield f"405 {binding.name}", api.call("PROPPATCH" if binding.verb == "PATCH" else "PATCH", path)
            yield f"query {binding.name}", api.call(binding.verb, f"{path}?unheard=1", {} if binding.body else None)
            yield f"not found {binding.name}", api.call(binding.verb, path, {} if binding.body else None)
            if binding.body:
                yield f"no JSON {binding.name}", api.call(binding.verb, path, b"{'")
                media = {"Content-Type": "application/xml"}
                yield f"415 {binding.name}", api.call(binding.verb, path, b"<a/>", headers=media)
    large = b'{"upstream": "' + b"x" * 11 * 1024 * 1024 + b'"}'
    for name, method, path, body, headers in (
        ("413", "POST", "/api/v1/jobs", large, {}),
        ("431", "GET", "/api/v1/keys", None, {"X": "x" * 70_000}),
        ("404", "GET", "/nowhere", None, {}),
        ("health", "GET", "/healthz", None, {}),
        ("ready", "GET", "/readyz", None, {}),
        ("version", "GET", "/api/v1/keys", None, {"API-Version": "v9"}),
        ("keys", "GET", "/api/v1/keys", None, {}),
        ("trace", "TRACE", "/api/v1/keys", None, {}),
    ):
        yield name, api.call(method, path, body, headers=headers)


def test_every_answer_has_the_security_headers_and_tells_nothing_of_the_inside(mesh: Mesh, intruder: Api) -> None:
    seen: set[int] = set()
    for name, answer in answers(mesh, intruder):
        seen.add(answer.status)
        for header, wanted in SECURITY.items():
            assert wanted.fullmatch(answer.headers.get(header, "")), (name, header, answer.headers)
        assert not [header for header in answer.headers if header in NEVER], (name, answer.headers)
        assert not [header for header in answer.headers if header.startswith(("x-envoy", "x-penstock", "grpc-"))], name
        if name == "ready":  # it names what everybody who runs Penstock knows, and no address of it
            assert not re.search(r"\d+\.\d+\.\d+\.\d+|:\d{4,}|://", answer.body.decode())
            continue
        if answer.status >= 400:
            # where the documentation is may be known: this mesh has it on this machine
            details = [each for each in answer.error["details"] if not each["@type"].endswith("google.rpc.Help")]
            found = TELLTALE.search(answer.error["message"] + str(details))
            assert found is None, (name, found, answer.body)
    assert seen >= {200, 400, 401, 404, 405, 413, 415, 431}


@pytest.mark.parametrize("origin", ORIGINS)
def test_no_page_of_another_origin_may_read_an_answer(mesh: Mesh, intruder: Api, origin: str) -> None:
    asking = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
        "Access-Control-Request-Private-Network": "true",
    }
    for api in (intruder, Api(mesh.url)):
        for method in ("GET", "POST", "OPTIONS"):
            answer = api.call(method, "/api/v1/keys", headers=asking)
            assert not [header for header in answer.headers if header.startswith("access-control-")], answer.headers
            assert (method, answer.status) != ("OPTIONS", 200)


def test_no_service_calls_its_own_machine_in_production(mesh: Mesh) -> None:
    """There Envoy's own interface, the stores and the metrics of all services take whoever comes."""
    options = replace(mesh.layout.options, providers_file="", upstream_urls="")  # which lead to this machine here
    layout = replace(mesh.layout, options=options)
    opened = {
        program.name: {**environment, "PENSTOCK_ENVIRONMENT": "production", "PENSTOCK_CRASH_POINTS": ""}
        for program in PROGRAMS
        if "PENSTOCK_ALLOW_LOOPBACK" in (environment := program.environment(layout))
    }
    assert set(opened) == {"auth", "intake", "upstream", "webhooks"}
    for name, environment in opened.items():
        config = importlib.import_module(f"services.{name}.config").Config
        with pytest.raises(ConfigError) as refused:
            load(config, environment)
        assert [mistake.partition(" ")[0] for mistake in refused.value.mistakes] == ["PENSTOCK_ALLOW_LOOPBACK"]
        assert load(config, environment | {"PENSTOCK_ALLOW_LOOPBACK": "false"}).allow_loopback is False


#: What servers, frameworks, gateways and careless deployments answer under.
DOORS = (
    *("/stats", "/config_dump", "/clusters", "/server_info", "/certs", "/runtime", "/listeners", "/logging", "/memory"),
    *("/ready", "/quitquitquit", "/healthcheck/fail", "/drain_listeners", "/reset_counters", "/stats/prometheus"),
    *(
        "/metrics",
        "/debug/pprof/",
        "/debug/vars",
        "/actuator",
        "/actuator/env",
        "/env",
        "/trace",
        "/heapdump",
        "/status",
    ),
    *("/.env", "/.git/HEAD", "/.git/config", "/.aws/credentials", "/.well-known/openid-configuration", "/id_rsa"),
    *(
        "/admin",
        "/api/v1/admin",
        "/api/admin",
        "/console",
        "/graphql",
        "/swagger.json",
        "/v1/api-docs",
        "/server-status",
    ),
    *("/api", "/api/", "/api/v0/keys", "/api/v2/keys", "/api/v1beta/keys", "/api/internal/keys", "/internal", "/rpc"),
    *("/static/", "/files/", "/backup.zip", "/dump.sql", "/phpinfo.php", "/cgi-bin/", "/wp-login.php", "/robots.txt"),
    *("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.health.v1.Health/Check"),
    *("/penstock/auth/v1/auth.proto", "/penstock.binpb", "/envoy.yaml", "/penstock.auth.v1.KeyService"),
)


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_no_door_stands_open_beside_the_api(mesh: Mesh, intruder: Api, method: str) -> None:
    for path in DOORS:
        assert Api(mesh.url).call(method, path).status == 401, path
        assert intruder.call(method, path).status == 404, path


def test_envoys_own_interface_is_no_part_of_what_clients_reach(mesh: Mesh, intruder: Api) -> None:
    admin = mesh.layout.address("gateway_admin")
    assert admin != mesh.layout.address("gateway")
    with urllib.request.urlopen(f"http://{admin}/server_info", timeout=TIMEOUT_S) as answer:
        version = answer.read().decode()
    assert '"version"' in version  # it is there, and only not here
    for host in ("envoy-admin", admin, "localhost", "127.0.0.1"):
        answered = intruder.call("GET", "/server_info", headers={"Host": host, "X-Forwarded-Host": admin})
        assert (answered.status, answered.reason) == (404, "ROUTE_NOT_FOUND")


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "DEBUG", "MOVE", "SEARCH"])
def test_no_verb_echoes_or_tunnels(intruder: Api, method: str) -> None:
    for path in ("/", "/api/v1/keys", f"/api/v1/jobs/{ids.new_job_id('http')}"):
        answer = intruder.call(method, path, headers={"X-Echoed": "echo-5b1d"})
        assert answer.status in {400, 403, 404, 405, 501}, answer
        assert b"echo-5b1d" not in answer.body
        assert str(intruder.key) not in f"{answer.headers}{answer.body.decode()}"
