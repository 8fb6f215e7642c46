"""Uploads arrive whole, however often they break; nothing but the link's own headers goes to the object store."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import pytest
from penstock_sdk.content import UploadBroken
from penstock_sdk.errors import InvalidUse, UnexpectedAnswer
from penstock_sdk.reasons import UploadNotFound

from sdks.python.tests.faulty_server import FaultyServer, answer, error, raw, reset_after
from sdks.python.tests.sides import Clock, done

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = bytes(range(256)) * 2500  # more than is read at once
SHA256 = hashlib.sha256(CONTENT).hexdigest()
TAKEN = raw(200, b"", {})


class Pipe(io.BytesIO):
    """Can be read but once."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: Any) -> int:
        raise OSError("not seekable")


def upload(server: FaultyServer, state: str = "PENDING", *, link: int = 1, sha256: str = SHA256, **more: Any) -> Any:
    """An answer that shows an upload."""
    put = {"url": f"{server.url}/bucket/object?signature={link}", "headers": {"x-amz-checksum-sha256": "abc="}}
    told = {"id": "upl_1", "state": state, "size": str(len(CONTENT)), "sha256": sha256, **more}
    return answer(200, told | ({"put": put} if state == "PENDING" else {}))


def calls(server: FaultyServer) -> list[str]:
    return [f"{seen.verb} {seen.target.removeprefix('/api/v1/')}" for seen in server.seen]


@pytest.mark.parametrize("kind", ["path", "bytes", "file", "pipe"])
async def test_an_upload_is_measured_sent_and_completed(
    penstock: Any, server: FaultyServer, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(CONTENT)
    server.will(upload(server), TAKEN, upload(server, "READY"))
    if kind == "path":
        ready = await done(penstock.uploads.upload(file))
    elif kind == "bytes":
        ready = await done(penstock.uploads.upload(CONTENT, "image/jpeg"))
    elif kind == "file":
        with io.BytesIO(b"read before" + CONTENT) as opened:
            opened.seek(len(b"read before"))
            ready = await done(penstock.uploads.upload(opened, "image/jpeg"))
    else:
        ready = await done(penstock.uploads.upload(Pipe(CONTENT), "image/jpeg"))
    assert (ready.id, ready.state) == ("upl_1", "READY")
    create, put, complete = server.seen
    assert create.json == {"size": len(CONTENT), "sha256": SHA256, "contentType": "image/jpeg"}
    assert (put.verb, put.target, put.body) == ("PUT", "/bucket/object?signature=1", CONTENT)
    assert put.headers["x-amz-checksum-sha256"] == "abc="
    assert put.headers["content-length"] == str(len(CONTENT))
    assert not {"x-api-key", "authorization", "transfer-encoding", "content-type"} & put.headers.keys()
    assert complete.target == "/api/v1/uploads/upl_1:complete"


async def test_what_breaks_off_is_sent_again_by_a_fresh_link(penstock: Any, server: FaultyServer) -> None:
    incomplete = error(400, "UPLOAD_INCOMPLETE")
    server.will(upload(server), reset_after, incomplete, upload(server, link=2))
    server.will(raw(403, b"<Error><Code>AccessDenied</Code></Error>", {}), incomplete, upload(server, link=3))
    server.will(TAKEN, upload(server, "READY"))
    assert (await done(penstock.uploads.upload(CONTENT))).state == "READY"
    assert [each for each in calls(server) if each.startswith("PUT")] == [
        f"PUT /bucket/object?signature={link}" for link in (1, 2, 3)
    ]
    assert calls(server).count("POST uploads") == 1


async def test_bytes_that_arrived_though_the_answer_did_not_are_not_sent_again(
    penstock: Any, server: FaultyServer
) -> None:
    server.will(upload(server), reset_after, upload(server, "READY"))
    await done(penstock.uploads.upload(CONTENT))
    assert len(server.seen) == 3


@pytest.mark.parametrize("replies", ["ready", "pending"])
async def test_an_upload_is_gone_on_with(penstock: Any, server: FaultyServer, replies: str) -> None:
    if replies == "ready":
        server.will(upload(server, "READY"), upload(server, "READY"))
    else:
        server.will(upload(server), error(400, "UPLOAD_INCOMPLETE"), upload(server, link=2), TAKEN)
        server.will(upload(server, "READY"))
    assert (await done(penstock.uploads.upload(CONTENT, upload_id="upl_1"))).state == "READY"
    assert "POST uploads" not in calls(server)
    assert [each for each in calls(server) if each.startswith("PUT")] == (
        ["PUT /bucket/object?signature=2"] if replies == "pending" else []
    )


async def test_an_upload_of_other_bytes_is_not_gone_on_with(penstock: Any, server: FaultyServer) -> None:
    server.will(upload(server, sha256="0" * 64))
    with pytest.raises(InvalidUse, match=r"upl_1 is of .* leave upload_id out"):
        await done(penstock.uploads.upload(CONTENT, upload_id="upl_1"))
    server.will(error(404, "UPLOAD_NOT_FOUND"))
    with pytest.raises(UploadNotFound):
        await done(penstock.uploads.upload(CONTENT, upload_id="upl_1"))


async def test_one_that_cannot_be_sent_tells_how_to_go_on_and_no_signature(penstock: Any, server: FaultyServer) -> None:
    for link in range(50):
        server.will(upload(server, link=link), reset_after, error(400, "UPLOAD_INCOMPLETE"))
    with pytest.raises(UploadBroken, match=r"upload_id='upl_1'.*tries") as caught:
        await done(penstock.uploads.upload(CONTENT))
    assert caught.value.upload_id == "upl_1"
    assert "signature" not in str(caught.value)


async def test_bytes_that_were_taken_and_are_not_there_are_sent_again_but_not_for_ever(
    penstock: Any, server: FaultyServer
) -> None:
    server.will(upload(server), TAKEN, error(400, "UPLOAD_INCOMPLETE"), upload(server), TAKEN, upload(server, "READY"))
    assert (await done(penstock.uploads.upload(CONTENT))).state == "READY"
    server.will(upload(server))
    for _ in range(20):
        server.will(TAKEN, error(400, "UPLOAD_INCOMPLETE"), upload(server))
    with pytest.raises(UploadBroken, match="are not there"):
        await done(penstock.uploads.upload(CONTENT))


async def test_a_send_that_lasted_long_is_tried_again_when_it_breaks(
    penstock: Any, server: FaultyServer, clock: Clock
) -> None:
    def after_minutes(connection: Any) -> None:
        clock.slept.append(300)
        reset_after(connection)

    server.will(upload(server), after_minutes, error(400, "UPLOAD_INCOMPLETE"), upload(server), TAKEN)
    server.will(upload(server, "READY"))
    assert (await done(penstock.uploads.upload(CONTENT))).state == "READY"


async def test_what_the_object_store_refuses_is_told_by_its_code(penstock: Any, server: FaultyServer) -> None:
    server.will(upload(server), raw(400, b"<Error><Code>BadDigest</Code><X>secret</X></Error>", {}))
    server.will(error(400, "UPLOAD_INCOMPLETE"), upload(server))
    with pytest.raises(UploadBroken, match="400 BadDigest") as caught:
        await done(penstock.uploads.upload(CONTENT))
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value.__cause__, UnexpectedAnswer)


async def test_a_file_that_shrinks_meanwhile_is_told(penstock: Any, server: FaultyServer, tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(CONTENT)

    def shrinking(connection: Any) -> None:
        file.write_bytes(b"")
        upload(server)(connection)

    server.will(shrinking, TAKEN)
    with pytest.raises(InvalidUse, match="has changed while it was sent"):
        await done(penstock.uploads.upload(file))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (io.StringIO("text"), "mode 'rb'"),
        (7, "content is a int"),
        (bytes(1001), "more than 1000 bytes"),
    ],
)
async def test_what_cannot_be_uploaded_is_told_before_anything_is_asked(
    penstock: Any, server: FaultyServer, content: Any, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock_sdk.content.MAX_BYTES", 1000)
    with pytest.raises(InvalidUse, match=told):
        await done(penstock.uploads.upload(content))
    assert not server.seen
