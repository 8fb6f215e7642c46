"""The table of rights is what the services do, and what the page on servers says."""

from __future__ import annotations

import ast
import importlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.access import __main__ as command
from deploy.access import backup, mongo, nats, objects, redis
from deploy.access.rights import APPEND_ONLY, BUCKET, INDEX_DROPS, READ_AND_WRITE, SERVICES, STREAMS, of
from services.auth.audit_trail import CONSUMER as AUDIT
from services.history.jobs.projection import CONSUMER as HISTORY
from services.intake.projection import CONSUMER as INTAKE
from services.scheduler import events
from services.scheduler.recovery import submitted_consumer
from services.scheduler.standings import CONSUMER as STANDINGS
from services.webhooks.collecting.collector import CONSUMER as WEBHOOKS
from services.webhooks.collecting.notices import CONSUMER as NOTICES
from shared import streams
from shared.objects import ERASURES, EXPORTS, OF_INTAKE, OF_UPSTREAM, ObjectsConfig
from shared.objects.keys import LIFETIME_DAYS
from shared.streams import StreamLimits

if TYPE_CHECKING:
    from nats.js.api import ConsumerConfig

    from deploy.access.rights import Service

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "servers.md"
#: What every service that has Redis does with it when history asks for what it holds.
HOLDINGS = ROOT / "shared" / "holdings" / "redis.py"
#: What is called beside scripts: by the driver for a connection, and to run scripts.
OF_CONNECTIONS = {"PING", "SELECT", "EVALSHA", "SCRIPT|LOAD"}
#: The client's methods that are commands, as far as services call them.
METHODS = {"delete": "DEL", "get": "GET", "hgetall": "HGETALL", "hmget": "HMGET", "info": "INFO", "scan": "SCAN"}
METHODS |= {"set": "SET", "zcount": "ZCOUNT", "zrange": "ZRANGE", "zrem": "ZREM"}

EVERY_SERVICE = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


def folder(service: Service) -> Path:
    return ROOT / "services" / service.name


def test_every_service_has_a_row() -> None:
    there = {path.parent.name for path in (ROOT / "services").glob("*/__main__.py")}
    assert {service.name for service in SERVICES} == there


@EVERY_SERVICE
def test_a_service_has_rights_on_the_servers_that_it_is_told_of(service: Service) -> None:
    config = importlib.import_module(f"services.{service.name}.config").Config
    fields = {name for name in ("nats_url", "redis_url", "mongo_url") if name in config.__dataclass_fields__}
    rights = {f"{name}_url" for name in ("nats", "redis", "mongo") if getattr(service, name) is not None}
    assert rights == fields
    assert (service.objects is not None) == issubclass(config, ObjectsConfig)


@EVERY_SERVICE
def test_a_service_is_answered_where_its_row_lets_it_listen(service: Service) -> None:
    """The name that it gives its connection, which is in its inbox, is its own."""
    source = (folder(service) / "__main__.py").read_text(encoding="utf-8")
    assert re.findall(r'^ +run\("([a-z]+)", Config', source, re.MULTILINE) == [service.name]
    assert "process.connect_bus(config.nats_url)" in source


def called_in_scripts(service: Service) -> set[str]:
    scripts = [*(folder(service) / "lua").glob("*.lua"), *(ROOT / "shared" / "lua").glob("*.lua")]
    return {
        name for path in scripts for name in re.findall(r"redis\.p?call\('(\w+)'", path.read_text(encoding="utf-8"))
    }


def called_beside(service: Service) -> set[str]:
    """Commands that the service's modules send by methods of the driver's client, or by `GatheredReads.ask`."""
    found: set[str] = set()
    for path in (*folder(service).glob("*.py"), *([HOLDINGS] if service.redis is not None else [])):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                whose = ast.unparse(node.func.value)
                if any(keyword.arg == "desc" for keyword in node.keywords):
                    found.add("ZREVRANGE")  # by which the driver does that
                elif node.func.attr in METHODS and re.fullmatch(r"(self\._)?(client|pipeline|redis)", whose):
                    found.add(METHODS[node.func.attr])
                if node.func.attr == "ask" and node.args and isinstance(node.args[0], ast.Constant):
                    found.add(str(node.args[0].value))
    return found


@pytest.mark.parametrize("name", [service.name for service in SERVICES if service.redis is not None])
def test_the_commands_of_a_row_are_those_that_its_service_calls(name: str) -> None:
    service = of(name)
    assert service.redis is not None
    called = OF_CONNECTIONS | called_in_scripts(service) | called_beside(service)
    assert sorted(service.redis.commands) == sorted(called)


@pytest.mark.parametrize("name", [service.name for service in SERVICES if service.redis is None])
def test_a_service_without_redis_calls_none(name: str) -> None:
    assert called_beside(of(name)) == set()
    assert not (folder(of(name)) / "lua").exists()


def test_the_streams_are_those_that_services_make() -> None:
    made = streams.stream_configs(StreamLimits(replicas=1, max_bytes=1))
    assert list(STREAMS) == [stream.name for stream in made]


def taken_by(*subjects: str) -> set[str]:
    """The streams that take these subjects."""
    return {
        stream.name or ""
        for stream in streams.stream_configs(StreamLimits(replicas=1, max_bytes=1))
        for pattern in stream.subjects or ()
        for subject in subjects
        if nats.covers(pattern, subject)
    }


def test_facts_go_to_the_streams_and_each_has_one_publisher() -> None:
    facts = [subject for service in SERVICES for subject in service.nats.publishes if not subject.startswith("signal.")]
    assert all(len(taken_by(fact)) == 1 for fact in facts)
    assert len(facts) == len(set(facts))


@pytest.mark.parametrize(
    ("service", "stream", "consumer"),
    [
        ("auth", streams.AUDIT, AUDIT),
        ("history", streams.JOBS, HISTORY),
        ("intake", streams.JOBS, INTAKE),
        ("webhooks", streams.JOBS, WEBHOOKS),
        ("webhooks", streams.NOTICES, NOTICES),
        ("scheduler", streams.NOTICES, STANDINGS),
    ],
)
def test_consumers_are_those_of_the_services(service: str, stream: str, consumer: ConsumerConfig) -> None:
    assert of(service).nats.consumes[stream] == (consumer.durable_name,)


def test_the_scheduler_names_its_consumers_after_upstreams() -> None:
    assert submitted_consumer("http") != submitted_consumer("flickr")
    consumes = of("scheduler").nats.consumes
    assert consumes[streams.JOBS] == consumes[streams.ATTEMPTS] == ("*",)


def test_signals_and_facts_are_those_of_the_services() -> None:
    rows = {service.name: set(service.nats.publishes) for service in SERVICES}
    for name, row in rows.items():
        of_all = {streams.KEY_USES_SIGNAL, streams.audit_subject(name)}
        assert of_all <= row
        row.difference_update(of_all)
    changes = {streams.job_subject(name.lower(), "*") for name in _events_of_the_scheduler()}
    assert rows["scheduler"] == changes | {streams.work_signal("*"), streams.cancel_signal("*")}
    submitted, finished = streams.job_subject("submitted", "*"), streams.notice_subject("batch_finished")
    assert rows["intake"] == {submitted, finished, streams.JOBS_CHANGED_SIGNAL}
    assert rows["upstream"] == {streams.attempt_subject("*"), streams.CACHE_ANSWERED_SIGNAL}
    tenants = {streams.TENANT_SUSPENDED_SIGNAL, streams.TENANT_RESUMED_SIGNAL}
    changed = {streams.AUTH_CHANGED_SIGNAL, streams.PRINCIPAL_REVOKED_SIGNAL, streams.CONNECTION_CHANGED_SIGNAL}
    facts = ("tenant_suspended", "tenant_resumed")
    facts += ("connection_needs_reauth", "connection_restored", "connection_deleted")
    assert rows["auth"] == {*changed, *tenants, *map(streams.notice_subject, facts)}
    signals = {streams.DELIVERIES_DUE_SIGNAL, streams.ENDPOINT_CHANGED_SIGNAL}
    assert rows["webhooks"] == {streams.notice_subject("endpoint_disabled"), *signals}
    assert rows["history"] == set()


def _events_of_the_scheduler() -> list[str]:
    return [events.events_pb2.JobEvent.Type.Name(event) for event in events._TYPES.values()]


def test_what_somebody_hears_somebody_says() -> None:
    said = {subject for service in SERVICES for subject in service.nats.publishes}
    for service in SERVICES:
        assert set(service.nats.hears) <= said, service.name


@pytest.mark.parametrize(
    ("pattern", "subject", "covered"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.b", "a.b.c", False),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.*", "a", False),
        ("a.*", "a.>", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        ("*.b.>", "a.b.c.>", True),
        (">", "a", True),
    ],
)
def test_patterns_of_subjects_are_read_as_the_server_reads_them(pattern: str, subject: str, *, covered: bool) -> None:
    assert nats.covers(pattern, subject) is covered


@pytest.mark.parametrize(("name", "module"), [("auth", "tenant_store"), ("webhooks", "deliveries.documents")])
def test_databases_are_those_of_the_stores(name: str, module: str) -> None:
    rights = of(name).mongo
    assert rights is not None
    assert rights.database == importlib.import_module(f"services.{name}.{module}").DATABASE


@pytest.mark.parametrize("name", [service.name for service in SERVICES if service.mongo is not None])
def test_collections_are_those_of_the_stores(name: str) -> None:
    rights = of(name).mongo
    assert rights is not None
    sources = [path.read_text(encoding="utf-8") for path in folder(of(name)).rglob("*.py")]
    named = re.compile(r'(?:get_collection\(|^COLLECTION = )"(\w+)"', re.MULTILINE)
    used = {found for source in sources for found in named.findall(source)}
    assert used
    assert used <= set(rights.collections)


def test_whoever_may_only_add_can_neither_change_nor_remove() -> None:
    assert not set(APPEND_ONLY) & {
        "update",
        "remove",
        "dropCollection",
        "collMod",
        "dropIndex",
        "bypassDocumentValidation",
    }
    assert set(APPEND_ONLY) < set(READ_AND_WRITE)
    roles = [privilege for service in SERVICES for privilege in mongo.privileges(service)]
    audit = next(role for role in roles if role["resource"] == {"db": "auth", "collection": "audit"})
    assert audit["actions"] == [*APPEND_ONLY, *INDEX_DROPS]


def test_prefixes_are_written_by_whom_they_belong_to() -> None:
    intake, upstream = of("intake").objects, of("upstream").objects
    assert intake is not None
    assert upstream is not None
    assert set(intake.writes) == set(OF_INTAKE)
    assert set(upstream.writes) == set(OF_UPSTREAM)
    history = of("history").objects
    assert history is not None
    assert set(intake.writes) | set(upstream.writes) | {EXPORTS, ERASURES} == set(LIFETIME_DAYS)
    assert {EXPORTS, ERASURES} <= set(history.writes)


def test_the_bucket_is_the_one_that_services_use() -> None:
    assert ObjectsConfig.__dataclass_fields__["objects_bucket"].default == BUCKET


def test_the_commands_print_what_servers_are_started_with(capsys: pytest.CaptureFixture[str]) -> None:
    printed: dict[str, str] = {}
    for server in ("nats", "redis", "mongo", "s3"):
        command.main([server])
        printed[server] = capsys.readouterr().out
    assert printed["nats"] == nats.authorization(lambda user: f"$NATS_PASSWORD_OF_{user.upper()}")
    assert printed["redis"].splitlines()[0] == redis.users(str).splitlines()[0] == "user default off"
    assert printed["mongo"] == mongo.script()
    policies = json.loads(printed["s3"])
    rights = {service.name: service.objects for service in SERVICES if service.objects is not None}
    assert policies == {name: objects.policy(each) for name, each in rights.items()} | {"backup": backup.policy()}
    command.main(["s3", "--bucket", "ours"])
    assert json.loads(capsys.readouterr().out) == {
        name: objects.policy(each, bucket="ours") for name, each in rights.items()
    } | {"backup": backup.policy()}


def test_the_page_shows_the_table_and_an_example_as_the_commands_print_them() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert command.overview() in page
    user = next(line for line in command.redis_users().splitlines() if line.startswith("user auth "))
    assert user in page
    for server in ("nats", "redis", "mongo", "s3"):
        assert f"python -m deploy.access {server}" in page
