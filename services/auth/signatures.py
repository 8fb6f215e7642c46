"""Signed requests: HTTP Message Signatures (RFC 9421) in a narrow profile, `docs/access.md` has it for clients.

    Signature-Input: penstock=("@method" "@path" "@query" "content-digest");created=1767225600;nonce="…";keyid="…"
    Signature: penstock=:<HMAC-SHA-256 of the signature base, base64>:
    Content-Digest: sha-256=:<SHA-256 of the body, base64>:     (RFC 9530)

Path and query are signed as they came, byte for byte. A request without a `content-digest` in what is signed has no
body: the gateway, which reads it, is told what its digest must be, in either case.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from services.auth.domain import is_prefix
from services.auth.windows import Mark, place_of_nonce
from shared.errors import shown
from shared.structured_fields import MalformedFieldError, Token, parse_dictionary, parse_inner_lists

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from penstock.gateway.v1 import external_auth_pb2 as envoy

    from services.auth.domain import Key
    from shared.structured_fields import Bare, InnerList, Item

    HttpRequest = envoy.AttributeContext.HttpRequest

SIGNATURE_HEADER = "signature"
SIGNATURE_INPUT_HEADER = "signature-input"
#: How far from ours the time of a signature may be, before and after.
SKEW = timedelta(minutes=5)
#: For how long a nonce is remembered: for as long as a signature may be good, and the clocks of two replicas differ.
NONCE_KEPT = 2 * SKEW + timedelta(minutes=1)

_DIGEST_HEADER = "content-digest"
_REQUIRED = ("@method", "@path", "@query")
_ALGORITHM = "hmac-sha256"
_NOTHING_DIGEST = hashlib.sha256().digest()
_NONCE = re.compile(r"[\x21-\x7e]{16,128}")
_FIELD_NAME = re.compile(r"[a-z0-9!#$%&'*+\-.^_`|~]+")
#: Of one of the three headers: they have some 250, and this much is read in half a millisecond, whoever sends it.
_MAX_CHARACTERS = 1024
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class UnsoundSignature(Exception):
    """No key could have made what the request carries as its signature, or not for now; the message is for the caller.

    Args:
        message: What is wrong, and what to do.
        outcome: The same as logs and metrics say it.
    """

    def __init__(self, message: str, *, outcome: str = "malformed") -> None:
        super().__init__(message)
        self.outcome = outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request that says by which key it was signed, which is still to be seen."""

    #: Of the secret whose signing key it is said to be.
    prefix: str
    #: What was signed (RFC 9421, 2.5).
    base: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    nonce: str
    #: The SHA-256 that its body must have.
    digest: bytes

    def is_signed_with(self, signing_key: bytes) -> bool:
        """Whether it is; takes as long whichever byte differs."""
        return hmac.compare_digest(hmac.digest(signing_key, self.base, "sha256"), self.signature)

    def mark_of(self, key: Key) -> Mark:
        """What it leaves, once it is known to be this key's."""
        return Mark(place_of_nonce(key.tenant, key.id, self.nonce), NONCE_KEPT)


def read(http: HttpRequest, now: datetime) -> SignedRequest:
    """What the request carries as its signature.

    Raises:
        UnsoundSignature: It is malformed, outside the profile, covers too little, or is not of this time.
    """
    label, covered = _covered(http.headers)
    names = _names(covered.items)
    prefix = _keyid(covered.parameters)
    nonce = _nonce(covered.parameters)
    _check_time(covered.parameters, now)
    return SignedRequest(
        prefix=prefix,
        base=signature_base(http, names, covered.text),
        signature=_signature(http.headers, label),
        nonce=nonce,
        digest=_digest(http.headers, names),
    )


def signature_base(http: HttpRequest, names: Sequence[str], parameters: str) -> bytes:
    """What is signed: a line for each component, and one for the list of them with its parameters (RFC 9421, 2.5).

    Raises:
        UnsoundSignature: A component is not there, or none that is verified here.
    """
    lines = [f'"{name}": {_component(http, name)}' for name in names]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode()


def _covered(headers: Mapping[str, str]) -> tuple[str, InnerList]:
    """The one label, and what is covered under it."""
    try:
        lists = parse_inner_lists(_header(headers, SIGNATURE_INPUT_HEADER))
    except MalformedFieldError as error:
        raise UnsoundSignature(
            f'Signature-Input must read <label>=("@method" "@path" "@query");created=…;nonce="…";keyid="…", but {error}'
        ) from None
    if len(lists) != 1:
        raise UnsoundSignature(f"Signature-Input has {len(lists)} signatures; send exactly one")
    return next(iter(lists.items()))


def _signature(headers: Mapping[str, str], label: str) -> bytes:
    try:
        signatures = parse_dictionary(_header(headers, SIGNATURE_HEADER))
    except MalformedFieldError as error:
        raise UnsoundSignature(f"Signature must read <label>=:<base64>:, but {error}") from None
    if list(signatures) != [label]:
        raise UnsoundSignature(
            "Signature must have exactly one signature, under the label that Signature-Input gives it"
        )
    value = signatures[label].value
    if not isinstance(value, bytes):
        raise UnsoundSignature("Signature must read <label>=:<base64>:, with the base64 between colons")
    return value


def _names(items: Sequence[Item]) -> list[str]:
    """The components that are covered, each plain and once."""
    names: list[str] = []
    for item in items:
        name = item.value
        if not isinstance(name, str) or isinstance(name, Token):
            raise UnsoundSignature("each component in Signature-Input is a name in double quotes")
        if item.parameters:
            raise UnsoundSignature(
                f"the component {shown(name)} has parameters, which are not taken here; leave them out"
            )
        names.append(name)
    if len(set(names)) < len(names):
        raise UnsoundSignature("Signature-Input covers a component twice; name each once")
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise UnsoundSignature(f"the signature does not cover {', '.join(missing)}; cover {', '.join(_REQUIRED)}")
    return names


def _component(http: HttpRequest, name: str) -> str:
    path, _, query = http.path.partition("?")
    match name:
        case "@method":
            value = http.method
        case "@path":
            value = path
        case "@query":
            value = f"?{query}"
        case "@authority":
            value = http.host.lower().removesuffix(_DEFAULT_PORTS.get(http.scheme, ""))
        case _:
            if _FIELD_NAME.fullmatch(name) is None or name in {SIGNATURE_HEADER, SIGNATURE_INPUT_HEADER}:
                raise UnsoundSignature(
                    f"{shown(name)} cannot be covered here; what can are {', '.join(_REQUIRED)}, @authority, and other "
                    f"headers in lower case"
                )
            if name not in http.headers:
                raise UnsoundSignature(
                    f"the signature covers the header {shown(name)}, which was not sent; the host is @authority"
                )
            value = http.headers[name].strip(" \t")
    if not value.isascii():
        raise UnsoundSignature(f"{shown(name)} has characters beyond ASCII, which cannot be signed; encode them")
    return value


def _digest(headers: Mapping[str, str], names: Sequence[str]) -> bytes:
    """What the body's SHA-256 must be: that of no body, unless another one is signed."""
    if _DIGEST_HEADER not in names:
        if _DIGEST_HEADER in headers:
            raise UnsoundSignature(
                "the signature does not cover the Content-Digest that was sent; cover content-digest too"
            )
        return _NOTHING_DIGEST
    try:
        digests = parse_dictionary(_header(headers, _DIGEST_HEADER))
    except MalformedFieldError as error:
        raise UnsoundSignature(f"Content-Digest must read sha-256=:<base64>:, but {error}") from None
    value = digests["sha-256"].value if "sha-256" in digests else None
    if not isinstance(value, bytes) or len(value) != len(_NOTHING_DIGEST):
        raise UnsoundSignature("Content-Digest must have the body's SHA-256: sha-256=:<base64 of its 32 bytes>:")
    return value


def _keyid(parameters: Mapping[str, Bare]) -> str:
    algorithm = parameters.get("alg", _ALGORITHM)
    if algorithm != _ALGORITHM:
        raise UnsoundSignature(f'the algorithm is {_ALGORITHM} alone; say alg="{_ALGORITHM}", or leave it out')
    keyid = parameters.get("keyid")
    if not isinstance(keyid, str) or not is_prefix(keyid):  # it may be a whole key, and is shown nowhere
        raise UnsoundSignature(
            "keyid must be the first 16 characters of an API key, psk_live_ and 7 more, and no others"
        )
    return keyid


def _nonce(parameters: Mapping[str, Bare]) -> str:
    nonce = parameters.get("nonce")
    if not isinstance(nonce, str) or _NONCE.fullmatch(nonce) is None:
        raise UnsoundSignature(
            "nonce must be 16 to 128 visible ASCII characters in double quotes, drawn anew each time"
        )
    return nonce


def _check_time(parameters: Mapping[str, Bare], now: datetime) -> None:
    created, now_s = _seconds(parameters, "created"), now.timestamp()
    if created is None:
        raise UnsoundSignature("created is missing; it is when the request is signed, in seconds since 1970, UTC")
    if abs(now_s - created) > SKEW.total_seconds():
        raise UnsoundSignature(
            f"the signature was made at {created}, and here it is {int(now_s)}; it is good for "
            f"{SKEW.total_seconds():g} s before and after: set the clock right, and sign anew",
            outcome="untimely",
        )
    expires = _seconds(parameters, "expires")
    if expires is not None and expires <= now_s:
        raise UnsoundSignature(
            f"the signature has expired at {expires}, and here it is {int(now_s)}; sign anew", outcome="untimely"
        )


def _seconds(parameters: Mapping[str, Bare], name: str) -> int | None:
    value = parameters.get(name)
    if value is not None and type(value) is not int:
        raise UnsoundSignature(f"{name} must be a whole number of seconds since 1970, UTC, without quotes")
    return value


def _header(headers: Mapping[str, str], name: str) -> str:
    text = headers.get(name)
    if text is None:
        raise UnsoundSignature(f"a signed request has the headers Signature-Input and Signature; {name} is missing")
    if len(text) > _MAX_CHARACTERS:
        raise UnsoundSignature(f"the header {name} has {len(text)} characters; at most {_MAX_CHARACTERS} are read")
    return text
