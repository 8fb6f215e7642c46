"""Reads the surface out of the API's document, the reasons' and `names.yaml`."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from deploy.local.layout import ROOT
from deploy.sdks import naming
from deploy.sdks.finding import reasons_in, references, told_of_operations
from deploy.sdks.surface import Argument, Call, Choice, Field, Method, Model, Noun, Reason, Surface
from deploy.sdks.types import Kind, Type, read_type, reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

DOCUMENT = ROOT / "gateway" / "site" / "openapi.json"
REASONS = ROOT / "gateway" / "site" / "errors.json"
NAMES = Path(__file__).parent / "names.yaml"
#: How an RPC takes the key under which it is done once.
_KEY = "requestId"
#: What pages are turned by; no caller names one.
_TOKEN = "pageToken"  # noqa: S105  the name of a field
_NEXT_TOKEN = "nextPageToken"  # noqa: S105  the name of a field
#: What the calls' own options are called, in the languages; no field may be called so.
_OPTIONS = frozenset({"timeoutS", "idempotencyKey", "signal", "raisedAtOnce"})
#: The part of all calls from which on a reason is one of any call.
_FREQUENT = 0.25
_VERBS_TO_REPEAT = frozenset({"GET", "PUT", "DELETE"})
_REPEATS = ("ALWAYS", "REFUSED_ONLY")
_VARIABLE = re.compile(r"\{(\w+)\}")
_OTHER_BINDING = re.compile(r"_\d+$")
#: How the page of a reason says that jobs have it too.
_OF_JOBS_TOO = "Also a job's error"

Schema = dict[str, Any]


def read_surface(optional: AbstractSet[str]) -> Surface:
    """Reads it as the files are now.

    Args:
        optional: The fields that are told from zero when they are not given, as `BudgetUse.remaining`.

    Raises:
        ValueError: The files do not fit each other.
    """
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    reasons = json.loads(REASONS.read_text(encoding="utf-8"))
    return Reader(document, reasons, yaml.safe_load(NAMES.read_text(encoding="utf-8")), optional=optional).surface()


class Reader:
    """Reads the surface.

    Args:
        document: OpenAPI's.
        reasons: What is said of each reason.
        names: What the clients call each RPC.
        optional: The fields that are told from zero when they are not given.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        reasons: Sequence[Mapping[str, Any]],
        names: Mapping[str, Any],
        *,
        optional: AbstractSet[str] = frozenset(),
    ) -> None:
        self._document = document
        self._schemas: dict[str, Schema] = document["components"]["schemas"]
        self._reasons = reasons
        self._names = names
        self._optional = optional
        self._operations = dict(self._main_operations())
        self._of_any_call = self._frequent_refusals()

    def surface(self) -> Surface:
        """All of it.

        Raises:
            ValueError: An RPC has no name, or a name no RPC; or what it takes or answers is of a form not known here.
        """
        nouns = [self._noun(name, entries) for name, entries in self._names["nouns"].items()]
        calls = [call for noun in nouns for call in (*noun.by_hand.values(), *(each.call for each in noun.methods))]
        self._check_names(calls)
        used = self._used(nouns)
        return Surface(
            nouns=nouns,
            calls=sorted(calls, key=lambda call: call.constant),
            models=[self._model(name) for name in used if "enum" not in self._schemas[name]],
            choices=[self._choice(name) for name in used if "enum" in self._schemas[name]],
            reasons=[_reason(each) for each in self._reasons],
        )

    def _main_operations(self) -> Iterator[tuple[str, tuple[str, str, Schema]]]:
        """Each RPC's path, verb and operation, of its first binding; the others are for those who call by hand."""
        for path, verbs in self._document["paths"].items():
            for verb, operation in verbs.items():
                if not _OTHER_BINDING.search(operation["operationId"]):
                    yield operation["operationId"].replace("_", "."), (path, verb.upper(), operation)

    def _check_names(self, calls: Iterable[Call]) -> None:
        named = [call.rpc for call in calls]
        left_out = set(self._names["left_out"])
        if twice := sorted({rpc for rpc in named if named.count(rpc) > 1}):
            raise ValueError(f"names.yaml names {', '.join(twice)} twice")
        if bare := sorted(set(self._operations) - set(named) - left_out):
            raise ValueError(f"names.yaml has no name for {', '.join(bare)}; give each a noun and a name")
        if unknown := sorted(left_out - set(self._operations)):
            raise ValueError(f"names.yaml leaves out {', '.join(unknown)}, which the document does not have")

    def _noun(self, name: str, entries: Mapping[str, Any]) -> Noun:
        by_hand = {each: self._call(rpc, None) for each, rpc in entries.get("by_hand", {}).items()}
        methods = [self._method(each, entry) for each, entry in entries.items() if each not in {"by_hand", "extended"}]
        service = (methods[0].call if methods else next(iter(by_hand.values()))).rpc.partition(".")[0]
        extended = bool(by_hand) or bool(entries.get("extended"))
        tags = {tag["name"]: tag["description"] for tag in self._document["tags"]}
        return Noun(
            name=name,
            text=tags[service],
            methods=methods,
            by_hand=by_hand,
            extended=extended,
            class_name=self._class_name(name, extended=extended),
        )

    def _class_name(self, noun: str, *, extended: bool) -> str:
        if extended:
            return f"{naming.pascal(naming.singular(noun))}Calls"
        name = naming.pascal(noun)
        return f"{name}Calls" if name in {naming.model(schema) for schema in self._schemas} else name

    def _method(self, name: str, entry: str | Mapping[str, str]) -> Method:
        rpc, repeat = (entry, None) if isinstance(entry, str) else (entry["rpc"], entry.get("repeat"))
        call = self._call(rpc, repeat)
        _, _, operation = self._operations[rpc]
        hidden = {_TOKEN, _KEY} if call.keyed else {_TOKEN}
        arguments = [each for each in self._arguments(rpc, operation) if each.name not in hidden]
        answer, items = self._answer(rpc, operation)
        return Method(
            name=name,
            call=call,
            arguments=sorted(arguments, key=lambda argument: not argument.required),
            answer=answer,
            items=items,
            text=operation["description"],
            reasons=sorted(set(self._refusals(operation)) - self._of_any_call),
        )

    def _call(self, rpc: str, repeat: str | None) -> Call:
        if rpc not in self._operations:
            raise ValueError(f"names.yaml names {rpc}, which the document does not have")
        path, verb, operation = self._operations[rpc]
        parameters = list(self._parameters(operation))
        return Call(
            rpc=rpc,
            verb=verb,
            path=_VARIABLE.sub(lambda match: f"{{{naming.lower_camel(match[1])}}}", path),
            path_names=[naming.lower_camel(each["name"]) for each in parameters if each["in"] == "path"],
            query_names=[each["name"] for each in parameters if each["in"] == "query"],
            has_body="requestBody" in operation,
            repeat=self._repeat(rpc, verb, keyed=_KEY in self._body(operation).get("properties", {}), said=repeat),
        )

    def _repeat(self, rpc: str, verb: str, *, keyed: bool, said: str | None) -> str:
        known = "ALWAYS" if verb in _VERBS_TO_REPEAT else "KEYED" if keyed else None
        if (known is None) == (said is None) or said not in (None, *_REPEATS):
            raise ValueError(
                f"names.yaml: {rpc} takes repeat: {' or '.join(_REPEATS)}"
                if known is None
                else f"names.yaml: {rpc} takes no repeat, for it is {known} already"
            )
        return known or str(said)

    def _parameters(self, operation: Schema) -> Iterator[Schema]:
        """Those of its own, without the headers that any call may have and without what is deprecated."""
        for parameter in operation.get("parameters", ()):
            if "$ref" not in parameter and not parameter.get("deprecated"):
                yield parameter

    def _body(self, operation: Schema) -> Schema:
        if "requestBody" not in operation:
            return {}
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        return self._schemas[reference(schema) or ""]

    def _arguments(self, rpc: str, operation: Schema) -> Iterator[Argument]:
        for each in self._parameters(operation):
            yield self._argument(
                rpc,
                naming.lower_camel(each["name"]),
                each["schema"] | {"description": each["description"]},
                required=each.get("required", False),
            )
        body = self._body(operation)
        for name, schema in body.get("properties", {}).items():
            if not schema.get("deprecated"):
                yield self._argument(rpc, name, schema, required=name in body.get("required", ()))

    def _argument(self, rpc: str, name: str, schema: Schema, *, required: bool) -> Argument:
        if name in _OPTIONS:
            raise ValueError(f"{rpc}: its field {name} is called as an option of every call is")
        return Argument(
            name=name, type=read_type(schema, self._schemas), text=schema.get("description", ""), required=required
        )

    def _answer(self, rpc: str, operation: Schema) -> tuple[Type | None, str]:
        """What is answered, and the name of its list where it is answered in pages."""
        content = operation["responses"]["200"]["content"].get("application/json")
        if content is None:
            raise ValueError(f"{rpc} does not answer with JSON; write its method by hand and name it under by_hand")
        name = reference(content["schema"])
        if name is None:
            return None, ""
        properties = self._schemas[name]["properties"]
        if _NEXT_TOKEN not in properties:
            return Type(kind=Kind.MESSAGE, name=name), ""
        lists = {each: read_type(schema, self._schemas) for each, schema in properties.items()}
        items = [each for each, of in lists.items() if of.kind is Kind.LIST and of.item and of.item.name]
        if len(items) != 1:
            raise ValueError(f"{rpc} is answered in pages with {len(items)} lists of messages and not with one")
        return lists[items[0]].item, items[0]

    def _refusals(self, operation: Schema) -> Iterator[str]:
        """The reasons that the operation's answers name."""
        for answer in operation["responses"].values():
            if (target := answer.get("$ref")) is not None:
                yield from reasons_in(self._document["components"]["responses"][target.rpartition("/")[2]])
            else:
                yield from reasons_in(answer)

    def _frequent_refusals(self) -> set[str]:
        """The reasons that so many calls may be refused for that it need not be said of each."""
        counted = Counter(
            reason for _, _, operation in self._operations.values() for reason in set(self._refusals(operation))
        )
        return {reason for reason, count in counted.items() if count > len(self._operations) * _FREQUENT}

    def _used(self, nouns: Iterable[Noun]) -> list[str]:
        """The schemas that arguments, answers and events are made of, by name."""
        found: set[str] = set()
        pending = {name for noun in nouns for each in noun.methods for name in _schemas_of(each)}
        pending |= {name for rpc in self._by_hand(nouns) for name in self._schemas_by_hand(rpc)}
        pending |= {name for name in references(self._document["webhooks"]) if name in self._schemas}
        pending |= {name for _, _, operation in self._operations.values() for name in told_of_operations(operation)}
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                fields = self._schemas[name].get("properties", {}).values()
                pending |= {each for schema in fields for each in read_type(schema, self._schemas).schemas}
        return sorted(found)

    @staticmethod
    def _by_hand(nouns: Iterable[Noun]) -> Iterator[str]:
        for noun in nouns:
            yield from (call.rpc for call in noun.by_hand.values())

    def _schemas_by_hand(self, rpc: str) -> Iterator[str]:
        """What a call that a method written by hand makes is made of."""
        _, _, operation = self._operations[rpc]
        for argument in self._arguments(rpc, operation):
            yield from argument.type.schemas
        content = operation["responses"]["200"]["content"].get("application/json", {"schema": {}})
        if (name := reference(content["schema"])) is not None:
            yield name

    def _model(self, name: str) -> Model:
        schema = self._schemas[name]
        fields = [
            Field(
                name=each,
                type=read_type(of, self._schemas),
                text=of.get("description", ""),
                optional=f"{name}.{each}" in self._optional,
                secret=f"{name}.{each}" in self._names["secrets"],
            )
            for each, of in schema["properties"].items()
            if not of.get("deprecated")
        ]
        return Model(schema=name, text=schema.get("description", ""), fields=fields)

    def _choice(self, name: str) -> Choice:
        schema = self._schemas[name]
        return Choice(schema=name, text=schema.get("description", ""), values=schema["enum"])


def _reason(entry: Mapping[str, Any]) -> Reason:
    of_calls = bool(entry["http_status"])
    return Reason(
        name=entry["name"],
        text=" ".join(entry["meaning"]),
        of_calls=of_calls,
        of_jobs=not of_calls or any(_OF_JOBS_TOO in paragraph for paragraph in entry["meaning"]),
    )


def _schemas_of(method: Method) -> set[str]:
    answer = method.answer.schemas if method.answer else set[str]()
    return answer.union(*(argument.type.schemas for argument in method.arguments))
