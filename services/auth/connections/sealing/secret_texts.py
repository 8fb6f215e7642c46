"""Secrets as bytes, before they are sealed: JSON that names the kind."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from services.auth.connections.domain import BasicLogin, BearerToken, HeaderKey, Kind, OAuth1Token, OAuth2Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.auth.connections.domain import Secret

_CLASSES: Mapping[Kind, type[Secret]] = MappingProxyType(
    {
        Kind.OAUTH1: OAuth1Token,
        Kind.OAUTH2: OAuth2Tokens,
        Kind.BEARER: BearerToken,
        Kind.HEADER: HeaderKey,
        Kind.BASIC: BasicLogin,
    }
)
_KINDS: Mapping[type[Secret], Kind] = MappingProxyType({each: kind for kind, each in _CLASSES.items()})
_TIMES = frozenset({"expires_at"})


def kind_of(secret: Secret) -> Kind:
    """What a secret is."""
    return _KINDS[type(secret)]


def to_text(secret: Secret) -> bytes:
    """The secret as bytes."""
    fields: dict[str, Any] = {"kind": kind_of(secret).value}
    for field in dataclasses.fields(secret):
        value = getattr(secret, field.name)
        fields[field.name] = value.isoformat() if isinstance(value, datetime) else value
    return json.dumps(fields, separators=(",", ":")).encode()


def from_text(text: bytes) -> Secret:
    """The secret that was made these bytes."""
    fields = json.loads(text)
    made = _CLASSES[Kind(fields.pop("kind"))]
    for name in _TIMES & fields.keys():
        if fields[name] is not None:
            fields[name] = datetime.fromisoformat(fields[name])
    return made(**fields)
