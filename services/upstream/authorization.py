"""How a credential goes along with a request: in a header, or by a signature (RFC 5849)."""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from multidict import CIMultiDict
from oauthlib import oauth1

from services.upstream.credentials import BasicSecret, BearerSecret, HeaderSecret, OAuth1Secret
from services.upstream.multipart import Multipart

if TYPE_CHECKING:
    from collections.abc import Callable

    from yarl import URL

    from services.upstream.credentials import Credential, Secret
    from services.upstream.http_client import HttpRequest

FORM = "application/x-www-form-urlencoded"
_AUTHORIZATION = "Authorization"
#: What stands in a message where a secret did.
_STRUCK = "***"
_OAUTH_PROBLEM = re.compile(r'oauth_problem="?([a-z_]+)')
#: Refuse this request alone (OAuth Problem Reporting): its time, its nonce, its form, or the program's own key.
_NOT_THE_TOKENS = frozenset(
    {
        "consumer_key_refused",
        "consumer_key_unknown",
        "nonce_used",
        "parameter_absent",
        "parameter_rejected",
        "signature_invalid",
        "signature_method_rejected",
        "timestamp_refused",
        "version_rejected",
    }
)


class UnsignableError(ValueError):
    """A request whose URL or form no signature can be made of; the message says why, without them."""


def authorized(request: HttpRequest, secret: Secret) -> HttpRequest:
    """The request as it goes out with a secret.

    Raises:
        UnsignableError: It is to be signed, and has characters that no form has.
    """
    headers = CIMultiDict(request.headers)
    match secret:
        case OAuth1Secret():
            headers[_AUTHORIZATION] = _signature(request, secret)
        case BearerSecret():
            headers[_AUTHORIZATION] = f"Bearer {secret.token}"
        case BasicSecret():
            headers[_AUTHORIZATION] = f"Basic {_basic(secret)}"
        case HeaderSecret():
            headers[secret.name] = secret.value
    return replace(request, headers=headers)


def header_of(secret: Secret) -> str:
    """The name of the header that a secret goes in."""
    return secret.name if isinstance(secret, HeaderSecret) else _AUTHORIZATION


def may_go_to(url: URL, credential: Credential) -> bool:
    """Whether a credential may be sent there: to one of its hosts, and unread by others on the way.

    Plain HTTP is for this machine alone, and whether anything on it may be called the address guard decides.
    """
    host = (url.host_port_subcomponent or "").lower()
    return host in credential.hosts and (url.scheme == "https" or is_loopback(url.raw_host or ""))


def is_loopback(host: str) -> bool:
    """Whether a URL's host is an address of this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name, which may lead anywhere
        return False


def is_refusal(status: int, field: Callable[[str], str | None], secret: Secret) -> bool:
    """Whether an answer says that the secret is none that works, as far as HTTP tells (RFC 9110, 15.5.2).

    Args:
        status: The answer's.
        field: Reads its headers.
        secret: What it was asked with.
    """
    if status != HTTPStatus.UNAUTHORIZED:
        return False
    if not isinstance(secret, OAuth1Secret):
        return True
    problem = _OAUTH_PROBLEM.search(field("WWW-Authenticate") or "")
    return problem is None or problem[1] not in _NOT_THE_TOKENS


def without_secrets(text: str, secret: Secret | None) -> str:
    """A text of the upstream's in which no part of the secret stands."""
    for part in sorted(_parts(secret), key=len, reverse=True):
        if part:
            text = text.replace(part, _STRUCK)
    return text


def _parts(secret: Secret | None) -> tuple[str, ...]:
    match secret:
        case None:
            return ()
        case OAuth1Secret():
            return secret.client_key, secret.client_secret, secret.token, secret.token_secret
        case BearerSecret():
            return (secret.token,)
        case BasicSecret():
            return secret.password, _basic(secret)
        case HeaderSecret():
            return (secret.value,)


def _basic(secret: BasicSecret) -> str:
    return base64.b64encode(f"{secret.username}:{secret.password}".encode()).decode()


def _signature(request: HttpRequest, secret: OAuth1Secret) -> str:
    """The header that signs a request with HMAC-SHA1: its URL, the query in it, and its form's fields, but no file."""
    client = oauth1.Client(
        secret.client_key,
        client_secret=secret.client_secret,
        resource_owner_key=secret.token,
        resource_owner_secret=secret.token_secret,
    )
    form = _form(request)
    try:
        _, headers, _ = client.sign(
            str(request.url),
            http_method=cast("Any", request.verb),
            body=form,
            headers={} if form is None else {"Content-Type": FORM},
        )
    except ValueError as error:
        raise UnsignableError(
            "has characters in its query or form that a signature cannot cover; escape them"
        ) from error
    return headers[_AUTHORIZATION]


def _form(request: HttpRequest) -> str | None:
    """The fields of a form, where the body is one; nothing else of a body is signed (RFC 5849, 3.4.1.3.1)."""
    if isinstance(request.body, Multipart):
        return urlencode(request.body.fields)  # as if they had come alone: what OAuth says of no other form
    if isinstance(request.body, bytes) and request.headers.get("Content-Type", "").startswith(FORM):
        return request.body.decode()
    return None
