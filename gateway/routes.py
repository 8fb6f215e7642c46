"""The route table: every HTTP path of the API with its verbs, as the protos' `google.api.http` rules have it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from gateway import deprecation, descriptors

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterator, Mapping, Sequence

    from google.api.http_pb2 import HttpRule
    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

    from gateway.deprecation import Deprecation

_DATA = Path(__file__).parent / "routes.yaml"
_LITERAL = r"[A-Za-z0-9._-]+"
#: A segment, or a variable that stands for one or more of them (google.api.http, "Path template syntax").
_PART = re.compile(
    rf"/(?:(?P<literal>{_LITERAL})|\{{(?P<variable>[a-z_.]+)(?:=(?P<over>(?:{_LITERAL}|\*)(?:/(?:{_LITERAL}|\*))*))?\}})"
)
#: What an RPC answers with whose answer is bytes of some type, and no message.
_BYTES = "google.api.HttpBody"
_VERBS = ("get", "put", "post", "delete", "patch")


@dataclass(frozen=True, slots=True)
class Template:
    """A path of the API, such as `/api/v1/jobs/{job_id}:wait` or `/api/v1/{name=operations/*}`.

    Args:
        text: As the rule has it.
        segments: Its parts; a variable one is `{name}`.
        fields: The variable that each part belongs to, or empty.
        action: What stands behind the last colon, or empty.
    """

    text: str
    segments: tuple[str, ...]
    fields: tuple[str, ...]
    action: str

    @classmethod
    def parse(cls, text: str) -> Template:
        """Reads a template.

        Raises:
            ValueError: It has a form that the gateway does not route (`**`).
        """
        path, _, action = text.partition(":")
        segments: list[str] = []
        fields: list[str] = []
        end = 0
        while (match := _PART.match(path, end)) is not None:
            variable = match["variable"] or ""
            parts = (match["over"] or "*").split("/") if variable else [match["literal"]]
            segments += [f"{{{variable}}}" if part == "*" else part for part in parts]
            fields += [variable] * len(parts)
            end = match.end()
        if not segments or end < len(path):
            raise ValueError(f"the path {text} has a segment that the gateway cannot route: {path[end:]!r}")
        return cls(text, tuple(segments), tuple(fields), action)

    @property
    def variables(self) -> dict[str, int]:
        """The position, from 1, of the first segment that each variable stands for."""
        return {name: self.fields.index(name) + 1 for name in dict.fromkeys(self.fields) if name}

    @property
    def regex(self) -> str:
        """What matches the raw path, as RE2 reads it."""
        parts = ("[^/]+" if part.startswith("{") else re.escape(part) for part in self.segments)
        return "/" + "/".join(parts) + (f":{self.action}" if self.action else "")

    @property
    def order(self) -> tuple[object, ...]:
        """Sorts as the transcoder chooses: an action before none, then literals before variables from left to right."""
        return (not self.action, tuple((part.startswith("{"), part) for part in self.segments), self.action)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One HTTP method and path of an RPC."""

    #: Such as `penstock.jobs.v1.JobService.GetJob`.
    rpc: str
    verb: str
    template: Template
    #: The request's message type, by its full name.
    message: str
    #: `*`: the body is the request. A name: it is that field of the request, and the path holds all others. Empty:
    #: there is no body, and the query holds what the path does not.
    body: str
    #: The body's message type, by its full name; empty where there is no body.
    body_message: str
    #: Which cluster answers.
    cluster: str
    #: Whether the RPC waits for something.
    waits: bool
    #: Whether it streams what happens.
    streams: bool
    #: Whether its query may hold what is not ours, which is left out.
    foreign: bool
    #: Whether its answers go out as they are: those that are bytes of somebody's, and those that show a secret.
    exact: bool
    #: Of the RPC, or of this one of its paths.
    deprecation: Deprecation | None = None

    @property
    def name(self) -> str:
        """Tells the binding apart, in Envoy's access log and from Lua."""
        return f"{self.rpc} {self.verb} {self.template.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A path, or all that begins with a prefix, that anyone may read: answered by Envoy itself, or by a cluster.

    Raises:
        ValueError: It has both a path and a prefix or neither, or a prefix that would cut a segment in two.
    """

    path: str = ""
    prefix: str = ""
    #: What Envoy answers with; JSON.
    body: str = ""
    cluster: str = ""
    #: Whether it is asked for every few seconds, so that nobody reads in the access log that it was.
    probe: bool = False

    def __post_init__(self) -> None:
        if bool(self.path) == bool(self.prefix) or not (self.prefix or "/").endswith("/"):
            raise ValueError(f"a page has either a path or a prefix that ends with a slash; this one has {self}")

    @property
    def name(self) -> str:
        """Tells the page apart, in Envoy's access log."""
        return self.path or f"{self.prefix}*"

    @property
    def match(self) -> dict[str, str]:
        """What Envoy knows it by."""
        return {"path": self.path} if self.path else {"prefix": self.prefix}


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTable:
    """All that is routed."""

    #: The bindings of each path, in the order in which paths are tried.
    paths: Mapping[Template, Sequence[Binding]]
    pages: Sequence[Page]
    #: The cluster of each RPC that streams, by the RPC's name.
    streams: Mapping[str, str]
    #: The RPCs that are deprecated themselves, by their names.
    deprecated: Mapping[str, Deprecation] = field(default_factory=dict)

    @property
    def bindings(self) -> Iterator[Binding]:
        """Every binding, in the order in which they are tried."""
        for bindings in self.paths.values():
            yield from bindings

    @property
    def services(self) -> dict[str, list[Binding]]:
        """The public gRPC services, by full name, with one binding of each RPC."""
        found: dict[str, dict[str, Binding]] = {}
        for binding in self.bindings:
            found.setdefault(binding.rpc.rpartition(".")[0], {}).setdefault(binding.rpc, binding)
        return {service: list(found[service].values()) for service in sorted(found)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteData:
    """What the protos do not say (`routes.yaml`)."""

    packages: Mapping[str, str]
    waiting: Sequence[str]
    streaming: Sequence[str] = field(default_factory=tuple)
    foreign: Sequence[str] = field(default_factory=tuple)
    secret: Sequence[str] = field(default_factory=tuple)
    rules: descriptors.Rules = field(default_factory=dict)
    anonymous: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    @classmethod
    def load(cls) -> RouteData:
        """Reads `routes.yaml`."""
        return cls(**yaml.safe_load(_DATA.read_text(encoding="utf-8")))


def route_table(
    data: RouteData, clusters: Container[str], services: Sequence[ServiceDescriptor] | None = None
) -> RouteTable:
    """The table of every public RPC.

    Args:
        data: What the protos do not say.
        clusters: Those that run; what others answer is left out.
        services: All services; those of the contract unless told.

    Raises:
        ValueError: A public service's package has no cluster, two RPCs claim one path, a path cannot be routed, or
            something is marked as deprecated in a way that nobody could follow.
    """
    paths: dict[Template, list[Binding]] = {}
    streams: dict[str, str] = {}
    deprecated: dict[str, Deprecation] = {}
    for service in descriptors.services() if services is None else services:
        for method in service.methods:
            if (mark := deprecation.of_rpc(method)) is not None:
                deprecated[method.full_name] = mark
            marks = deprecation.of_paths(method)
            if method.full_name in data.streaming and (cluster := _cluster(service, data)) in clusters:
                streams[method.full_name] = cluster
            rules = list(_rules(descriptors.rule_of(method, data.rules)))
            _check_marked_paths(method, marks, [text for _, text, _ in rules])
            for verb, text, body in rules:
                binding = Binding(
                    rpc=method.full_name,
                    verb=verb,
                    template=Template.parse(text),
                    message=method.input_type.full_name,
                    body=body,
                    body_message=_body_message(method, text, body),
                    cluster=_cluster(service, data),
                    waits=method.full_name in data.waiting,
                    streams=method.full_name in data.streaming,
                    foreign=method.full_name in data.foreign,
                    exact=method.full_name in data.secret or method.output_type.full_name == _BYTES,
                    deprecation=mark or marks.get(text),
                )
                if binding.cluster in clusters:
                    _add(paths.setdefault(binding.template, []), binding)
    ordered = {template: tuple(paths[template]) for template in sorted(paths, key=lambda template: template.order)}
    return RouteTable(
        paths=ordered, pages=[Page(**page) for page in data.anonymous], streams=streams, deprecated=deprecated
    )


def _rules(rule: HttpRule) -> Iterator[tuple[str, str, str]]:
    """Verb, path and body of an HTTP rule and of those beside it."""
    for each in (rule, *rule.additional_bindings):
        if (verb := _verb(each)) is not None:
            yield verb.upper(), getattr(each, verb), each.body


def _check_marked_paths(method: MethodDescriptor, marks: Mapping[str, Deprecation], texts: Collection[str]) -> None:
    """Refuses a mark of what is no path of the RPC, or in the place of which no other path can be told."""
    for text, mark in marks.items():
        if text not in texts:
            raise ValueError(f"{method.full_name} marks {text} as deprecated, which is none of its paths")
        if mark.instead not in texts or mark.instead in marks:
            raise ValueError(
                f"{method.full_name} has {mark.instead} in the place of {text}, which is no path to go on with"
            )
        if not Template.parse(mark.instead).variables.keys() <= Template.parse(text).variables.keys():
            raise ValueError(
                f"{method.full_name} has {mark.instead} in the place of {text}, which lacks a variable of it"
            )


def _verb(rule: HttpRule) -> str | None:
    pattern = rule.WhichOneof("pattern")
    if pattern is None:
        return None
    if pattern not in _VERBS:
        raise ValueError(f"the gateway does not route this HTTP rule: {rule}")
    return pattern


def _body_message(method: MethodDescriptor, text: str, body: str) -> str:
    """The message that a body is: the request, or the one field of it that the path does not hold."""
    if not body:
        return ""
    if body == "*":
        return method.input_type.full_name
    left = [field for field in method.input_type.fields if field.name not in Template.parse(text).variables]
    if [field.name for field in left] != [body] or left[0].message_type is None or left[0].is_repeated:
        raise ValueError(
            f"the gateway does not route the body {body!r} of {method.full_name}: it must be a message, and with the "
            "path the whole request"
        )
    return left[0].message_type.full_name


def _cluster(service: ServiceDescriptor, data: RouteData) -> str:
    cluster = data.packages.get(service.file.package)
    if cluster is None:
        raise ValueError(f"{service.full_name} has HTTP rules, and routes.yaml names no cluster for its package")
    return cluster


def _add(bindings: list[Binding], binding: Binding) -> None:
    for other in bindings:
        if other.verb == binding.verb:
            raise ValueError(f"{binding.rpc} and {other.rpc} both claim {binding.verb} {binding.template.text}")
    bindings.append(binding)
