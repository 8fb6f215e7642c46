"""Canonical JSON, and the fingerprint of a request."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.intake.domain import Draft, RetryPolicy

#: Every whole number up to it has a double of its own (RFC 8259, 6).
MAX_SAFE_INTEGER = 2**53 - 1


def canonical_json(value: object) -> bytes:
    """The one way to write a JSON value: UTF-8, keys sorted by code point, no spaces, whole numbers without a point.

    Raises:
        ValueError: It holds NaN or an infinity, which JSON has not.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def number(value: float) -> int | float:
    """A double as JSON writes it: whole ones as integers, as long as a double holds them exactly."""
    return int(value) if value.is_integer() and abs(value) <= MAX_SAFE_INTEGER else value


def not_finite(value: object, path: str) -> list[str]:
    """The paths of every NaN and infinity in a JSON value."""
    if isinstance(value, float):
        return [] if math.isfinite(value) else [path]
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
        return [found for name, member in members for found in not_finite(member, join(path, name))]
    if isinstance(value, list):
        items = enumerate(cast("list[Any]", value))
        return [found for index, item in items for found in not_finite(item, f"{path}[{index}]")]
    return []


#: A longer name in a path is cut: the path is to be read, and errors travel in headers.
_MAX_NAME_CHARACTERS = 64


def join(path: str, name: str) -> str:
    """The path of a member of an object."""
    return f"{path}.{shortened(name, _MAX_NAME_CHARACTERS)}"


def shortened(text: str, characters: int) -> str:
    """The text, or its beginning where it is longer, without control characters."""
    shown = text if len(text) <= characters else f"{text[:characters]}…"
    return "".join(character if character.isprintable() else "�" for character in shown)


def by_content(draft: Draft, params: bytes) -> bytes:
    """The params as canonical JSON with the content of each upload in the place of its id.

    So the same content under the id of another upload, sent again after a lost answer, is the same request.
    """
    if not draft.attachments:
        return params
    contents = {
        each.param: {"sha256": each.content.sha256.hex(), "contentType": each.content.content_type}
        for each in draft.attachments
    }
    return canonical_json({**draft.params, **contents})


def fingerprint(draft: Draft, *, params: bytes, retry: RetryPolicy, secret_digest: bytes) -> bytes:
    """SHA-256 over all that a caller asked for, with what is left out and what is its default counted as the same.

    Args:
        draft: The request; its times as given, for a default that hangs on the time would make every call another one.
        params: Its params as canonical JSON.
        retry: Its policy with the defaults filled in.
        secret_digest: Of its callback secret, keyed, so that the fingerprint helps nobody to guess it.
    """
    document = {
        "upstream": draft.upstream,
        "method": draft.method,
        "params": hashlib.sha256(params).hexdigest(),
        "connection": draft.connection,
        "priority": draft.priority,
        "cachePolicy": draft.cache_mode,
        "notBefore": draft.not_before.isoformat() if draft.not_before else None,
        "expiresAt": draft.expires_at.isoformat() if draft.expires_at else None,
        "maxAttempts": retry.max_attempts,
        "initialBackoff": retry.initial_backoff.total_seconds(),
        "maxBackoff": retry.max_backoff.total_seconds(),
        "callbackUrl": draft.callback_url,
        "callbackSecret": secret_digest.hex(),
        "metadata": dict(draft.metadata),
    }
    return hashlib.sha256(canonical_json(document)).digest()


def fingerprint_of_batch(jobs: Sequence[bytes], *, callback_url: str, secret_digest: bytes) -> bytes:
    """SHA-256 over all that a caller asked for with a batch; no job has the same.

    Args:
        jobs: The fingerprints of its jobs, in order.
        callback_url: Its own.
        secret_digest: Of its own callback secret, keyed.
    """
    document = {
        "jobs": [job.hex() for job in jobs],
        "callbackUrl": callback_url,
        "callbackSecret": secret_digest.hex(),
    }
    return hashlib.sha256(canonical_json(document)).digest()
