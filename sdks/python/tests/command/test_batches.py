"""A file of any length is done once, however often it is begun again, and whatever stands in its lines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sdks.python.tests.command.conftest import Shell
    from sdks.python.tests.command.fake_gateway import FakeGateway


def urls(count: int, begin: int = 0) -> list[str]:
    return [f"https://example.com/{number}" for number in range(begin, begin + count)]


def lines_of(wanted: Sequence[str]) -> str:
    return "".join(
        json.dumps({"upstream": "http", "method": "http.get", "params": {"url": url}}) + "\n" for url in wanted
    )


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def results(path: Path) -> dict[int, Any]:
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({entry["line"] for entry in entries}) == len(entries), "a line is there twice"
    return {entry["line"]: entry for entry in entries}


def test_every_line_is_done_once_and_faulty_ones_are_named(shell: Shell, gateway: FakeGateway, tmp_path: Path) -> None:
    good = lines_of(urls(120)).splitlines()
    good[4:4] = ["{", "", "[1]"]
    good.append(lines_of(["wrong"]).strip())
    good.append(lines_of(["https://example.com/fail"]).strip())
    (tmp_path / "jobs.ndjson").write_text("\n".join(good) + "\n")
    done = shell("batches", "run", "jobs.ndjson", "-o", "results.ndjson", code=1)
    assert "line 5: it is no JSON" in done.stderr
    assert "line 7: it is no object" in done.stderr
    assert "line 124: params.url: is no URL" in done.stderr
    assert (
        done.stderr.splitlines()[-1]
        == "124 of 124 ended: 1 failed, 3 refused, 120 succeeded; results in results.ndjson"
    )
    found = results(tmp_path / "results.ndjson")
    assert sorted(found) == [number for number in range(1, 126) if number != 6]
    assert found[5]["error"]["reason"] == "INVALID_ARGUMENT"
    assert found[1]["job"]["result"]["inline"]["text"] == "https://example.com/0"
    assert found[125]["job"]["state"] == "FAILED"
    assert set(gateway.made.values()) == {1}

    good[4], good[6], good[-2] = (lines_of([f"https://example.com/mended/{number}"]).strip() for number in range(3))
    (tmp_path / "jobs.ndjson").write_text("\n".join(good) + "\n")
    again = shell("batches", "run", "jobs.ndjson", "-o", "results.ndjson", code=1)
    assert "going on: 121 of 124 ended" in again.stderr
    assert {entry["job"]["state"] for entry in results(tmp_path / "results.ndjson").values()} == {"SUCCEEDED", "FAILED"}
    assert set(gateway.made.values()) == {1}
    assert gateway.made.total() == 124


def test_what_is_killed_goes_on_where_it_was(shell: Shell, gateway: FakeGateway, tmp_path: Path) -> None:
    (tmp_path / "jobs.ndjson").write_text(lines_of(urls(350)))
    gateway.holds = lambda request: int(request["params"]["url"].rpartition("/")[2]) >= 30
    output = tmp_path / "results.ndjson"
    command = (sys.executable, "-m", "penstock_sdk.command", "batches", "run", "jobs.ndjson", "-o", output.name)
    environment = {**os.environ, **{name: text for name, text in shell.environment.items() if text}}
    killed = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
    journal = tmp_path / "results.ndjson.journal"
    gateway.wait_for(lambda: lines_in(output) >= 30 and (lines_in(journal) == 9))
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    with output.open("a") as file:
        file.write('{"line": 31, "jo')  # what a kill may leave
    gateway.by_key.clear()  # a day later no key holds any more
    gateway.release()
    done = shell("batches", "run", "jobs.ndjson", "-o", "results.ndjson")
    assert "going on: 30 of 350 ended: 30 succeeded" in done.stderr
    assert sorted(results(output)) == [*range(1, 351)]
    assert set(gateway.made.values()) == {1}
    assert gateway.made.total() == 350
    asked = len(gateway.asked)
    assert "350 of 350 ended" in shell("batches", "run", "jobs.ndjson", "-o", "results.ndjson").stderr
    assert len(gateway.asked) == asked


def test_what_may_have_been_made_a_day_ago_is_not_made_again(
    shell: Shell, gateway: FakeGateway, tmp_path: Path
) -> None:
    (tmp_path / "jobs.ndjson").write_text(lines_of(urls(3)))
    shell("batches", "run", "jobs.ndjson", "-o", "results.ndjson")
    journal = tmp_path / "results.ndjson.journal"
    head, sent, _ = journal.read_text().splitlines()
    entry = json.loads(sent)
    (tmp_path / "results.ndjson").unlink()
    journal.write_text(
        f"{head}\n{json.dumps({**entry, 'sent': entry['sent'] - 86400})}\n"
    )  # killed before the answer came
    told = shell("batches", "run", "jobs.ndjson", "-o", "results.ndjson", code=1).stderr
    assert "line 1 and those after it were submitted at" in told
    assert "take the line with" in told
    journal.write_text(f"{head}\n{sent}\n")
    shell("batches", "run", "jobs.ndjson", "-o", "results.ndjson")
    assert gateway.made.total() == 3


def test_another_file_does_not_go_on_with_these_results(shell: Shell, gateway: FakeGateway, tmp_path: Path) -> None:
    file = tmp_path / "jobs.ndjson"
    file.write_text(lines_of(urls(3)))
    shell("batches", "run", "jobs.ndjson", "-o", "results.ndjson")
    file.write_text(lines_of(urls(4)))
    assert "another --output" in shell("batches", "run", "jobs.ndjson", "-o", "results.ndjson", code=2).stderr
    file.write_text(lines_of(["https://example.com/else", *urls(2, 1)]))
    told = shell("batches", "run", "jobs.ndjson", "-o", "results.ndjson", code=2).stderr
    assert "line 1 was accepted as something else" in told
    (tmp_path / "notes.txt").write_text("mine\n")
    shell("batches", "run", "jobs.ndjson", "-o", "notes.txt", code=2)
    assert (tmp_path / "notes.txt").read_text() == "mine\n"
    assert gateway.made.total() == 3


def test_lines_come_from_the_standard_input_and_go_to_the_standard_output(shell: Shell, gateway: FakeGateway) -> None:
    done = shell("batches", "run", "-", typed=lines_of(urls(2)))
    assert [json.loads(line)["line"] for line in done.stdout.splitlines()] == [1, 2]
    shell("batches", "run", "-", typed=lines_of(urls(2)))
    assert gateway.made.total() == 2
    shell("batches", "run", "-", "--name", "anew", typed=lines_of(urls(2)))
    assert gateway.made.total() == 4


def test_a_batch_is_submitted_whole_shown_and_canceled(shell: Shell, gateway: FakeGateway) -> None:
    batch_id = shell("batches", "submit", "-", "-q", typed=lines_of(urls(2))).stdout.strip()
    told = shell("batches", "get", batch_id).stdout.splitlines()
    assert told[0] == f"{batch_id}  2 jobs: 2 succeeded"
    assert [line.split()[1] for line in told[2:]] == ["SUCCEEDED", "SUCCEEDED"]
    assert "101 lines have a job" in shell("batches", "submit", "-", typed=lines_of(urls(101)), code=2).stderr
    assert "line 1: it is no JSON" in shell("batches", "submit", "-", typed="{\n", code=2).stderr
