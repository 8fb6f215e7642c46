"""Scheduler: decides which job goes next, and alone decides a job's state.

Owns: Redis `{sched:<upstream>}:*`: the rings, the jobs that are queued or leased, what is remembered of finished ones
for an hour, and the outbox of events that are not published yet. The process itself holds no state.
Answers: `penstock.scheduler.v1.SchedulerService` to workers (lease, begin, extend) and to intake (cancel).
Calls: `UpstreamService.ListUpstreams`, for the upstreams whose queues it keeps.
Consumes: `jobs.submitted.<upstream>`, `attempts.<upstream>`; listens to `signal.work.<upstream>`.
Publishes: every other event of a job, `jobs.<event>.<upstream>`; signals `signal.work.<upstream>`.

Read on in `__main__`, `servicer`, `domain`, `queue`, and `lua/`, where the rules of the queue are, one script a step;
then `upstreams` (which queues there are, and their loops), `submissions`, `leases`, `outcomes`, `sweep`; `joblog`,
`events` and `outbox` (what is published), `work` (who waits, and what wakes them), `codec` (how scripts are spoken to).
"""
