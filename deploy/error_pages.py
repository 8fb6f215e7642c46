"""What follows from the reasons of errors: the page `docs/errors.md`, and what the site's pages are made of.

`make proto` writes both anew (`python -m deploy.error_pages`), `make proto-check` compares.
"""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from google.rpc import error_details_pb2
from penstock.errors.v1.errors_pb2 import ErrorReason
from penstock.jobs.v1 import jobs_pb2

from deploy.local.layout import ROOT
from deploy.openapi.contract import Contract
from deploy.openapi.errors import statuses
from shared.rpc.status import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

PAGE = ROOT / "docs" / "errors.md"
DATA = ROOT / "gateway" / "site" / "errors.json"
_ENUM = "penstock.errors.v1.ErrorReason"
#: Never sent.
_UNSPECIFIED = "ERROR_REASON_UNSPECIFIED"
_ADVICE = re.compile(r"Retry: (?P<retry>yes|no)(?:, (?P<how>[^.]+))?\. Mended by: (?P<by>[^.]+)\.")
_TO_DO = "What to do: "
#: A line that is set in, beyond the space behind the slashes.
_SET_IN = "     "
_WIDTH = 120
_OTHER_PAGE = re.compile(r"`docs/([a-z]+\.md)`")
_CODE = re.compile(r"`[^`]*`")
_HARD_SPACE = "\N{NO-BREAK SPACE}"
_HEAD = """# Errors

Every error has one shape, `{"error": {"code", "status", "message", "details"}}`, whether a service, the gateway or the
site has made it. Branch on the `reason` of its `google.rpc.ErrorInfo`, which is stable, and never on the message, which
is for people. `google.rpc.BadRequest` names wrong fields by their paths, `google.rpc.RetryInfo` and the header
`Retry-After` say when to try again, and `google.rpc.Help` links to the reason's part of this page, as the gateway
serves it (`/docs/errors/<REASON>`). A job that has come to nothing has the reason in its `error`.

| reason | HTTP | gRPC | try again |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What there is to say of a reason."""

    name: str
    #: In paragraphs.
    meaning: Sequence[str]
    #: The ErrorInfo it comes with; of one that jobs alone have, the job's `error`.
    example: Mapping[str, Any]
    retry: bool
    #: When and how to try again, or what has to come first; empty where that is all.
    how: str
    mended_by: str
    #: Each is a `text`, a paragraph, or a `command`.
    what_to_do: Sequence[Mapping[str, str]]
    #: What a call is answered with: gRPC's status and HTTP's; empty and 0 for one that jobs alone have.
    status: str
    http_status: int

    @property
    def of_jobs(self) -> bool:
        """Whether jobs alone have it, and no call is answered with it."""
        return not self.http_status


def read_reasons(contract: Contract) -> list[Reason]:
    """Every reason but the one that is never sent, by name.

    Args:
        contract: The protos.

    Raises:
        ValueError: What is said of a reason is not in the one form.
    """
    return [read_reason(name, contract.raw_comment(f"{_ENUM}.{name}")) for name in names()]


def names() -> list[str]:
    """The reasons in their order."""
    return sorted(name for name in ErrorReason.keys() if name != _UNSPECIFIED)  # noqa: SIM118  an enum's wrapper is no mapping


def read_reason(name: str, comment: str) -> Reason:
    """Reads what is said of a reason.

    Args:
        name: Of the enum's value.
        comment: As it stands before it.

    Raises:
        ValueError: It is not in the one form.
    """
    blocks = list(_blocks(comment))
    places = [place for place, (command, _) in enumerate(blocks) if command]
    example_at = places[0] if places else len(blocks)
    advice = _ADVICE.fullmatch(blocks[example_at + 1][1]) if len(blocks) > example_at + 1 else None
    what_to_do = blocks[example_at + 2 :]
    if not example_at or advice is None or not what_to_do or not what_to_do[0][1].startswith(_TO_DO):
        raise ValueError(
            f"{name}: its comment takes its meaning, an example that is set in, a paragraph "
            f"'Retry: yes|no[, how]. Mended by: whom.', and one that begins with {_TO_DO!r}"
        )
    status = statuses().get(name)
    return Reason(
        name=name,
        meaning=[text for _, text in blocks[:example_at]],
        example=_example(name, blocks[example_at][1], of_jobs=status is None),
        retry=advice["retry"] == "yes",
        how=advice["how"] or "",
        mended_by=advice["by"],
        what_to_do=[{"command" if command else "text": text.removeprefix(_TO_DO)} for command, text in what_to_do],
        status=status.name if status is not None else "",
        http_status=status.code if status is not None else 0,
    )


def outputs() -> Iterator[tuple[Path, str]]:
    """Every file that follows, with what it is to say."""
    reasons = read_reasons(Contract.read())
    yield DATA, json.dumps([asdict(reason) for reason in reasons], indent=1, ensure_ascii=False) + "\n"
    yield PAGE, _page(reasons)


def _blocks(comment: str) -> Iterator[tuple[bool, str]]:
    """The paragraphs and what is set in, in their order; whether it is set in, and its text."""
    for block in filter(str.strip, re.split(r"\n\s*\n", comment)):
        if block.startswith(_SET_IN):
            yield True, textwrap.dedent(block).strip()
        else:
            yield False, " ".join(block.split())


def _example(name: str, text: str, *, of_jobs: bool) -> dict[str, Any]:
    """An example, which its message takes and which is of this reason."""
    try:
        example = json.loads(text)
        message = json_format.ParseDict(example, jobs_pb2.JobError() if of_jobs else error_details_pb2.ErrorInfo())
    except (ValueError, json_format.ParseError) as error:
        raise ValueError(f"{name}: its example is no {'JobError' if of_jobs else 'ErrorInfo'}: {error}") from error
    if message.reason != name or (not of_jobs and example.get("domain") != DOMAIN):
        raise ValueError(f"{name}: its example is of another reason or domain: {text}")
    return example


def _page(reasons: Sequence[Reason]) -> str:
    rows = "".join(
        f"| [`{reason.name}`](#{reason.name.lower()}) | {reason.http_status or 'a job'} | {reason.status or 'a job'} "
        f"| {'yes' if reason.retry else 'no'} |\n"
        for reason in reasons
    )
    return _HEAD + rows + "".join(_section(reason) for reason in reasons)


def _section(reason: Reason) -> str:
    answered = (
        f"HTTP {reason.http_status}, gRPC `{reason.status}`" if reason.http_status else "In a job's `error` alone"
    )
    again = f"Try again: {'yes' if reason.retry else 'no'}{f', {reason.how}' if reason.how else ''}"
    parts = [
        f"## {reason.name}",
        *(_wrapped(text) for text in reason.meaning),
        _wrapped(f"{answered}. {again}. Mended by: {reason.mended_by}."),
        f"```json\n{json.dumps(reason.example, ensure_ascii=False)}\n```",
    ]
    parts += [
        _wrapped(block["text"]) if "text" in block else f"```\n{_continued(block['command'])}\n```"
        for block in reason.what_to_do
    ]
    return "\n" + "\n\n".join(parts) + "\n"


def _wrapped(text: str) -> str:
    """A paragraph in lines, none of which ends within code, with links to other pages."""
    linked = _CODE.sub(lambda code: code[0].replace(" ", _HARD_SPACE), _OTHER_PAGE.sub(r"[\1](\1)", text))
    return textwrap.fill(linked, _WIDTH, break_long_words=False, break_on_hyphens=False).replace(_HARD_SPACE, " ")


def _continued(command: str) -> str:
    """A command in lines."""
    return command.replace(" -H 'Content-Type", " \\\n  -H 'Content-Type")


def main() -> None:
    """Writes every file anew."""
    for path, text in outputs():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
