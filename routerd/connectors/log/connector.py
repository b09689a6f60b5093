"""The log as a connection: there is one, it needs no table, and nothing comes from it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, cast

import trio

from routerd.connectors.log.sink import LogSink
from routerd.interfaces import Connection, RouteContext, Sink, Source
from routerd.receipt import SinkCounts
from routerd.status import DaemonStatus

if TYPE_CHECKING:
    from routerd.connectors.log.settings import LogSinkSpec


class LogConnection(Connection):
    """All `log:` outputs."""

    def __init__(self) -> None:
        self._sinks: list[LogSink] = []

    def open_source(self, spec: object, route: RouteContext) -> Callable[[], Source]:
        """Not possible; the checks refuse such a table."""
        raise TypeError(f"a route can't read from the log: {route.name} {spec!r}")

    def open_sink(self, spec: object, route: RouteContext, counts: SinkCounts) -> Sink:
        """Lines of one route."""
        text = cast("LogSinkSpec", spec).text  # made by our checks
        sink = LogSink(route.scope.compile_text(text), route=route.name, counts=counts)
        self._sinks.append(sink)
        return sink

    async def report(self) -> None:
        """Says once a second what was left out, until cancelled."""
        while True:
            await trio.sleep(1)
            for sink in self._sinks:
                sink.report_suppressed()


class LogConnector:
    """Opens the log."""

    def open(
        self,
        settings: object,
        *,
        total_inflight: int,
        status: DaemonStatus,
    ) -> AbstractAsyncContextManager[LogConnection]:
        """Always succeeds."""
        return _open()


@asynccontextmanager
async def _open() -> AsyncIterator[LogConnection]:
    connection = LogConnection()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.report, name="log: suppressed lines")
        yield connection
        nursery.cancel_scope.cancel()
