"""Envoy's settings are nested mappings; a typed one names its protobuf type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from datetime import timedelta

#: A protobuf message of Envoy's as YAML has it; Envoy itself says what may stand in it, when it validates.
EnvoyConfig: TypeAlias = "dict[str, Any]"


def typed(type_name: str, **fields: Any) -> EnvoyConfig:
    """A message in an `Any`.

    Args:
        type_name: Behind `type.googleapis.com/envoy.`.
        fields: The message's own.
    """
    return {"@type": f"type.googleapis.com/envoy.{type_name}", **fields}


def extension(name: str, type_name: str, **fields: Any) -> EnvoyConfig:
    """A named extension with its typed settings."""
    return {"name": name, "typed_config": typed(type_name, **fields)}


def duration(value: timedelta) -> str:
    """As protobuf's JSON has it."""
    return f"{value.total_seconds():g}s"


def socket_address(address: str) -> EnvoyConfig:
    """`host:port` as Envoy has it."""
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}


def header(name: str, value: str, action: str = "OVERWRITE_IF_EXISTS_OR_ADD") -> EnvoyConfig:
    """A header to set, or with `ADD_IF_ABSENT` to add where there is none."""
    return {"header": {"key": name, "value": value}, "append_action": action}
