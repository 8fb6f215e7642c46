"""What an upstream's answer says of its quotas, in each of the forms that are in use.

What is malformed, or says nothing that a budget could go by, is left out: an upstream can slow down its own calls with
these headers, and do no other harm.
"""

from __future__ import annotations

import re
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from services.upstream.domain import Quota, QuotaScope
from shared import retry_after
from shared.structured_fields import MalformedFieldError, parse_dictionary, parse_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from shared.structured_fields import Bare, Item

    #: Answers with a header's value by its name in lower case, several of one name joined by commas; None without any.
    Field = Callable[[str], str | None]

#: What comes of one answer at most: each is applied to a budget.
_MAX_QUOTAS = 8
#: More calls than these are no limit, and a later reset is no time that anybody waits for.
_MAX_REMAINING = 10**9
_MAX_RESET_S = timedelta(days=366).total_seconds()
#: From here a reset is a time and no longer a span: 2001-09-09 in seconds, and the same in milliseconds.
_EPOCH_S = 10**9
_EPOCH_MS = 10**12
_MS_PER_S = 1000
#: The older families of headers; the first that says something is taken, for servers send one quota in several.
_FAMILIES = ("ratelimit", "x-ratelimit", "x-rate-limit")
_COUNT = re.compile(r"[0-9]{1,15}")
_TIME = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_REFUSED = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


def read(field: Field, *, status: int, now: datetime, scope: QuotaScope = QuotaScope.LANE) -> tuple[Quota, ...]:
    """The quotas of an answer, the tightest last, so that it stands where one place has room for one of them.

    `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10, and the dictionary that came before, in
    -07); `RateLimit-Remaining` and `-Reset` (-06); `X-RateLimit-…` and `X-Rate-Limit-…`; `Retry-After` of a 429 or 503
    (RFC 9110, 10.2.3), which wins over the resets of what is used up.

    Args:
        field: Reads the answer's headers.
        status: The answer's HTTP status.
        now: The time, in UTC, for an answer that does not tell its own.
        scope: Whose quotas the upstream speaks of.
    """
    now = retry_after.http_date(field("date") or "") or now  # a time in a header is by the clock that wrote it
    found = [] if _is_aged(field) else list(_said(field, status, now, scope))
    pause = retry_after.parse(field("retry-after") or "", now) if status in _REFUSED else None
    if pause:
        found = [quota for quota in found if quota.remaining > 0]
        found.append(Quota(scope=scope, remaining=0, reset_after=pause))
    found.sort(key=lambda quota: (-quota.remaining, quota.reset_after))
    return tuple(found[-_MAX_QUOTAS:])


def _is_aged(field: Field) -> bool:
    """Whether the answer comes out of a cache, where its numbers are somebody else's."""
    return bool(_count(field("age")))


def _said(field: Field, status: int, now: datetime, scope: QuotaScope) -> Iterator[Quota]:
    current = list(_current(field, scope))
    if current:
        yield from current
        return
    for family in _FAMILIES:
        remaining = _count(field(f"{family}-remaining"))
        if remaining is None and status == HTTPStatus.TOO_MANY_REQUESTS:
            remaining = 0  # some tell the reset alone
        quota = _quota(scope, remaining, _until(field(f"{family}-reset"), now))
        if quota is not None:
            yield quota
            return


def _current(field: Field, scope: QuotaScope) -> Iterator[Quota]:
    """What the field `RateLimit` says, of each policy."""
    text = field("ratelimit")
    if text is None:
        return
    try:
        items = parse_list(text)
    except MalformedFieldError:  # draft -07 had one policy: limit=100, remaining=50, reset=30
        yield from _one_policy(text, scope)
        return
    policies = _policies(field("ratelimit-policy"))
    for item in items:
        policy = policies.get(item.value)
        if policy is not None and policy.parameters.get("qu", "requests") != "requests":
            continue  # it counts bytes, or calls at a time
        reset = item.parameters.get("t")
        if reset is None and policy is not None:
            reset = policy.parameters.get("w")  # no later than a whole window from now
        quota = _quota(scope, _whole(item.parameters.get("r")), _whole(reset))
        if quota is not None:
            yield quota


def _policies(text: str | None) -> dict[Bare, Item]:
    try:
        return {item.value: item for item in parse_list(text or "")}
    except MalformedFieldError:  # it is ignored as a whole, and the quotas go by themselves
        return {}


def _one_policy(text: str, scope: QuotaScope) -> Iterator[Quota]:
    try:
        members = parse_dictionary(text)
    except MalformedFieldError:  # it says nothing
        return
    remaining, reset = (members[key].value if key in members else None for key in ("remaining", "reset"))
    quota = _quota(scope, _whole(remaining), _whole(reset))
    if quota is not None:
        yield quota


def _quota(scope: QuotaScope, remaining: int | None, reset_s: float | None) -> Quota | None:
    """The quota, or None where it says nothing: a part is missing, or out of all bounds, or the reset is over."""
    if remaining is None or reset_s is None:
        return None
    if not 0 <= remaining <= _MAX_REMAINING or not 0 < reset_s <= _MAX_RESET_S:
        return None
    reset_after = min(timedelta(seconds=reset_s), retry_after.MAX_PAUSE)
    return Quota(scope=scope, remaining=remaining, reset_after=reset_after) if reset_after else None


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and _COUNT.fullmatch(text) else None


def _until(text: str | None, now: datetime) -> float | None:
    """Seconds until a reset, which is told as such, or as a time since the Unix epoch in seconds or milliseconds."""
    if text is None or not _TIME.fullmatch(text):
        return None
    value = float(text)
    if value >= _EPOCH_MS:
        return value / _MS_PER_S - now.timestamp()
    return value - now.timestamp() if value >= _EPOCH_S else value


def _whole(value: Bare | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
