"""Signs requests as a client does, by what `docs/access.md` says of it: nothing here is auth's own code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX_CHARACTERS = 16


def signing_key(secret: str) -> bytes:
    """What is made of a key's secret to sign with."""
    return hmac.new(secret.encode(), b"penstock request signing v1", hashlib.sha256).digest()


def signed(
    secret: str,
    method: str,
    target: str,
    body: bytes | None = None,
    *,
    created: int | None = None,
    nonce: str | None = None,
    also: Mapping[str, str] | None = None,
    parameters: str = "",
    label: str = "penstock",
    key: bytes | None = None,
) -> dict[str, str]:
    """The headers that a signed request carries beside its others.

    Args:
        secret: The API key.
        method: As it is sent.
        target: Path and query, as they are sent.
        body: As it is sent; None for a request without.
        created: When it is signed; now unless told.
        nonce: A new one unless told.
        also: Further components that are covered, with their values.
        parameters: Further ones of the signature, such as `;expires=1`.
        label: The name of the signature.
        key: What it is signed with; the secret's signing key unless told.
    """
    path, _, query = target.partition("?")
    components = {"@method": method, "@path": path, "@query": f"?{query}", **(also or {})}
    headers: dict[str, str] = {}
    if body is not None:
        headers["content-digest"] = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
        components["content-digest"] = headers["content-digest"]
    names = " ".join(f'"{name}"' for name in components)
    created = int(time.time()) if created is None else created
    nonce = nonce or secrets.token_urlsafe(16)
    keyid = secret[:PREFIX_CHARACTERS]
    covered = f'({names});created={created};nonce="{nonce}";keyid="{keyid}";alg="hmac-sha256"{parameters}'
    lines = [f'"{name}": {value}' for name, value in components.items()] + [f'"@signature-params": {covered}']
    signature = hmac.new(key or signing_key(secret), "\n".join(lines).encode(), hashlib.sha256).digest()
    headers["signature-input"] = f"{label}={covered}"
    headers["signature"] = f"{label}=:{base64.b64encode(signature).decode()}:"
    return headers
