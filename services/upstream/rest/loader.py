"""Reads an upstream's file and judges it: an error names the file, the place and the value, and says what it takes."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import jsonschema_rs
import yaml
from yarl import URL

from services.upstream import limits
from services.upstream.domain import ConnectionUse, Health, Kind, Method, OtherMethods, Upstream
from services.upstream.limits import BreakerPolicy, Budget, Limits, LimitsError, Rate
from services.upstream.rest.data import BodyForm, CredentialKind, ErrorRule, RestData, Retry, Route, Target
from shared.addresses import AddressGuard
from shared.config import duration
from shared.errors import shown
from shared.formats import UPLOAD_ID, formats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_SCHEMA = Path(__file__).parent / "schema.yaml"
_PLACEHOLDER = re.compile(r"\{([^}]*)\}")
_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE"})
#: What a key may be: a text, or YAML's `<<`, which takes in another mapping.
_TEXTS = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"})
#: A call may take so long and no longer: its lease is kept meanwhile, and its place in the worker.
_MAX_TIMEOUT = timedelta(minutes=15)


class DataError(ValueError):
    """A file of an upstream holds mistakes.

    Args:
        file: Its name.
        mistakes: Each names the place and the value, and says what is wanted.
    """

    def __init__(self, file: str, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(f"{file}: {mistake}" for mistake in mistakes))
        self.mistakes = tuple(mistakes)


def load(file: Path, *, urls: Mapping[str, URL] | None = None) -> RestData:
    """Reads the file of an upstream.

    Args:
        file: Named as the upstream.
        urls: Where an operator has its targets called instead, by their names.

    Raises:
        DataError: It holds mistakes.
    """
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506  it is a SafeLoader
    except yaml.YAMLError as error:
        raise DataError(file.name, [f"is no YAML: {error}"]) from error
    mistakes = list(_faults_of_form(document)) or list(_faults_of_sense(document, file.stem))
    if mistakes:
        raise DataError(file.name, mistakes)
    data = _data(document, urls or {})
    try:
        limits.check(data.upstream)
    except LimitsError as error:
        raise DataError(file.name, [str(error)]) from error
    return data


class _StrictLoader(yaml.CSafeLoader):
    """Refuses a key that stands twice, of which YAML would take the last, and one that is no text, as a bare 105 is."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  as PyYAML has it
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag not in _TEXTS:
                said = f"the key {shown(str(key.value))} is no text; quote it"
                raise yaml.constructor.ConstructorError(None, None, said, key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


@cache
def _schema() -> dict[str, Any]:
    return yaml.load(_SCHEMA.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def _faults_of_form(document: Any) -> Iterator[str]:
    """What does not keep to the schema."""
    checks = {name: each.accepts for name, each in formats(AddressGuard()).items()}
    validator = jsonschema_rs.Draft202012Validator(_schema(), formats=checks, validate_formats=True, offline=True)
    for error in validator.iter_errors(document):
        path = ".".join(str(part) for part in error.instance_path) or "it"
        kind = error.kind.as_dict()
        match error.kind.name:
            case "required":
                yield f"{path} lacks {kind['property']}"
            case "additionalProperties" | "unevaluatedProperties":
                yield f"{path} has {', '.join(map(shown, kind['unexpected']))}, which is not known here"
            case _:
                yield f"{path} is {shown(str(error.instance))}; it takes {_taken(error.schema_path)}"


def _taken(schema_path: Iterable[str | int]) -> str:
    """What the schema's innermost description on the way to a keyword says."""
    node: Any = _schema()
    taken = node["description"]
    for part in schema_path:
        node = node[part]
        if isinstance(node, dict):
            taken = cast("dict[str, Any]", node).get("description", taken)
    return taken


def _faults_of_sense(document: Mapping[str, Any], stem: str) -> Iterator[str]:
    """What keeps to the schema, and cannot be meant."""
    if document["upstream"] != stem:
        yield f"upstream is {document['upstream']!r}; the file is {stem}.yaml"
    for name, method in document["methods"].items():
        yield from (f"methods.{name}{fault}" for fault in _method_faults(method, document["targets"]))
    others = document.get("other_methods")
    if others is not None:
        yield from (f"other_methods{fault}" for fault in _method_faults(others, document["targets"]))


def _method_faults(method: Mapping[str, Any], targets: Mapping[str, Any]) -> Iterator[str]:
    target = method.get("target", next(iter(targets)))
    params = method.get("params", {})
    timeout = duration(method["timeout"])
    if target not in targets:
        yield f".target is {target!r}; there are {', '.join(targets)}"
        return
    if not timedelta() < timeout <= _MAX_TIMEOUT:
        yield f".timeout is {method['timeout']}; it takes up to {_MAX_TIMEOUT.total_seconds():g}s"
    if method["kind"] == Kind.READ and not method["idempotent"]:
        yield ".idempotent is false; a read can be made twice"
    if "cache_ttl" in method and method["kind"] != Kind.READ:
        yield f".cache_ttl is set; only answers to reads are kept, and it is a {method['kind']}"
    yield from (
        f".required names {each!r}, which is no param" for each in method.get("required", []) if each not in params
    )
    for placeholder in _PLACEHOLDER.findall(method.get("path", "")):
        if placeholder not in method.get("required", []):
            yield f".path has {{{placeholder}}}, which is no required param"
    files = _upload_params(params)
    if files and method.get("verb") in _WITHOUT_BODY:
        yield f".verb is {method['verb']}, which sends no upload"
    if len(files) > (targets[target].get("body") == BodyForm.MULTIPART):
        yield f".params has the uploads {', '.join(files)}; a multipart target takes one, and no other takes any"
    if not jsonschema_rs.meta.is_valid(_params_schema(method)):
        yield ".params and .rules make no JSON Schema"


def _upload_params(params: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name, schema in params.items() if schema.get("format") == UPLOAD_ID)


def _params_schema(method: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": method.get("params", {}),
        "required": method.get("required", []),
        "additionalProperties": False,
        **method.get("rules", {}),
    }


def _data(document: Mapping[str, Any], urls: Mapping[str, URL]) -> RestData:
    errors = _errors(document.get("errors", {}))
    targets = {name: _target(each, urls.get(name)) for name, each in document["targets"].items()}
    others = document.get("other_methods")
    upstream = Upstream(
        name=document["upstream"],
        title=document["title"],
        methods=tuple(_method(name, each) for name, each in document["methods"].items()),
        limits=_limits(document.get("limits", {})),
        breaker=_breaker(document.get("breaker", {})),
        connection_use=ConnectionUse(document.get("connection", "none")),
        other_methods=others and OtherMethods(prefix=others["prefix"], template=_method("", others)),
    )
    first = next(iter(targets))
    return RestData(
        upstream=upstream,
        credentials=frozenset(map(CredentialKind, document.get("credentials", []))),
        targets=MappingProxyType(targets),
        routes=MappingProxyType({name: _route(each, first) for name, each in document["methods"].items()}),
        other_route=others and _route(others, first),
        errors=errors,
    )


def _method(name: str, document: Mapping[str, Any]) -> Method:
    return Method(
        name=name,
        title=document["title"],
        kind=Kind(document["kind"]),
        idempotent=document["idempotent"],
        timeout=duration(document["timeout"]),
        params_schema=MappingProxyType(_params_schema(document)),
        cache_ttl=duration(document["cache_ttl"]) if "cache_ttl" in document else None,
        upload_params=_upload_params(document.get("params", {})),
    )


def _target(document: Mapping[str, Any], url: URL | None) -> Target:
    target = Target(
        url=url or URL(document["url"]),
        body=BodyForm(document.get("body", "json")),
        constants=MappingProxyType(document.get("constants", {})),
        method_param=document.get("method_param", ""),
        posts_long_queries=document.get("posts_long_queries", False),
    )
    return replace(target, truths=tuple(document["truths"])) if "truths" in document else target


def _route(document: Mapping[str, Any], first: str) -> Route:
    return Route(
        target=document.get("target", first),
        verb=document.get("verb", "GET" if document["kind"] == Kind.READ else "POST"),
        path=document.get("path", ""),
        idempotency_header=document.get("idempotency_header", ""),
        errors=_errors(document.get("errors", {})),
        example=MappingProxyType(document.get("example", {})),
    )


def _errors(document: Mapping[str, Any]) -> Mapping[str, ErrorRule]:
    return MappingProxyType(
        {
            str(code): ErrorRule(
                message=each["message"],
                retry=Retry(each.get("retry", "never")),
                health=Health(each["health"]) if "health" in each else None,
                credential_refused=each.get("credential_refused", False),
            )
            for code, each in document.items()
        }
    )


def _limits(document: Mapping[str, Any]) -> Limits:
    return Limits(
        upstream=_budget(document.get("upstream", {})),
        classes=_budgets(document.get("classes", {})),
        lane=_budget(document.get("lane", {})),
        lane_classes=_budgets(document.get("lane_classes", {})),
    )


def _budgets(document: Mapping[str, Any]) -> Mapping[Kind, Budget]:
    return MappingProxyType({Kind(kind): _budget(each) for kind, each in document.items()})


def _budget(document: Mapping[str, Any]) -> Budget:
    rates = (Rate(calls=each["calls"], window=duration(each["window"])) for each in document.get("rates", []))
    return Budget(rates=tuple(rates), concurrency=document.get("concurrency", 0))


def _breaker(document: Mapping[str, Any]) -> BreakerPolicy:
    given: dict[str, Any] = {
        name: duration(value) if isinstance(value, str) else value for name, value in document.items()
    }
    return BreakerPolicy(**given)
