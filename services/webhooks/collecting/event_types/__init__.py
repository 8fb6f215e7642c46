"""The types of events that there are, as data: each with a description, an example, and a JSON Schema of its body.

`data/<type>.yaml` is written by hand. `data/<type>.schema.json`, which the service reads, and `docs/events.md` follow
from it and the protos, whose words on each field they have: `make proto` writes them, `make proto-check` compares.

Read on in `catalogue`.
"""
