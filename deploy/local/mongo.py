"""MongoDB: a replica set of one, which lets in whom it knows, and who that is."""

from __future__ import annotations

import importlib.util
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from deploy.access import backup
from deploy.access.mongo import ROLE, privileges
from deploy.access.rights import OPERATOR, SERVICES
from deploy.local import keys, servers
from deploy.local.errors import StackError
from deploy.local.layout import HOST, REPLICA_SET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymongo.database import Database

    from deploy.local.layout import Layout

_TIMEOUT_MS = 1000
#: An initiation takes longer than a ping.
_COMMAND_TIMEOUT_MS = 10_000
#: Of the cache; the default is half of the machine's memory.
_CACHE_GB = "0.25"
#: The server's errors.
_UNAUTHORIZED = 13
_AUTHENTICATION_FAILED = 18
_ALREADY_INITIALIZED = 23
_NO_MEMBER = 93
_ROLE_EXISTS = 51002
_USER_EXISTS = 51003


def prepare(layout: Layout) -> None:
    """Makes its folder, and sets the run bit of the wheel's mongod, which comes without."""
    servers.make_data_folder(layout, "mongo")
    path = _mongod()
    mode = path.stat().st_mode
    if not mode & stat.S_IXUSR:
        path.chmod(mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def command(layout: Layout) -> Sequence[str]:
    """Starts it as a member of a replica set, which `check` initiates; with a key file it asks all who they are."""
    return (
        str(_mongod()),
        *(
            "--bind_ip",
            HOST,
            "--port",
            str(layout.ports["mongo"]),
            "--dbpath",
            str(servers.data_folder(layout, "mongo")),
        ),
        *("--replSet", REPLICA_SET, "--keyFile", str(keys.mongo_key_file(layout.secrets))),
        *("--wiredTigerCacheSizeGB", _CACHE_GB),
        *("--nounixsocket", "--setParameter", "diagnosticDataCollectionEnabled=false", "--quiet"),
        # Its users' passwords are random, and none is guessed: more rounds would only make each connection dearer.
        *("--setParameter", "scramSHA256IterationCount=5000"),
    )


def check(layout: Layout) -> None:
    """Raises PyMongoError or OSError where MongoDB is no primary with its users; makes it that where it is not.

    A replica set knows its members by their ports: where the port was moved since, it is told the new one.
    """
    try:
        _settle(layout)
    except OperationFailure as error:
        if error.code != _AUTHENTICATION_FAILED:
            raise
        _begin(layout)
        _settle(layout)


def _settle(layout: Layout) -> None:
    """Tells it its port, as its user, and brings its other users to the table."""
    with _client(layout, username=OPERATOR, password=layout.password("mongo", OPERATOR)) as client:
        config = client.admin.command("replSetGetConfig")["config"]
        member = _member(layout)
        if config["members"][0]["host"] != member["host"]:
            config = config | {"members": [config["members"][0] | member], "version": config["version"] + 1}
            client.admin.command("replSetReconfig", config, force=True)
        _expect_primary(client)
        for service in SERVICES:
            if service.mongo is not None:
                database = client[service.mongo.database]
                password = layout.password("mongo", service.name)
                _make_user(database, service.name, ROLE, privileges(service), password=password)
        password = layout.password("mongo", backup.USER)
        _make_user(client[backup.DATABASE], backup.USER, backup.ROLE, backup.privileges(), password=password)


def _begin(layout: Layout) -> None:
    """Makes the first user, as anyone on this machine may until there is one: of a new MongoDB, or one that had none.

    Raises:
        ConnectionError: It is no primary yet; or it has users, and another password for ours.
    """
    with _client(layout) as client:
        try:
            client.admin.command("replSetInitiate", _config(layout))
        except OperationFailure as error:
            if error.code == _UNAUTHORIZED:
                known = layout.password_file("mongo", OPERATOR)
                raise ConnectionError(f"MongoDB has another password for {OPERATOR} than {known}") from error
            if error.code != _ALREADY_INITIALIZED:
                raise
        try:
            client.admin.command("replSetGetStatus")
        except OperationFailure as error:
            if error.code != _NO_MEMBER:
                raise
            client.admin.command("replSetReconfig", _config(layout), force=True)  # its port was moved
        _expect_primary(client)
        client.admin.command("createUser", OPERATOR, pwd=layout.password("mongo", OPERATOR), roles=["root"])


def _make_user(
    database: Database[dict[str, Any]], name: str, role: str, privileges: Sequence[Mapping[str, Any]], *, password: str
) -> None:
    """Makes a user with its role, or brings them to the table."""
    rights: dict[str, Any] = {"privileges": privileges, "roles": []}
    user: dict[str, Any] = {"pwd": password, "roles": [role]}
    for kind, known_as, what, exists in (("Role", role, rights, _ROLE_EXISTS), ("User", name, user, _USER_EXISTS)):
        try:
            database.command(f"create{kind}", known_as, **what)
        except OperationFailure as error:
            if error.code != exists:
                raise
            database.command(f"update{kind}", known_as, **what)


def _client(layout: Layout, **login: Any) -> MongoClient[dict[str, Any]]:
    return MongoClient(
        HOST,
        layout.ports["mongo"],
        directConnection=True,
        serverSelectionTimeoutMS=_TIMEOUT_MS,
        connectTimeoutMS=_TIMEOUT_MS,
        socketTimeoutMS=_COMMAND_TIMEOUT_MS,
        **login,
    )


def _expect_primary(client: MongoClient[dict[str, Any]]) -> None:
    if not client.admin.command("hello").get("isWritablePrimary"):
        raise ConnectionError("MongoDB is not a primary yet")


def _config(layout: Layout) -> Mapping[str, Any]:
    return {"_id": REPLICA_SET, "version": 1, "members": [_member(layout)]}


def _member(layout: Layout) -> Mapping[str, Any]:
    return {"_id": 0, "host": layout.address("mongo")}


def _mongod() -> Path:
    package = importlib.util.find_spec("fiftyone")
    if package is None or package.submodule_search_locations is None:
        raise StackError("mongod is not installed; `make setup` installs it")
    return Path(next(iter(package.submodule_search_locations))) / "db" / "bin" / "mongod"
