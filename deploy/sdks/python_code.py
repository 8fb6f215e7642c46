"""The code that is generated in Python beside the models: calls, reasons, and a class for each noun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.sdks import naming, prose
from deploy.sdks.python_models import MADE, annotation, docstring
from deploy.sdks.types import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deploy.sdks.surface import Argument, Call, Method, Noun, Reason, Surface
    from deploy.sdks.types import Type

_TIMEOUT = "How long one try may take, in seconds; unless given, the client's own."
_KEY = "Done once under this key, however often it is sent; unless given, one is made that holds over all tries."


def operations(surface: Surface) -> str:
    """The module with the table of calls."""
    return "\n".join([_OPERATIONS_HEAD, *(_operation(each) for each in surface.calls)])


def reasons(surface: Surface) -> str:
    """The module with an error for each reason."""
    parts = [_REASONS_HEAD]
    calls = [each for each in surface.reasons if each.of_calls]
    jobs = [each for each in surface.reasons if each.of_jobs]
    parts += [_error(each.call_class, "ApiError", each) for each in calls]
    parts += [_error(each.job_class, "JobFailed", each) for each in jobs]
    parts.append("#: The error of each reason that a call is refused for.")
    parts.append(_table("API_ERRORS", "ApiError", ((each.name, each.call_class) for each in calls)))
    parts.append("#: The error of each reason that a job fails for.")
    parts.append(_table("JOB_FAILURES", "JobFailed", ((each.name, each.job_class) for each in jobs)))
    return "\n".join(parts)


def resources(surface: Surface) -> str:
    """The module with a class for each noun, and one that has them all."""
    texts = {each.name: each.text for each in surface.reasons}
    nouns = [each for each in surface.nouns if each.methods]
    return "\n".join([_resources_head(surface), *(_noun(each, texts) for each in nouns), _all_nouns(surface)])


def _asked(of: Type) -> str:
    """The same of an argument: a message may be given as JSON has it."""
    match of.kind:
        case Kind.INT64:
            return "int"
        case Kind.MESSAGE:
            return f"{naming.model(of.name)} | Mapping[str, Any]"
        case Kind.LIST if of.item:
            return f"Sequence[{_asked(of.item)}]"
        case _:
            return annotation(of)


def _operation(call: Call) -> str:
    return "\n".join(
        [
            f"{call.constant} = Operation(",
            f'    name="{call.rpc}",',
            f'    verb="{call.verb}",',
            f'    path="{call.path}",',
            f"    path_names={_names(call.path_names)},",
            f"    query_names={_names(call.query_names)},",
            f"    has_body={call.has_body},",
            f"    repeat=Repeat.{call.repeat},",
            ")",
        ]
    )


def _names(names: Iterable[str]) -> str:
    quoted = "".join(f'"{name}", ' for name in names)
    return f"({quoted.rstrip() if quoted.count(',') == 1 else quoted.rstrip(', ')})"


def _error(name: str, base: str, reason: Reason) -> str:
    return f"\nclass {name}({base}):\n{docstring(reason.text, '    ')}\n"


def _table(name: str, base: str, rows: Iterable[tuple[str, str]]) -> str:
    entries = "".join(f'    "{reason}": {error},\n' for reason, error in rows)
    return f"{name}: Mapping[str, type[{base}]] = MappingProxyType({{\n{entries}}})\n"


def _noun(noun: Noun, texts: dict[str, str]) -> str:
    beyond = f"\n\nThe base of `Async{naming.pascal(noun.name)}`, which has more." if noun.extended else ""
    lines = [
        "",
        f"class Async{noun.class_name}:",
        docstring(noun.text + beyond, "    "),
        "",
        "    def __init__(self, calls: AsyncCalls) -> None:",
        "        self._calls = calls",
    ]
    for method in noun.methods:
        lines += ["", *_method(method, texts)]
    return "\n".join([*lines, ""])


def _method(method: Method, texts: dict[str, str]) -> Iterator[str]:
    call = method.call
    yield f"    {'' if method.items else 'async '}def {method.name}("
    yield "        self,"
    yield from (f"        {_parameter(each)}," for each in method.arguments if each.required)
    yield "        *,"
    yield from (f"        {_parameter(each)}," for each in method.arguments if not each.required)
    if call.keyed:
        yield "        idempotency_key: str | None = None,"
    yield "        timeout_s: float | None = None,"
    yield f"    ) -> {_answered(method)}:"
    yield _method_docstring(method, texts)
    fields = ", ".join(f'"{each.name}": {naming.snake(each.name)}' for each in method.arguments)
    key = "idempotency_key=idempotency_key, " if call.keyed else ""
    options = f"CallOptions({key}timeout_s=timeout_s)"
    if method.items:
        yield f"        return self._calls.pages(operations.{call.constant}, {{{fields}}}, {_item(method)},"
        yield f'            items="{method.items}", options={options})'
    else:
        answer = _item(method) if method.answer else "type(None)"
        returned = "return " if method.answer else ""
        yield f"        {returned}await self._calls.call("
        yield f"            operations.{call.constant}, {{{fields}}}, {answer}, {options})"


def _parameter(argument: Argument) -> str:
    of = f"{naming.snake(argument.name)}: {_asked(argument.type)}"
    return of if argument.required else f"{of} | None = None"


def _item(method: Method) -> str:
    return naming.model(method.answer.name) if method.answer else "None"


def _answered(method: Method) -> str:
    return f"AsyncPages[{_item(method)}]" if method.items else _item(method)


def _method_docstring(method: Method, texts: dict[str, str]) -> str:
    indent, inner = " " * 8, " " * 12
    lines = [prose.paragraphs(f'"""{method.text}', indent), "", f"{indent}Args:"]
    lines += [prose.entry(naming.snake(each.name), each.text, inner) for each in method.arguments]
    if method.call.keyed:
        lines.append(prose.entry("idempotency_key", _KEY, inner))
    lines.append(prose.entry("timeout_s", _TIMEOUT, inner))
    if method.reasons:
        lines += ["", f"{indent}Raises:"]
        lines += [prose.entry(naming.pascal(each), texts[each], inner) for each in method.reasons]
    return "\n".join([*lines, f'{indent}"""'])


def _all_nouns(surface: Surface) -> str:
    plain = [each for each in surface.nouns if not each.extended]
    lines = [
        "",
        "class AsyncResources:",
        '    """What the client has by name, but for what is written by hand."""',
        "",
        "    def __init__(self, calls: AsyncCalls) -> None:",
    ]
    lines += [f"        self.{each.name} = Async{each.class_name}(calls)" for each in plain]
    return "\n".join([*lines, ""])


def _resources_head(surface: Surface) -> str:
    used = {
        name
        for noun in surface.nouns
        for method in noun.methods
        for of in (*(each.type for each in method.arguments), method.answer)
        if of is not None
        for name in of.schemas
    }
    answered = {method.answer.name for noun in surface.nouns for method in noun.methods if method.answer}
    # Ruff puts the imports of one module together.
    for_types = "\n".join(_import(name, "    ") for name in sorted(used - answered))
    at_runtime = "\n".join(_import(name) for name in sorted(answered))
    return f'''"""A class for each noun of the API, with a method for each of its calls.

{MADE}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock_sdk import operations
{at_runtime}
from penstock_sdk.operation import CallOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from penstock_sdk._async.calls import AsyncCalls
    from penstock_sdk._async.pages import AsyncPages
{for_types}
'''


def _import(schema: str, indent: str = "") -> str:
    return f"{indent}from penstock_sdk.models import {naming.model(schema)}"


_OPERATIONS_HEAD = f'''"""Every call of the API: where it goes, and how it may be repeated.

{MADE}
"""

from __future__ import annotations

from penstock_sdk.operation import Operation, Repeat
'''

_REASONS_HEAD = f'''"""An error for each reason that a call is refused for or a job fails for.

{MADE}
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from penstock_sdk.errors import ApiError, JobFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

'''
