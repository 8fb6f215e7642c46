"""From the first line of a process to its last: settings, logs, dependencies, loops, server, drain.

A service's `__main__` says what it is made of in one `serve(config, process)`; `run` does what all have in common.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import uvloop

from shared import config as settings
from shared import crash_points, observability
from shared.audit import Audit
from shared.bus import Bus, connect
from shared.clock import SystemClock
from shared.errors import PenstockError
from shared.identity import ServiceIdentity, TokenSigner, TokenVerifier
from shared.identity_keys import IdentityKeys
from shared.retry import Backoff, until_done
from shared.rpc import client, help_pages
from shared.rpc.health import Health
from shared.rpc.key_uses import KeyUses
from shared.rpc.open_streams import OpenStreams
from shared.rpc.server import Server
from shared.streams import StreamLimits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine

    import grpc

    from shared.config import ConfigT, Secret, ServiceConfig
    from shared.rpc.health import Check

log = observability.logger()
T = TypeVar("T")

#: Between two tries to reach a dependency at start.
_CONNECT_BACKOFF = Backoff(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=2))
#: How long a call to another service may take when no caller's deadline says so.
_CALL_TIMEOUT = timedelta(seconds=10)
#: Between two cancels of a loop that has not ended by the first.
_CANCEL_INTERVAL_S = 0.5


class Process:
    """One service's process: what it leans on, what it runs, and how all of it ends.

    Args:
        service: The service's name.
        config: Its settings.
    """

    def __init__(self, service: str, config: ServiceConfig) -> None:
        self.service = service
        self.config = config
        identity_keys = IdentityKeys(config.identity_keys_file)
        self.verifier = TokenVerifier(identity_keys)
        #: Signs in the service's own name.
        self.signer = TokenSigner(service, config.service_key.reveal(), identity_keys)
        self.identity = ServiceIdentity(service, self.signer)
        #: The open streams; a service that has any ends those of a principal that was revoked, or a tenant suspended.
        self.streams = OpenStreams()
        #: Takes down what is audited; the interceptors tell it of every RPC.
        self.audit = Audit(service)
        self._uses = KeyUses(SystemClock())
        #: Set when the process is told to stop: loops take nothing new.
        self.stopping = asyncio.Event()
        #: Set when the server answers.
        self.started = asyncio.Event()
        #: The port it answers on, from then on.
        self.port = 0
        self._checks: dict[str, Check] = {}
        self._spared: set[str] = set()
        self._loops: list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = []
        self._drains: list[Callable[[], Awaitable[object]]] = []
        self._resources = AsyncExitStack()

    async def depend_on(
        self,
        name: str,
        connect: Callable[[], Awaitable[T]],
        *,
        check: Callable[[T], Awaitable[object]],
        close: Callable[[T], Awaitable[object]],
    ) -> T:
        """Connects to a server and waits for it, however long that takes; from then on readiness hangs on its check.

        Args:
            name: Its name in `/readyz` and in logs.
            connect: Makes the connection and tries it.
            check: Raises when the server is away.
            close: Ends the connection when the process stops.
        """
        dependency = await until_done(
            connect,
            retry_on=(PenstockError, OSError, TimeoutError),
            backoff=_CONNECT_BACKOFF,
            on_failure=lambda error, pause: log.warning(
                "dependency_awaited", dependency=name, error=str(error), pause_s=round(pause.total_seconds(), 2)
            ),
        )
        self._checks[name] = lambda: check(dependency)
        self._resources.push_async_callback(close, dependency)
        return dependency

    async def connect_bus(self, url: Secret) -> Bus:
        """Connects to NATS, as to any server that readiness hangs on; the audit is told by it, and what keys have done.

        Args:
            url: As for `shared.bus.connect`.
        """
        limits = StreamLimits.of(self.config)
        bus = await self.depend_on("nats", lambda: connect(url, self.service, limits), check=Bus.check, close=Bus.close)
        self.loop("audit", lambda: self.audit.run(bus))
        self.loop("key uses", lambda: self._uses.run(bus))
        self.on_close(lambda: self._uses.report(bus))
        return bus

    def lean_on(
        self,
        name: str,
        client: T,
        *,
        check: Callable[[T], Awaitable[object]],
        close: Callable[[T], Awaitable[object]],
    ) -> T:
        """Takes a client of a server without which most calls can be answered: nobody waits for it, at start or later.

        Args:
            name: Its name in `/readyz`, where it is shown without readiness hanging on it, and in logs.
            client: Not connected yet.
            check: Tries the server, and raises when it is away.
            close: Ends the connection when the process stops.
        """
        self._checks[name] = lambda: check(client)
        self._spared.add(name)
        self._resources.push_async_callback(close, client)
        return client

    def channel(self, address: str, *, on_behalf_of_caller: bool = False) -> grpc.aio.Channel:
        """A channel to another service. Readiness does not hang on it: parts that wait for each other never start.

        Args:
            address: `host:port`.
            on_behalf_of_caller: Calls carry the token of whoever calls this service instead of the service's own.
        """
        channel = client.connect(
            address, self.identity, default_timeout=_CALL_TIMEOUT, on_behalf_of_caller=on_behalf_of_caller
        )
        self._resources.push_async_callback(channel.close)
        return channel

    def on_close(self, close: Callable[[], Awaitable[object]]) -> None:
        """Calls `close` when the process stops, after the loops, the last added first."""
        self._resources.push_async_callback(close)

    def on_drain(self, finish: Callable[[], Awaitable[object]]) -> None:
        """Awaits `finish` when the process is told to stop, beside the server's drain, and no longer; loops run on.

        For a loop that has taken work on which nobody's call waits: `finish` takes no more and returns when it is done.
        """
        self._drains.append(finish)

    def loop(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Runs a loop beside the server; it is canceled after the drain. A loop that ends or fails ends the process."""
        self._loops.append((name, run))

    async def serve(self, *servicers: tuple[Callable[[Any, grpc.aio.Server], None], object, str]) -> None:
        """Starts the server and the loops, and returns when all of it has been drained after SIGTERM or SIGINT.

        Args:
            servicers: Each with its generated registration and its full name.
        """
        health = Health(self._checks, spared=self._spared)
        server = Server(
            self.service,
            address=self.config.grpc_address,
            verifier=self.verifier,
            health=health,
            audit=self.audit,
            streams=self.streams,
            uses=self._uses,
        )
        for register, servicer, name in servicers:
            server.add(register, servicer, name)
        await health.check_dependencies()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._run(name, run), name=name) for name, run in self._loops]
                tasks.append(group.create_task(health.watch_dependencies(), name="health"))
                self.port = await server.start()
                self.started.set()
                await self.stopping.wait()
                await asyncio.gather(server.drain(self.config.drain_timeout), self._drain())
                await self.audit.drain()  # when no call can add to it any more
                await _end(tasks)
        except BaseException:
            await server.drain(timedelta())  # a loop failed: what was begun cannot be finished
            self.audit.leave()
            raise
        finally:
            await self.close()

    async def close(self) -> None:
        """Ends every connection, the last one made first."""
        await self._resources.aclose()

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(self.config.drain_timeout.total_seconds()):
                await asyncio.gather(*(finish() for finish in self._drains))
        except TimeoutError:  # what is left is taken up again by others
            log.warning("drain_cut_short")

    async def _run(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await run()
        raise RuntimeError(f"the loop {name} ended, which it must not")


async def _end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancels tasks until they end: before Python 3.12 `asyncio.wait_for`, which drivers use, may lose a cancel."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_INTERVAL_S)


def run(
    service: str, config_class: type[ConfigT], serve: Callable[[ConfigT, Process], Coroutine[Any, Any, None]]
) -> None:
    """Runs a service until it is told to stop; `--print-config` shows its settings instead."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{service}")
    parser.add_argument("--print-config", action="store_true", help="show the settings, secrets struck out, and exit")
    arguments = parser.parse_args()
    config = load_or_exit(service, config_class)
    if arguments.print_config:
        print(settings.describe(config))  # noqa: T201  the answer to the command
        return
    observability.set_up(
        service,
        log_level=config.log_level,
        otlp_address=config.otlp_address,
        metrics_address=config.metrics_address,
    )
    try:
        uvloop.run(_main(service, config, serve))
    finally:
        observability.shut_down()


def load_or_exit(program: str, config_class: type[ConfigT]) -> ConfigT:
    """The settings from the environment; with mistakes in them, names each and ends the process."""
    try:
        config = settings.load(config_class, os.environ)
        crash_points.set_up(config)
        help_pages.set_up(config.docs_url, setting="PENSTOCK_DOCS_URL")
    except settings.ConfigError as error:
        for mistake in error.mistakes:
            print(f"{program}: {mistake}", file=sys.stderr)  # noqa: T201  logs are not set up before the settings are read
        raise SystemExit(2) from None
    return config


def _process_or_exit(service: str, config: ServiceConfig) -> Process:
    """The process; one that nobody would believe who it is, or that could believe nobody, ends with the reason."""
    try:
        return Process(service, config)
    except (OSError, ValueError, TypeError, LookupError) as error:
        hint = "PENSTOCK_SERVICE_KEY is the private key, PENSTOCK_IDENTITY_KEYS_FILE the set of public ones"
        print(f"{service}: {error}; {hint}", file=sys.stderr)  # noqa: T201  as for mistakes in the settings
        raise SystemExit(2) from None


def _calm_garbage_collection() -> None:
    """Looks for cycles less often, and never among the modules: each look walks over all that a process holds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _main(service: str, config: ConfigT, serve: Callable[[ConfigT, Process], Coroutine[Any, Any, None]]) -> None:
    _calm_garbage_collection()
    process = _process_or_exit(service, config)
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(serve(config, process))
    ending: list[asyncio.Task[None]] = []

    def stop() -> None:
        log.info("stopping")
        process.stopping.set()
        if not process.started.is_set():
            # Still waiting for a dependency; nothing has begun that could be finished.
            ending.append(asyncio.create_task(_end([serving]), name="end before the start"))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await serving
    except asyncio.CancelledError:
        log.info("stopped_before_start")
        await process.close()
    log.info("stopped")
