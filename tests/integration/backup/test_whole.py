"""Backups as a whole: what is refused before anything is written, and what is no backup."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import nats
import pytest
from nats.js.api import ConsumerConfig
from pymongo.errors import OperationFailure
from redis.exceptions import NoPermissionError

from deploy.access import backup
from deploy.access.rights import OPERATOR
from deploy.backup import __main__ as command
from deploy.backup import nats_streams
from deploy.backup.errors import BackupError, DamagedError, NotEmptyError
from deploy.backup.restoring import EPOCHS_AHEAD
from deploy.backup.shelf import PREFIX
from deploy.local import backups
from deploy.local.layout import ROOT
from shared import kv
from shared import mongo as mongo_
from shared.bus import Outgoing
from shared.streams import JOBS
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from shared.bus import Bus
    from tests.integration.backup.conftest import Backups

NEXT = Outgoing(subject="jobs.submitted.http", payload=b"more", message_id="the next")


@pytest.fixture
async def filled(backups_of_run: Backups, bus: Bus, redis: kv.Client, mongo: mongo_.Client) -> Backups:
    """Servers that hold a little of everything."""
    await redis.set("{sched:http}:of", "the scheduler")
    await mongo["history"]["jobs"].insert_many([{"_id": number} for number in range(20)])
    await mongo["auth"]["tenants"].insert_one({"_id": "acme"})
    await bus.publish([Outgoing(subject=NEXT.subject, payload=b"job", message_id=str(n)) for n in range(20)])
    bucket = await bus.bucket("scheduler", replicas=1)
    await bucket.put("epoch.http", b"3")
    await bus._jetstream.add_consumer(JOBS, ConsumerConfig(durable_name="history", ack_policy="explicit"))
    await _handle(bus, 10)
    return backups_of_run


async def _handle(bus: Bus, count: int) -> None:
    pulling = await bus._jetstream.pull_subscribe_bind(durable="history", stream=JOBS)
    for message in await pulling.fetch(count):
        await message.ack_sync()
    await pulling.unsubscribe()


async def _lose_everything(bus: Bus, redis: kv.Client, mongo: mongo_.Client) -> None:
    await redis.flushall()
    for name in ("history", "auth"):
        await mongo.drop_database(name)
    for stream in await bus._jetstream.streams_info():
        await bus._jetstream.delete_stream(stream.config.name or "")


async def test_what_is_there_is_named_and_stays_unless_it_is_to_be_removed(
    filled: Backups, bus: Bus, redis: kv.Client, mongo: mongo_.Client
) -> None:
    made = await filled.create()
    await bus.publish([NEXT])
    named = r"streams ATTEMPTS, AUDIT, JOBS, KV_scheduler, NOTICES; in Redis 1 keys; .*databases auth, history"
    with pytest.raises(NotEmptyError, match=named):
        await filled.restore(made)
    with pytest.raises(NotEmptyError, match="Redis holds 1 keys, with places in a log of jobs"):
        await filled.restore(made, "nats")
    await redis.set("later", 1)
    await mongo["history"]["jobs"].insert_one({"_id": "later"})
    await filled.restore(made, force=True)
    assert await redis.keys() == [b"{sched:http}:of"]
    assert await mongo["history"]["jobs"].count_documents({}) == 20
    assert await bus.newest(JOBS, ">") == 20
    async with nats_streams.connected(filled.config(OPERATOR).nats_url) as streams:
        assert await streams.numbers("scheduler", "epoch.") == {"epoch.http": 3 + EPOCHS_AHEAD}


async def test_mongodb_alone_is_restored_and_catches_up_from_the_log_that_lives(
    filled: Backups, bus: Bus, mongo: mongo_.Client
) -> None:
    made = await filled.create()
    await _handle(bus, 8)
    await bus.publish([NEXT])
    await mongo.drop_database("history")
    await mongo.drop_database("auth")
    await filled.restore(made, "mongodb")
    assert await bus.acknowledged(JOBS, "history") == 10
    assert await bus.newest(JOBS, ">") == 21
    assert await mongo["auth"]["tenants"].count_documents({}) == 1


async def test_a_consumer_that_is_ahead_of_its_stream_is_given_what_comes_next(filled: Backups, bus: Bus) -> None:
    """The server writes consumers down after messages, so one may know of messages that its stream has not."""
    made = await filled.create()
    async with nats_streams.connected(filled.config(OPERATOR).nats_url) as streams:
        await streams.set_back(JOBS, "history", 500)
        await filled.restore(made, "mongodb", force=True)
        assert await streams.acknowledged(JOBS, "history") == 10
        await streams.set_back(JOBS, "history", 500)
        await filled.restore(replace(made, acknowledged={}), "mongodb", force=True)
        assert await streams.acknowledged(JOBS, "history") == 20
    await bus.publish([NEXT])
    pulling = await bus._jetstream.pull_subscribe_bind(durable="history", stream=JOBS)
    assert [message.data for message in await pulling.fetch(1)] == [b"more"]


@pytest.mark.parametrize("damage", ["another byte", "the end is missing", "gone"])
async def test_a_damaged_backup_is_refused_before_anything_is_written(
    filled: Backups, bus: Bus, redis: kv.Client, mongo: mongo_.Client, damage: str
) -> None:
    made = await filled.create()
    file = made.file("mongodb/history.jobs.bson.gz")
    objects, key = filled.shelf._objects, f"{PREFIX}{made.name}/{file.name}"
    content = bytearray(await objects.get(key, at_most=file.bytes))
    content[-1] ^= 1
    if damage == "gone":
        await objects.delete(key)
    else:
        left = bytes(content if damage == "another byte" else content[:-20])
        await objects.put(key, left, content_type="application/octet-stream")
    await _lose_everything(bus, redis, mongo)
    with pytest.raises(DamagedError, match=r"the file mongodb/history\.jobs\.bson\.gz of the backup"):
        await filled.restore(made)
    assert await redis.dbsize() == 0
    assert await bus._jetstream.streams_info() == []
    assert "history" not in await mongo.list_database_names()


async def test_one_that_is_killed_in_the_middle_is_no_backup_and_is_pruned(filled: Backups) -> None:
    whole = await filled.create()
    store = filled.shelf._objects
    environment = dict(backups.environment(filled.stack.layout, backup.USER))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.backup", "create"), cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert (await process.stdout.readline()).startswith(b"Redis: ")
    process.kill()
    await process.wait()
    (killed,) = [each for each in await filled.shelf.found() if each.name != whole.name]
    assert not killed.is_whole
    with pytest.raises(BackupError, match=f"there is no backup '{killed.name}'; the newest is {whole.name}"):
        await filled.shelf.manifest(killed.name)
    now = whole.ended_at
    assert await filled.shelf.prune(now=now, daily=30, monthly=12) == [], "it may still be going on"
    old = killed.name.replace(killed.name[:4], "2024")
    for key in killed.keys:
        body = await store.get(key, at_most=10_000_000)
        await store.put(key.replace(killed.name, old), body, content_type="application/octet-stream")
    assert await filled.shelf.prune(now=now, daily=30, monthly=12) == [old]
    assert [each.name for each in await filled.shelf.found()] == [whole.name, killed.name]


async def test_other_keys_than_those_of_the_backup_are_named_and_refused(filled: Backups, tmp_path: Path) -> None:
    folder = tmp_path
    (folder / "pepper").write_text("of the mesh")
    (folder / "other").write_text("of another one")
    made = await filled.create(PENSTOCK_BACKUP_KEY_FILES=f"pepper={folder}/pepper,sealing={folder}/pepper")
    assert "of the mesh" not in str(made)
    with pytest.raises(BackupError, match="--other-keys"):
        await filled.restore(made, PENSTOCK_BACKUP_KEY_FILES=f"pepper={folder}/other")
    assert filled.said[-2:] == [
        "WARNING: the key pepper is another one than when the backup was made",
        "WARNING: the key sealing was there when the backup was made; PENSTOCK_BACKUP_KEY_FILES does not name it now",
    ]


async def test_the_user_of_backups_changes_nothing_on_the_servers(filled: Backups) -> None:
    config = filled.config()
    async with AsyncExitStack() as stack:
        redis = kv.client(config.redis_url)
        stack.push_async_callback(kv.close, redis)
        for attempt in (redis.get("{sched:http}:of"), redis.set("a", 1), redis.flushall()):
            with pytest.raises(NoPermissionError):
                await attempt
        mongo = await mongo_.connect(config.mongo_url)
        stack.push_async_callback(mongo_.close, mongo)
        for attempt in (mongo["history"]["jobs"].delete_many({}), mongo["admin"]["system.users"].find_one()):
            with pytest.raises(OperationFailure, match="not authorized"):
                await attempt
        refused: list[str] = []

        async def note(error: Exception) -> None:
            refused.append(str(error))

        client = await nats.connect(config.nats_url.reveal(), error_cb=note)
        stack.push_async_callback(client.close)
        subjects = [
            f"$JS.API.{what}" for what in ("STREAM.DELETE.JOBS", "STREAM.RESTORE.JOBS", "CONSUMER.RESET.JOBS.a")
        ]
        for subject in (*subjects, "jobs.submitted.http", "$KV.scheduler.epoch.http"):
            await client.publish(subject, b"{}")
        await client.flush()
        await eventually(lambda: len(refused) == 5)
        assert all("permissions violation" in each for each in refused)


async def test_the_commands_say_what_there_is(
    filled: Backups, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in backups.environment(filled.stack.layout, backup.USER).items():
        monkeypatch.setenv(name, value)
    assert await asyncio.to_thread(command.main, ["list"]) == 0
    assert capsys.readouterr().out == "There is no backup.\n"
    assert await asyncio.to_thread(command.main, ["create"]) == 0
    name = (await filled.shelf.found())[-1].name
    assert f"backup {name} is made" in capsys.readouterr().out
    assert await asyncio.to_thread(command.main, ["verify", name]) == 0
    assert f"backup {name} is whole: " in capsys.readouterr().out
    assert await asyncio.to_thread(command.main, ["list"]) == 0
    assert name in capsys.readouterr().out
    assert await asyncio.to_thread(command.main, ["verify", "20200101T000000Z"]) == 1
    assert f"there is no backup '20200101T000000Z'; the newest is {name}" in capsys.readouterr().err
