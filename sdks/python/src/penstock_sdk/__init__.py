"""Penstock's client: jobs that are submitted once, waited for, and told of by webhooks that are verified.

`Penstock` is for programs with threads or none, `AsyncPenstock` for those with an event loop; both have the same names.
Errors that Penstock answers with have a class for each reason in `penstock_sdk.reasons`; what it answers with is in
`penstock_sdk.models`; `penstock_sdk.webhooks` verifies what it sends.
"""

from penstock_sdk import errors, models, profiles, reasons, webhooks
from penstock_sdk._async.client import AsyncPenstock
from penstock_sdk._async.pages import AsyncPage, AsyncPages
from penstock_sdk._sync.client import Penstock
from penstock_sdk._sync.pages import Page, Pages
from penstock_sdk.content import UploadBroken
from penstock_sdk.encoding import encode as to_json
from penstock_sdk.errors import (
    ApiError,
    InvalidUse,
    JobFailed,
    NoAnswer,
    NotConfigured,
    PenstockError,
    UnexpectedAnswer,
    Violation,
    WaitTimeout,
)
from penstock_sdk.mapping import Journal, Outcome
from penstock_sdk.models import Batch, Job, RetryPolicy, SubmitJobRequest
from penstock_sdk.progress import ProgressTo
from penstock_sdk.results import Result
from penstock_sdk.version import __version__

__all__ = [
    "ApiError",
    "AsyncPage",
    "AsyncPages",
    "AsyncPenstock",
    "Batch",
    "InvalidUse",
    "Job",
    "JobFailed",
    "Journal",
    "NoAnswer",
    "NotConfigured",
    "Outcome",
    "Page",
    "Pages",
    "Penstock",
    "PenstockError",
    "ProgressTo",
    "Result",
    "RetryPolicy",
    "SubmitJobRequest",
    "UnexpectedAnswer",
    "UploadBroken",
    "Violation",
    "WaitTimeout",
    "__version__",
    "errors",
    "models",
    "profiles",
    "reasons",
    "to_json",
    "webhooks",
]
