"""Identity tokens with every mistake that a forger may hope for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

if TYPE_CHECKING:
    from tests.identities import Identities

STRANGER = Ed25519PrivateKey.generate()


@dataclass(frozen=True, slots=True)
class Forger:
    """Writes tokens by hand: with every mistake that a library would not make."""

    identities: Identities

    def token(
        self,
        claims: dict[str, Any] | None = None,
        *,
        header: dict[str, Any] | None = None,
        key: Ed25519PrivateKey | bytes | None = None,
        by: str = "auth",
    ) -> str:
        """A token that is good but for what is given.

        Args:
            claims: In place of the good ones; None for one that is left out.
            header: The same for the header.
            key: Signs; or the secret of an HMAC; no bytes at all sign nothing. The issuer's own unless told.
            by: The issuer.
        """
        now = int(time.time())
        good: dict[str, Any] = {"iss": by, "aud": "penstock", "sub": "key_1", "kind": "key", "tenant": "victim"}
        good |= {"scopes": ["jobs:read", "keys:read"], "iat": now, "exp": now + 60}
        said = (
            _written({"alg": "EdDSA", "typ": "JWT", "kid": by} | (header or {})) + "." + _written(good | (claims or {}))
        )
        return f"{said}.{_coded(self._signature(said.encode(), key, by))}"

    def public_key(self, form: str) -> bytes:
        """Auth's public key, which anyone may know, in a form that could be taken for a shared secret."""
        public = self._private("auth").public_key()
        raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {
            "raw": raw,
            "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            "base64": _coded(raw).encode(),
            "jwks": self.identities.keys_file.read_bytes(),
        }[form]

    def _private(self, issuer: str) -> Ed25519PrivateKey:
        key = load_pem_private_key(self.identities.private_key_file(issuer).read_bytes(), password=None)
        assert isinstance(key, Ed25519PrivateKey)
        return key

    def _signature(self, said: bytes, key: Ed25519PrivateKey | bytes | None, by: str) -> bytes:
        if isinstance(key, bytes):
            return hmac.digest(key, said, hashlib.sha256) if key else b""
        return (key or self._private(by)).sign(said)


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _written(part: dict[str, Any]) -> str:
    return _coded(json.dumps({name: value for name, value in part.items() if value is not None}).encode())


def stranger_jwk(kid: str = "auth") -> dict[str, str]:
    raw = STRANGER.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": _coded(raw)}


LONG_AGO, FAR_OFF = 1_000_000_000, 4_000_000_000
#: Every way to forge; what each makes of a forger.
FORGERIES: dict[str, Any] = {
    **{
        f"alg {alg}": {"header": {"alg": alg}, "key": b""}
        for alg in ("none", "None", "NONE", "nOnE", "", "HS256", "EdDSA")
    },
    **{
        f"alg {alg} over a good signature": {"header": {"alg": alg}}
        for alg in ("none", "RS256", "ES256", "Ed448", "ed25519")
    },
    "no alg": {"header": {"alg": None}},
    "alg is a list": {"header": {"alg": ["EdDSA"]}},
    "a key of one's own": {"key": STRANGER},
    "a key of one's own in jwk": {"key": STRANGER, "header": {"jwk": stranger_jwk()}},
    "a key of one's own in jwk alone": {"key": STRANGER, "header": {"jwk": stranger_jwk(), "kid": None}},
    "a key of one's own behind jku": {"key": STRANGER, "header": {"jku": "http://127.0.0.1:1/keys.json"}},
    "a key of one's own behind x5u": {"key": STRANGER, "header": {"x5u": "http://127.0.0.1:1/chain.pem"}},
    "a key of one's own in x5c": {"key": STRANGER, "header": {"x5c": [_coded(b"certificate")]}},
    **{
        f"kid {kid!r}": {"key": STRANGER, "header": {"kid": kid}}
        for kid in (
            *("", "stranger", "AUTH", "auth ", "auth\0", "../auth", "/dev/null", "file:///etc/passwd"),
            *("http://127.0.0.1:1/", "' OR 1=1 --", "__class__", ["auth"], {"kid": "auth"}, 0, True),
        )
    },
    "no kid": {"header": {"kid": None}},
    "kid of another issuer": {"header": {"kid": "intake"}},
    "kid of auth under another's key": {"by": "intake", "header": {"kid": "auth"}},
    "a critical header that nobody knows": {"header": {"crit": ["never-heard"], "never-heard": 1}},
    "a payload that is not coded": {"header": {"b64": False, "crit": ["b64"]}},
    "expired": {"claims": {"iat": LONG_AGO, "exp": LONG_AGO + 60}},
    "no end": {"claims": {"exp": None}},
    "an end that is no number": {"claims": {"exp": "tomorrow"}},
    "made in the future": {"claims": {"iat": FAR_OFF, "exp": FAR_OFF + 60}},
    "not valid yet": {"claims": {"nbf": FAR_OFF}},
    "another audience": {"claims": {"aud": "another"}},
    "other audiences": {"claims": {"aud": ["another", "penstock.example", "PENSTOCK"]}},
    "no audience": {"claims": {"aud": None}},
    "another issuer's name": {"claims": {"iss": "intake"}},
    "no issuer": {"claims": {"iss": None}},
    "no tenant": {"claims": {"tenant": None}},
    "an empty tenant": {"claims": {"tenant": ""}},
    "a tenant that is no text": {"claims": {"tenant": ["victim"]}},
    "no kind": {"claims": {"kind": None}},
    "a kind that is none": {"claims": {"kind": "operator"}},
    "no scopes": {"claims": {"scopes": None}},
    "scopes that are one text": {"claims": {"scopes": "keys:read"}},
    "scopes that are no texts": {"claims": {"scopes": [["keys:read"]]}},
    "nobody": {"claims": {"sub": None}},
    "an empty name": {"claims": {"sub": ""}},
    "a key vouched for by a service": {"by": "intake"},
    "an operator vouched for by a service": {"by": "scheduler", "claims": {"scopes": ["operator"], "tenant": "dev"}},
    "a service with a tenant": {"by": "intake", "claims": {"sub": "intake", "kind": "service"}},
    "a service with scopes": {
        "by": "intake",
        "claims": {"sub": "intake", "kind": "service", "tenant": "", "scopes": ["operator"]},
    },
    "a service vouched for by another": {
        "by": "intake",
        "claims": {"sub": "upstream", "kind": "service", "tenant": "", "scopes": []},
    },
}


def mangled(good: str) -> dict[str, str]:
    """A good token with its signature, or its parts, not as they were."""
    header, claims, signature = good.split(".")
    other = _written(json.loads(base64.urlsafe_b64decode(claims + "==")) | {"tenant": "dev", "scopes": ["operator"]})
    return {
        "a signature cut short": f"{header}.{claims}.{signature[:-8]}",
        "no signature": f"{header}.{claims}.",
        "no third part": f"{header}.{claims}",
        "a signature of nothing": f"{header}.{claims}.{_coded(bytes(64))}",
        "the small point of the curve": f"{header}.{claims}.{_coded(bytes([1, *bytes(63)]))}",
        "other claims": f"{header}.{other}.{signature}",
        "two tokens": f"{good}, {good}",
        "as of a header": f"Bearer {good}",
        "twice the claims": f"{header}.{claims}.{claims}.{signature}",
        "encrypted, as it says": f"{header}.{claims}.{signature}..",
    }
