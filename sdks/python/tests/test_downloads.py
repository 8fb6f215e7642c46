"""Results arrive whole and at once, and go on where they broke off: within a call, and from one program to the next."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from penstock_sdk.errors import InvalidUse, NoAnswer, UnexpectedAnswer
from penstock_sdk.reasons import ResultNotFound

from sdks.python.tests.faulty_server import FaultyServer, Reply, error, raw, reset_after
from sdks.python.tests.sides import done

if TYPE_CHECKING:
    import socket
    from pathlib import Path

CONTENT = bytes(range(256)) * 20
ETAG = '"v1"'


def whole(content: bytes = CONTENT, etag: str = ETAG) -> Reply:
    return raw(200, content, {"ETag": etag, "Content-Type": "image/jpeg"})


def half(etag: str = ETAG) -> Reply:
    """Half of it, then the connection breaks."""

    def reply(connection: socket.socket) -> None:
        head = f"HTTP/1.1 200 OK\r\nETag: {etag}\r\nContent-Length: {len(CONTENT)}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + CONTENT[: len(CONTENT) // 2])

    return reply


def rest(first: int = len(CONTENT) // 2, *, told: int | None = None) -> Reply:
    content_range = f"bytes {first if told is None else told}-{len(CONTENT) - 1}/{len(CONTENT)}"
    return raw(206, CONTENT[first:], {"ETag": ETAG, "Content-Range": content_range})


def link(server: FaultyServer, number: int = 1) -> Reply:
    return raw(302, b"", {"Location": f"{server.url}/bucket/object?signature={number}"})


def held(file: Path) -> bytes:
    return file.read_bytes()


def names(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir() if path.is_file())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "photo.jpg"


async def test_a_small_result_comes_through_the_gateway(penstock: Any, server: FaultyServer, file: Path) -> None:
    server.will(whole(b"an older one"), whole())
    await done(penstock.jobs.download("http-0", file))
    assert await done(penstock.jobs.download("http-1", file)) == file
    assert held(file) == CONTENT
    assert names(file) == ["photo.jpg"]
    assert "range" not in server.seen[1].headers


async def test_a_large_one_comes_by_its_link_which_is_fetched_anew_and_sees_no_key(
    penstock: Any, server: FaultyServer, file: Path
) -> None:
    server.will(link(server), half(), link(server, 2), raw(403, b"", {}), link(server, 3), rest())
    await done(penstock.jobs.download("http-1", str(file)))
    assert held(file) == CONTENT
    to_store = [seen for seen in server.seen if seen.target.startswith("/bucket")]
    assert [seen.target[-1] for seen in to_store] == ["1", "2", "3"]
    assert not any({"x-api-key", "authorization"} & seen.headers.keys() for seen in to_store)
    assert to_store[2].headers["range"] == f"bytes={len(CONTENT) // 2}-"
    assert to_store[2].headers["if-range"] == ETAG


async def test_another_program_goes_on_with_what_is_there(penstock: Any, server: FaultyServer, file: Path) -> None:
    server.will(half(), error(404, "RESULT_NOT_FOUND"))
    with pytest.raises(ResultNotFound):
        await done(penstock.jobs.download("http-1", file))
    assert names(file) == ["photo.jpg.part", "photo.jpg.part.of"]
    server.will(rest())
    await done(penstock.jobs.download("http-1", file))
    assert held(file) == CONTENT


async def test_what_is_there_of_another_job_or_another_result_is_not_gone_on_with(
    penstock: Any, server: FaultyServer, file: Path
) -> None:
    server.will(half(), error(404, "RESULT_NOT_FOUND"), whole(b"other"))
    with pytest.raises(ResultNotFound):
        await done(penstock.jobs.download("http-1", file))
    await done(penstock.jobs.download("http-2", file))
    assert "range" not in server.seen[2].headers
    assert held(file) == b"other"
    server.will(half(), whole(b"it has changed", '"v2"'))
    await done(penstock.jobs.download("http-1", file))
    assert held(file) == b"it has changed"


@pytest.mark.parametrize("etag", ['W/"v1"', ""])
async def test_without_a_strong_etag_it_begins_anew(penstock: Any, server: FaultyServer, file: Path, etag: str) -> None:
    server.will(half(etag), whole(etag=etag))
    await done(penstock.jobs.download("http-1", file))
    assert "range" not in server.seen[1].headers
    assert held(file) == CONTENT


async def test_another_part_than_was_asked_for_is_not_taken(penstock: Any, server: FaultyServer, file: Path) -> None:
    server.will(half(), rest(told=7), whole())
    await done(penstock.jobs.download("http-1", file))
    assert held(file) == CONTENT


@pytest.mark.parametrize("where", ["gateway", "store"])
async def test_one_that_was_whole_but_for_its_name_is_done(
    penstock: Any, server: FaultyServer, file: Path, where: str
) -> None:
    file.with_name("photo.jpg.part").write_bytes(CONTENT)
    file.with_name("photo.jpg.part.of").write_text('{"jobId": "http-1", "etag": "\\"v1\\""}')
    size = str(len(CONTENT))
    if where == "gateway":
        server.will(error(416, "RANGE_NOT_SATISFIABLE", metadata={"size": size}))
    else:
        server.will(link(server), raw(416, b"", {"Content-Range": f"bytes */{size}"}))
    await done(penstock.jobs.download("http-1", file))
    assert held(file) == CONTENT


async def test_more_than_there_should_be_is_thrown_away(penstock: Any, server: FaultyServer, file: Path) -> None:
    file.with_name("photo.jpg.part").write_bytes(CONTENT + b"x")
    file.with_name("photo.jpg.part.of").write_text('{"jobId": "http-1", "etag": "\\"v1\\""}')
    server.will(error(416, "RANGE_NOT_SATISFIABLE", metadata={"size": str(len(CONTENT))}), whole())
    await done(penstock.jobs.download("http-1", file))
    assert held(file) == CONTENT


async def test_only_standing_still_counts_against_it(penstock: Any, server: FaultyServer, file: Path) -> None:
    def a_little(first: int) -> Reply:
        def reply(connection: socket.socket) -> None:
            length = len(CONTENT) - first
            head = (
                f"HTTP/1.1 206 X\r\nContent-Length: {length}\r\nContent-Range: bytes {first}-9/{len(CONTENT)}\r\n\r\n"
            )
            connection.sendall(head.encode() + CONTENT[first : first + 50])

        return reply

    server.will(half())
    for number in range(3):  # longer, by their pauses, than one call is tried again
        server.will(error(503, "UNAVAILABLE", {"Retry-After": "40"}), a_little(len(CONTENT) // 2 + 50 * number))
    server.will(rest(len(CONTENT) // 2 + 150))
    await done(penstock.jobs.download("http-1", file))
    assert held(file) == CONTENT
    server.will(*[reset_after] * 20)
    with pytest.raises(NoAnswer, match="tries"):
        await done(penstock.jobs.download("http-1", file))


async def test_what_the_object_store_refuses_is_told(penstock: Any, server: FaultyServer, file: Path) -> None:
    server.will(link(server), raw(404, b"", {}))
    with pytest.raises(UnexpectedAnswer, match="object store answered 404") as caught:
        await done(penstock.jobs.download("http-1", file))
    assert "signature" not in str(caught.value)


async def test_progress_is_drawn_in_bytes(penstock: Any, server: FaultyServer, file: Path) -> None:
    drawn = io.StringIO()
    server.will(half(), rest())
    await done(penstock.jobs.download("http-1", file, progress=drawn))
    assert "5.00k/5.00k" in drawn.getvalue()


async def test_a_path_of_no_file_is_told_at_once(penstock: Any, server: FaultyServer, tmp_path: Path) -> None:
    with pytest.raises(InvalidUse, match="is a folder"):
        await done(penstock.jobs.download("http-1", tmp_path))
    with pytest.raises(InvalidUse, match="there is no folder"):
        await done(penstock.jobs.download("http-1", tmp_path / "none" / "photo.jpg"))
    assert not server.seen
