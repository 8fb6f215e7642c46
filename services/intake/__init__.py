"""Intake: takes jobs in, and tells how they stand.

Owns: Redis `{intake:<tenant>}:*`: idempotency keys, the set of pending jobs, and the hot view of every job until a day
after its end; `{intake}:*`: how many unfinished jobs there are in all, what ended ones take, and up to where the log
has been applied. The bucket `intake` at NATS: which Redis servers hold all that the log tells.
Answers: `penstock.jobs.v1.JobService`.
Calls: `UpstreamService.ListUpstreams` for the catalogue, `SchedulerService.Cancel` and `Explain`, and
`HistoryService.GetRecordedJob` for what has left the hot view.
Publishes: `jobs.submitted.<upstream>`; signals `signal.jobs.changed`.
Consumes: `jobs.>`, from which the hot view is made; the newer revision wins.

The way of a submit: `servicer` reads the request, `validation` judges it, `store` admits it (one Lua call), `submitter`
publishes it and answers. Then the projection follows the job's events, and wakes whoever waits for one. What Redis
loses is rebuilt from the log (`rebuild`).
"""
