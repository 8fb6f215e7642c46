"""The hosts that a connection's secret may go to, each in its one spelling: the one of the URL that is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yarl import URL

from shared.addresses import ForbiddenAddressError
from shared.errors import FieldViolation, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shared.addresses import AddressGuard

MAX_HOSTS = 20
#: The longest name of the DNS (RFC 1035, 2.3.4), and a port.
_MAX_CHARACTERS = 253 + len(":65535")
#: What stands in URLs beside their host, and what stands for hosts in other places.
_ELSEWHERE = frozenset("/?#@*\\%,;")


def normalized(text: str, guard: AddressGuard) -> str:
    """The host in its one spelling: `Bücher.example:443` is `xn--bcher-kva.example`.

    Args:
        text: A host, with its port unless it is that of https.
        guard: Decides which hosts may be called.

    Raises:
        ValueError: It is none, or may not be called; the message says why.
    """
    if not 0 < len(text) <= _MAX_CHARACTERS:
        raise ValueError(f"has {len(text)} characters; a host has 1 to {_MAX_CHARACTERS}")
    if "://" in text or not _ELSEWHERE.isdisjoint(text):
        raise ValueError(f"{shown(text)} is more than a host; give it alone, such as api.example.com")
    try:
        guard.check_url(f"https://{text}/")
    except ForbiddenAddressError as error:
        raise ValueError(f"{shown(text)} {error}") from None
    return (URL(f"https://{text}/").host_port_subcomponent or "").lower()


def all_normalized(texts: Sequence[str], guard: AddressGuard) -> tuple[str, ...]:
    """Hosts that have no violations, each once, in the order in which they were given."""
    return tuple(dict.fromkeys(normalized(text, guard) for text in texts))


def violations(texts: Sequence[str], guard: AddressGuard) -> Iterator[FieldViolation]:
    """What is wrong with the hosts of a secret."""
    if not texts:
        yield FieldViolation("hosts", "are missing; name the hosts that the secret may be sent to, and no other is")
    if len(texts) > MAX_HOSTS:
        yield FieldViolation("hosts", f"are {len(texts)}; there may be {MAX_HOSTS}")
        return
    for index, text in enumerate(texts):
        try:
            normalized(text, guard)
        except ValueError as error:
            yield FieldViolation(f"hosts[{index}]", str(error))
