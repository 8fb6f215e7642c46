"""A stack whose servers knew no users comes up with them, and with what it had."""

from __future__ import annotations

import contextlib
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from deploy.local import layout, mongo, programs
from deploy.local.layout import REPLICA_SET
from deploy.local.stack import Stack
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MONGO = [program for program in programs.PROGRAMS if program.name == "mongo"]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    new = Stack(layout.on_free_ports(tmp_path, programs.PORTS))
    new.layout.make_folders()
    mongo.prepare(new.layout)
    yield new
    new.stop()


@contextmanager
def without_users(stack: Stack) -> Iterator[MongoClient[dict[str, Any]]]:
    """Its MongoDB as it was started before there were any."""
    command = list(mongo.command(stack.layout))
    at = command.index("--keyFile")
    del command[at : at + 2]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            with MongoClient("127.0.0.1", stack.layout.ports["mongo"], directConnection=True) as client:
                yield client
        finally:
            process.terminate()


async def fill(stack: Stack) -> None:
    with without_users(stack) as client:
        member = {"_id": 0, "host": stack.layout.address("mongo")}

        def leads() -> bool:
            with contextlib.suppress(PyMongoError):  # it is not up yet, or was told already
                client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})
            return bool(client.admin.command("hello")["isWritablePrimary"])

        await eventually(leads)
        client.auth["keys"].insert_one({"_id": "key_1"})


def expect_it_with_users(stack: Stack) -> None:
    stack.start(MONGO, tied=True)
    stack.wait_until_ready(MONGO, timeout_s=60)
    with MongoClient(stack.layout.url_file("mongo", "auth").read_text().strip()) as client:
        assert client.auth["keys"].find_one() == {"_id": "key_1"}
    with (
        MongoClient("127.0.0.1", stack.layout.ports["mongo"], directConnection=True) as nobody,
        pytest.raises(OperationFailure, match="requires authentication"),
    ):
        nobody.auth["keys"].find_one()


async def test_a_database_without_users_gets_them_and_keeps_what_it_has(stack: Stack) -> None:
    await fill(stack)
    expect_it_with_users(stack)


async def test_so_it_does_where_its_port_was_moved_too(stack: Stack) -> None:
    await fill(stack)
    moved = Stack(layout.on_free_ports(stack.layout.state, programs.PORTS))
    try:
        expect_it_with_users(moved)
    finally:
        moved.stop()


async def test_a_changed_table_is_brought_to_a_database_that_has_users(stack: Stack) -> None:
    await fill(stack)
    expect_it_with_users(stack)
    with MongoClient(stack.layout.mongo_url) as operator:
        operator.auth.command("updateRole", "service", privileges=[], roles=[])
        operator.history.command("dropUser", "history")
    stack.stop()
    expect_it_with_users(stack)
    with MongoClient(stack.layout.url_file("mongo", "history").read_text().strip()) as history:
        assert history.history["jobs"].find_one() is None
