"""The page on each reason of an error; every error leads to its own (`google.rpc.Help`)."""

from __future__ import annotations

from urllib.parse import urlsplit

from google.rpc import error_details_pb2

from shared.config import DOCS_URL, ConfigError
from shared.errors import shown

#: What every link says of its page.
DESCRIPTION = "what this error means, and what to do"


class _Told:
    """Where the pages are; one a process, set at its start."""

    docs_url = DOCS_URL


def set_up(docs_url: str, *, setting: str) -> None:
    """Links to pages under this URL from now on.

    Args:
        docs_url: As the setting has it.
        setting: Its name.

    Raises:
        ConfigError: It is no URL of pages.
    """
    problem = docs_url_problem(docs_url)
    if problem is not None:
        raise ConfigError([f"{setting} {problem}"])
    _Told.docs_url = docs_url


def docs_url_problem(text: str) -> str | None:
    """What is wrong with the URL under which the pages are; None where it is well."""
    try:
        url = urlsplit(text)
        well = url.scheme in {"http", "https"} and url.hostname and (url.port is None or url.port > 0)
    except ValueError:
        well = False
    if well and text.isascii() and text.isprintable() and not set(text) & set(' ?#@"\\') and not text.endswith("/"):
        return None
    return f"is {shown(text)}; it takes a URL without a slash at its end, such as https://penstock.example/docs"


def page_of(reason: str, *, docs_url: str | None = None) -> str:
    """The URL of the page on a reason.

    Args:
        reason: A name of `penstock.errors.v1.ErrorReason`.
        docs_url: Where the pages are, if not where this process was told.
    """
    return f"{_Told.docs_url if docs_url is None else docs_url}/errors/{reason}"


def help_on(reason: str, *, docs_url: str | None = None) -> error_details_pb2.Help:
    """The link to the page on a reason; see `page_of`."""
    link = error_details_pb2.Help.Link(description=DESCRIPTION, url=page_of(reason, docs_url=docs_url))
    return error_details_pb2.Help(links=[link])
