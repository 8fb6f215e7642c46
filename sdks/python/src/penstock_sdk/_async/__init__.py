"""The client for an event loop, of which `_sync` is made by `make sdks`."""
