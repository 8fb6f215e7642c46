"""Connections as MongoDB's documents, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.auth.connections.domain import (
    Account,
    Connection,
    Kept,
    Kind,
    ReauthPolicy,
    Sealed,
    Standing,
    State,
)

if TYPE_CHECKING:
    from shared.mongo import Document


def document(connection: Connection) -> Document:
    """What is kept of a connection."""
    return {
        "_id": connection.id,
        "tenant": connection.tenant,
        "upstream": connection.upstream,
        "provider": connection.provider,
        "kind": connection.kind.value,
        "sealed": sealed_document(connection.sealed),
        "state": connection.state.value,
        "state_reason": connection.state_reason,
        "needs_reauth_since": connection.needs_reauth_since,
        "display_name": connection.display_name,
        "hosts": list(connection.hosts),
        "scopes": list(connection.scopes),
        "account": account_document(connection.account),
        "reauth_policy": connection.reauth_policy.value,
        "made_by": connection.made_by,
        "version": connection.version,
        "revision": connection.revision,
        "created_at": connection.created_at,
        "updated_at": connection.updated_at,
        "refreshed_at": connection.refreshed_at,
        "expires_at": connection.expires_at,
    }


def connection(document: Document) -> Connection:
    """The connection that a document is of."""
    return Connection(
        id=document["_id"],
        tenant=document["tenant"],
        upstream=document["upstream"],
        provider=document["provider"],
        kind=Kind(document["kind"]),
        sealed=_sealed(document["sealed"]),
        state=State(document["state"]),
        state_reason=document["state_reason"],
        needs_reauth_since=document["needs_reauth_since"],
        display_name=document["display_name"],
        hosts=tuple(document["hosts"]),
        scopes=tuple(document["scopes"]),
        account=Account(**document["account"]),
        reauth_policy=ReauthPolicy(document["reauth_policy"]),
        made_by=document["made_by"],
        version=document["version"],
        revision=document["revision"],
        created_at=document["created_at"],
        updated_at=document["updated_at"],
        refreshed_at=document["refreshed_at"],
        expires_at=document["expires_at"],
    )


def standing(document: Document) -> Standing:
    """How the connection of a document stands, or one that was deleted."""
    deleted_at = document.get("deleted_at")
    return Standing(
        connection_id=document["_id"],
        tenant=document["tenant"],
        upstream=document["upstream"],
        provider=document["provider"],
        state=State(document["state"]) if deleted_at is None else None,
        reason=document.get("state_reason", ""),
        since=deleted_at or document["needs_reauth_since"] or document["updated_at"],
        jobs_wait=document.get("reauth_policy") == ReauthPolicy.WAIT.value,
        revision=document["revision"],
    )


def kept(document: Document) -> Kept:
    """The secret of a document's connection."""
    return Kept(connection_id=document["_id"], tenant=document["tenant"], sealed=_sealed(document["sealed"]))


def sealed_document(sealed: Sealed) -> Document:
    """What is kept of a secret."""
    return {"data_key_id": sealed.data_key_id, "text": sealed.text}


def account_document(account: Account) -> Document:
    """What is kept of an account."""
    return {"id": account.id, "name": account.name}


def _sealed(document: Document) -> Sealed:
    return Sealed(data_key_id=document["data_key_id"], text=bytes(document["text"]))
