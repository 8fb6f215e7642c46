"""The code that is generated in TypeScript: models, calls, reasons, and a class for each noun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.sdks import naming, prose
from deploy.sdks.types import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from deploy.sdks.surface import Argument, Call, Method, Noun, Reason, Surface
    from deploy.sdks.types import Type

#: What every generated file says of itself.
MADE = "// Made by `make sdks` of the API's document; do not edit.\n"
_SCALARS = {
    Kind.INT64: "string | number",
    Kind.TIME: "string | Date",
    Kind.INT32: "number",
    Kind.NUMBER: "number",
    Kind.BOOLEAN: "boolean",
    Kind.OBJECT: "{ [name: string]: unknown }",
}


def operations(surface: Surface) -> str:
    """The module with the table of calls."""
    head = f'{MADE}\nimport type {{ Operation }} from "./operation.js";\n'
    return "\n".join([head, *(_operation(each) for each in surface.calls)])


def reasons(surface: Surface) -> str:
    """The module with an error for each reason."""
    calls = [each for each in surface.reasons if each.of_calls]
    jobs = [each for each in surface.reasons if each.of_jobs]
    parts = [f'{MADE}\nimport {{ ApiError, JobFailed }} from "./errors.js";\n']
    parts += [_error(each.call_class, "ApiError", each) for each in calls]
    parts += [_error(each.job_class, "JobFailed", each) for each in jobs]
    parts.append("/** The error of each reason that a call is refused for. */")
    parts.append(_table("API_ERRORS", "ApiError", ((each.name, each.call_class) for each in calls)))
    parts.append("/** The error of each reason that a job fails for. */")
    parts.append(_table("JOB_FAILURES", "JobFailed", ((each.name, each.job_class) for each in jobs)))
    return "\n".join(parts)


def models(surface: Surface) -> str:
    """The module with the names of models and enums."""
    schemas = sorted({each.schema for each in (*surface.models, *surface.choices)})
    return "\n".join(
        [
            f'{MADE}\nimport type {{ components }} from "./schema.js";\n',
            *(f'export type {naming.model(each)} = components["schemas"]["{each}"];' for each in schemas),
            "",
        ]
    )


def resources(surface: Surface) -> str:
    """The module with what methods are asked with, and a class for each noun."""
    texts = {each.name: each.text for each in surface.reasons}
    nouns = [each for each in surface.nouns if each.methods]
    return "\n".join(
        [
            _resources_head(nouns),
            *(_request(noun, method) for noun in nouns for method in noun.methods if _more(method)),
            *(_noun(each, texts) for each in nouns),
            _all_nouns(surface.nouns),
        ]
    )


def annotation(of: Type) -> str:
    """What the type of an argument is called."""
    match of.kind:
        case Kind.ENUM | Kind.MESSAGE:
            return naming.model(of.name)
        case Kind.LIST if of.item:
            return f"readonly {annotation(of.item)}[]"
        case Kind.MAP if of.item:
            return f"{{ [name: string]: {annotation(of.item)} }}"
        case kind:
            return _SCALARS.get(kind, "string")


def request_name(method: Method) -> str:
    """The type of what a method is asked with beside what it is given by its place; as the RPC's own."""
    return f"{method.call.rpc.partition('.')[2]}Request"


def _more(method: Method) -> Sequence[Argument]:
    return [each for each in method.arguments if not each.required]


def _operation(call: Call) -> str:
    return "\n".join(
        [
            f"/** {call.rpc} */",
            f"export const {call.constant}: Operation = {{",
            f'  name: "{call.rpc}",',
            f'  verb: "{call.verb}",',
            f'  path: "{call.path}",',
            f"  pathNames: {_names(call.path_names)},",
            f"  queryNames: {_names(call.query_names)},",
            f"  hasBody: {str(call.has_body).lower()},",
            f'  repeat: "{call.repeat}",',
            "};",
            "",
        ]
    )


def _names(names: Sequence[str]) -> str:
    quoted = [f'"{name}"' for name in names]
    line = f"[{', '.join(quoted)}]"
    if len(line) + len("  queryNames: ,") <= prose.WIDTH:
        return line
    return "[\n" + "".join(f"    {name},\n" for name in quoted) + "  ]"


def _error(name: str, base: str, reason: Reason) -> str:
    return f"{_comment([reason.text])}\nexport class {name} extends {base} {{}}\n"


def _table(name: str, base: str, rows: Iterable[tuple[str, str]]) -> str:
    entries = "".join(f"  {reason}: {error},\n" for reason, error in rows)
    return f"export const {name}: Readonly<Record<string, typeof {base}>> = {{\n{entries}}};\n"


def _request(noun: Noun, method: Method) -> str:
    lines = [
        f"/** What `{naming.lower_camel(noun.name)}.{naming.lower_camel(method.name)}` may be asked with. */",
        f"export interface {request_name(method)} {{",
    ]
    for each in _more(method):
        if each.text:
            lines.append(_comment([each.text], "  "))
        lines.append(f"  readonly {each.name}?: {annotation(each.type)} | undefined;")
    return "\n".join([*lines, "}", ""])


def _noun(noun: Noun, texts: Mapping[str, str]) -> str:
    said = [noun.text]
    if noun.extended:
        said.append(f"The base of `{naming.pascal(noun.name)}`, which has more.")
    lines = [
        _comment(said),
        f"export class {noun.class_name} {{",
        "  constructor(protected readonly calls: Calls) {}",
    ]
    for method in noun.methods:
        lines += ["", *_method(method, texts)]
    return "\n".join([*lines, "}", ""])


def _method(method: Method, texts: Mapping[str, str]) -> Iterator[str]:
    placed = [each for each in method.arguments if each.required]
    options = "KeyedCallOptions" if method.call.keyed else "CallOptions"
    asked = f"{request_name(method)} & {options}" if _more(method) else options
    parameters = [f"{each.name}: {annotation(each.type)}" for each in placed]
    answer = naming.model(method.answer.name) if method.answer else "void"
    answered = f"Pages<{answer}>" if method.items else f"Promise<{answer}>"
    yield _comment(list(_said(method, placed, texts)), "  ")
    yield from _signature(naming.lower_camel(method.name), [*parameters, f"request: {asked} = {{}}"], answered)
    fields = ", ".join(["...request", *(each.name for each in placed)])
    given = f"{{ {fields} }}" if placed else "request"
    constant = f"operations.{method.call.constant}"
    if method.items:
        yield f'    return this.calls.pages<{answer}>({constant}, "{method.items}", {given});'
    else:
        yield f"    return this.calls.call<{answer}>({constant}, {given});"
    yield "  }"


def _signature(name: str, parameters: Sequence[str], answered: str) -> Iterator[str]:
    line = f"  {name}({', '.join(parameters)}): {answered} {{"
    if len(line) <= prose.WIDTH:
        yield line
        return
    yield f"  {name}("
    yield from (f"    {each}," for each in parameters)
    yield f"  ): {answered} {{"


def _said(method: Method, placed: Sequence[Argument], texts: Mapping[str, str]) -> Iterator[str]:
    yield method.text
    tags = [f"@param {each.name} {each.text}" for each in placed]
    tags += [f"@throws {{@link {naming.pascal(each)}}} {texts[each]}" for each in method.reasons]
    if tags:
        yield "\n".join(tags)


def _comment(parts: Sequence[str], indent: str = "") -> str:
    text = "\n\n".join(parts).replace("*/", "*\\/")
    line = f"{indent}/** {text} */"
    if "\n" not in text and len(line) <= prose.WIDTH:
        return line
    lead = f"{indent} * "
    blocks = [
        "\n".join(prose.line(each, lead) for each in block.split("\n"))
        if block.startswith("@")
        else prose.plain_paragraphs(block, lead)
        for block in text.split("\n\n")
    ]
    return f"{indent}/**\n" + f"\n{lead.rstrip()}\n".join(blocks) + f"\n{indent} */"


def _all_nouns(nouns: Sequence[Noun]) -> str:
    plain = [(naming.lower_camel(each.name), each.class_name) for each in nouns if not each.extended]
    return "\n".join(
        [
            "/** What the client has by name, but for what is written by hand. */",
            "export abstract class Resources {",
            *(f"  readonly {name}: {of};" for name, of in plain),
            "",
            "  constructor(calls: Calls) {",
            *(f"    this.{name} = new {of}(calls);" for name, of in plain),
            "  }",
            "}",
            "",
        ]
    )


def _resources_head(nouns: Sequence[Noun]) -> str:
    used = {
        naming.model(name)
        for noun in nouns
        for method in noun.methods
        for of in (*(each.type for each in method.arguments), method.answer)
        if of is not None
        for name in of.schemas
    }
    return f"""{MADE}
import type {{ CallOptions, Calls, KeyedCallOptions }} from "./calls.js";
import type {{
{"".join(f"  {name},{chr(10)}" for name in sorted(used))}}} from "./models.js";
import * as operations from "./operations.js";
import type {{ Pages }} from "./pages.js";
"""
