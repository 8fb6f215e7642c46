"""Who may call what: the schemes by which a caller is known, and the scope that an RPC asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.permissions import PERMISSIONS, Permission

if TYPE_CHECKING:
    from collections.abc import Iterable


def permission_of(rpc: str) -> Permission:
    """Who may call an RPC, by its full name.

    Raises:
        KeyError: Nobody is known to be allowed to.
    """
    service, _, method = rpc.rpartition(".")
    return PERMISSIONS[f"/{service}/{method}"]


def requirements(permission: Permission, schemes: Iterable[str]) -> list[dict[str, Any]]:
    """The schemes any of which will do, each with the scope that the key must have; none where anybody may call."""
    if permission.anonymous:
        return []
    return [{scheme: [scope]} for scope in scopes(permission) for scheme in schemes]


def scopes(permission: Permission) -> list[str]:
    """The scopes any of which will do."""
    return [scope.value for scope in (permission.scope, permission.or_scope) if scope is not None]
