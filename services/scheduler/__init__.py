"""Scheduler: decides which job goes next, and alone decides a job's state.

Owns: Redis `{sched:<upstream>}:*`: the rings, the jobs that are queued or leased, what is remembered of finished ones
for an hour, and the outbox of events that are not published yet; and the NATS bucket `scheduler`: what is set for
queues, and what a rebuild goes by. The process itself holds no state.
Answers: `penstock.scheduler.v1.SchedulerService` to workers (lease, begin, extend) and to intake (cancel, explain);
`penstock.scheduler.v1.QueueService` to tenants and operators.
Calls: `UpstreamService.ListUpstreams`, for the upstreams whose queues it keeps, and their limits.
Consumes: `jobs.submitted.<upstream>`, `attempts.<upstream>`, the notices of tenants that were suspended or resumed and
of connections that need to be authorized anew, were restored or deleted; listens to `signal.work.<upstream>`.
Publishes: every other event of a job, `jobs.<event>.<upstream>`; signals `signal.work.<upstream>`.

Read on in `__main__`, `servicer`, `domain`, `queue`, and `lua/`, where the rules of the queue are, one script a step;
then `upstreams` (which queues there are, and their loops), `submissions`, `leases`, `outcomes`, `sweep`; `joblog`,
`events` and `outbox` (what is published), `work` (who waits, and what wakes them), `codec` (how scripts are spoken to).
For operators and tenants: `queue_servicer`, `settings` (what is set, on disk and in force), `standings` and
`suspensions` (what is told of tenants and connections, and who is suspended by that), `rules` and `validation`,
`showing` and `explaining`. When Redis has lost something: `wholeness` notices, `recovery` has the queue rebuilt from
the log (`rebuild`, `replay`, `checkpoints`), `latecomers` looks after what was told too late.
"""
