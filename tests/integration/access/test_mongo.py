"""MongoDB: a service has its own collections, of which it can only add to some; nobody else comes in."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from deploy.access.rights import of
from tests.integration.access.pairs import every_pair, every_stranger, every_user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.collection import Collection

    from deploy.access.rights import MongoRights, Service
    from deploy.local.stack import Stack

    Client = MongoClient[dict[str, Any]]

UNAUTHORIZED = 13
AUTHENTICATION_FAILED = 18


@contextmanager
def connected(stack: Stack, **login: str) -> Iterator[Client]:
    with MongoClient(
        "127.0.0.1", stack.layout.ports["mongo"], directConnection=True, serverSelectionTimeoutMS=10_000, **login
    ) as client:
        yield client


@contextmanager
def as_service(stack: Stack, service: Service) -> Iterator[Client]:
    with MongoClient(stack.layout.url_file("mongo", service.name).read_text().strip()) as client:
        yield client


def rights_of(service: Service) -> MongoRights:
    assert service.mongo is not None
    return service.mongo


@contextmanager
def refused(code: int = UNAUTHORIZED) -> Iterator[None]:
    with pytest.raises(OperationFailure) as failure:
        yield
    assert failure.value.code == code


def read(collection: Collection[dict[str, Any]]) -> None:
    collection.find_one()


def write(collection: Collection[dict[str, Any]]) -> None:
    collection.insert_one({"_id": "of nobody"})


def change(collection: Collection[dict[str, Any]]) -> None:
    collection.update_one({}, {"$set": {"of": "nobody"}})


def remove(collection: Collection[dict[str, Any]]) -> None:
    collection.delete_many({})


def drop(collection: Collection[dict[str, Any]]) -> None:
    collection.drop()


@every_pair("mongo")
def test_a_collection_of_anothers_is_refused(servers: Stack, service: Service, other: Service) -> None:
    theirs = rights_of(other)
    if service.mongo is None:
        stolen = servers.layout.password("nats", service.name)
        for user in (service.name, other.name):
            login = {"username": user, "password": stolen, "authSource": theirs.database}
            with refused(AUTHENTICATION_FAILED), connected(servers, **login) as client:
                client[theirs.database].list_collection_names()
        return
    with as_service(servers, service) as client:
        for name in theirs.collections:
            for act in (read, write, change, remove, drop):
                with refused():
                    act(client[theirs.database][name])
        with refused():
            client[theirs.database].list_collection_names()


@every_user("mongo")
def test_a_service_may_do_all_that_its_row_says(servers: Stack, service: Service) -> None:
    mine = rights_of(service)
    with as_service(servers, service) as client:
        for name, actions in mine.collections.items():
            collection = client[mine.database][name]
            collection.create_index("probe", name="probe")
            assert "probe" in collection.index_information()
            made = collection.insert_one({"probe": 1}).inserted_id
            assert collection.find_one(made) is not None
            if "update" in actions:
                assert collection.update_one({"_id": made}, {"$set": {"probe": 2}}).modified_count == 1
                assert collection.delete_one({"_id": made}).deleted_count == 1
    with MongoClient(servers.layout.mongo_url) as operator:
        for name in mine.collections:
            operator[mine.database].drop_collection(name)


@every_user("mongo")
def test_a_service_rules_neither_its_database_nor_the_server(servers: Stack, service: Service) -> None:
    mine = rights_of(service)
    with as_service(servers, service) as client:
        for name in mine.collections:
            with refused():
                drop(client[mine.database][name])
            with refused():
                list(client[mine.database][name].aggregate([{"$out": "elsewhere"}]))
        for command in (
            *({"dropDatabase": 1}, {"usersInfo": 1}, {"createUser": "me", "pwd": "x", "roles": []}),
            {"updateRole": "service", "privileges": [], "roles": ["root"]},
        ):
            with refused():
                client[mine.database].command(command)
        for command in ("shutdown", "replSetGetConfig", "serverStatus"):
            with refused():
                client.admin.command(command)
        with refused():
            client.local["oplog.rs"].find_one()
        assert set(client.list_database_names()) <= {mine.database}


def test_auth_can_only_add_to_the_audit_log(servers: Stack) -> None:
    auth = of("auth")
    with as_service(servers, auth) as client:
        audit = client.auth.audit
        made = audit.insert_one({"action": "probe"}).inserted_id
        for act in (change, remove, drop):
            with refused():
                act(audit)
        with refused():
            audit.replace_one({"_id": made}, {"action": "never"}, upsert=True)
        with refused():
            audit.find_one_and_delete({"_id": made})
        with refused():
            list(client.auth.keys.aggregate([{"$out": "audit"}]))
        with refused():
            client.auth.command("collMod", "audit", validator={})
        assert audit.find_one(made) == {"_id": made, "action": "probe"}
    with MongoClient(servers.layout.mongo_url) as operator:
        operator.auth.audit.delete_many({})


def test_history_can_read_nothing_of_auths(servers: Stack) -> None:
    with as_service(servers, of("history")) as client:
        for collection in ("tenants", "keys", "audit", "system.users"):
            with refused():
                client.auth[collection].find_one()
        for stage in ({"$out": {"db": "auth", "coll": "keys"}}, {"$merge": {"into": {"db": "auth", "coll": "keys"}}}):
            with refused():
                list(client.history.jobs.aggregate([stage]))


@every_stranger("mongo")
def test_a_service_without_a_row_is_no_user(servers: Stack, service: Service) -> None:
    for database in ("admin", "auth", service.name):
        login = {"username": service.name, "password": "any", "authSource": database}
        with refused(AUTHENTICATION_FAILED), connected(servers, **login) as client:
            client.admin.command("ping")


def test_nobody_comes_in_without_a_name(servers: Stack) -> None:
    with connected(servers) as client:
        for database, collection in (("auth", "keys"), ("history", "jobs"), ("webhooks", "deliveries")):
            with refused():
                client[database][collection].find_one()
        with refused():
            client.list_database_names()
        with refused():  # the first user is there, and with it the end of what this machine may do without one
            client.admin.command("createUser", "me", pwd="x", roles=["root"])
