"""Intake: takes jobs in, and tells how they stand.

Owns: Redis `{intake:<tenant>}:*`: idempotency keys, what was told of uploads, the set of pending jobs, and the hot view
of every job and batch until a day after its end; `{intake}:*`: how many unfinished jobs there are in all, what ended
ones take, and up to where the log has been applied. The bucket `intake` at NATS: which Redis servers hold all that the
log tells.
Answers: `penstock.jobs.v1.JobService` and `UploadService`; to history `BulkService`, which does to many jobs what those
do to one.
Calls: `UpstreamService.ListUpstreams` for the catalogue, `CredentialService.DescribeConnection` for what connections
are for (forgotten on `signal.auth.connection_changed`), `SchedulerService.Cancel` and `Explain`, and
`HistoryService.GetRecordedJob`, `GetRecordedBatch` and `LocateSubmission` for what has left the hot view, and for the
attempts of jobs.
Publishes: `jobs.submitted.<upstream>`, `notices.batch_finished`; signals `signal.jobs.changed`.
Consumes: `jobs.>`, from which the hot view is made; the newer revision wins.

The way of a submit: `servicer` reads the request, `submitter` or `batch_submitter` has it judged (`judge`),
admitted (`store`, one Lua call) and published (`acceptance`), and answers. Then the projection follows the events of
its jobs, wakes whoever waits for one, and tells of the end of a batch (`batch_ends`). What Redis loses is rebuilt from
the log (`rebuild`).
"""
