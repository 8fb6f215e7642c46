"""History: every job of every tenant, long after it has left the queue; how long things are kept, and how they go.

Owns: MongoDB `history`: jobs, figures, operations, retentions, what was archived and erased, and who may do what only
one replica does (`leases`). In the object store `archive/`, `exports/` and `erasures/`; it deletes answers with their
jobs (`results/`).
Answers: `HistoryService`, `RetentionService`, `DataService` and `google.longrunning.Operations` to tenants; intake's
questions for what has left its own view, and those of auth and webhooks for how long things are kept.
Consumes: `jobs.*.*`, every event of every job.
Hears: `signal.auth.revoked`, `signal.auth.tenant_suspended` and `…_resumed`, upon which exports end or may be opened
again.
Calls: intake (`BulkService`) to cancel jobs and to try them again; auth to shut out and let in a tenant that is to be
erased; `HoldingService` of every service for what it holds.

The jobs are a projection: whatever is there can be made again from the log, for as long as the log goes back
(`rebuild`, a command for operators).

Read on in `__main__` and `servicer`; then a package for each thing that it does, with a `domain` and stores of its own:
`jobs` (from the log to the documents), `listing` (pages and exports), `stats` (figures), `operations` (work that goes
on by itself, and what is done to many jobs), `retention` (how long, the sweep, the archive), `data` (export and erase).
"""
