"""What an HTTP answer says: JSON of the API, an error of it, or something that Penstock has not said."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, cast

from penstock_sdk import reasons
from penstock_sdk.errors import ApiError, NoAnswer, UnexpectedAnswer, Violation

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = "application/json"
_DETAIL = "type.googleapis.com/google.rpc."
_SECONDS = re.compile(r"[0-9]{1,9}")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]+)?)s")
_SHOWN_CHARACTERS = 120  # of a page that is not ours; enough to see whose it is
_HTTP_ERRORS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that has come whole.

    Args:
        verb: The request's HTTP method.
        url: Where the request went.
        status: Its HTTP status.
        headers: Its headers, whatever the case of their names.
        body: Its bytes.
    """

    verb: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_error(self) -> bool:
        """Whether its status is an error's."""
        return self.status >= _HTTP_ERRORS

    def json(self) -> Any:
        """What it says.

        Raises:
            ApiError: It says what was wrong with the call.
            UnexpectedAnswer: It is none of Penstock's.
            NoAnswer: It breaks off.
        """
        content_type = self.headers.get("content-type", "")
        if media_type(content_type) != JSON:
            raise self.unexpected(f"it is {content_type or 'of no type'}, not {JSON}")
        try:
            said = json.loads(self.body)
        except ValueError:  # of JSON, or of the text in it
            raise NoAnswer(
                f"the answer's JSON breaks off or is none ({self.status}, {len(self.body)} bytes)",
                verb=self.verb,
                url=self.url,
                sent=True,
            ) from None
        if self.is_error:
            raise self._error(said)
        return said

    def unexpected(self, problem: str) -> UnexpectedAnswer:
        """The error that says of this answer that it is none of Penstock's."""
        beginning = " ".join(self.body[: 4 * _SHOWN_CHARACTERS].decode(errors="replace").split())[:_SHOWN_CHARACTERS]
        shown = f", beginning {beginning!r}" if beginning else ""
        return UnexpectedAnswer(
            f"the answer ({self.status}) is none of Penstock's: {problem}{shown}. Does the URL lead to a Penstock?",
            verb=self.verb,
            url=self.url,
            status=self.status,
            content_type=self.headers.get("content-type", ""),
            retry_after_s=_header_s(self.headers.get("retry-after", "")),
        )

    def _error(self, said: Any) -> ApiError | UnexpectedAnswer:
        error = _mapping(_mapping(said).get("error"))
        details = [_mapping(each) for each in _list(error.get("details"))]
        info = _detail(details, "ErrorInfo")
        reason = info.get("reason")
        if not isinstance(reason, str) or not reason:
            return self.unexpected("JSON without a reason")
        asked_s = _header_s(self.headers.get("retry-after", ""))
        links = [_mapping(each) for each in _list(_detail(details, "Help").get("links"))]
        kind = reasons.API_ERRORS.get(reason, ApiError)
        return kind(
            str(error.get("message", "")),
            reason=reason,
            status=self.status,
            violations=[
                Violation(field=str(each.get("field", "")), description=str(each.get("description", "")))
                for each in map(_mapping, _list(_detail(details, "BadRequest").get("fieldViolations")))
            ],
            metadata={str(name): str(value) for name, value in _mapping(info.get("metadata")).items()},
            help_url=str(links[0].get("url", "")) if links else "",
            retry_after_s=_duration_s(_detail(details, "RetryInfo").get("retryDelay")) if asked_s is None else asked_s,
            request_id=self.headers.get("x-request-id", ""),
        )


def media_type(content_type: str) -> str:
    """The type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def _header_s(retry_after: str) -> float | None:
    """`Retry-After` (RFC 9110, 10.2.3) in seconds; None where it is not there, or says nothing."""
    if _SECONDS.fullmatch(retry_after):
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError, IndexError):  # what is malformed says nothing
        return None
    until = until.replace(tzinfo=UTC) if until.tzinfo is None else until  # an HTTP date is GMT
    return max(math.ceil((until - datetime.now(UTC)).total_seconds()), 0.0)


def _duration_s(delay: object) -> float | None:
    """A duration of protobuf's JSON in seconds; None where it is none."""
    found = _DURATION.fullmatch(delay) if isinstance(delay, str) else None
    return float(found[1]) if found else None


def _detail(details: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next((each for each in details if each.get("@type") == _DETAIL + name), {})


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
