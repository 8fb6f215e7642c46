"""An archive is read back as it was written, or said to be not so; and what is to be erased goes from it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.history.retention import read
from services.history.retention import sweep as sweep_
from services.history.retention.archive import Archive
from services.history.retention.domain import DAY
from shared.objects import archive_key
from tests import object_stores
from tests.integration.history.retention.conftest import DAY_OF, ENDED

if TYPE_CHECKING:
    from tests.integration.history.retention.conftest import Shelf

pytestmark = pytest.mark.usefixtures("no_stalls")


async def read_back(shelf: Shelf, *, keep_going: bool = False, tenant: str = "acme") -> tuple[int, list[str], str]:
    """How many faults there were, the ids that were read, and what was said."""
    shelf.capture.readouterr()
    faults = await read.read(shelf.objects, read.Order(tenant=tenant, day=DAY_OF, keep_going=keep_going))
    out, said = shelf.capture.readouterr()
    return faults, [json.loads(line)["id"] for line in out.split("\n")[:-1]], said


@pytest.fixture
async def three(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An archive of three parts, a job each."""
    jobs = [await shelf.add(ended=ENDED + timedelta(seconds=number)) for number in range(3)]
    monkeypatch.setattr(sweep_, "MAX_PART_JOBS", 1)
    shelf.after(91)
    await shelf.sweep().sweep()
    return jobs


async def test_a_part_that_was_tampered_with_is_named_and_the_rest_can_be_read(shelf: Shelf, three: list[str]) -> None:
    parts = [archive_key("acme", DAY_OF, each.part.name) for each in await shelf.parts.of_day("acme", DAY_OF)]
    body = await shelf.objects.get(parts[1], at_most=10_000)
    await shelf.objects.put(parts[1], body[:-1] + bytes([body[-1] ^ 1]), content_type="application/gzip")
    faults, found, said = await read_back(shelf)
    assert (faults, found) == (1, three[:1])
    assert f"{parts[1]}: it is not as it was written" in said
    faults, found, said = await read_back(shelf, keep_going=True)
    assert (faults, found) == (1, [three[0], three[2]])
    assert "2 of 3 jobs of acme" in said
    await shelf.objects.delete(parts[2])
    faults, found, said = await read_back(shelf, keep_going=True)
    assert (faults, found) == (2, three[:1])
    assert f"{parts[2]}: it is not there" in said


async def test_a_manifest_that_was_tampered_with_is_not_believed(shelf: Shelf, three: list[str]) -> None:
    assert three
    key = archive_key("acme", DAY_OF, "manifest.json")
    manifest = json.loads(await shelf.objects.get(key, at_most=10_000))
    assert (manifest["formatVersion"], manifest["jobs"], len(manifest["parts"])) == (1, 3, 3)
    del manifest["parts"][0]
    await shelf.objects.put(key, json.dumps(manifest).encode(), content_type="application/json")
    assert (await read_back(shelf))[:2] == (1, [])
    other = archive_key("other", DAY_OF, "manifest.json")
    await shelf.objects.put(other, json.dumps(manifest).encode(), content_type="application/json")
    assert (await read_back(shelf, tenant="other"))[0] == 1


async def test_what_is_in_no_manifest_is_told_of_and_not_read(shelf: Shelf, three: list[str]) -> None:
    stray = archive_key("acme", DAY_OF, "0-stray.ndjson.gz")
    await shelf.objects.put(stray, b"", content_type="application/gzip")
    faults, found, said = await read_back(shelf)
    assert (faults, found) == (0, three)
    assert f"{stray} is in no manifest" in said


async def test_a_day_without_an_archive_is_told_of(shelf: Shelf) -> None:
    faults, found, said = await read_back(shelf)
    assert (faults, found) == (1, [])
    assert "there is no archive of acme for 2026-03-14" in said


async def test_a_connection_is_erased_line_by_line(shelf: Shelf) -> None:
    gone = [await shelf.add(connection_id="con_1") for _ in range(2)]
    left = [await shelf.add(connection_id="con_2"), await shelf.add()]
    newer = await shelf.add(connection_id="con_1", ended=ENDED + timedelta(hours=1))
    theirs = await shelf.add(tenant="other", connection_id="con_1")
    shelf.after(91)
    await shelf.sweep().sweep()
    before = await object_stores.keys_in(shelf.objects)
    assert await shelf.sweep().erase("acme", "con_1", ENDED) == (len(gone), True)
    assert await shelf.sweep().erase("acme", "con_1", ENDED) == (0, False)
    assert await shelf.archived_ids() == sorted([*left, newer])
    assert await shelf.archived_ids(tenant="other") == [theirs]
    after = await object_stores.keys_in(shelf.objects)
    assert len(after) == len(before) == 4
    assert len(set(before) - set(after)) == 1  # what the part was before is not there any more


async def test_a_tenant_is_erased_with_what_lies_beside_and_what_cannot_be_read(shelf: Shelf) -> None:
    await shelf.add()
    theirs = await shelf.add(tenant="other")
    shelf.after(90)
    await shelf.sweep().sweep()
    (kept,) = await shelf.parts.of_day("acme", DAY_OF)
    await shelf.objects.put(archive_key("acme", DAY_OF, kept.part.name), b"torn", content_type="application/gzip")
    await shelf.objects.put(archive_key("acme", DAY_OF, "0-of-before-a-restore"), b"", content_type="application/gzip")
    shelf.clock.time += 300 * DAY  # beyond the true time of what was put
    while (await shelf.sweep().erase("acme", "", shelf.clock.now()))[1]:
        pass
    assert all(key.startswith("archive/other/") for key in await object_stores.keys_in(shelf.objects))
    assert await shelf.archived_ids(tenant="other") == [theirs]


async def test_what_is_exported_is_what_is_archived_and_nowhere_else(shelf: Shelf, three: list[str]) -> None:
    await shelf.add(connection_id="con_1")
    shelf.after(95)
    await shelf.sweep().sweep()
    archive = Archive(shelf.objects, shelf.parts, clock=shelf.clock)

    async def exported(connection_id: str = "") -> list[str]:
        found: list[str] = []
        after = ""
        while True:
            lines, after = await archive.page("acme", connection_id, after=after)
            found += [json.loads(line)["id"] for line in lines]
            if not after:
                return found

    assert len(await exported()) == len(three) + 1
    assert len(await exported("con_1")) == 1
    assert await exported("con_2") == []
