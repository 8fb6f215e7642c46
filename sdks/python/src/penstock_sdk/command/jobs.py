"""`penstock jobs`: submit calls, and see what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penstock_sdk import Job, PenstockError
from penstock_sdk.command import history
from penstock_sdk.command.exits import ExitCode, Failed, code_of, failure
from penstock_sdk.command.grammar import Noun
from penstock_sdk.command.ids import id_argument, ids_argument, ids_option
from penstock_sdk.command.moments import DURATION, lasted
from penstock_sdk.command.output import note
from penstock_sdk.command.session import Session, pass_session
from penstock_sdk.command.submissions import standing, submission, submit_options
from penstock_sdk.command.tables import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta

_TIMEOUT = click.option(
    "--timeout", type=DURATION, metavar="DURATION", help="How long to wait: 30s, 5m; else until it has ended."
)
_FORCE = click.option("--force", is_flag=True, help="Break off its call too, if it runs; it may have taken effect.")


@click.group(
    cls=Noun,
    examples=(
        "penstock jobs submit http http.get -p url=https://example.com/",
        "penstock jobs wait http-0198c6f2-6d3c-7abc-8def-0123456789ab",
        "penstock jobs list --state FAILED",
    ),
)
def jobs() -> None:
    """Calls to upstreams: submit, wait, look, cancel, try again."""


@jobs.command(
    examples=(
        "penstock jobs submit http http.get -p url=https://example.com/ -p timeoutS:=5",
        "penstock jobs submit flickr flickr.photos.search --connection con_0198c6f2 --params @search.json",
        "penstock jobs submit http http.post --params - --priority LOW --idempotency-key order-7 < post.json",
        "penstock jobs submit http http.get -p url=https://example.com/ -q | penstock jobs wait -",
    )
)
@click.argument("upstream")
@click.argument("method")
@submit_options
@ids_option
@pass_session
def submit(session: Session, upstream: str, method: str, *, ids: bool, **given: Any) -> None:
    """Submit a job, and do not wait for it.

    However often the answer is lost on its way, the job is made once. `penstock upstreams get UPSTREAM` has the methods
    and their params.
    """
    job = session.penstock.jobs.submit(upstream, method, **submission(given))
    session.output.one(job, said=job.id if ids else standing(job))


@jobs.command(
    examples=(
        "penstock jobs run http http.get -p url=https://example.com/ > page.html",
        "penstock jobs run http http.get -p url=https://example.com/ --timeout 30s --json",
    )
)
@click.argument("upstream")
@click.argument("method")
@submit_options
@_TIMEOUT
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Where the result goes.")
@pass_session
def run(
    session: Session, upstream: str, method: str, *, timeout: timedelta | None, output: str | None, **given: Any
) -> None:
    """Submit a job, wait for its end, and print what the upstream has answered.

    The result goes to the standard output as it is. With --json it is the job that is printed. Ctrl-C leaves the job as
    it is: `penstock jobs wait` takes it up again.
    """
    job = session.penstock.jobs.submit(upstream, method, **submission(given))
    note(f"submitted {job.id}")
    job = session.penstock.jobs.wait(job.id, timeout_s=_seconds(timeout))
    if session.as_json:
        session.output.one(job)
    if job.state != "SUCCEEDED":
        raise Failed(standing(job), hint=f"penstock jobs get {job.id}")
    if output or not session.as_json:
        history.write_result(session, job.id, output)


@jobs.command(
    examples=(
        "penstock jobs get http-0198c6f2-6d3c-7abc-8def-0123456789ab",
        "penstock jobs get http-0198c6f2-6d3c-7abc-8def-0123456789ab --json | jq .result",
    )
)
@ids_argument("job_ids", "JOB_ID")
@click.option("--full", is_flag=True, help="With each of its attempts.")
@pass_session
def get(session: Session, job_ids: tuple[str, ...], *, full: bool) -> None:
    """Show jobs: how they stand, their attempts, and their results where these are small."""
    for job_id in job_ids:
        job = session.penstock.jobs.get(job_id, view="FULL" if full else None)
        if len(job_ids) > 1 and session.as_json:
            session.output.line(job, "")
        else:
            session.output.one(job)


@jobs.command(
    examples=(
        "penstock jobs wait http-0198c6f2-6d3c-7abc-8def-0123456789ab --timeout 2m",
        "penstock jobs list --state QUEUED -q | penstock jobs wait -",
    )
)
@ids_argument("job_ids", "JOB_ID")
@_TIMEOUT
@pass_session
def wait(session: Session, job_ids: tuple[str, ...], *, timeout: timedelta | None) -> None:
    """Wait until jobs have ended, and say how.

    Ends with 1 where one of them has not succeeded, and with 6 where one has not ended within --timeout.
    """

    def wait_for(job_id: str) -> Job:
        return session.penstock.jobs.wait(job_id, timeout_s=_seconds(timeout))

    worst = _for_each(session, job_ids, wait_for, failed=True)
    raise click.exceptions.Exit(worst)


@jobs.command(
    examples=(
        "penstock jobs watch http-0198c6f2-6d3c-7abc-8def-0123456789ab",
        "penstock jobs submit http http.get -p url=https://example.com/ -q | penstock jobs watch - --json",
    )
)
@id_argument("job_id", "JOB_ID|-")
@pass_session
def watch(session: Session, job_id: str) -> None:
    """Print a line at each change of a job, until it has ended."""
    job = None
    for job in session.penstock.jobs.watch(job_id):
        session.output.line(job, _change(job))
    if job is not None and job.finished_at is not None and job.state != "SUCCEEDED":
        raise click.exceptions.Exit(ExitCode.FAILED)


@jobs.command(examples=("penstock jobs explain http-0198c6f2-6d3c-7abc-8def-0123456789ab",))
@ids_argument("job_ids", "JOB_ID")
@pass_session
def explain(session: Session, job_ids: tuple[str, ...]) -> None:
    """Say why jobs wait: what holds each back and until when, its place in line, and when it may start."""
    for job_id in job_ids:
        explained = session.penstock.jobs.explain(job_id)
        lines = [f"{explained.job_id}  {explained.state}  {explained.summary}"]
        for hold in explained.holds:
            until = f" until {hold.until:%Y-%m-%dT%H:%M:%SZ}" if hold.until else ""
            lines.append(f"  {hold.kind}{until}: {hold.message}")
        if explained.place is not None and explained.place.lane:
            lines.append(f"  {explained.place.ahead_in_lane} ahead of it in its lane {explained.place.lane}")
        if explained.estimated_start_at is not None:
            lines.append(f"  may start at {explained.estimated_start_at:%Y-%m-%dT%H:%M:%SZ}")
        session.output.one(explained, said="\n".join(lines))


@jobs.command(
    examples=(
        "penstock jobs cancel http-0198c6f2-6d3c-7abc-8def-0123456789ab",
        "penstock jobs list --upstream http --state QUEUED --limit 500 -q | penstock jobs cancel -",
    )
)
@ids_argument("job_ids", "JOB_ID")
@_FORCE
@pass_session
def cancel(session: Session, job_ids: tuple[str, ...], *, force: bool) -> None:
    """Cancel jobs that wait; with --force also those that run."""
    worst = _for_each(session, job_ids, lambda job_id: session.penstock.jobs.cancel(job_id, force=force or None))
    raise click.exceptions.Exit(worst)


@jobs.command(
    examples=(
        "penstock jobs retry http-0198c6f2-6d3c-7abc-8def-0123456789ab",
        "penstock jobs list --state FAILED --created-after -1h -q | penstock jobs retry -",
    )
)
@ids_argument("job_ids", "JOB_ID")
@pass_session
def retry(session: Session, job_ids: tuple[str, ...]) -> None:
    """Submit jobs that have ended once more, as new jobs."""
    worst = _for_each(session, job_ids, session.penstock.jobs.retry)
    raise click.exceptions.Exit(worst)


for each in (history.list_, history.export, history.result):
    jobs.add_command(each)


def _for_each(session: Session, ids: Iterable[str], act: Callable[[str], Job], *, failed: bool = False) -> ExitCode:
    """Does something with every job, whatever becomes of the others; the worst exit code of them."""
    worst = ExitCode.DONE
    for job_id in ids:
        try:
            job = act(job_id)
        except PenstockError as error:
            failure(error).show()
            code = code_of(error)
            if code in {ExitCode.NOT_ALLOWED, ExitCode.NO_ANSWER}:
                return code  # the next one would fare no better
        else:
            session.output.line(job, standing(job))
            code = ExitCode.FAILED if failed and job.state != "SUCCEEDED" else ExitCode.DONE
        worst = max(worst, code)
    return worst


def _change(job: Job) -> str:
    moment = job.updated_at or job.created_at
    told = f"{moment:%Y-%m-%dT%H:%M:%SZ}  {job.state}" if moment else str(job.state)
    if job.state == "RUNNING" and job.max_attempts:
        told += f"  attempt {job.attempt} of {job.max_attempts}"
    if job.error is not None:
        told += f"  {job.error.reason}: {shown(job.error.message)}"
    if job.state == "RETRYING" and job.not_before is not None:
        told += f"  again at {job.not_before:%H:%M:%SZ}"
    if job.finished_at is not None and job.created_at is not None:
        told += f"  after {lasted((job.finished_at - job.created_at).total_seconds())}"
    return told


def _seconds(timeout: timedelta | None) -> float | None:
    return None if timeout is None else timeout.total_seconds()
