"""The Lua that Envoy runs: one chunk a filter, put together from `lua/` and what the contract says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gateway import deprecation, fields
from gateway.routes import Template
from gateway.virtual_host import EXPOSED_HEADERS
from shared.identity import SIGNED_DIGEST_HEADER
from shared.rpc import help_pages

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.deprecation import Deprecation
    from gateway.fields import LuaValue
    from gateway.routes import RouteTable
    from gateway.settings import GatewaySettings

_FOLDER = Path(__file__).parent / "lua"
#: Each filter's chunk, by the name of its file in the built folder, and the files it is made of, in this order.
_CHUNKS = {
    "answers.lua": ("replies", "deprecated", "origins", "answers"),
    "requests.lua": ("replies", "deprecated", "encoding", "values", "json", "body", "query", "sha256", "requests"),
}


def chunks(table: RouteTable, settings: GatewaySettings) -> dict[str, str]:
    """Every chunk, by the name of its file."""
    messages = fields.message_tables({binding.message for binding in table.bindings})
    head = "\n".join(
        [
            "-- Built by gateway/lua_sources.py.",
            f"local SIGNED_DIGEST_HEADER = {fields.to_lua(SIGNED_DIGEST_HEADER)}",
            f"local DOCS_URL = {fields.to_lua(settings.docs_url)}",
            f"local HELP_DESCRIPTION = {fields.to_lua(help_pages.DESCRIPTION)}",
            f"local MAX_BODY_BYTES = {settings.max_body_bytes}",
            f"local ROUTES = {fields.to_lua(_routes(table))}",
            f"local MESSAGES = {fields.to_lua(messages)}",
            f"local ORIGINS = {fields.to_lua(dict.fromkeys(settings.cors_origins, True))}",
            f"local EXPOSED_HEADERS = {fields.to_lua(EXPOSED_HEADERS)}",
            f"local DEPRECATED = {fields.to_lua(deprecation.METADATA)}",
            f"local DEPRECATIONS = {fields.to_lua(_deprecations(table, messages))}",
        ]
    )
    return {name: "\n\n".join([head, *map(_read, parts)]) for name, parts in _CHUNKS.items()}


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")


def _routes(table: RouteTable) -> dict[str, LuaValue]:
    """By a route's name: the request's message, what its body is, and which field each segment gives.

    `within` is the field that the body is, where it is not the whole request; `foreign` says whether the query may hold
    what is not ours.
    """
    return {
        binding.name: {
            "message": binding.message,
            "body": binding.body_message,
            "within": fields.json_name(binding.message, binding.body) if binding.body not in {"", "*"} else "",
            "foreign": binding.foreign,
            "action": binding.template.action,
            "path": {
                place: fields.json_name(binding.message, variable)
                for place, variable in enumerate(binding.template.fields, 1)
                if variable
            },
        }
        for binding in table.bindings
    }


def _deprecations(table: RouteTable, messages: Mapping[str, LuaValue]) -> dict[str, LuaValue]:
    """All that is deprecated, by the name of its route or field."""
    found = {rpc: _told(rpc, mark) for rpc, mark in table.deprecated.items()}
    for binding in table.bindings:
        if (mark := binding.deprecation) is not None:
            told = _told(f"{binding.verb} {binding.template.text}", mark)
            if mark.instead.startswith("/"):
                told["successor"] = dict(enumerate(_successor(binding.template, Template.parse(mark.instead)), 1))
            found[binding.name] = told
    found |= {name: _told(called, mark) for name, (called, mark) in fields.deprecated(messages).items()}
    return dict(found)


def _told(name: str, mark: Deprecation) -> dict[str, LuaValue]:
    told: dict[str, LuaValue] = {
        "title": f"{name} is deprecated; {mark.instead} takes its place",
        "since": int(mark.since.timestamp()),
    }
    if mark.sunset is not None:
        told["sunset"] = int(mark.sunset.timestamp())
    return told


def _successor(path: Template, instead: Template) -> Iterator[LuaValue]:
    """The parts of the path to use instead: its own text, and the places of the segments that it takes of the path."""
    for part in instead.segments:
        yield "/"
        yield path.segments.index(part) + 1 if part.startswith("{") else part
    if instead.action:
        yield f":{instead.action}"
