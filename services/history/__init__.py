"""History: every job of every tenant, long after it has left the queue.

Owns: MongoDB `history` (jobs).
Consumes: `jobs.*.*`, every event of every job.
Calls: nobody. Publishes: nothing.

It is a projection: whatever is here can be made again from the log, for as long as the log goes back.
"""
