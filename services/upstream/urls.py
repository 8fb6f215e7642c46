"""Where an operator has upstreams called instead of at their own URLs: a gateway of their own, or a test's far end."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from yarl import URL

from services.upstream.authorization import is_loopback
from shared.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from services.upstream.connector import Connector

SETTING = "PENSTOCK_UPSTREAM_URLS"
_ENTRY = re.compile(r"(?P<upstream>[a-z][a-z0-9-]*)\.(?P<target>[a-z][a-z0-9-]*)=(?P<url>\S+)")


def mistakes_of(entries: Sequence[str], *, allow_loopback: bool) -> list[str]:
    """What is wrong with the entries of the setting.

    Args:
        entries: Each `upstream.target=url`.
        allow_loopback: Calls may lead to this machine, and then without TLS.
    """
    return list(_mistakes(entries, allow_loopback=allow_loopback))


def parse(entries: Iterable[str]) -> Mapping[str, Mapping[str, URL]]:
    """The URLs of entries without mistakes, by upstream and target."""
    urls: dict[str, dict[str, URL]] = {}
    for entry in entries:
        match = _ENTRY.fullmatch(entry)
        if match is not None:
            urls.setdefault(match["upstream"], {})[match["target"]] = URL(match["url"], encoded=True)
    return MappingProxyType(urls)


def check_names(urls: Mapping[str, Mapping[str, URL]], connectors: Iterable[Connector]) -> None:
    """Holds the names in the setting against what there is.

    Raises:
        ConfigError: There is no such upstream, or it has no such target; every such name is shown.
    """
    known = {each.upstream.name: frozenset(each.targets) for each in connectors}
    mistakes = [
        f"{SETTING} names {upstream}.{target}; there are {_names(known) or 'none'}"
        for upstream, targets in urls.items()
        for target in targets
        if target not in known.get(upstream, ())
    ]
    if mistakes:
        raise ConfigError(mistakes)


def _names(known: Mapping[str, frozenset[str]]) -> str:
    return ", ".join(sorted(f"{upstream}.{target}" for upstream, targets in known.items() for target in targets))


def _mistakes(entries: Sequence[str], *, allow_loopback: bool) -> Iterator[str]:
    seen: set[str] = set()
    for entry in entries:
        match = _ENTRY.fullmatch(entry)
        if match is None:
            yield f"{SETTING} has {entry!r}; it takes upstream.target=url, with commas between several"
            continue
        name, url = f"{match['upstream']}.{match['target']}", match["url"]
        if name in seen:
            yield f"{SETTING} has {name} twice; keep one"
        seen.add(name)
        problem = _problem(url, allow_loopback=allow_loopback)
        if problem:
            yield f"{SETTING} has {url!r} for {name}, {problem}"


def _problem(text: str, *, allow_loopback: bool) -> str:
    """What is wrong with a URL that secrets are sent to; empty where it is well."""
    try:
        url = URL(text, encoded=True)
        port_is_one = url.explicit_port is None or url.explicit_port > 0
    except ValueError as error:
        return f"which is no URL: {error}"
    if url.scheme not in {"http", "https"} or not url.raw_host or not port_is_one:
        return "which is no https:// URL"
    if url.raw_user is not None or url.raw_password is not None or url.raw_query_string or url.raw_fragment:
        return "which has more than a host and a path; leave out user, query and fragment"
    if url.scheme == "http" and not (allow_loopback and is_loopback(url.raw_host)):
        return "which anybody on the way can read; give an https:// URL"
    return ""
