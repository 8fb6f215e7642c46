"""The site's documents, and what its pages may load."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request

from gateway.site import deprecation_page, docs
from gateway.site.assets import Assets
from gateway.site.documents import HTML, Document
from gateway.site.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from starlette.responses import Response
    from starlette.routing import Route

_BODY = b"<p>the same again and again</p>" * 200


def _request(**headers: str) -> Request:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/docs", "headers": pairs})


async def _get(routes: Sequence[Route], path: str) -> Response:
    (route,) = [route for route in routes if route.path == path]
    return await route.endpoint(_request())


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.5", "GZIP ; q=1.0, *;q=0"])
def test_who_takes_gzip_gets_it_under_a_tag_of_its_own(accepted: str) -> None:
    document = Document(_BODY, HTML)
    plain, folded = document.answer(_request()), document.answer(_request(accept_encoding=accepted))
    assert folded.headers["content-encoding"] == "gzip"
    assert gzip.decompress(bytes(folded.body)) == plain.body == _BODY
    assert plain.headers["etag"] != folded.headers["etag"]
    assert {plain.headers["vary"], folded.headers["vary"]} == {"accept-encoding"}


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "gzip;q=0.00", "xgzip", "br"])
def test_who_does_not_gets_it_as_it_is(accepted: str) -> None:
    answer = Document(_BODY, HTML).answer(_request(accept_encoding=accepted))
    assert (answer.body, "content-encoding" in answer.headers) == (_BODY, False)


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_who_has_a_document_is_not_sent_it_again(form: str) -> None:
    document = Document(_BODY, HTML, policy="default-src 'none'")
    etag = document.answer(_request()).headers["etag"]
    answer = document.answer(_request(if_none_match=form.format(etag)))
    assert (answer.status_code, answer.body, answer.headers["etag"]) == (304, b"", etag)
    assert document.answer(_request(if_none_match='"other"')).status_code == 200


def test_files_are_reached_by_the_digest_of_their_content_and_no_others_are(tmp_path: Path) -> None:
    for name in ("a.css", "b.css"):
        (tmp_path / name).write_text(f"/* {name} */")
    assets = Assets(tmp_path, ["a.css"])
    assert [route.path for route in assets.routes()] == [assets.url("a.css")]
    (tmp_path / "a.css").write_text("/* changed */")
    assert Assets(tmp_path, ["a.css"]).url("a.css") != assets.url("a.css")
    with pytest.raises(FileNotFoundError):
        Assets(tmp_path, ["a.css", "c.css"])


async def test_without_swagger_ui_the_page_says_what_to_do(tmp_path: Path) -> None:
    page = await _get(docs.routes(Frame(), tmp_path), "/docs")
    text = bytes(page.body).decode()
    assert "bash deploy/setup.sh site" in text
    assert "PENSTOCK_SITE_SWAGGER_UI" in text
    assert "script-src" not in page.headers["content-security-policy"]
    assert "<script" not in text


async def test_a_page_runs_and_loads_nothing_but_files_of_the_site(tmp_path: Path) -> None:
    for name in ("swagger-ui.css", "swagger-ui-bundle.js"):
        (tmp_path / name).write_text("/* theirs */")
    frame = Frame()
    routes = docs.routes(frame, tmp_path)
    page = await _get(routes, "/docs")
    text = bytes(page.body).decode()
    loaded = set(re.findall(r'<(?:link|script)[^>]+(?:href|src)="([^"]+)"', text))
    assert loaded <= {route.path for route in (*routes, *frame.routes())}
    assert len(loaded) == 6
    assert re.findall(r"<script[^>]*>[^<]", text) + re.findall(r"<style|\sstyle=|\son\w+=", text) == []
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; style-src 'self'")


async def test_what_is_deprecated_is_listed_with_what_takes_its_place() -> None:
    page = await _get(deprecation_page.routes(Frame()), "/docs/deprecation")
    rows = re.findall(r"<tr><td>(.*?)</tr>", bytes(page.body).decode())
    told = [[re.sub(r"<[^>]+>", "", cell) for cell in row.split("</td><td>")] for row in rows]
    assert ["token_id", "penstock.jobs.v1.SubmitJobRequest", "connection_id"] in [row[:3] for row in told]
    paths = [row for row in told if row[0] == "/api/v1/jobs/{job_id}/cancel"]
    assert [row[2] for row in paths] == ["/api/v1/jobs/{job_id}:cancel"]
    assert [row for row in told if not re.fullmatch(r"\d{4}-\d\d-\d\d", row[3])] == []
