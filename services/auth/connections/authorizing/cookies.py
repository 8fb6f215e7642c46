"""The cookie by which the browser is known that has opened an authorization's link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.auth.connections.authorizing.authorization import CALLBACK_PATH, is_random

if TYPE_CHECKING:
    from datetime import datetime

    from services.auth.connections.authorizing.authorization import Authorization

#: Of the authorization's digest: as many at once as anybody opens have cookies of their own.
_NAME_CHARACTERS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookies:
    """Makes and reads them.

    Args:
        secure: Whether browsers come by TLS, without which they send none then.
    """

    secure: bool

    def read(self, header: str, begun: Authorization) -> str | None:
        """The authorization's cookie among those that a browser sends (RFC 6265, 4.2.1), or None."""
        for pair in header.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == self._name(begun) and is_random(value):
                return value
        return None

    def fresh(self, value: str, begun: Authorization, now: datetime) -> str:
        """What a browser is told to keep for as long as the authorization lasts."""
        return self._line(begun, value, max(1, int((begun.ends_at - now).total_seconds())))

    def gone(self, begun: Authorization) -> str:
        """What a browser is told when it is needed no more."""
        return self._line(begun, "", 0)

    def _name(self, begun: Authorization) -> str:
        prefix = "__Secure-" if self.secure else ""  # which no page without TLS can set (RFC 6265bis, 4.1.3.1)
        return f"{prefix}penstock-{begun.digest.hex()[:_NAME_CHARACTERS]}"

    def _line(self, begun: Authorization, value: str, max_age_s: int) -> str:
        # Lax, and not Strict: the way back from the provider begins at another site.
        line = f"{self._name(begun)}={value}; Path={CALLBACK_PATH}; Max-Age={max_age_s}; HttpOnly; SameSite=Lax"
        return f"{line}; Secure" if self.secure else line
