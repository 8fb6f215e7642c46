"""The writes that bring a job's document to what an entry says.

Events come in order, and once, nearly always: `insertion` and `advance` are cheap, and each does nothing where that was
not so. `settlement` is right whatever has come before, and costs MongoDB and its driver twice as much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo import UpdateOne

from services.history.jobs.documents import standing_of, submission_of
from services.history.jobs.domain import Mark

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.history.jobs.domain import Entry
    from shared.mongo import Document


def insertion(entry: Entry) -> UpdateOne:
    """Makes the document of a job whose submission the entry has; does nothing where there is one."""
    document: Document = {
        **submission_of(entry),
        **standing_of(entry),
        "submitted_sequence": entry.submitted_sequence,
        "timeline": {str(revision): left for revision, left in entry.timeline.items()},
        "uncounted": [Mark.SUBMISSION, *_marks_of_end(entry)],
    }
    return UpdateOne({"_id": entry.job_id}, {"$setOnInsert": document}, upsert=True)


def advance(entry: Entry) -> UpdateOne:
    """Moves a document that is older on to where the entry leaves the job; does nothing where it is not older."""
    older = {"_id": entry.job_id, "revision": {"$lt": entry.standing.revision}}
    left = {f"timeline.{revision}": left for revision, left in entry.timeline.items()}
    update: Document = {"$set": {**standing_of(entry), **left}}
    marks = _marks_of_end(entry)
    if marks:
        update["$addToSet"] = {"uncounted": {"$each": marks}}
    return UpdateOne(older, update)


def settlement(entry: Entry, *, now: datetime) -> UpdateOne:
    """Has the document say what it says and what the entry says, whichever of both is newer or wholer.

    Args:
        entry: What is known.
        now: Since when a submission is waited for, where neither has it.
    """
    newer = {"$gt": [entry.standing.revision, {"$ifNull": ["$revision", 0]}]}
    fields: Document = {name: _if(newer, _literal(value), f"${name}") for name, value in standing_of(entry).items()}
    fields |= {name: _literal(value) for name, value in submission_of(entry).items()}
    fields |= {f"timeline.{revision}": _literal(left) for revision, left in entry.timeline.items()}
    if entry.submitted_sequence:
        fields["submitted_sequence"] = {"$min": ["$submitted_sequence", entry.submitted_sequence]}
    incomplete = {"$eq": [{"$type": "$job"}, "missing"]}
    if entry.submitted is None:
        fields["incomplete_since"] = _if(incomplete, {"$ifNull": ["$incomplete_since", now]}, "$$REMOVE")
    else:
        fields["incomplete_since"] = "$$REMOVE"
    fields["uncounted"] = _marked(
        (incomplete, [Mark.SUBMISSION] if entry.submitted is not None else []), (newer, _marks_of_end(entry))
    )
    return UpdateOne({"_id": entry.job_id}, [{"$set": fields}], upsert=True)


def _marks_of_end(entry: Entry) -> list[Mark]:
    return [Mark.END] if entry.standing.finished_at is not None else []


def _marked(*marks: tuple[Document, Sequence[Mark]]) -> Any:  # an expression
    """What is uncounted, with the marks whose condition holds; it is not there where that is nothing."""
    added = [_if(condition, list(each), []) for condition, each in marks if each]
    if not added:
        return "$uncounted"
    together = {"$setUnion": [{"$ifNull": ["$uncounted", []]}, *added]}
    return {"$let": {"vars": {"all": together}, "in": _if({"$eq": ["$$all", []]}, "$$REMOVE", "$$all")}}


def _if(condition: Document, then: Any, otherwise: Any) -> Document:  # expressions
    return {"$cond": [condition, then, otherwise]}


def _literal(value: Any) -> Document:  # whatever a document holds
    """The value itself: a caller's text may begin with `$`."""
    return {"$literal": value}
