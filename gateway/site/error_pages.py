"""`/docs/errors`, and the page on each reason, to which errors link; made of what `make proto` writes beside this."""

from __future__ import annotations

import difflib
import json
import re
from html import escape
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.site.documents import Document
from shared.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.requests import Request

    from gateway.site.frame import Frame

PATH = "/docs/errors"
_DATA = Path(__file__).with_name("errors.json")
_JSON = "application/json"
#: What stands in backticks.
_CODE = re.compile(r"`([^`]+)`")
#: How many near ones an unknown reason's page shows, and how near they are at least.
_NEAR, _LIKENESS = 5, 0.5
_LEAD = (
    "Every error names a <code>reason</code>, which is stable: branch on it, and never on the message. Its page says "
    "what it means, what to do, and whether to try again. A call's reason stands in the "
    "<code>google.rpc.ErrorInfo</code> of its <code>details</code>, a job's in its <code>error</code>."
)

#: A reason as the file has it.
Entry = dict[str, Any]


class ErrorPages:
    """The pages, and the same for programs, all made once.

    Args:
        frame: How pages look.
        entries: What there is to say of each reason.
    """

    def __init__(self, frame: Frame, entries: Sequence[Entry]) -> None:
        self._frame = frame
        self._names = [entry["name"] for entry in entries]
        known = frozenset(self._names)
        self._pages = {
            "": frame.page(title="Errors", main=_index(entries), path=PATH),
            **{each["name"]: frame.page(title=each["name"], main=_page(each, known), path=PATH) for each in entries},
        }
        self._data = {"": _as_json(entries), **{entry["name"]: _as_json(entry) for entry in entries}}

    async def answer(self, request: Request) -> Response:
        """A page, or its data for who asks for JSON; a reason in other letters is led to, an unknown one is 404."""
        asked: str = request.path_params.get("reason", "")
        if asked not in self._pages:
            return self._instead(request, asked)
        documents = self._data if _wants_json(request) else self._pages
        answer = documents[asked].answer(request)
        answer.headers["vary"] = "accept, accept-encoding"
        return answer

    def _instead(self, request: Request, asked: str) -> Response:
        name = asked.upper().replace("-", "_")
        if name in self._pages:
            return RedirectResponse(f"{PATH}/{name}", HTTPStatus.MOVED_PERMANENTLY)
        near = difflib.get_close_matches(name, self._names, n=_NEAR, cutoff=_LIKENESS)
        page = self._frame.page(title="No such error", main=_unknown(asked, near), path=PATH)
        return page.answer(request, HTTPStatus.NOT_FOUND)


def routes(frame: Frame) -> Sequence[Route]:
    """The index and the pages.

    Args:
        frame: How pages look.
    """
    pages = ErrorPages(frame, json.loads(_DATA.read_text(encoding="utf-8")))
    return [Route(PATH, pages.answer), Route(f"{PATH}/{{reason}}", pages.answer)]


def _wants_json(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return _JSON in accepted and "text/html" not in accepted


def _as_json(data: Entry | Sequence[Entry]) -> Document:
    return Document(json.dumps(data, ensure_ascii=False).encode(), _JSON)


def _index(entries: Iterable[Entry]) -> str:
    rows = "\n".join(
        f'<tr><th scope="row">{_link(entry["name"])}</th><td>{entry["http_status"] or "a job"}</td>'
        f"<td>{entry['status'] or 'a job'}</td><td>{'yes' if entry['retry'] else 'no'}</td>"
        f"<td>{_marked(entry['meaning'][0], frozenset())}</td></tr>"
        for entry in entries
    )
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("Reason", "HTTP", "gRPC", "Try again", "Meaning"))
    return (
        f'<h1>Errors</h1>\n<p class="lead">{_LEAD}</p>\n'
        f'<div class="wide" role="region" aria-label="Every reason" tabindex="0"><table>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>"
    )


def _page(entry: Entry, known: frozenset[str]) -> str:
    others = known - {entry["name"]}
    meaning = "\n".join(f'<p class="lead">{_marked(text, others)}</p>' for text in entry["meaning"])
    facts = {
        "Answered with": _answered(entry),
        "Try again": f"{'Yes' if entry['retry'] else 'No'}{', ' + entry['how'] if entry['how'] else ''}",
        "Mended by": entry["mended_by"],
    }
    rows = "".join(f"<dt>{term}</dt><dd>{_marked(text, others)}</dd>" for term, text in facts.items())
    steps = "\n".join(_step(block, others) for block in entry["what_to_do"])
    example = escape(json.dumps(entry["example"], indent=2, ensure_ascii=False))
    return (
        f"<h1>{entry['name']}</h1>\n{meaning}\n<h2>What to do</h2>\n{steps}\n<dl>{rows}</dl>\n"
        f'<h2>What it looks like</h2>\n<pre tabindex="0">{example}</pre>\n<p><a href="{PATH}">All errors</a></p>'
    )


def _answered(entry: Entry) -> str:
    if entry["http_status"]:
        return f"HTTP {entry['http_status']}, gRPC `{entry['status']}`"
    return "no call; it stands in a job's `error`"


def _step(block: Mapping[str, str], others: frozenset[str]) -> str:
    if "command" in block:
        return f'<pre tabindex="0">{escape(block["command"])}</pre>'
    return f"<p>{_marked(block['text'], others)}</p>"


def _unknown(asked: str, near: Sequence[str]) -> str:
    listed = "".join(f"<li>{_link(name)}</li>" for name in near)
    nearest = f"<p>Did you mean one of these?</p>\n<ul>{listed}</ul>\n" if near else ""
    return (
        f'<h1>No such error</h1>\n<p class="lead">No error has the reason <code>{escape(shown(asked))}</code>.</p>\n'
        f'{nearest}<p><a href="{PATH}">All errors</a></p>'
    )


def _link(name: str) -> str:
    return f'<a href="{PATH}/{name}"><code>{name}</code></a>'


def _marked(text: str, linked: frozenset[str]) -> str:
    """Plain text as HTML: what stands in backticks is code, and leads to its page where it is one of these reasons."""

    def code(match: re.Match[str]) -> str:
        return _link(match[1]) if match[1] in linked else f"<code>{match[1]}</code>"

    return _CODE.sub(code, escape(text, quote=False))
