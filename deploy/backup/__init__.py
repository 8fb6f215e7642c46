"""Backups: everything that Penstock has promised and that is on a server, as one that can be restored.

`python -m deploy.backup create` makes one of Redis, the streams and buckets of NATS, and MongoDB, in that order for the
reasons of `creating`, while the mesh works; it goes to an object store, streamed. `restore` loads one into empty
servers while no service runs. `docs/backups.md` is the runbook.
"""
