"""Unit tests reach no other process."""

from __future__ import annotations

import socket
from typing import Any

import pytest


class SocketUsedError(AssertionError):
    """A unit test connected to something; it belongs among the integration tests."""


@pytest.fixture(autouse=True)
def no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    def guarded(method: str) -> Any:
        original = getattr(socket.socket, method)

        def connect(self: socket.socket, address: Any) -> Any:
            if self.family != socket.AF_UNIX:
                raise SocketUsedError(f"a unit test connected to {address!r}")
            return original(self, address)

        return connect

    for method in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, method, guarded(method))
