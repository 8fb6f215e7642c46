"""What the API is asked with and answers, as frozen values.

A field that the API leaves out has its zero: `""`, 0, False, `()`, {}; a message, a time, a duration and an enum are
None. An enum's value that is newer than this package comes as it is.

Made by `make sdks` of the API's document; do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypeAlias

#: JSON has it as a text.
Int64: TypeAlias = Annotated[int, "int64"]

#: Kind is what the actor is.
#:
#: - `KEY`: An API key.
#: - `SERVICE`: A service of the mesh.
#: - `COMMAND`: A command that somebody ran beside the mesh's servers, such as auth's bootstrap.
AuditEntryActorKind: TypeAlias = Literal["KEY", "SERVICE", "COMMAND"]

#: State is where it stands.
#:
#: - `OPEN`: No call goes out.
#: - `HALF_OPEN`: One call goes out to see whether the upstream has recovered.
BreakerState: TypeAlias = Literal["OPEN", "HALF_OPEN"]

#: Kind is what is done.
BulkMetadataKind: TypeAlias = Literal["CANCEL", "RETRY"]

#: Mode says whether a cached answer may serve.
#:
#: - `DEFAULT`: A cached answer that is fresh by the method's own time serves.
#: - `BYPASS`: Neither read nor written.
#: - `REFRESH`: Not read, but written.
CachePolicyMode: TypeAlias = Literal["DEFAULT", "BYPASS", "REFRESH"]

#: Kind is what its secret is.
#:
#: - `OAUTH1`: A token of OAuth 1.0a.
#: - `OAUTH2`: Tokens of OAuth 2.
#: - `BEARER`: A token that does not change, sent as `Authorization: Bearer`.
#: - `HEADER`: A key in a header of its own.
#: - `BASIC`: A name and a password.
ConnectionKind: TypeAlias = Literal["OAUTH1", "OAUTH2", "BEARER", "HEADER", "BASIC"]

#: ReauthPolicy says what becomes of jobs while the connection needs to be authorized anew.
#:
#: - `FAIL`: They fail.
#: - `WAIT`: They wait in the queue, until they expire.
ConnectionReauthPolicy: TypeAlias = Literal["FAIL", "WAIT"]

#: State is whether it can be called with.
#:
#: - `ACTIVE`: It can.
#: - `NEEDS_REAUTH`: Its provider or upstream refuses its credentials; it has to be authorized anew, or given another
#:   secret.
ConnectionState: TypeAlias = Literal["ACTIVE", "NEEDS_REAUTH"]

#: State is what it is used for.
#:
#: - `CURRENT`: Connections are sealed under it.
#: - `RETIRING`: What it seals is opened, and sealed anew under the current one.
DataKeyState: TypeAlias = Literal["CURRENT", "RETIRING"]

#: Phase is where it stands.
#:
#: - `SOFT`: Erasure: it waits for its grace to be over.
#: - `WORKING`: It is at work.
#: - `DONE`: Over.
DataMetadataPhase: TypeAlias = Literal["SOFT", "WORKING", "DONE"]

#: State is where it stands.
#:
#: - `PENDING`: It is to be attempted, or is being attempted.
#: - `DELIVERED`: The receiver has taken it.
#: - `FAILED`: A dead letter: it was refused for good, or its attempts are used up.
#: - `SKIPPED`: Its endpoint was disabled.
DeliveryState: TypeAlias = Literal["PENDING", "DELIVERED", "FAILED", "SKIPPED"]

#: DisabledReason says why it is disabled.
#:
#: - `ASKED`: Somebody has asked for it.
#: - `GONE`: It has answered 410 Gone.
#: - `FAILING`: It has failed for too long without any success.
EndpointDisabledReason: TypeAlias = Literal["ASKED", "GONE", "FAILING"]

#: Order is how the deliveries of an endpoint stand to each other.
#:
#: - `NONE`: Each is made when its time has come.
#: - `BY_CONNECTION`: Of the jobs of one connection, each is made when the one before it has been delivered or has ended
#:   as FAILED. Jobs without a connection, and notices, have no order.
EndpointOrder: TypeAlias = Literal["NONE", "BY_CONNECTION"]

#: Kind is what holds it.
#:
#: - `NOT_BEFORE`: Its `notBefore`, or the pause before it is tried again.
#: - `PAUSED`: The upstream, the tenant or the lane is paused.
#: - `BREAKER`: A breaker is open: the upstream fails or throttles.
#: - `RATE`: As many calls were begun as the budget allows within its window.
#: - `CONCURRENCY`: As many calls are under way as the budget allows.
#: - `QUOTA`: The upstream has said that its quota is used up.
#: - `RECOVERY`: The queue is being rebuilt after a loss.
#: - `SUSPENDED`: The tenant is suspended.
#: - `NEEDS_REAUTH`: The connection needs to be authorized anew.
HoldKind: TypeAlias = Literal[
    "NOT_BEFORE", "PAUSED", "BREAKER", "RATE", "CONCURRENCY", "QUOTA", "RECOVERY", "SUSPENDED", "NEEDS_REAUTH"
]

#: Priority orders one tenant's jobs, never one tenant over another.
#:
#: - `HIGH`: Before the tenant's other jobs.
#: - `NORMAL`: The default.
#: - `LOW`: After the tenant's other jobs.
JobPriority: TypeAlias = Literal["HIGH", "NORMAL", "LOW"]

#: State is where a job stands. SUCCEEDED, FAILED, OUTCOME_UNKNOWN, CANCELED and EXPIRED are terminal and never change.
#:
#: - `QUEUED`: Accepted, and waits for its turn.
#: - `RUNNING`: An attempt is under way.
#: - `RETRYING`: An attempt failed; the job waits to be tried again.
#: - `SUCCEEDED`: The call was made and its result is here.
#: - `FAILED`: Every attempt that was allowed has failed, or one failed for good.
#: - `OUTCOME_UNKNOWN`: A call that is not idempotent was begun and its outcome is lost; it is never repeated on its
#:   own.
#: - `CANCELED`: Canceled; by force while it ran, its call may have taken effect.
#: - `EXPIRED`: Still queued at its `expiresAt`.
JobState: TypeAlias = Literal[
    "QUEUED", "RUNNING", "RETRYING", "SUCCEEDED", "FAILED", "OUTCOME_UNKNOWN", "CANCELED", "EXPIRED"
]

#: View is how much is told of a job.
#:
#: - `BASIC`: All but its attempts.
#: - `FULL`: Its attempts too, as history has them; the newest may come a moment later.
JobView: TypeAlias = Literal["BASIC", "FULL"]

#: Role stands for scopes: `docs/access.md` has the matrix.
#:
#: - `ADMIN`: All that a tenant can do.
#: - `OPERATOR`: All that an admin can do, and what crosses tenants.
#: - `DEVELOPER`: Makes jobs, and is shown how their callbacks are signed.
#: - `VIEWER`: Sees, and changes nothing.
KeyRole: TypeAlias = Literal["ADMIN", "OPERATOR", "DEVELOPER", "VIEWER"]

#: Measure is what callers are ranked by.
#:
#: - `REQUESTS`: Requests, whatever became of them.
#: - `JOBS`: Jobs that were accepted.
#: - `ERRORS`: Errors that services answered with.
ListTopCallersRequestMeasure: TypeAlias = Literal["REQUESTS", "JOBS", "ERRORS"]

#: Kind is what a method does at the upstream, and the class its budgets are kept by.
#:
#: - `READ`: Reads.
#: - `WRITE`: Writes.
#: - `UPLOAD`: Sends large content.
MethodKind: TypeAlias = Literal["READ", "WRITE", "UPLOAD"]

#: Kind is how.
#:
#: - `OAUTH1`: By OAuth 1.0a (RFC 5849).
#: - `OAUTH2`: By OAuth 2 (RFC 6749).
ProviderKind: TypeAlias = Literal["OAUTH1", "OAUTH2"]

#: State is where it stands.
#:
#: - `DONE`: Every delivery that it was for is back.
ReplayState: TypeAlias = Literal["RUNNING", "DONE", "CANCELED"]

#: State is whether its keys work and its jobs are called.
#:
#: - `ACTIVE`: They do, and are.
#: - `SUSPENDED`: They do not, and are not.
TenantState: TypeAlias = Literal["ACTIVE", "SUSPENDED"]

#: State is where an upload stands.
#:
#: - `PENDING`: Waits for its bytes, and to be completed.
#: - `READY`: Its bytes are there and checked.
UploadState: TypeAlias = Literal["PENDING", "READY"]

#: ConnectionUse is whether its jobs name a connection.
#:
#: - `NONE`: They must not.
#: - `OPTIONAL`: They may.
#: - `REQUIRED`: They must.
UpstreamConnectionUse: TypeAlias = Literal["NONE", "OPTIONAL", "REQUIRED"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Account is whose data a connection leads to."""

    #: What the provider calls it.
    id: str = ""
    #: What people call it there.
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """AuditEntry says who did or tried what, when, from where, and what came of it, on `audit.<service>`. It never
    holds what a request or an answer held beside the ids of things: no secret, no token, no body.
    """

    #: `audit_<uuidv7>`.
    id: str = ""
    #: When it was done or refused.
    time: datetime | None = None
    #: Whose things it was about; empty where the call belongs to no tenant, which operators alone see.
    tenant: str = ""
    #: Actor is who made the call.
    actor: AuditEntryActor | None = None
    #: The RPC, as `KeyService.CreateKey`; `Authorization.Check` where the request has no RPC's path.
    action: str = ""
    #: Target is what the call was about.
    target: AuditEntryTarget | None = None
    #: The service that answered, `auth` for what the gateway refused.
    service: str = ""
    #: `OK`, or the reason of the error (`penstock.errors.v1.ErrorReason`); `CANCELED` where the caller left before the
    #: end.
    outcome: str = ""
    #: Why more closely, by one word: of a key that does not work `revoked`, `expired`, `unknown`, ...; the scope that
    #: lacks.
    detail: str = ""
    #: Whether the caller was refused because of who it is, or is not.
    refused: bool = False
    #: The client's, as the gateway knows it; of a call past the gateway, the connection's other end.
    client_address: str = ""
    #: What the caller may have chosen itself.
    request_id: str = ""
    #: 32 hexadecimal digits, or empty.
    trace_id: str = ""
    #: How many equal ones it stands for. Where that is more than one, it names no target, no request and no trace, and
    #: nothing in which they differ.
    count: int = 0
    #: Of several: when the first of them was; `time` is the last one's.
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntryActor:
    """Actor is who made the call."""

    #: Kind is what the actor is.
    kind: AuditEntryActorKind | None = None
    #: The key's id, or the service's or command's name.
    id: str = ""
    #: The public start of the secret that the call carried; known where the gateway refused it.
    key_prefix: str = ""
    #: Whose the key is; empty where there is none.
    tenant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntryTarget:
    """Target is what the call was about."""

    #: `key`, `queue`, `tenant`, ...
    kind: str = ""
    #: `<upstream>/<lane>` for a lane; empty where the call did not get as far as to name it well.
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizeConnectionResponse:
    """AuthorizeConnectionResponse is an authorization that was begun."""

    #: To be opened in a browser by whoever owns the account; good for one browser.
    authorization_url: str = ""
    #: Names the authorization; hands it to CompleteConnection.
    state: str = ""
    #: It ends then.
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Basic:
    """Basic is a name and a password (RFC 7617)."""

    #: The name.
    username: str = ""
    #: The password.
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Batch is 1 to 100 jobs that were accepted all or none."""

    #: `batch_<uuidv7>`.
    id: str = ""
    #: When it was made.
    created_at: datetime | None = None
    #: When the last of its jobs ended; not set before.
    finished_at: datetime | None = None
    #: How many jobs it has.
    size: int = 0
    #: How many of them stand where.
    counts: BatchCounts | None = None
    #: Its jobs in the order in which they were submitted, without the content of their results.
    jobs: Sequence[Job] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCounts:
    """BatchCounts are the jobs of a batch by their state."""

    #: Accepted, and wait for their turn.
    queued: int = 0
    #: An attempt is under way.
    running: int = 0
    #: Wait to be tried again.
    retrying: int = 0
    #: Ended well.
    succeeded: int = 0
    #: Failed for good.
    failed: int = 0
    #: Were begun, and their outcome is lost.
    outcome_unknown: int = 0
    #: Were canceled.
    canceled: int = 0
    #: Were still queued when their time was over.
    expired: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """Batching has several events sent in one POST, in the order in which they came."""

    #: At most so many in one: 2 to 100, or 0 for no batching.
    max_events: int = 0
    #: How long the first one waits for others: 0 s to 60 s. Default 1 s.
    max_wait: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Bearer is a token, sent as `Authorization: Bearer`."""

    #: The token.
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Breaker is a breaker that is not closed."""

    #: State is where it stands.
    state: BreakerState | None = None
    #: When it lets a call through.
    until: datetime | None = None
    #: How often in a row it has opened.
    opened: int = 0
    #: Why it opened last: `throttled` or `failing`.
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """BreakerPolicy says when calls are held back from an upstream that fails or throttles. Each lane has a breaker of
    its own. An open breaker lets one call through when its pause is over, a probe: if that succeeds it closes, else the
    pause grows.
    """

    #: Opens after so many throttled answers (429) in a row. Default 3.
    throttles: int = 0
    #: For so long; every further time in a row up to twice as long, with jitter. Default 5 min.
    throttle_pause: timedelta | None = None
    #: Opens when this part of the window's calls, from 0 to 1, has failed (5xx, time-outs, no connection). Default 0.5.
    failure_ratio: float = 0.0
    #: And there were at least so many calls in the window. Default 20.
    min_calls: int = 0
    #: Default 60 s.
    window: timedelta | None = None
    #: For so long; growing in the same way. Default 30 s.
    failure_pause: timedelta | None = None
    #: No pause is longer. Default 1 h.
    max_pause: timedelta | None = None
    #: Whether the upstream as a whole has a breaker as well: not where its lanes lead to hosts that have nothing in
    #: common.
    upstream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Budget limits calls by rate, by concurrency, or by both."""

    #: At most 4; each holds by itself.
    rates: Sequence[Rate] = ()
    #: Calls at a time; 0 for no limit.
    concurrency: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetUse:
    """BudgetUse is a budget and what is used of it."""

    #: `upstream`, `lane`, or with a class `upstream:read`, `lane:write`.
    scope: str = ""
    #: Budget limits calls by rate, by concurrency, or by both.
    budget: Budget | None = None
    #: For each rate of the budget, in its order: calls begun within its window.
    used: Sequence[Int64] = ()
    #: Calls under way.
    running: Int64 = 0
    #: What the upstream has said is left; not set where it has said nothing that still counts.
    remaining: Int64 | None = None
    #: Until there are more, where `remaining` is set.
    resets_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkFailure:
    """BulkFailure is a job that it could not be done to."""

    #: The job.
    job_id: str = ""
    #: Why: a name of `penstock.errors.v1.ErrorReason`.
    reason: str = ""
    #: For people: why.
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkMetadata:
    """BulkMetadata is how far an operation over many jobs is."""

    #: Kind is what is done.
    kind: BulkMetadataKind | None = None
    #: JobFilter says which jobs; each part lets all pass where it is not given.
    filter: JobFilter | None = None
    #: When it was asked for.
    created_at: datetime | None = None
    #: When it was last changed.
    updated_at: datetime | None = None
    #: How many jobs matched when it began; counted no further than 1,000,000.
    matched: Int64 = 0
    #: Jobs that it was done to so far.
    succeeded: Int64 = 0
    #: Jobs that it could not be done to, by reason: a name of `penstock.errors.v1.ErrorReason`.
    failed: Mapping[str, Int64] = field(default_factory=dict[str, Int64])
    #: The first 20 of those.
    failures: Sequence[BulkFailure] = ()
    #: Whether its end was asked for (CancelOperation).
    cancel_requested: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkResponse:
    """BulkResponse is what an operation over many jobs came to."""

    #: Jobs that matched; with `validateOnly`, that would.
    matched: Int64 = 0
    #: Jobs that it was done to.
    succeeded: Int64 = 0
    #: By reason.
    failed: Mapping[str, Int64] = field(default_factory=dict[str, Int64])


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackSecret:
    """CallbackSecret signs callbacks."""

    #: For `v1` signatures: `whsec_` and 32 bytes in base64.
    secret: str = field(default="", repr=False)
    #: For `v1a` signatures: `whpk_` and 32 bytes in base64 (Ed25519).
    public_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassBudgets:
    """ClassBudgets holds a budget for each class of methods; one that is not set limits nothing."""

    #: Of methods that read.
    read: Budget | None = None
    #: Of methods that write.
    write: Budget | None = None
    #: Of methods that send large content.
    upload: Budget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Connection is a tenant's credentials at an upstream."""

    #: `con_<uuidv7>`.
    id: str = ""
    #: The upstream that is called with it.
    upstream: str = ""
    #: Where it was authorized; empty for a secret that the caller had.
    provider: str = ""
    #: Kind is what its secret is.
    kind: ConnectionKind | None = None
    #: State is whether it can be called with.
    state: ConnectionState | None = None
    #: Why it needs to be authorized anew.
    state_reason: str = ""
    #: What people call it.
    display_name: str = ""
    #: The hosts that may be called with it; empty where the upstream has its own.
    hosts: Sequence[str] = ()
    #: What its token may be used for, as far as the provider has told.
    scopes: Sequence[str] = ()
    #: The account at the provider, as far as it has told.
    account: Account | None = None
    #: ReauthPolicy says what becomes of jobs while the connection needs to be authorized anew.
    reauth_policy: ConnectionReauthPolicy | None = None
    #: When it was made.
    created_at: datetime | None = None
    #: When it was last changed.
    updated_at: datetime | None = None
    #: When its token was refreshed last.
    refreshed_at: datetime | None = None
    #: When its token ends; it is refreshed before, where it can be.
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionDeleted:
    """ConnectionDeleted says that a connection is gone; jobs of it fail."""

    #: The connection.
    connection_id: str = ""
    #: The upstream that was called with it.
    upstream: str = ""
    #: As of ConnectionNeedsReauth.
    revision: Int64 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionNeedsReauth:
    """ConnectionNeedsReauth says that a connection can be called with no more, until somebody authorizes it anew."""

    #: The connection.
    connection_id: str = ""
    #: The upstream that is called with it.
    upstream: str = ""
    #: Where it was authorized; empty for a secret that the caller had.
    provider: str = ""
    #: Grows with each change of the connection's state; a notice with a lower one than is known tells nothing new.
    revision: Int64 = 0
    #: Why.
    reason: str = ""
    #: Since when.
    needed_since: datetime | None = None
    #: Whether the connection's jobs wait meanwhile; they fail otherwise.
    jobs_wait: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRestored:
    """ConnectionRestored says that a connection can be called with again, or that its jobs do not wait any more."""

    #: The connection.
    connection_id: str = ""
    #: The upstream that is called with it.
    upstream: str = ""
    #: As of ConnectionNeedsReauth.
    revision: Int64 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateEndpointResponse:
    """CreateEndpointResponse is the endpoint, and its secret."""

    #: Endpoint is a receiver of a tenant's events.
    endpoint: Endpoint | None = None
    #: EndpointSecret is what signs.
    secret: EndpointSecret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateKeyResponse:
    """CreateKeyResponse holds the new key and, this once, its secret."""

    #: The key.
    key: Key | None = None
    #: The secret; keep it, for it is not shown again.
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomHeaders:
    """CustomHeaders are headers that every POST to an endpoint has, at most 20. Their values are secrets, and shown to
    nobody.
    """

    #: What each header says, by its name.
    values: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKey:
    """DataKey is a key that connections are sealed under, itself wrapped by a key provider."""

    #: `dk_<uuidv7>`.
    id: str = ""
    #: State is what it is used for.
    state: DataKeyState | None = None
    #: By whom it is wrapped: `file`, `aws-kms`.
    key_provider: str = ""
    #: When it was made.
    created_at: datetime | None = None
    #: How many connections are sealed under it.
    connections: Int64 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DataMetadata:
    """DataMetadata is how far an export or an erasure is."""

    #: Whose data.
    tenant: str = ""
    #: The one connection, where it is about one alone.
    connection_id: str = ""
    #: Phase is where it stands.
    phase: DataMetadataPhase | None = None
    #: When it was asked for.
    created_at: datetime | None = None
    #: Erasure: when the grace is over.
    erases_at: datetime | None = None
    #: What is known of the stores so far.
    stores: Sequence[StoreReport] = ()
    #: Whether its end was asked for (CancelOperation).
    cancel_requested: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Delivery is one event bound for one receiver."""

    #: `dlv_` and 32 hexadecimal digits.
    id: str = ""
    #: The receiver knows the event by it: the same in every attempt, and for every endpoint.
    webhook_id: str = ""
    #: Empty where it goes to a job's or batch's `callbackUrl`.
    endpoint_id: str = ""
    #: Where it goes.
    url: str = ""
    #: The type of the event, such as `job.failed`.
    event_type: str = ""
    #: When the event happened.
    event_time: datetime | None = None
    #: The job, batch, connection, endpoint or tenant that it tells of.
    about: str = ""
    #: State is where it stands.
    state: DeliveryState | None = None
    #: Attempts since it was made, or was replayed last.
    attempts: int = 0
    #: How many may follow upon each other.
    max_attempts: int = 0
    #: How often it was replayed.
    replays: int = 0
    #: PENDING: when it is attempted next. While an attempt is being made, when the next is, should its outcome never be
    #: heard of.
    next_attempt_at: datetime | None = None
    #: How the newest attempt came out: `OK`, `RECEIVER_STATUS`, `RECEIVER_TIMEOUT`, ...; or why it was skipped.
    last_reason: str = ""
    #: The receiver's HTTP status in it, if there was one.
    last_status: int = 0
    #: `msg_…`, the `webhook-id` of the POST in which it goes with others; empty where it goes by itself.
    batch_id: str = ""
    #: When it was made.
    created_at: datetime | None = None
    #: When it was delivered, or ended otherwise; not set before.
    finished_at: datetime | None = None
    #: GetDelivery alone: the body, as it is sent.
    payload: str = ""
    #: GetDelivery alone: the newest 20 attempts, the oldest first.
    attempt_log: Sequence[DeliveryAttempt] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryAttempt:
    """DeliveryAttempt is one POST and what came of it."""

    #: From 1; begins anew with each replay.
    number: int = 0
    #: When it began.
    started_at: datetime | None = None
    #: Not set while it is being made, or where whoever made it has died.
    duration: timedelta | None = None
    #: As `lastReason` of the delivery.
    reason: str = ""
    #: The receiver's HTTP status; 0 where there was none.
    status: int = 0
    #: What the receiver has answered with.
    response_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    #: The first 16 KiB of it.
    response_body: bytes = b""
    #: Whether the receiver answered with more than that.
    response_truncated: bool = False
    #: In words, where the reason does not say all.
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """DeliveryFilter says which deliveries; each part lets all pass where it is not given."""

    #: To this endpoint alone.
    endpoint_id: str = ""
    #: In any of these states.
    state: Sequence[DeliveryState] = ()
    #: Of this type of events alone.
    event_type: str = ""
    #: The job, batch, connection or endpoint that they tell of.
    about: str = ""
    #: Made at or after this time.
    created_after: datetime | None = None
    #: Made before this time.
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRate:
    """DeliveryRate bounds how often an endpoint is called."""

    #: POSTs in a period, retries among them; 1 to 100,000.
    deliveries: int = 0
    #: 1 s to 1 h. Default 1 s.
    period: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRetry:
    """DeliveryRetry says when a failed delivery is tried again; the mesh's own schedule where neither is given. Every
    pause is taken up to 20 % longer or shorter, at random; a longer one that the receiver asks for is obeyed.
    """

    #: The pauses between attempts, 1 s to 7 days each, at most 20; there is one attempt more than pauses.
    pauses: Sequence[timedelta] = ()
    #: Pauses that grow.
    exponential: ExponentialPauses | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Depth counts jobs."""

    #: Those that may be called as soon as it is their turn and there is room.
    ready: Int64 = 0
    #: Those not to be called before a time.
    delayed: Int64 = 0
    #: Those that are being called.
    leased: Int64 = 0
    #: Ready and delayed ones by priority.
    high: Int64 = 0
    #: Of priority NORMAL.
    normal: Int64 = 0
    #: Of priority LOW.
    low: Int64 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableEndpointResponse:
    """EnableEndpointResponse is the endpoint, and what was skipped."""

    #: Endpoint is a receiver of a tenant's events.
    endpoint: Endpoint | None = None
    #: How many of its deliveries are SKIPPED; counted no further than 100,000.
    skipped_deliveries: Int64 = 0
    #: With `replaySkipped`, where there are any.
    replay: Replay | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Endpoint is a receiver of a tenant's events."""

    #: `ep_<uuidv7>`.
    id: str = ""
    #: Where events are posted to.
    url: str = ""
    #: What it is for, in the words of who made it.
    description: str = ""
    #: Whether anything is sent to it.
    enabled: bool = False
    #: DisabledReason says why it is disabled.
    disabled_reason: EndpointDisabledReason | None = None
    #: Since when it is disabled; not set where it is not.
    disabled_at: datetime | None = None
    #: EventFilter says which events; each part lets all pass where it is empty, and an event must pass all of them.
    filter: EventFilter | None = None
    #: The names of its own headers; what they say is shown to nobody.
    header_names: Sequence[str] = ()
    #: Order is how the deliveries of an endpoint stand to each other.
    order: EndpointOrder | None = None
    #: DeliveryRate bounds how often an endpoint is called.
    rate_limit: DeliveryRate | None = None
    #: Batching has several events sent in one POST, in the order in which they came.
    batching: Batching | None = None
    #: DeliveryRetry says when a failed delivery is tried again; the mesh's own schedule where neither is given. Every
    #: pause is taken up to 20 % longer or shorter, at random; a longer one that the receiver asks for is obeyed.
    retry: DeliveryRetry | None = None
    #: With which `v1a` signatures are verified, the newest first: `whpk_` and 32 bytes in base64 (Ed25519). Two while a
    #: rotation's grace lasts.
    public_keys: Sequence[str] = ()
    #: When it was made.
    created_at: datetime | None = None
    #: When it was last changed.
    updated_at: datetime | None = None
    #: Since when every attempt has failed; not set where the newest was a success, or none was made.
    failing_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDisabled:
    """EndpointDisabled says that an endpoint is called no more, though nobody has asked for that."""

    #: The endpoint.
    endpoint_id: str = ""
    #: Its scheme, host and port; the rest of it may be a secret.
    url: str = ""
    #: `GONE` or `FAILING`.
    reason: str = ""
    #: When it was disabled.
    disabled_at: datetime | None = None
    #: Since when every attempt has failed.
    failing_since: datetime | None = None
    #: Grows with each change of the endpoint; a notice with a lower one than is known tells nothing new.
    revision: Int64 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSecret:
    """EndpointSecret is what signs."""

    #: For `v1` signatures: `whsec_` and base64.
    secret: str = field(default="", repr=False)
    #: For `v1a` signatures: `whpk_` and 32 bytes in base64 (Ed25519).
    public_key: str = ""
    #: When it was made.
    created_at: datetime | None = None
    #: Until when the one before it signs too; not set where there is none.
    previous_expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStats:
    """EndpointStats is how an endpoint has fared."""

    #: The endpoint.
    endpoint_id: str = ""
    #: The span that is told of begins here.
    from_time: datetime | None = None
    #: And ends here.
    to_time: datetime | None = None
    #: Attempts that came out, and those of them that the receiver took (2xx).
    attempts: Int64 = 0
    #: Those that the receiver took (2xx).
    successful_attempts: Int64 = 0
    #: The share of them, 0 to 1; not set where there was none.
    success_ratio: float | None = None
    #: Time until the receiver has answered, or has not: percentiles, as exact as the buckets that they are counted in.
    latency_p50: timedelta | None = None
    #: The same, of which 95 % were shorter.
    latency_p95: timedelta | None = None
    #: The same, of which 99 % were shorter.
    latency_p99: timedelta | None = None
    #: What there is now, whatever the period; each is counted no further than 100,000.
    pending_deliveries: Int64 = 0
    #: Dead letters.
    failed_deliveries: Int64 = 0
    #: Those that were skipped while it was disabled.
    skipped_deliveries: Int64 = 0
    #: Since when the oldest pending one waits.
    oldest_pending_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseDataResponse:
    """EraseDataResponse is the report."""

    #: Each store that there is.
    stores: Sequence[StoreReport] = ()
    #: By then no store has any of it.
    forgotten_by: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """EventFilter says which events; each part lets all pass where it is empty, and an event must pass all of them."""

    #: Types of events, such as `job.failed`; `job.*` stands for all that begin so. At most 50.
    event_types: Sequence[str] = ()
    #: Upstreams of jobs and connections; what is about neither does not pass. At most 50.
    upstreams: Sequence[str] = ()
    #: Methods of jobs; what is about none does not pass. `flickr.photos.*` stands for all that begin so. At most 50.
    methods: Sequence[str] = ()
    #: What a job's `metadata` must have; what is about none does not pass. At most 16.
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """EventType is a type of events."""

    #: Such as `job.succeeded`.
    name: str = ""
    #: When there is such an event.
    description: str = ""
    #: JSON Schema (2020-12) of the body that tells of it.
    schema: Mapping[str, Any] | None = None
    #: Such a body.
    example: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentialPauses:
    """ExponentialPauses are pauses of which each is a multiple of the one before."""

    #: The first: 1 s to 7 days.
    initial: timedelta | None = None
    #: 1 to 10. Default 2.
    factor: float = 0.0
    #: None is longer: at most 7 days. Default 24 h.
    maximum: timedelta | None = None
    #: Attempts in all: 2 to 21.
    max_attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportDataResponse:
    """ExportDataResponse is where the data is."""

    #: A signed link to a gzipped NDJSON file, good for 1 h; GetOperation signs another one. The file is kept for 7
    #: days.
    url: str = field(default="", repr=False)
    #: Bytes.
    size: Int64 = 0
    #: SHA-256 of the file, hexadecimal.
    sha256: str = ""
    #: Lines by store, such as `auth.keys`.
    lines: Mapping[str, Int64] = field(default_factory=dict[str, Int64])


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderKey:
    """HeaderKey is a key in a header."""

    #: The header, such as `X-Api-Key`.
    name: str = ""
    #: What the header says.
    value: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Hold is one thing that keeps a job from being called."""

    #: Kind is what holds it.
    kind: HoldKind | None = None
    #: Whose it is: `upstream`, `tenant`, `lane`, or with a class `upstream:read`, `lane:write`; `job` for NOT_BEFORE.
    scope: str = ""
    #: Until when; not set where that is not known.
    until: datetime | None = None
    #: For people: the limit and what is used of it, or why it is paused.
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineResult:
    """InlineResult is an upstream's answer, byte for byte."""

    #: The HTTP status.
    status: int = 0
    #: Names in lower case; a header that came several times has its values joined by ", ". `Set-Cookie` is left out.
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    #: The body, where it is text.
    text: str = ""
    #: The body, where it is not.
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidateCacheResponse:
    """InvalidateCacheResponse says how much was forgotten."""

    #: Answers.
    entries: Int64 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Job is one call to make at an upstream, and what became of it."""

    #: `<upstream>-<uuidv7>`.
    id: str = ""
    #: The upstream that is called.
    upstream: str = ""
    #: The method that is called.
    method: str = ""
    #: The connection that it is called with; empty where it has none.
    connection_id: str = ""
    #: State is where a job stands. SUCCEEDED, FAILED, OUTCOME_UNKNOWN, CANCELED and EXPIRED are terminal and never
    #: change.
    state: JobState | None = None
    #: Priority orders one tenant's jobs, never one tenant over another.
    priority: JobPriority | None = None
    #: The newest attempt begun, from 1; 0 before the first.
    attempt: int = 0
    #: How many attempts the job may have.
    max_attempts: int = 0
    #: When it was accepted.
    created_at: datetime | None = None
    #: When its newest event happened.
    updated_at: datetime | None = None
    #: When its first attempt began; not set before.
    started_at: datetime | None = None
    #: When it ended; not set before.
    finished_at: datetime | None = None
    #: It is not called before this time.
    not_before: datetime | None = None
    #: It is given up when it is still queued then.
    expires_at: datetime | None = None
    #: The batch that it belongs to; empty where it has none.
    batch_id: str = ""
    #: The caller's own labels.
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    #: JobResult is what the upstream answered.
    result: JobResult | None = None
    #: JobError says why a job did not succeed.
    error: JobError | None = None
    #: The trace that follows the job, 32 hexadecimal digits.
    trace_id: str = ""
    #: The finished job that this one tries again.
    retry_of: str = ""
    #: Grows with every event of the job; the newer one wins.
    revision: Int64 = 0
    #: With the view FULL alone: each attempt, the oldest first.
    attempts: Sequence[JobAttempt] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAttempt:
    """JobAttempt is one call that was begun for a job, and what came of it."""

    #: From 1.
    number: int = 0
    #: When it was begun.
    started_at: datetime | None = None
    #: Not set while it is under way.
    finished_at: datetime | None = None
    #: Where the attempt left the job: RUNNING while it is under way.
    state: JobState | None = None
    #: Why it failed; not set where it did not.
    error: JobError | None = None
    #: Where the job is to be tried again: not before this time.
    retry_not_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """JobError says why a job did not succeed."""

    #: A name of `penstock.errors.v1.ErrorReason`.
    reason: str = ""
    #: For people: what went wrong, with which value, and what to do.
    message: str = ""
    #: The upstream's HTTP status, or 0 where there was none.
    upstream_status: int = 0
    #: Whether trying again could help.
    retryable: bool = False
    #: The upstream's own code of the error, where it has one beside the status.
    upstream_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobExplanation:
    """JobExplanation says why a job waits."""

    #: The job.
    job_id: str = ""
    #: State is where a job stands. SUCCEEDED, FAILED, OUTCOME_UNKNOWN, CANCELED and EXPIRED are terminal and never
    #: change.
    state: JobState | None = None
    #: One sentence for people: what decides now.
    summary: str = ""
    #: All that holds the job back, what does so longest first; none when its turn is decided by its share alone, or
    #: when it does not wait.
    holds: Sequence[Hold] = ()
    #: Where the job stands.
    place: Place | None = None
    #: When the job may start, by how fast the queue has moved of late; not set where that cannot be told.
    estimated_start_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """JobFilter says which jobs; each part lets all pass where it is not given."""

    #: Of this upstream alone.
    upstream: str = ""
    #: Called with this connection alone.
    connection_id: str = ""
    #: Any of these.
    state: Sequence[JobState] = ()
    #: Of this method alone.
    method: str = ""
    #: Priority orders one tenant's jobs, never one tenant over another.
    priority: JobPriority | None = None
    #: Of this batch alone.
    batch_id: str = ""
    #: At or after this time.
    created_after: datetime | None = None
    #: Before this time.
    created_before: datetime | None = None
    #: `key=value` each, as that of ListJobs.
    metadata: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """JobResult is what the upstream answered."""

    #: The answer itself.
    inline: InlineResult | None = None
    #: The path of the API that leads to an answer of over 256 KiB (GetJobResult); `status` and `headers` tell the rest.
    url: str = field(default="", repr=False)
    #: The upstream's `Content-Type`.
    content_type: str = ""
    #: Bytes of the body.
    size: Int64 = 0
    #: Whether it was answered from the cache, without a call.
    from_cache: bool = False
    #: The HTTP status of an answer that is not inline.
    status: int = 0
    #: The headers of an answer that is not inline, as those of one that is.
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Key is an API key without its secret."""

    #: `key_<uuidv7>`.
    id: str = ""
    #: Whose it is.
    tenant: str = ""
    #: What it is for.
    name: str = ""
    #: The public start of the secret, by which it is recognised.
    prefix: str = ""
    #: What it may do.
    scopes: Sequence[str] = ()
    #: When it was made.
    created_at: datetime | None = None
    #: It works until then; for good where not set.
    expires_at: datetime | None = None
    #: When it was revoked; not set where it was not.
    revoked_at: datetime | None = None
    #: Where it has one, the scopes are those of the role.
    role: KeyRole | None = None
    #: The networks from which it works, such as `203.0.113.0/24`; everywhere where there are none.
    allowed_cidrs: Sequence[str] = ()
    #: Requests a minute; 0 for as many as the server's setting says.
    rate_limit: int = 0
    #: When it was last used, to the minute, and known a minute later at the latest.
    last_used_at: datetime | None = None
    #: The public start of the secret that the last rotation has replaced.
    former_prefix: str = ""
    #: Until when that one works.
    former_expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUsage:
    """KeyUsage is how often a key was used."""

    #: The key.
    key_id: str = ""
    #: Every day that was asked for, the newest first.
    days: Sequence[KeyUsageDay] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUsageDay:
    """KeyUsageDay is how often a key was used on a day; known some seconds later."""

    #: In UTC, such as `2026-11-26`.
    date: str = ""
    #: Requests in all.
    requests: Int64 = 0
    #: Of them, those that were let pass; what a service answered is not known here.
    allowed: Int64 = 0
    #: Of them, those over a rate limit.
    rate_limited: Int64 = 0
    #: Of them, those that were refused for another reason: the address, the tenant, a secret that works no more.
    refused: Int64 = 0
    #: Jobs that were accepted, those of batches each.
    jobs: Int64 = 0
    #: Of those that were let pass, those that a service answered with an error.
    errors: Int64 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Lane is what one tenant has in line for one connection."""

    #: Whose it is.
    tenant: str = ""
    #: A connection, or what stands for one.
    lane: str = ""
    #: Jobs that wait, delayed ones included.
    waiting: Int64 = 0
    #: BudgetUse is a budget and what is used of it.
    budgets: Sequence[BudgetUse] = ()
    #: Set where it is not closed.
    breaker: Breaker | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Latency is a distribution, true to 5 %."""

    #: How many were measured.
    count: Int64 = 0
    #: Half of them were shorter.
    p50: timedelta | None = None
    #: 95 % of them were shorter.
    p95: timedelta | None = None
    #: 99 % of them were shorter.
    p99: timedelta | None = None
    #: The longest.
    max: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits is what an upstream lets be called. Each budget holds by itself; a job waits until all of its budgets have
    room.
    """

    #: Of all calls to the upstream.
    upstream: Budget | None = None
    #: Of all calls of a class to the upstream.
    classes: ClassBudgets | None = None
    #: Of each lane by itself: a connection, or what stands for one.
    lane: Budget | None = None
    #: Of each lane's calls of a class.
    lane_classes: ClassBudgets | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTopCallersResponse:
    """ListTopCallersResponse holds the keys, the most used first."""

    #: Each of them.
    callers: Sequence[TopCaller] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """Method is one operation of an upstream."""

    #: Such as `http.get`.
    name: str = ""
    #: What people call it.
    title: str = ""
    #: Kind is what a method does at the upstream, and the class its budgets are kept by.
    kind: MethodKind | None = None
    #: Whether making the call twice is the same as making it once.
    idempotent: bool = False
    #: One attempt's time at most, where the params do not say otherwise.
    timeout: timedelta | None = None
    #: How long an answer may be served again; not set for a method that is not cached.
    cache_ttl: timedelta | None = None
    #: JSON Schema (2020-12) of the params.
    params_schema: Mapping[str, Any] | None = None
    #: The params that hold the id of an upload, whose bytes are sent to the upstream.
    upload_params: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Operation is something that takes longer than a call."""

    #: `operations/op_<uuidv7>`.
    name: str = ""
    #: What it does, and how far it is.
    metadata: Mapping[str, Any] | None = None
    #: Whether it has ended.
    done: bool = False
    #: Why it has ended without an outcome.
    error: Status | None = None
    #: What it came to.
    response: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherMethods:
    """OtherMethods stands for every method whose name begins in one way and that is not listed."""

    #: How their names begin, such as `flickr.`.
    prefix: str = ""
    #: What holds for each of them; its name is empty.
    method: Method | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Pause holds jobs back until it is taken back."""

    #: Empty: all tenants'.
    tenant: str = ""
    #: Empty: all of the tenant's lanes.
    lane: str = ""
    #: Why, for whoever asks.
    reason: str = ""
    #: Since when.
    paused_at: datetime | None = None
    #: It holds because the tenant is suspended, and until TenantService resumes it; of a lane, because its connection
    #: needs to be authorized anew, and until it is. ResumeQueue does not take it back.
    suspension: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Place is where a job stands in its queue. Tenants are served in turn by their weights, a tenant's lanes in turn,
    and a lane's jobs by priority and then in the order of their submission.
    """

    #: A connection, or what stands for one.
    lane: str = ""
    #: Jobs of its lane, priority and class before it.
    ahead_in_lane: Int64 = 0
    #: Jobs of its tenant that wait to be called, this one among them.
    waiting_of_tenant: Int64 = 0
    #: Lanes of its tenant in which jobs of its priority may be called, held back or not.
    lanes_of_tenant: Int64 = 0
    #: Tenants with jobs that wait.
    tenants: Int64 = 0
    #: The tenant's part of the calls, from 0 to 1, while all of these tenants have work.
    share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Provider is where connections are authorized."""

    #: A lower-case slug.
    name: str = ""
    #: What people call it.
    title: str = ""
    #: Kind is how.
    kind: ProviderKind | None = None
    #: The upstream that its connections are for.
    upstream: str = ""
    #: The hosts that its connections may call; empty where the upstream has its own.
    hosts: Sequence[str] = ()
    #: What can be asked for.
    scopes: Sequence[str] = ()
    #: What is asked for where nothing is.
    default_scopes: Sequence[str] = ()
    #: Whether this mesh has a client's credentials there; without them nothing can be authorized.
    configured: bool = False
    #: Whether an authorization can be completed by hand.
    out_of_band: bool = False
    #: Whether a connection can be made of the client's own credentials, without anybody's consent.
    client_credentials: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Queue is what waits for an upstream, and what decides when it is called."""

    #: The upstream that it is for.
    upstream: str = ""
    #: Whose jobs are counted here; empty for all tenants'.
    tenant: str = ""
    #: Depth counts jobs.
    depth: Depth | None = None
    #: Since when the job waits that may be called for longest, to the second; not set when none may be called yet.
    oldest_waiting_since: datetime | None = None
    #: Jobs of all tenants that ended per second, over the last minute.
    drain_rate: float = 0.0
    #: Tenants with jobs that wait.
    tenants: Int64 = 0
    #: The budgets and breaker of the upstream.
    budgets: Sequence[BudgetUse] = ()
    #: Set where it is not closed.
    breaker: Breaker | None = None
    #: What is held back, and why.
    pauses: Sequence[Pause] = ()
    #: The deepest lanes first.
    lanes: Sequence[Lane] = ()
    #: Whether the queue is being rebuilt; no lease is given meanwhile.
    recovering: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """QueueSettings is what an operator has set for a queue."""

    #: In place of the upstream's own limits; not set to go by those.
    limits: Limits | None = None
    #: In place of the upstream's own policy; not set to go by that.
    breaker: BreakerPolicy | None = None
    #: By tenant, 1 to 100: a tenant with 3 is given three times the calls of one with 1 while both have work. Default
    #: 1.
    weights: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Rate limits the calls begun within any span of time of this length."""

    #: At least 1.
    calls: int = 0
    #: 1 s to 24 h.
    window: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Replay is a replay of many deliveries, and how far it is."""

    #: `rpl_<uuidv7>`.
    id: str = ""
    #: State is where it stands.
    state: ReplayState | None = None
    #: DeliveryFilter says which deliveries; each part lets all pass where it is not given.
    filter: DeliveryFilter | None = None
    #: How many are put back in a second at most.
    max_per_second: int = 0
    #: How many deliveries it was for when it began; counted no further than 1,000,000.
    total: Int64 = 0
    #: How many were put back so far.
    replayed: Int64 = 0
    #: How many were passed over: their endpoint is gone or disabled, or they were at work.
    passed_over: Int64 = 0
    #: When it was asked for.
    created_at: datetime | None = None
    #: When it ended; not set before.
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Retention is how long a tenant's things are kept after they ended. Each is a whole number of days."""

    #: Jobs that succeeded. 90 days unless told, 1 to 366. An answer of over 256 KiB is kept for 90 days at most.
    succeeded_jobs: timedelta | None = None
    #: Jobs that ended otherwise. 30 days unless told, 1 to 366.
    failed_jobs: timedelta | None = None
    #: Audit entries, of those that are made from now on. 365 days unless told, 30 to 2,557.
    audit: timedelta | None = None
    #: Deliveries of webhooks. 30 days unless told, 8 to 366.
    deliveries: timedelta | None = None
    #: Whether jobs are archived before they are deleted. They are unless told.
    archive: bool | None = None
    #: How long what was archived is kept from then on. 365 days unless told, 1 to 3,653.
    archives: timedelta | None = None
    #: The keys of jobs' metadata by which jobs can be listed: 10 at most, without `=`. Jobs that are accepted from now
    #: on are found by them.
    indexed_metadata: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """RetryPolicy says how often and how fast a failed call is tried again."""

    #: Attempts in all, 1 to 20; 0 for the default, 3.
    max_attempts: int = 0
    #: The first pause at most; it doubles each time, and the pause taken is a random part of it. Default 1 s.
    initial_backoff: timedelta | None = None
    #: The pause at most. Default 5 min.
    max_backoff: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateKeyResponse:
    """RotateKeyResponse holds the key and, this once, its new secret."""

    #: The key.
    key: Key | None = None
    #: The secret; keep it, for it is not shown again.
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPut:
    """SignedPut is the request that sends an upload's bytes; whoever has it may send them."""

    #: Where the bytes go.
    url: str = field(default="", repr=False)
    #: To be sent exactly so, beside the body's `Content-Length`.
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    #: The link ends then.
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticSecret:
    """StaticSecret is a secret that the caller has."""

    #: Bearer is a token, sent as `Authorization: Bearer`.
    bearer: Bearer | None = None
    #: HeaderKey is a key in a header.
    header: HeaderKey | None = None
    #: Basic is a name and a password (RFC 7617).
    basic: Basic | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Stats are counts and latencies of jobs."""

    #: The range that is told of begins here.
    start_time: datetime | None = None
    #: And ends here.
    end_time: datetime | None = None
    #: How long a bucket is.
    interval: timedelta | None = None
    #: Over the whole range.
    total: StatsBucket | None = None
    #: Each that is not empty, the oldest first.
    buckets: Sequence[StatsBucket] = ()
    #: By upstream, method and connection: those with the most jobs, 20 at most of each.
    top_upstreams: Sequence[StatsShare] = ()
    #: By method.
    top_methods: Sequence[StatsShare] = ()
    #: By connection.
    top_connections: Sequence[StatsShare] = ()
    #: By the reason of their error: the jobs that did not succeed.
    errors: Mapping[str, Int64] = field(default_factory=dict[str, Int64])


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsBucket:
    """StatsBucket is what happened in a span of time."""

    #: When it begins.
    start_time: datetime | None = None
    #: Jobs that were submitted in it.
    submitted: Int64 = 0
    #: Jobs that ended in it, by state.
    ended: Mapping[str, Int64] = field(default_factory=dict[str, Int64])
    #: Of those that succeeded, those that were answered from the cache.
    cache_hits: Int64 = 0
    #: Calls that were begun for those that ended.
    attempts: Int64 = 0
    #: From acceptance to the beginning of the last attempt.
    wait: Latency | None = None
    #: The last attempt.
    run: Latency | None = None
    #: From acceptance to the end.
    total: Latency | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsShare:
    """StatsShare is the part of the jobs that has something in common."""

    #: The upstream, the method or the connection.
    name: str = ""
    #: Jobs that ended, by state.
    ended: Mapping[str, Int64] = field(default_factory=dict[str, Int64])
    #: Latency is a distribution, true to 5 %.
    total: Latency | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Status is an error as gRPC has it."""

    #: The number of gRPC's status (`google.rpc.Code`).
    code: int = 0
    #: For people: what went wrong, and what to do.
    message: str = ""
    #: More of it for programs; a `google.rpc.ErrorInfo` has the reason.
    details: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreReport:
    """StoreReport is what became of the data in one store."""

    #: Such as `history.jobs`, `redis.intake`, `objects.results`, `stream.JOBS`, `backups`.
    store: str = ""
    #: How many documents, keys or objects were removed.
    removed: Int64 = 0
    #: Where they are not removed by themselves: when the store forgets them.
    forgets_by: datetime | None = None
    #: For people: why, or what is left.
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitJobRequest:
    """SubmitJobRequest is a job to make."""

    #: The upstream to call, such as `http` or `flickr`; ListUpstreams has them all.
    upstream: str = ""
    #: The upstream's method to call, such as `http.get`; GetUpstream has them all.
    method: str = ""
    #: What the method takes; each upstream's methods tell theirs.
    params: Mapping[str, Any] | None = None
    #: The connection to call with.
    connection_id: str = ""
    #: Priority orders one tenant's jobs, never one tenant over another.
    priority: JobPriority | None = None
    #: Mode says whether a cached answer may serve.
    cache_policy: CachePolicyMode | None = None
    #: Not before this time; at most 7 days from now.
    not_before: datetime | None = None
    #: Given up when still queued then. Default 24 h from now, at most 7 days.
    expires_at: datetime | None = None
    #: RetryPolicy says how often and how fast a failed call is tried again.
    retry: RetryPolicy | None = None
    #: Gets a signed POST when the job ends.
    callback_url: str = ""
    #: Signs that POST; kept sealed. Where it is not given, the tenant's own secret signs.
    callback_secret: str = field(default="", repr=False)
    #: The caller's own labels: at most 20, keys of 64 and values of 256 characters at most.
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    #: The same request under the same id makes one job (AIP-155); over HTTP also as the header `Idempotency-Key`.
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """Tenant owns keys, jobs and all else."""

    #: A lower-case slug, never changed.
    name: str = ""
    #: What people call it.
    display_name: str = ""
    #: When it was made.
    created_at: datetime | None = None
    #: State is whether its keys work and its jobs are called.
    state: TenantState | None = None
    #: Since when it is suspended; not set where it is not, and so are the next two.
    suspended_at: datetime | None = None
    #: Why.
    suspension_reason: str = ""
    #: The principal that has given this reason, such as an API key's id.
    suspended_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantResumed:
    """TenantResumed says that the tenant's jobs may be called again."""

    #: As of a suspension.
    revision: Int64 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSuspended:
    """TenantSuspended says that no job of the tenant is to be called any more; calls under way go on."""

    #: Grows with each change of the tenant; a notice with a lower one than is known tells nothing new.
    revision: Int64 = 0
    #: Why, for whoever asks.
    reason: str = ""
    #: Since when.
    suspended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TestEndpointResponse:
    """TestEndpointResponse is what came of it."""

    #: As it was sent: `test_<uuidv7>`.
    webhook_id: str = ""
    #: DeliveryAttempt is one POST and what came of it.
    attempt: DeliveryAttempt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopCaller:
    """TopCaller is a key and how often it was used over the days that were asked for."""

    #: The key.
    key_id: str = ""
    #: Whose it is.
    tenant: str = ""
    #: The key's name and the public start of its secret.
    name: str = ""
    #: The public start of its secret.
    prefix: str = ""
    #: Requests in all.
    requests: Int64 = 0
    #: Jobs that were accepted.
    jobs: Int64 = 0
    #: Errors that services answered with.
    errors: Int64 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Upload is content of up to 100 MiB on its way to jobs."""

    #: `upl_<uuidv7>`.
    id: str = ""
    #: State is where an upload stands.
    state: UploadState | None = None
    #: What the bytes are.
    content_type: str = ""
    #: Bytes.
    size: Int64 = 0
    #: SHA-256 of the bytes, 64 hexadecimal digits.
    sha256: str = ""
    #: When it was made.
    created_at: datetime | None = None
    #: PENDING: it must be completed by then. READY: jobs may name it until then.
    expires_at: datetime | None = None
    #: Only while it is PENDING: how the bytes are sent.
    put: SignedPut | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Upstream is a third-party API that Penstock can call."""

    #: A lower-case slug, never renamed.
    name: str = ""
    #: What people call it.
    title: str = ""
    #: What it can be asked to do.
    methods: Sequence[Method] = ()
    #: What it lets be called; an operator may set other limits for a queue.
    limits: Limits | None = None
    #: When calls are held back from it.
    breaker: BreakerPolicy | None = None
    #: The param that holds the URL to call, where the upstream has one: without a connection the URL's host is the
    #: job's lane.
    lane_param: str = ""
    #: ConnectionUse is whether its jobs name a connection.
    connection_use: UpstreamConnectionUse | None = None
    #: What is known of methods that are not listed; not set where there are none.
    other_methods: OtherMethods | None = None
