"""What changes a connection's document: pipelines, each of them one step, whatever it has become meanwhile.

Texts are literal: one that begins with `$` would be a field's name.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from services.auth.connections import documents
from services.auth.connections.domain import ReauthPolicy, State

if TYPE_CHECKING:
    from services.auth.connections.domain import Change, Refreshed
    from shared.mongo import Document

Update = list[dict[str, Any]]

#: Before any claim; what was given back ends then.
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
#: What is left of a connection that was deleted.
_LEFT = ("_id", "tenant", "upstream", "provider", "created_at")


def _if_active(value: Any, otherwise: Any) -> Document:
    return {"$cond": [{"$eq": ["$state", State.ACTIVE.value]}, value, otherwise]}


_NEXT_VERSION: Document = {"version": {"$add": ["$version", 1]}}
#: What of a connection's standing a fresh secret changes; all of it reads what was before.
_ACTIVE: Document = {
    "state": State.ACTIVE.value,
    "state_reason": "",
    "needs_reauth_since": None,
    "revision": _if_active("$revision", {"$add": ["$revision", 1]}),
    "untold": _if_active({"$ifNull": ["$untold", "$$REMOVE"]}, True),  # noqa: FBT003  the field's value
}


def changed(change: Change) -> Update:
    """Changes what is given."""
    update: Document = {"updated_at": change.at}
    if change.display_name is not None:
        update["display_name"] = {"$literal": change.display_name}
    if change.hosts is not None:
        update["hosts"] = {"$literal": list(change.hosts)}
    if change.given is None:
        return [{"$set": update | _policy(change.reauth_policy)}]
    given = change.given
    update |= {
        "kind": given.kind.value,
        "sealed": {"$literal": documents.sealed_document(given.sealed)},
        "scopes": {"$literal": list(given.scopes)},
        "account": {"$literal": documents.account_document(given.account)},
        "expires_at": given.expires_at,
        "refreshed_at": None,
        **_NEXT_VERSION,
        **_ACTIVE,
    }
    if change.reauth_policy is not None:
        update["reauth_policy"] = change.reauth_policy.value
    return [{"$set": update}, {"$unset": "refresh.until"}]


def _policy(policy: ReauthPolicy | None) -> Document:
    """Another policy changes how a connection stands while it needs to be authorized anew."""
    if policy is None:
        return {}
    told = {"$and": [{"$ne": ["$state", State.ACTIVE.value]}, {"$ne": ["$reauth_policy", policy.value]}]}
    return {
        "reauth_policy": policy.value,
        "revision": {"$cond": [told, {"$add": ["$revision", 1]}, "$revision"]},
        "untold": {"$cond": [told, True, {"$ifNull": ["$untold", "$$REMOVE"]}]},
    }


def deleted(at: datetime) -> Update:
    """Leaves nothing but what is to be told."""
    left: Document = {field: f"${field}" for field in _LEFT}
    return [{"$replaceWith": left | {"revision": {"$add": ["$revision", 1]}, "deleted_at": at, "untold": True}}]


def claimed(mark: str, *, lasting: timedelta, over: int) -> Update:
    """Claims the refresh where it is free: given back, or lapsed under the fence that is named."""
    ended = {"$lte": [{"$ifNull": ["$refresh.until", _LONG_AGO]}, _LONG_AGO]}
    lapsed = {"$and": [{"$eq": ["$refresh.fence", over]}, {"$lte": ["$refresh.until", "$$NOW"]}]}
    claim = {
        "fence": {"$add": [{"$ifNull": ["$refresh.fence", 0]}, 1]},
        "until": {"$add": ["$$NOW", int(lasting.total_seconds() * 1000)]},
        "by": mark,
    }
    return [{"$set": {"refresh": {"$cond": [{"$or": [ended, lapsed]}, claim, "$refresh"]}}}]


def refreshed(refreshed: Refreshed) -> Update:
    """Keeps what a refresh has brought, and ends the claim."""
    update: Document = {
        "sealed": {"$literal": documents.sealed_document(refreshed.sealed)},
        "expires_at": refreshed.expires_at,
        "refreshed_at": refreshed.at,
        "updated_at": refreshed.at,
        **_NEXT_VERSION,
        **_ACTIVE,
    }
    if refreshed.scopes is not None:
        update["scopes"] = {"$literal": list(refreshed.scopes)}
    return [{"$set": update}, {"$unset": "refresh.until"}]


def needs_reauth(reason: str, at: datetime) -> Update:
    """Has a connection need to be authorized anew; one that does already stays as it is."""
    return [
        {
            "$set": {
                "state": State.NEEDS_REAUTH.value,
                "state_reason": _if_active({"$literal": reason}, "$state_reason"),
                "needs_reauth_since": _if_active(at, "$needs_reauth_since"),
                "updated_at": _if_active(at, "$updated_at"),
                "revision": _if_active({"$add": ["$revision", 1]}, "$revision"),
                "untold": _if_active(True, {"$ifNull": ["$untold", "$$REMOVE"]}),  # noqa: FBT003  the field's value
            }
        }
    ]
