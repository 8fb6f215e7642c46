"""Jobs are submitted, waited for and looked at; ids are piped, JSON is the API's, and the exit code tells."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sdks.python.tests.command.conftest import asked_of
from sdks.python.tests.command.fake_gateway import Refused

if TYPE_CHECKING:
    from pathlib import Path

    from sdks.python.tests.command.conftest import Shell
    from sdks.python.tests.command.fake_gateway import FakeGateway

GOOD, BAD = "https://example.com/", "https://example.com/fail"
UNKNOWN = "http-00000000-0000-0000-0000-000000000000"


def submitted(shell: Shell, url: str = GOOD) -> str:
    return shell("jobs", "submit", "http", "http.get", "-p", f"url={url}", "-q").stdout.strip()


def test_a_job_is_submitted_as_it_was_typed(shell: Shell, gateway: FakeGateway) -> None:
    done = shell(
        "jobs", "submit", "http", "http.get", "--params", "-", "-p", "timeoutS:=5", "--priority", "low",
        "-m", "order=7", "--not-before", "2026-12-31T18:00:00Z", "--json", typed='{"url": "https://example.com/"}',
    )  # fmt: skip
    assert json.loads(done.stdout)["id"] in gateway.jobs
    assert asked_of(gateway, "POST", "/jobs") == [
        {
            "upstream": "http",
            "method": "http.get",
            "params": {"url": GOOD, "timeoutS": 5},
            "priority": "LOW",
            "metadata": {"order": "7"},
            "notBefore": "2026-12-31T18:00:00Z",
        }
    ]


def test_ids_are_piped_from_one_command_to_the_next(shell: Shell) -> None:
    ids = submitted(shell) + "\n" + submitted(shell, BAD) + "\n"
    done = shell("jobs", "wait", "-", typed=ids, code=1)
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["SUCCEEDED", "FAILED"]
    assert "UPSTREAM_STATUS: the upstream has answered 500" in done.stdout
    assert shell("jobs", "list", "-q").stdout.split() == ids.split()[::-1]
    assert "nothing to do" in shell("jobs", "retry", "-", typed="").stderr


def test_what_is_not_found_keeps_no_other_from_being_done(shell: Shell) -> None:
    job_id = submitted(shell)
    done = shell("jobs", "wait", UNKNOWN, job_id, code=4)
    assert done.stdout.split() == [job_id, "SUCCEEDED"]
    assert done.stderr.splitlines() == [
        f"penstock: JOB_NOT_FOUND: there is no job {UNKNOWN}",
        "  http://penstock.test/docs/errors/JOB_NOT_FOUND",
    ]


def test_wait_ends_with_six_when_the_time_is_over(shell: Shell, gateway: FakeGateway) -> None:
    gateway.holds = lambda _: True
    job_id = submitted(shell)
    assert job_id in shell("jobs", "wait", job_id, "--timeout", "50ms", code=6).stderr


def test_run_prints_what_the_upstream_has_answered(shell: Shell, tmp_path: Path) -> None:
    done = shell("jobs", "run", "http", "http.get", "-p", f"url={GOOD}")
    assert done.stdout == GOOD
    shell("jobs", "run", "http", "http.get", "-p", f"url={GOOD}", "-o", "page")
    assert (tmp_path / "page").read_text() == GOOD
    failed = shell("jobs", "run", "http", "http.get", "-p", f"url={BAD}", code=1)
    assert "FAILED  UPSTREAM_STATUS" in failed.stderr
    assert failed.stdout == ""


def test_watch_prints_each_change(shell: Shell) -> None:
    job_id = submitted(shell)
    lines = shell("jobs", "watch", job_id).stdout.splitlines()
    assert lines == [
        "2026-11-27T08:00:00Z  QUEUED",
        "2026-11-27T08:00:00Z  RUNNING  attempt 1 of 3",
        "2026-11-27T08:00:01Z  SUCCEEDED  after 1.4 s",
    ]
    events = [json.loads(line) for line in shell("--json", "jobs", "watch", job_id).stdout.splitlines()]
    assert [event["state"] for event in events] == ["QUEUED", "RUNNING", "SUCCEEDED"]


def test_a_list_is_a_table_or_lines_of_json_and_ends_at_its_limit(shell: Shell) -> None:
    ids = [submitted(shell) for _ in range(3)]
    table = shell("jobs", "list").stdout.splitlines()
    assert table[0].split() == ["ID", "STATE", "METHOD", "CREATED", "ATTEMPT", "ERROR"]
    assert table[1].split() == [ids[2], "SUCCEEDED", "http.get", "2026-11-27T08:00:00Z", "1/3"]
    lines = shell("jobs", "list", "--json", "--limit", "2").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [ids[2], ids[1]]
    assert len(shell("jobs", "list", "--limit", "0", "-q").stdout.split()) == 3
    assert len(shell("jobs", "export").stdout.splitlines()) == 3


def test_a_wrong_field_is_named_and_is_the_callers_mistake(shell: Shell, gateway: FakeGateway) -> None:
    faults = (("params.url", "is no URL"), ("retry.maxAttempts", "is below 1"))
    gateway.answers["POST", "/jobs"] = Refused(400, "INVALID_ARGUMENT", "params.url: is no URL", *faults)
    done = shell("jobs", "submit", "http", "http.get", code=2)
    assert "INVALID_ARGUMENT: params.url: is no URL; retry.maxAttempts: is below 1" in done.stderr
    gateway.answers["POST", "/jobs"] = Refused(400, "CONNECTION_NEEDS_REAUTH", "authorize it anew")
    shell("jobs", "submit", "http", "http.get", code=1)


def test_no_key_a_wrong_one_and_no_answer_have_exit_codes_of_their_own(shell: Shell, nobody: Shell) -> None:
    job = ("jobs", "get", UNKNOWN)
    assert "penstock login" in nobody(*job, code=3).stderr
    wrong = shell(*job, code=3, PENSTOCK_API_KEY="psk_live_another000000").stderr
    assert "UNAUTHENTICATED" in wrong
    assert "psk_live_another" not in wrong
    nothing = shell(*job, "--retry-for", "0s", code=5, PENSTOCK_URL="http://127.0.0.1:9")
    assert "127.0.0.1:9" in nothing.stderr


def test_explain_says_what_holds_a_job_back(shell: Shell, gateway: FakeGateway) -> None:
    gateway.answers["GET", f"/jobs/{UNKNOWN}:explain"] = {
        "jobId": UNKNOWN, "state": "QUEUED", "summary": "its lane is paused",
        "holds": [{"kind": "PAUSED", "message": "its owner asks us to wait"}],
        "place": {"lane": "api.example.com", "aheadInLane": "3"}, "estimatedStartAt": "2026-11-27T09:00:00Z",
    }  # fmt: skip
    assert shell("jobs", "explain", UNKNOWN).stdout.splitlines() == [
        f"{UNKNOWN}  QUEUED  its lane is paused",
        "  PAUSED: its owner asks us to wait",
        "  3 ahead of it in its lane api.example.com",
        "  may start at 2026-11-27T09:00:00Z",
    ]
