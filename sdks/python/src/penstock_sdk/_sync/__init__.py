# Made of _async/__init__.py by `make sdks`; do not edit.
"""The client for an event loop, of which `_sync` is made by `make sdks`."""
