"""Who may touch what on NATS, Redis, MongoDB and the object store: one table, and each server's users made of it.

`rights` is the table. `nats`, `redis`, `mongo` and `objects` put it into the words of each server; the local stack
starts its servers with that, and `python -m deploy.access <server>` prints it for servers of your own.
"""
