"""Which jobs a request means, whichever request it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from penstock.history.v1 import history_pb2
from penstock.jobs.v1 import jobs_pb2

from services.history.jobs.domain import Filter
from services.history.listing.filters import filter_of
from shared import ids
from shared.errors import InvalidArgument

CONNECTION, BATCH = ids.new_connection_id(), ids.new_batch_id()
WHOLE: dict[str, Any] = {
    "upstream": "http",
    "method": "http.get",
    "connection_id": CONNECTION,
    "state": [jobs_pb2.Job.FAILED, jobs_pb2.Job.EXPIRED, jobs_pb2.Job.FAILED],
    "priority": jobs_pb2.Job.LOW,
    "batch_id": BATCH,
    "metadata": ["order=1=2", "order=1=2", "kind=a"],
    "created_after": Timestamp(seconds=1, nanos=1_000),
    "created_before": Timestamp(seconds=2, nanos=5_000_000),
}


@pytest.mark.parametrize(
    "request_of", [history_pb2.ListJobsRequest, history_pb2.ExportJobsRequest, history_pb2.JobFilter]
)
def test_every_request_is_read_alike(request_of: Any) -> None:
    assert filter_of(request_of(**WHOLE), indexed={"order", "kind"}) == Filter(
        upstream="http",
        method="http.get",
        connection_id=CONNECTION,
        states=("EXPIRED", "FAILED"),
        priority="LOW",
        batch_id=BATCH,
        labels=("kind=a", "order=1=2"),
        created_after=datetime(
            1970, 1, 1, 0, 0, 1, 1000, tzinfo=UTC
        ),  # none of a job's whole milliseconds lies between
        created_before=datetime(1970, 1, 1, 0, 0, 2, 5000, tzinfo=UTC),
    )
    assert filter_of(request_of(token_id=CONNECTION), indexed=()) == Filter(connection_id=CONNECTION)


@pytest.mark.parametrize(
    ("fields", "path", "said"),
    [
        ({"upstream": "NO SLUG"}, "upstream", "'NO SLUG'"),
        ({"connection_id": "con_1"}, "connectionId", "'con_1'"),
        ({"token_id": "con_1"}, "tokenId", "'con_1'"),
        ({"batch_id": "1"}, "batchId", "'1'"),
        ({"state": [1, 99]}, "state[1]", "it takes QUEUED, "),
        ({"priority": 99}, "priority", "it takes HIGH, "),
        ({"metadata": ["order=1", "order"]}, "metadata[1]", "write it as key=value"),
        (
            {"metadata": ["size=1"]},
            "metadata[0]",
            "'size', which is not indexed; it takes 'order'; UpdateRetention takes",
        ),
        ({"metadata": ["order=1"] * 11}, "metadata", "at most 10"),
        ({"created_after": Timestamp(seconds=1 << 40)}, "createdAfter", "is no time"),
        ({"created_before": Timestamp(seconds=-(1 << 40))}, "createdBefore", "is no time"),
        (
            {"created_after": Timestamp(seconds=2), "created_before": Timestamp(seconds=2)},
            "createdBefore",
            "later than",
        ),
    ],
)
def test_what_no_job_can_be_is_named_with_a_way_out(fields: dict[str, Any], path: str, said: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        filter_of(history_pb2.JobFilter(**fields), indexed={"order"}, within="filter.")
    (violation,) = refused.value.violations
    assert violation.field == f"filter.{path}"
    assert said in violation.description


def test_every_fault_is_named_at_once_and_keys_that_were_judged_before_are_not_judged_again() -> None:
    asked = history_pb2.JobFilter(upstream="NO", batch_id="1", metadata=["gone=1"])
    with pytest.raises(InvalidArgument) as refused:
        filter_of(asked, indexed=())
    assert [each.field for each in refused.value.violations] == ["upstream", "batchId", "metadata[0]"]
    assert filter_of(history_pb2.JobFilter(metadata=["gone=1"]), indexed=None) == Filter(labels=("gone=1",))
