"""What is typed is understood, or told of by where it is wrong; what is printed fits."""

from __future__ import annotations

import itertools
import shlex
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click
import pytest
from penstock_sdk.command import main, tables
from penstock_sdk.command.moments import DURATION, TIME, duration
from penstock_sdk.command.params import JsonObject, Param, merged
from penstock_sdk.command.tables import Column, Table, fields

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sdks.python.tests.command.conftest import Shell


def every_command(
    group: click.Group = main, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("url=https://example.com/?a=1&b:=2", ("url", "https://example.com/?a=1&b:=2")),
        ("timeoutS:=5", ("timeoutS", 5)),
        ('headers:={"Accept": "a=b"}', ("headers", {"Accept": "a=b"})),
        ("empty=", ("empty", "")),
    ],
)
def test_a_param_is_text_or_said_to_be_json(text: str, pair: tuple[str, object]) -> None:
    assert Param().convert(text, None, None) == pair


@pytest.mark.parametrize(
    ("text", "told"), [("url", "give key=text"), ("=x", "give key=text"), ("n:=abc", "give n=… for plain text")]
)
def test_a_param_that_is_none_is_told_of_with_the_way_out(text: str, told: str) -> None:
    with pytest.raises(click.BadParameter, match=told):
        Param().convert(text, None, None)


def test_params_come_from_a_file_and_single_ones_count_first(tmp_path: Path) -> None:
    file = tmp_path / "params.json"
    file.write_text('{"url": "https://a.example/", "timeoutS": 5}')
    whole = JsonObject().convert(f"@{file}", None, None)
    assert merged(whole, [("url", "https://b.example/")]) == {"url": "https://b.example/", "timeoutS": 5}
    assert merged(None, []) is None
    with pytest.raises(click.UsageError, match="-p a is given twice"):
        merged(None, [("a", 1), ("a", 2)])


@pytest.mark.parametrize(
    ("text", "told"), [("[1]", "is a list; give an object"), ("{", "is no JSON"), ("@none.json", "No such file")]
)
def test_params_that_are_no_object_are_refused(text: str, told: str) -> None:
    with pytest.raises(click.BadParameter, match=told):
        JsonObject().convert(text, None, None)


def test_durations_and_times_are_read_as_people_write_them() -> None:
    assert [duration(text) for text in ("90", "1h30m", "250ms", "2 h", "")] == [
        timedelta(seconds=90), timedelta(minutes=90), timedelta(milliseconds=250), None, None,
    ]  # fmt: skip
    assert TIME.convert("2026-12-31T18:00:00+01:00", None, None) == datetime(2026, 12, 31, 17, tzinfo=UTC)
    away = TIME.convert("-2h", None, None) - datetime.now(UTC)
    assert timedelta(hours=-2, seconds=-5) < away <= timedelta(hours=-2, seconds=5)
    for kind in (DURATION, TIME):
        with pytest.raises(click.BadParameter, match="'soon' is no"):
            kind.convert("soon", None, None)


def test_a_table_fits_the_terminal_and_cuts_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    table = Table(
        (Column("ID", "id"), Column("WHAT", "deep.what", shrinks=True), Column("N", lambda thing: thing["n"]))
    )
    lines = [click.unstyle(line) for line in table.lines([{"id": "x" * 20, "deep": {"what": "y" * 60}, "n": 7}])]
    assert lines == [f"{'ID':20}  {'WHAT':15}  N", f"{'x' * 20}  {'y' * 14}…  7"]


def test_a_thing_is_shown_field_by_field_without_what_would_steer_the_terminal() -> None:
    thing = {
        "id": "a",
        "at": "2026-11-27T08:00:00.123Z",
        "error": {"message": "\x1b[2Jgone"},
        "tries": [{"n": 1}],
        "on": True,
    }
    assert [click.unstyle(line).split(None, 1) for line in fields(thing)] == [
        ["id", "a"], ["at", "2026-11-27T08:00:00Z"], ["error.message", "[2Jgone"], ["tries[0].n", "1"], ["on", "yes"],
    ]  # fmt: skip


def test_every_command_teaches_by_examples_that_are_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("search.json", "photo.jpg", "report.bin", "a.bin", "jobs.ndjson"):
        (tmp_path / name).write_text("{}")
    for path, command in every_command():
        assert command.help, path
        examples = command.examples
        assert examples, path
        assert any(line.startswith(("penstock", "pass", "jq")) for line in examples), path
        for words in (words for line in examples for words in commands_of(line)):
            if words[0] == "penstock":
                parse(words[1:])


def commands_of(line: str) -> Iterator[list[str]]:
    """The commands of a pipe, without what they read from and write to."""
    reader = shlex.shlex(line, posix=True, punctuation_chars="|<>")
    for piped, words in itertools.groupby(reader, key="|".__eq__):
        if not piped:
            yield [*itertools.takewhile(lambda word: word not in "<>", words)]


def parse(words: list[str]) -> None:
    """Reads a line up to the command that it names, as click does, and runs nothing."""
    context, command = click.Context(main, info_name="penstock", obj=None, resilient_parsing=True), main
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(context, words)
        context = click.Context(command, info_name=name, parent=context, resilient_parsing=True)
    parser_of = command.make_parser(context)
    parser_of.parse_args(list(words))


def test_help_tells_the_exit_codes_and_a_verb_that_is_none_names_the_others(shell: Shell) -> None:
    told = shell("--help").output
    assert "Exit codes" in told
    assert "130" in told
    assert "there are batches" not in told
    assert "'submt' is no command of penstock jobs; there are cancel," in shell("jobs", "submt", code=2).output
