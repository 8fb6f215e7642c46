"""What oauthlib's server side asks, whichever of its endpoints is in use, answered out of the accounts."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from oauthlib.oauth1 import RequestValidator

from tests.fakes.flickr.accounts import OUT_OF_BAND

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oauthlib.common import Request

    from tests.fakes.flickr.accounts import Accounts

#: How far a timestamp may be from the far end's own time.
MAX_SKEW = timedelta(minutes=5)
#: Stand in for what is not known, so that a check takes as long.
_NOBODY = "nobody"
_NO_SECRET = secrets.token_hex(8)
#: oauthlib compares timestamps with the machine's clock; the far end has its own, and compares by itself.
_ANY_TIME_S = 10**11
#: What `validator_log` has of each check, and what OAuth's problem reporting calls its failure; the first is told.
_PROBLEMS = (
    ("timestamp", "timestamp_refused"),
    ("nonce", "nonce_used"),
    ("client", "consumer_key_unknown"),
    ("resource_owner", "token_rejected"),
    ("verifier", "verifier_invalid"),
    ("signature", "signature_invalid"),
)


def problem_of(request: Request | None) -> str:
    """Why a request was not taken, as `oauth_problem` says it.

    Args:
        request: As oauthlib's endpoint has checked it; None where it could not even be read.
    """
    if request is None:
        return "parameter_absent"
    found = (problem for check, problem in _PROBLEMS if request.validator_log.get(check) is False)
    return next(found, "parameter_rejected")


class Validator(RequestValidator):
    """Answers oauthlib's questions out of the accounts.

    Args:
        accounts: Where it looks, and keeps what oauthlib makes.
    """

    enforce_ssl = False  # it listens on loopback
    allowed_signature_methods = ("HMAC-SHA1",)  # Flickr's only one
    timestamp_lifetime = _ANY_TIME_S
    client_key_length = (1, 128)
    request_token_length = (1, 128)
    access_token_length = (1, 128)
    nonce_length = (1, 128)
    verifier_length = (1, 128)
    realms = ("",)
    dummy_client = _NOBODY
    dummy_request_token = _NOBODY
    dummy_access_token = _NOBODY

    def __init__(self, accounts: Accounts) -> None:
        super().__init__()
        self.accounts = accounts

    @property
    def safe_characters(self) -> set[str]:
        return super().safe_characters | {"-"}

    def get_client_secret(self, client_key: str, request: Request) -> str:
        client = self.accounts.clients.get(client_key)
        return client.secret if client else _NO_SECRET

    def get_request_token_secret(self, client_key: str, token: str, request: Request) -> str:
        found = self.accounts.request_token(token)
        return found.secret if found else _NO_SECRET

    def get_access_token_secret(self, client_key: str, token: str, request: Request) -> str:
        found = self.accounts.access_tokens.get(token)
        return found.secret if found else _NO_SECRET

    def validate_client_key(self, client_key: str, request: Request) -> bool:
        return client_key in self.accounts.clients

    def validate_request_token(self, client_key: str, token: str, request: Request) -> bool:
        found = self.accounts.request_token(token)
        return found is not None and found.client_key == client_key

    def validate_access_token(self, client_key: str, token: str, request: Request) -> bool:
        found = self.accounts.access_tokens.get(token)
        return found is not None and found.client_key == client_key

    def validate_timestamp_and_nonce(  # noqa: PLR0917  oauthlib's own order
        self,
        client_key: str,
        timestamp: str,
        nonce: str,
        request: Request,
        request_token: str | None = None,
        access_token: str | None = None,
    ) -> bool:
        seen = (client_key, request_token or access_token or "", timestamp, nonce)
        checks = {
            "timestamp": abs(self.accounts.now() - int(timestamp)) <= MAX_SKEW.total_seconds(),
            "nonce": seen not in self.accounts.nonces,
        }
        request.validator_log |= checks
        self.accounts.nonces.add(seen)
        return all(checks.values())

    def validate_verifier(self, client_key: str, token: str, verifier: str, request: Request) -> bool:
        found = self.accounts.request_token(token)
        return found is not None and bool(found.verifier) and secrets.compare_digest(found.verifier, verifier)

    def validate_redirect_uri(self, client_key: str, redirect_uri: str, request: Request) -> bool:
        return redirect_uri == OUT_OF_BAND or redirect_uri.startswith(("http://", "https://"))

    def get_redirect_uri(self, token: str, request: Request) -> str:
        return self.accounts.request_tokens[token].callback

    def verify_request_token(self, token: str, request: Request) -> bool:
        return self.accounts.request_token(token) is not None

    def save_request_token(self, token: dict[str, Any], request: Request) -> None:
        self.accounts.add_request_token(
            request.client_key, request.redirect_uri, token["oauth_token"], token["oauth_token_secret"]
        )

    def save_verifier(self, token: str, verifier: dict[str, Any], request: Request) -> None:
        self.accounts.request_tokens[token].verifier = verifier["oauth_verifier"]

    def save_access_token(self, token: dict[str, Any], request: Request) -> None:
        wish = self.accounts.request_tokens[request.resource_owner_key]
        self.accounts.add_access_token(
            request.client_key,
            wish.nsid,
            wish.permission,
            token=token["oauth_token"],
            secret=token["oauth_token_secret"],
        )

    def invalidate_request_token(self, client_key: str, request_token: str, request: Request) -> None:
        self.accounts.request_tokens.pop(request_token, None)

    def get_default_realms(self, client_key: str, request: Request) -> list[str]:
        return []

    def get_realms(self, token: str, request: Request) -> list[str]:
        return []

    def validate_requested_realms(self, client_key: str, realms: Iterable[str], request: Request) -> bool:
        return True

    def validate_realms(
        self,
        client_key: str,
        token: str,
        request: Request,
        uri: str | None = None,
        realms: Iterable[str] | None = None,
    ) -> bool:
        return True

    def verify_realms(self, token: str, realms: Iterable[str], request: Request) -> bool:
        return True
