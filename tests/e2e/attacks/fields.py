"""What the fields of requests name: a field that nobody has spoken of yet fails the tests until somebody does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor

from tests.e2e.attacks.tenants import in_an_hour
from tests.e2e.fuzz.leaves import Leaf, is_list, is_map, leaves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.descriptor import Descriptor

    from tests.e2e.attacks.rpcs import Request

#: The kind of thing that a field names, by the field's own name, or with its message's where that alone misleads.
#: `tenants.furnished` makes one of each.
KINDS: Mapping[str, str] = {
    "job_id": "job",
    "batch_id": "batch",
    "upload_id": "upload",
    "key_id": "key",
    "request_id": "idempotency key",
    "page_token": "page token",
    "tenant": "tenant",
    "weights": "tenant",
    "lane": "lane",
    "sha256": "content",
    "connection_id": "connection",
    "endpoint_id": "endpoint",
    "delivery_id": "delivery",
    "replay_id": "replay",
    "GetOperationRequest.name": "operation",
    "WaitOperationRequest.name": "operation",
    "CancelOperationRequest.name": "operation",
    "DeleteOperationRequest.name": "operation",
    "about": "job",
    "after_job_id": "job",
    "state": "authorization",
    "begin": "authorization",
    "token_id": "connection",
    "params": "upload",
    "principal": "audited key",
    "target": "audited key",
    "ListAuditEntriesRequest.request_id": "request",
}
#: Fields that hold words, or name what all tenants share.
NAMELESS = frozenset(
    {
        *("upstream", "method", "name", "reason", "metadata", "scopes", "allowed_cidrs"),
        *("content_type", "callback_url", "callback_secret"),
        *("display_name", "action", "outcome", "client_address"),
        *("url", "description", "event_type", "event_types", "upstreams", "methods", "values", "secret"),
        *("order_by", "filter", "indexed_metadata", "paths"),
        *("provider", "hosts", "return_url", "code", "token", "value", "username", "password"),
        # what a provider sends a browser back with; it is worth something beside a state alone
        *("error", "error_description", "error_uri", "oauth_token", "oauth_verifier", "denied", "iss", "scope"),
    }
)
#: Kinds whose things must not be told from things that are nowhere by a refusal: a request that names one is accepted.
VALUES = frozenset({"idempotency key", "content", "lane"})
_TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


def naming(message: Descriptor) -> list[Leaf]:
    """The fields of a request that name a thing of a tenant's.

    Raises:
        AssertionError: It is not known of a field whether it does.
    """
    texts = [leaf for leaf in leaves(message) if _holds_text(leaf.field)]
    unknown = {str(leaf) for leaf in texts if leaf.field.name not in NAMELESS and not _kind_of(leaf.field)}
    assert not unknown, (
        f"{message.full_name} has new fields: {sorted(unknown)}. If one names something of a tenant's, add it to "
        "KINDS, and make such a thing in `tenants.furnished`; else add it to NAMELESS"
    )
    return [leaf for leaf in texts if _kind_of(leaf.field)]


def kind_of(leaf: Leaf) -> str:
    """What the field names."""
    return _kind_of(leaf.field)


def _kind_of(field: FieldDescriptor) -> str:
    message = field.containing_type
    exactly = f"{message.name}.{field.name}" if message is not None else ""
    return KINDS.get(exactly) or KINDS.get(field.name, "")


def filled(leaf: Leaf, good: Request, thing: str) -> Request:
    """The request with this id in the field's place."""
    if leaf.field.name == "params":
        return leaf.put(good, {"url": good_url(good), "upload": thing})
    if is_map(leaf.field):
        return leaf.put(good, {thing: 3})
    return leaf.put(good, [thing] if is_list(leaf.field) else thing)


def good_url(good: Request) -> Any:
    """The URL that a good submit calls."""
    return good.get("jobs", [good])[-1]["params"]["url"]


def good_request(message: Descriptor, own: Mapping[str, list[str]], url: str, *, upstream: str = "http") -> Request:
    """A request that is well-formed, about the caller's own things.

    Args:
        message: The request's.
        own: The caller's things, by kind.
        url: What a submit calls.
        upstream: The one that is meant.
    """
    plain = {**_PLAIN, "upstream": upstream, "params": {"url": url}, "not_before": in_an_hour()}
    good: Request = {}
    for field in message.fields:
        if not _is_required(field) and field.name not in _WANTED.get(message.name, ()):
            continue
        if _kind_of(field) and field.name != "params":
            good[field.json_name] = own[_kind_of(field)][0]
        elif field.name == "jobs" and field.message_type is not None:
            good["jobs"] = [good_request(field.message_type, own, url, upstream=upstream) for _ in range(2)]
        else:
            good[field.json_name] = plain[field.name]
    return good


#: What a request wants beside the fields that the contract calls required.
_WANTED = {
    "SubmitJobRequest": ("params", "not_before"),
    "CreateKeyRequest": ("scopes",),
    "CreateConnectionRequest": ("hosts", "secret"),
    # those of `google.longrunning` do not say what they require
    **dict.fromkeys(
        ("GetOperationRequest", "WaitOperationRequest", "CancelOperationRequest", "DeleteOperationRequest"), ("name",)
    ),
}
_PLAIN: Mapping[str, Any] = {
    "method": "http.post",
    "name": "a name",
    "reason": "a reason",
    "scopes": ["jobs:read"],
    "size": "3",
    "settings": {},
    "provider": "flickr",
    "code": "123-456-789",
    "hosts": ["api.example.com"],
    "url": "https://client.example/hook",
    "secret": {"bearer": {"token": "a token"}},
    "filter": {"method": "http.patch"},
    "retention": {"archive": True},
}


def _is_required(field: FieldDescriptor) -> bool:
    return "REQUIRED" in str(field.GetOptions())


def _holds_text(field: FieldDescriptor) -> bool:
    return field.type in _TEXTS or is_map(field) or _is_struct(field)


def _is_struct(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name == "google.protobuf.Struct"
