"""What an upstream's file says."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from services.upstream.credentials import BasicSecret, BearerSecret, HeaderSecret, OAuth1Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yarl import URL

    from services.upstream.credentials import Secret
    from services.upstream.domain import Health, Method, Upstream


class CredentialKind(StrEnum):
    """How an upstream takes credentials."""

    OAUTH1 = "oauth1"
    BEARER = "bearer"
    HEADER = "header"
    BASIC = "basic"


_KINDS: Mapping[type[Secret], CredentialKind] = {
    OAuth1Secret: CredentialKind.OAUTH1,
    BearerSecret: CredentialKind.BEARER,
    HeaderSecret: CredentialKind.HEADER,
    BasicSecret: CredentialKind.BASIC,
}


def kind_of(secret: Secret) -> CredentialKind:
    """The kind of a secret."""
    return _KINDS[type(secret)]


class BodyForm(StrEnum):
    """How params go in a body."""

    FORM = "form"
    JSON = "json"
    #: As a form with a file in it.
    MULTIPART = "multipart"


class Retry(StrEnum):
    """Whether a call that was refused may be made again."""

    NEVER = "never"
    #: It may help, and what the call was to do may have been done in part.
    IDEMPOTENT = "idempotent"
    #: It may help, and nothing was done.
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRule:
    """What an upstream's own code of an error means.

    Args:
        message: For people, to be read behind the upstream's name and the code.
        retry: Whether the call may be made again.
        health: What the error says of the upstream; None to go by the status.
        credential_refused: The credential is none that works.
    """

    message: str
    retry: Retry = Retry.NEVER
    health: Health | None = None
    credential_refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where methods are called.

    Args:
        url: The base; a method's path follows it.
        body: How params go in a body; with GET, HEAD and DELETE they go in the query.
        constants: Params that are always sent, whatever the job says.
        method_param: The param that has the method's name; empty where the path tells.
        truths: What no and yes are written as in queries and forms.
        posts_long_queries: A query that is too long for a URL goes by POST, in the body, and means the same.
    """

    url: URL
    body: BodyForm
    constants: Mapping[str, str] = field(default_factory=dict[str, str])
    method_param: str = ""
    truths: tuple[str, str] = ("false", "true")
    posts_long_queries: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How one method is called.

    Args:
        target: The name of the target.
        verb: The HTTP method.
        path: Follows the target's URL; `{param}` stands for a param, which is sent nowhere else.
        idempotency_header: By which the upstream knows a call that comes again; empty where it does not.
        errors: What codes mean here, where that is not what they mean elsewhere.
        example: Params that fit.
    """

    target: str
    verb: str
    path: str = ""
    idempotency_header: str = ""
    errors: Mapping[str, ErrorRule] = field(default_factory=dict[str, ErrorRule])
    example: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class RestData:
    """All of a file.

    Args:
        upstream: As the catalogue has it.
        credentials: What kinds of them it takes.
        targets: By name.
        routes: By method.
        other_route: Of methods that are not listed.
        errors: What codes mean, whatever the method.
    """

    upstream: Upstream
    credentials: frozenset[CredentialKind]
    targets: Mapping[str, Target]
    routes: Mapping[str, Route]
    other_route: Route | None
    errors: Mapping[str, ErrorRule]

    def route(self, method: Method) -> Route:
        """How a method of the upstream is called."""
        route = self.routes.get(method.name, self.other_route)
        if route is None:
            raise LookupError(method.name)
        return route

    def rule(self, method: Method, code: str) -> ErrorRule | None:
        """What a code means for a method; None where nobody has said."""
        return self.route(method).errors.get(code) or self.errors.get(code)
