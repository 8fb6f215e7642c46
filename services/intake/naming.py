"""What a draft names: its upstream, its method and its connection, and what is wrong with them."""

from __future__ import annotations

import difflib
import ipaddress
import re
from typing import TYPE_CHECKING

from services.intake.canonical import join, shortened
from services.intake.catalogue import ConnectionUse
from services.intake.params import ROOT
from shared import ids
from shared.errors import ConnectionNeedsReauth, FieldViolation
from shared.guarded_http import url_as_given

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from yarl import URL

    from services.intake.catalogue import Method, Upstream
    from services.intake.domain import Draft

#: What follows the prefix of methods that are not listed; the whole name stands in records and metrics.
_OTHER_NAME = re.compile(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*")
MAX_METHOD_CHARACTERS = 100
_MAX_SHOWN_CHARACTERS = 60
_MAX_LISTED = 20


def method(draft: Draft, upstreams: Mapping[str, Upstream], faults: list[FieldViolation]) -> Method | None:
    """The method that the draft names, or None and a fault.

    An unknown upstream is a wrong field and not a missing resource: the request is about a job, which is not there yet.
    """
    upstream = upstreams.get(draft.upstream)
    if upstream is None:
        faults.append(FieldViolation("upstream", _unknown("upstream", draft.upstream, upstreams)))
        if not draft.method:
            faults.append(FieldViolation("method", "is missing; name a method of the upstream"))
        return None
    found = upstream.method(draft.method)
    if found is None:
        known = _unknown(f"method of {upstream.name}", draft.method, upstream.methods)
        others = f"; any other that begins with {upstream.others.prefix} can be called too" if upstream.others else ""
        faults.append(FieldViolation("method", known + others))
    elif draft.method not in upstream.methods:
        faults += _other_name_faults(draft.method, upstream)
    return found


def connection_faults(draft: Draft, upstream: Upstream | None) -> Iterable[FieldViolation]:
    """What is wrong with the connection that the draft names, or with its naming none."""
    field, connection = draft.connection_field or "connectionId", shortened(draft.connection, _MAX_SHOWN_CHARACTERS)
    use = upstream.connection_use if upstream is not None else ConnectionUse.OPTIONAL
    if not draft.connection_field:
        if use is ConnectionUse.REQUIRED:
            yield FieldViolation(
                field, f"is missing; {draft.upstream} is called with a connection: make one, and send its id, con_…"
            )
        return
    if not ids.is_connection_id(draft.connection):
        yield FieldViolation(
            field, f"is {connection!r}; there is no such connection; send the id of one, con_…, or leave it out"
        )
        return
    if use is ConnectionUse.NONE:
        yield FieldViolation(field, f"is {connection}; {draft.upstream} is called without a connection; leave it out")
        return
    facts = draft.connection_facts
    if facts is None or upstream is None:  # nobody can tell now; the worker will
        return
    if not facts.exists:
        yield FieldViolation(
            field, f"is {connection}; there is no such connection; send the id of one that you have, or leave it out"
        )
    elif facts.upstream != draft.upstream:
        yield FieldViolation(
            field, f"is {connection}, which is for {facts.upstream}; send the id of one for {draft.upstream}"
        )
    elif facts.hosts and upstream.lane_param:
        yield from _host_faults(draft, upstream.lane_param, facts.hosts)


def check_authorized(drafts: Sequence[Draft]) -> None:
    """Lets drafts pass whose connections can be called with, or whose jobs wait until they can.

    Raises:
        ConnectionNeedsReauth: A connection has to be authorized anew first, and its jobs would fail.
    """
    failing = [
        (index, draft.connection)
        for index, draft in enumerate(drafts)
        if draft.connection_facts is not None
        and draft.connection_facts.needs_reauth
        and not draft.connection_facts.jobs_wait
    ]
    if not failing:
        return
    connections = ", ".join(dict.fromkeys(connection for _, connection in failing))
    metadata = {"connection": failing[0][1]}
    if len(drafts) > 1:
        metadata["faulty_jobs"] = ",".join(str(index) for index, _ in failing)
    raise ConnectionNeedsReauth(
        f"{connections}: has to be authorized anew before jobs can be called with it; authorize it, or have its jobs "
        "wait (reauthPolicy WAIT)",
        metadata=metadata,
    )


def _other_name_faults(name: str, upstream: Upstream) -> Iterable[FieldViolation]:
    """What is wrong with the name of a method that is not listed, and can be called by its prefix."""
    prefix = upstream.others.prefix if upstream.others is not None else ""
    if len(name) > MAX_METHOD_CHARACTERS:
        yield FieldViolation("method", f"has {len(name)} characters; it may have {MAX_METHOD_CHARACTERS}")
    elif _OTHER_NAME.fullmatch(name.removeprefix(prefix)) is None:
        shown = shortened(name, _MAX_SHOWN_CHARACTERS)
        yield FieldViolation(
            "method", f"is {shown!r}; after {prefix} come letters, digits and underscores, in parts parted by dots"
        )


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name[:_MAX_SHOWN_CHARACTERS], names, n=3)
    listed = near or names[:_MAX_LISTED]
    more = f" and {len(names) - len(listed)} more" if len(names) > len(listed) and not near else ""
    hint = f"{'near to it are' if near else 'known are'} {', '.join(listed)}{more}" if names else "there is none yet"
    subject = (
        f"is {shortened(name, _MAX_SHOWN_CHARACTERS)!r}, which is no {what}" if name else f"is missing; name a {what}"
    )
    return f"{subject}; {hint}"


def _host_faults(draft: Draft, lane_param: str, hosts: Sequence[str]) -> Iterable[FieldViolation]:
    """What is wrong with where a connection's secret would go; what is no URL at all the method's schema judges."""
    given = draft.params.get(lane_param)
    try:
        url = url_as_given(given) if isinstance(given, str) else None
        host = (url.host_port_subcomponent or "").lower() if url is not None else ""
    except ValueError:
        return
    if url is None or not host:
        return
    path = join(ROOT, lane_param)
    if host not in hosts:
        yield FieldViolation(
            path,
            f"is at {shortened(host, _MAX_SHOWN_CHARACTERS)}, and the connection {draft.connection} is for "
            f"{', '.join(hosts)}; call one of them, or send the id of another connection",
        )
    elif not _is_private(url):
        yield FieldViolation(path, "begins with http://, by which others could read the connection's secret; use https")


def _is_private(url: URL) -> bool:
    """Whether nobody on the way reads what is sent: by TLS, or within this machine."""
    if url.scheme == "https":
        return True
    try:
        return ipaddress.ip_address((url.raw_host or "").strip("[]")).is_loopback
    except ValueError:  # a name
        return False
