"""The whole mesh on one machine, from wheels: `python -m deploy.local up`.

`programs` is the one table of what runs; `layout` says where its files and ports are; `supervision` keeps it running;
`stack` brings it up and down. Tests run a second mesh beside a developer's own by another layout.
"""
