"""The whole of it: opens what the table names, runs every route, and drains.

Nesting is the order of shutdown: connections outside, routes inside. What must live longest
is opened first.
"""

import gc
import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

import trio

from routerd import __version__
from routerd.admin import open_admin
from routerd.config.models import RouteModel, Table
from routerd.connectors.table import CONNECTORS
from routerd.delivery import Output
from routerd.heartbeat import beat
from routerd.interfaces import Connection, RouteContext
from routerd.reload import Reloads
from routerd.route import Route
from routerd.scope import Scope
from routerd.shape import Shape
from routerd.status import DaemonStatus, RouteStatus, SinkStatus
from routerd.systemd import Service, open_notifier

logger = logging.getLogger(__name__)


async def run(
    table: Table,
    *,
    stopping: trio.Event,
    reloads: Reloads | None = None,
    task_status: trio.TaskStatus[DaemonStatus] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Runs the table until `stopping` is set and everything has drained, or the time is up.

    Calls `task_status.started()` once every listener is bound and every route was started; a
    broker that is down does not keep it from that.

    Args:
        table: what to run.
        stopping: set by whoever wants it to end.
        reloads: where a reload is asked for; None: by nobody.
        task_status: is given what is known of everything.

    Raises:
        Rejected: an address can't be bound.
    """
    status = DaemonStatus(__version__)
    service = Service(open_notifier(), status)
    async with trio.open_nursery() as services, AsyncExitStack() as stack:
        services.start_soon(partial(beat, status, on_beat=service.beat), name="heartbeat")
        if table.admin.enabled:
            await stack.enter_async_context(
                open_admin(status, host=table.admin.host, port=table.admin.port)
            )
        connections = await _open_connections(table, stack, status)
        routes = [_build_route(model, connections) for model in table.routes]
        status.routes.extend(route.status for route in routes)
        async with trio.open_nursery() as nursery:
            for route in routes:
                nursery.start_soon(route.run, name=f"route {route.status.name}")
            for route in routes:
                await route.begun.wait()
            for connection in connections.values():
                connection.serve()
            # All that was made so far stays: each look through all of it takes 9 ms.
            gc.collect()
            gc.freeze()
            if reloads is not None:
                services.start_soon(reloads.serve, connections, status, name="reloads")
            _say_ready(status)
            service.ready()
            task_status.started(status)
            await stopping.wait()
            service.stopping(drain_seconds=table.daemon.drain_timeout)
            nursery.cancel_scope.deadline = trio.current_time() + table.daemon.drain_timeout
            _say_draining(routes)
            for key, connection in connections.items():
                reading = [
                    route
                    for model, route in zip(table.routes, routes, strict=True)
                    if model.source.connection == key
                ]
                nursery.start_soon(_drain, connection, reading)
        await stack.aclose()
        services.cancel_scope.cancel()
    logger.info("stopped")


async def _open_connections(
    table: Table, stack: AsyncExitStack, status: DaemonStatus
) -> dict[str, Connection]:
    """Every connection of the table, by its key; the stack closes them."""
    inflight: dict[str, int] = {}
    for route in table.routes:
        for key in {sink.connection for sink in route.sinks}:
            inflight[key] = inflight.get(key, 0) + route.inflight
    opened: dict[str, Connection] = {}
    for key, model in table.connections.items():
        connector = CONNECTORS[model.connector]
        opened[key] = await stack.enter_async_context(
            connector.open(model.settings, total_inflight=inflight.get(key, 0), status=status)
        )
    return opened


def _build_route(model: RouteModel, connections: Mapping[str, Connection]) -> Route:
    """A route of the table, with its templates compiled and its sinks opened."""
    sinks = [SinkStatus(sink.text, sink.required) for sink in model.sinks]
    status = RouteStatus(
        model.name,
        model.source_text,
        sinks,
        inflight_limit=model.inflight,
        inflight_bytes_limit=model.inflight_bytes,
        promise=model.promise,
    )
    scope = Scope(model.source.patterns, model.references)
    context = RouteContext(
        name=model.name,
        status=status,
        scope=scope,
        key=model.key,
        headers=model.headers,
        inflight=model.inflight,
        max_destinations=model.max_destinations,
    )
    outputs = []
    for sink, seen in zip(model.sinks, sinks, strict=True):
        opened = connections[sink.connection].open_sink(sink.spec, context, seen.counts)
        outputs.append(Output(opened, sink.required))
    return Route(
        status,
        open_source=connections[model.source.connection].open_source(model.source.spec, context),
        outputs=outputs,
        shape=Shape(scope, when=model.when, body=model.body, payload=model.payload),
        on_error=model.on_error,
    )


async def _drain(connection: Connection, routes: Sequence[Route]) -> None:
    """Lets the routes that read from a connection finish what it has read, and read no more.

    Whoever is connected to us goes first, while the routes still hear of it.
    """
    await connection.dismiss()
    for route in routes:
        route.drain()


def _say_draining(routes: Sequence[Route]) -> None:
    left = sum(route.status.inflight for route in routes)
    logger.info("draining routes=%d inflight=%d", len(routes), left)


def _say_ready(status: DaemonStatus) -> None:
    # The names go into the template, so that each address is a field of its own.
    names = "".join(f" {_field_name(listener)}=%s" for listener in status.listening)
    addresses = status.listening.values()
    logger.info(f"ready version=%s routes=%d{names}", __version__, len(status.routes), *addresses)  # noqa: G004


def _field_name(listener: str) -> str:
    """`ws`, `ws_plant`: what the log can have as a key."""
    return re.sub(r"[^a-z0-9_]", "_", listener.lower())
