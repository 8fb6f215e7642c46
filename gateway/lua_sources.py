"""The Lua that Envoy runs: one chunk a filter, put together from `lua/` and what the contract says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gateway import fields
from shared.identity import SIGNED_DIGEST_HEADER

if TYPE_CHECKING:
    from gateway.fields import LuaValue
    from gateway.routes import RouteTable
    from gateway.settings import GatewaySettings

_FOLDER = Path(__file__).parent / "lua"
#: Each filter's chunk, by the name of its file in the built folder, and the files it is made of, in this order.
_CHUNKS = {
    "answers.lua": ("replies", "answers"),
    "requests.lua": ("replies", "encoding", "values", "json", "body", "query", "sha256", "requests"),
}


def chunks(table: RouteTable, settings: GatewaySettings) -> dict[str, str]:
    """Every chunk, by the name of its file."""
    messages = fields.message_tables({binding.message for binding in table.bindings})
    head = "\n".join(
        [
            "-- Built by gateway/lua_sources.py.",
            f"local SIGNED_DIGEST_HEADER = {fields.to_lua(SIGNED_DIGEST_HEADER)}",
            f"local MAX_BODY_BYTES = {settings.max_body_bytes}",
            f"local ROUTES = {fields.to_lua(_routes(table))}",
            f"local MESSAGES = {fields.to_lua(messages)}",
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
