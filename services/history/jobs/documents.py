"""How jobs are written down: the collection `jobs` of the database `history`, one document a job.

What never changes of a job stands beside where its newest event has left it. A document in which an event was the
first to come has no `job` and none of what else a submission tells, until that comes: nobody is shown it.

- `timeline` has what each event leaves, by revision: small, and written in any order.
- `uncounted` names what the statistics have not counted yet; it is not there where that is nothing.
- `incomplete_since` is there until the submission has come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.history.jobs.domain import Record

if TYPE_CHECKING:
    from services.history.jobs.domain import Entry
    from shared.mongo import Document

DATABASE = "history"
COLLECTION = "jobs"
#: What lists leave out: the largest part of a job, and what its attempts are made from.
WITHOUT_CONTENT = {"result": False, "timeline": False}
#: What an export leaves out.
WITHOUT_RESULT = {"result": False}


def submission_of(entry: Entry) -> Document:
    """What never changes of the job, as far as the entry tells."""
    document: Document = {"tenant": entry.tenant}
    if entry.submitted is not None:
        document |= {
            "job": entry.submitted.job,
            "upstream": entry.submitted.upstream,
            "method": entry.submitted.method,
            "connection_id": entry.submitted.connection_id,
            "priority": entry.submitted.priority,
            "batch_id": entry.submitted.batch_id,
            "created_at": entry.submitted.created_at,
            "labels": list(entry.submitted.labels),
        }
    return document


def standing_of(entry: Entry) -> Document:
    """Where the entry leaves the job."""
    return {
        "revision": entry.standing.revision,
        "state": entry.standing.state,
        "event": entry.standing.event,
        "result": entry.standing.result,
        "finished_at": entry.standing.finished_at,
    }


def record_of(document: Document) -> Record:
    """A job as it is kept; what a version before this one has written has no timeline."""
    timeline: dict[str, bytes] = document.get("timeline", {})
    return Record(
        job=document["job"],
        event=document["event"],
        result=document.get("result"),
        timeline=tuple(timeline[revision] for revision in sorted(timeline, key=int)),
    )
