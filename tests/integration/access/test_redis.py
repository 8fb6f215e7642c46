"""Redis: a service has its own keys and the commands that it calls; nobody else comes in."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError
from redis.retry import Retry

from deploy.access.rights import SERVICES, of
from tests.integration.access.pairs import every_pair, every_stranger, every_user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.access.rights import RedisRights, Service
    from deploy.local.stack import Stack

#: The driver takes a refusal for a lost connection, and would try again.
ONCE = Retry(NoBackoff(), 0)
#: Subcommands of what a service may call a part of, and what would let a script bring its own text along.
BEYOND = (
    *(("SCRIPT", "FLUSH"), ("SCRIPT", "KILL"), ("EVAL", "return 1", "0"), ("SUBSCRIBE", "x"), ("PUBLISH", "x", "y")),
    *(
        ("RANDOMKEY",),
        ("DBSIZE",),
        ("OBJECT", "ENCODING", "x"),
        ("DUMP", "x"),
        ("COPY", "x", "y"),
        ("RENAME", "x", "y"),
    ),
)


@contextmanager
def connected(stack: Stack, user: str, password: str) -> Iterator[Any]:
    with redis.Redis(
        port=stack.layout.ports["redis"],
        username=user,
        password=password,
        decode_responses=True,
        retry=ONCE,
    ) as client:
        yield client


@contextmanager
def as_service(stack: Stack, service: Service) -> Iterator[Any]:
    with connected(stack, service.name, stack.layout.password("redis", service.name)) as client:
        yield client


@contextmanager
def as_operator(stack: Stack) -> Iterator[Any]:
    with redis.Redis.from_url(stack.layout.redis_url, decode_responses=True) as client:
        yield client


def rights_of(service: Service) -> RedisRights:
    assert service.redis is not None
    return service.redis


def examples(service: Service) -> list[str]:
    """A key for each of the service's patterns."""
    return [pattern.replace("*", "x}:y") for pattern in rights_of(service).keys]


def calls(stack: Stack, commands: list[str], key: str) -> list[tuple[str, ...]]:
    """A call of each command, with as many arguments as it takes, the key first."""
    with as_operator(stack) as client:
        known = cast("dict[str, dict[str, Any]]", client.command())
    found: list[tuple[str, ...]] = []
    for name in commands:
        count = abs(known[name]["arity"]) - 1
        found.append((name, *([key] + ["1"] * count)[:count]))
    return [call if call[0] != "zunionstore" else ("zunionstore", key, "1", key) for call in found]


@every_pair("redis")
def test_a_key_of_anothers_is_refused_to_every_command(servers: Stack, service: Service, other: Service) -> None:
    if service.redis is None:
        with pytest.raises(AuthenticationError), connected(servers, service.name, "any") as client:
            client.ping()
        return
    with as_operator(servers) as operator:
        known = cast("dict[str, dict[str, Any]]", operator.command())
    mine = [name.lower() for name in service.redis.commands]
    with_keys = [name for name in mine if name in known and known[name]["first_key_pos"]]
    assert len(with_keys) > 5
    with as_service(servers, service) as client:
        for key in examples(other):
            for call in calls(servers, with_keys, key):
                with pytest.raises(NoPermissionError):
                    client.execute_command(*call)


@every_user("redis")
def test_a_script_reaches_no_key_of_anothers(servers: Stack, service: Service) -> None:
    others = [other for other in SERVICES if other.redis is not None and other is not service]
    assert others
    with as_service(servers, service) as client:
        digest = client.script_load("return redis.call('HGETALL', ARGV[1])")
        assert client.evalsha(digest, 0, examples(service)[0]) == []
        for key in (key for other in others for key in examples(other)):
            with pytest.raises(ResponseError, match=r"can't access at least one of the keys"):
                client.evalsha(digest, 0, key)


@every_user("redis")
def test_a_service_may_use_its_own_keys_and_commands(servers: Stack, service: Service) -> None:
    mine = [name.lower() for name in rights_of(service).commands]
    plain = [name for name in mine if "|" not in name and name not in {"select", "evalsha"}]
    with as_service(servers, service) as client:
        for key in examples(service):
            for call in calls(servers, plain, key):
                try:
                    client.execute_command(*call)
                except NoPermissionError:
                    pytest.fail(f"{service.name} may not {call}")
                except ResponseError:  # what was filled in makes no sense to the command, which it has read for that
                    continue
        assert client.select(0)


@every_user("redis")
def test_a_service_runs_no_command_that_rules_the_server(servers: Stack, service: Service) -> None:
    with as_operator(servers) as client:
        ruling = {name for kind in ("dangerous", "admin") for name in cast("list[str]", client.acl_cat(kind))}
        known = set(client.command())
    ruling = (ruling & known) - {name.lower() for name in rights_of(service).commands}
    assert {"flushall", "flushdb", "config", "keys", "debug", "acl", "shutdown", "monitor", "client"} <= ruling
    with as_service(servers, service) as client:
        for call in (*calls(servers, sorted(ruling), "x"), *BEYOND):
            with pytest.raises(NoPermissionError):
                client.execute_command(*call)


@every_stranger("redis")
def test_a_service_without_a_row_is_no_user(servers: Stack, service: Service) -> None:
    for password in (servers.layout.password("nats", service.name), servers.layout.password("redis", "auth"), ""):
        with pytest.raises(AuthenticationError), connected(servers, service.name, password or "x") as client:
            client.ping()


def test_nobody_comes_in_without_a_name(servers: Stack) -> None:
    with redis.Redis(port=servers.layout.ports["redis"], retry=ONCE) as client, pytest.raises(AuthenticationError):
        client.ping()
    for password in ("", "guess", servers.layout.password("redis", "auth")):
        with pytest.raises(AuthenticationError), connected(servers, "default", password or "x") as client:
            client.ping()
    with as_operator(servers) as client:
        assert "off" in client.acl_getuser("default")["flags"]


def test_the_password_of_one_service_opens_nothing_as_another(servers: Stack) -> None:
    stolen = servers.layout.password("redis", "intake")
    with pytest.raises(AuthenticationError), connected(servers, "auth", stolen) as client:
        client.ping()


def test_history_can_read_no_key_of_auths(servers: Stack) -> None:
    history = of("history")
    assert history.redis is None
    for password in (servers.layout.password("mongo", "history"), servers.layout.password("nats", "history")):
        for user in ("history", "auth"):
            with pytest.raises(AuthenticationError), connected(servers, user, password) as client:
                client.hgetall("{auth:tenant:acme}:window:tenant")
