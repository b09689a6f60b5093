"""A WebSocket listener as a connection of the table: `ws:` sources and `group:` sinks."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

import trio

from routerd.address import group_pattern
from routerd.connectors.websocket.codecs import CODECS
from routerd.connectors.websocket.entry.policy import Policy
from routerd.connectors.websocket.files import make_room
from routerd.connectors.websocket.identity import Identity, open_identity
from routerd.connectors.websocket.idle import end_idle
from routerd.connectors.websocket.keepalive import keep_alive
from routerd.connectors.websocket.listener import bind, describe, let_in, send_home
from routerd.connectors.websocket.reply import ReplySink
from routerd.connectors.websocket.roster import Reading, Roster
from routerd.connectors.websocket.settings import ReplySinkSpec
from routerd.connectors.websocket.sink import GroupSink
from routerd.connectors.websocket.source import Inlet, WebSocketSource
from routerd.interfaces import Connection, Reloaded
from routerd.status import ConnectionStatus, ListenerStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from routerd.connectors.websocket.settings import (
        GroupSinkSpec,
        ListenerSettings,
        WebSocketSourceSpec,
    )
    from routerd.groups import GroupName
    from routerd.interfaces import RouteContext, Sink, Source
    from routerd.receipt import SinkCounts
    from routerd.status import DaemonStatus


class WebSocketConnection(Connection):
    """One listener, with the paths and groups of the routes that use it."""

    def __init__(self, settings: ListenerSettings) -> None:
        self._settings = settings
        self._identity: Identity | None = None
        self._codec = CODECS[settings.codec]
        self._doors = trio.CancelScope()
        self.status = ListenerStatus(
            settings.key,
            most=settings.limits.connections,
            count_members=self.count_members,
            count_queued=self.count_queued,
        )
        self.roster = Roster(
            Reading(self._codec, settings.bad_frames, require_ack=settings.require_ack),
            self.status,
            settings.limits,
            Policy(settings.entry),
        )
        self._serving = trio.Event()
        self._fixed_groups: dict[str, GroupName] = {}

    def open_source(self, spec: object, route: RouteContext) -> Callable[[], Source]:
        """The route hears what clients send on its paths."""
        inlet = Inlet(route.status)
        for pattern, kind in cast("WebSocketSourceSpec", spec).wanted:
            self.roster.open_path(pattern, inlet, kind=kind)
        return lambda: WebSocketSource(inlet)

    def open_sink(self, spec: object, route: RouteContext, counts: SinkCounts) -> Sink:
        """Broadcasts to a path, which can be connected to from now on; or answers senders."""
        if isinstance(spec, ReplySinkSpec):
            return ReplySink(counts=counts, kind=spec.type)
        group = cast("GroupSinkSpec", spec)
        self.roster.open_path(group_pattern(group.segments))
        name = _fixed_name(group)
        if name is not None:
            self._fixed_groups[group.address] = name
        render = route.scope.compile_segments(group.segments)
        key = route.key if group.slow == "latest" else None
        return GroupSink(
            render,
            groups=self.roster.groups,
            counts=counts,
            codec=self._codec,
            kind=group.type,
            slow=group.slow,
            key=None if key is None else route.scope.compile_text(key),
        )

    async def open(self) -> None:
        """Loads the certificate, if there is one.

        Raises:
            Rejected: it is not what it was when the table was checked.
        """
        if self._settings.certificate is not None:
            self._identity = await open_identity(self._settings.certificate, self.status)

    async def reload(self) -> Reloaded:
        """The certificate, tokens and keys; whoever is in keeps what let it in."""
        taken, refused = await trio.to_thread.run_sync(self.roster.policy.reload)
        tokens = Reloaded(taken, tuple(f"[{self._settings.key}] {each}" for each in refused))
        if self._identity is None:
            return tokens
        pair = await self._identity.reload()
        return Reloaded(pair.taken + taken, pair.refused + tokens.refused)

    def serve(self) -> None:
        """Lets clients in, who wait in the backlog until every route has been opened."""
        self._serving.set()

    async def dismiss(self) -> None:
        """Lets nobody in any more and sends everybody home; called again, in a hurry."""
        spread = 0.0 if self._doors.cancel_called else self._settings.goodbye_spread
        self._doors.cancel()
        await send_home(self.roster, within=spread)

    async def keep_doors(
        self, listeners: Sequence[trio.SocketListener], *, clients: trio.Nursery
    ) -> None:
        """Lets clients in at all of them until everybody is dismissed; closes them then."""
        with self._doors:
            async with trio.open_nursery() as doors:
                for listener in listeners:
                    doors.start_soon(_keep_door, self, listener, clients)

    def count_members(self) -> dict[str, int]:
        """Group address without captures -> members now."""
        groups = self.roster.groups
        return {address: groups.count(name) for address, name in self._fixed_groups.items()}

    def count_queued(self) -> dict[str, int]:
        """Path -> bytes that wait for clients that read too slowly."""
        return self.roster.count_queued()

    async def let_in(self, listener: trio.SocketListener, *, nursery: trio.Nursery) -> None:
        """Accepts clients once `serve` was called."""
        await self._serving.wait()
        await let_in(listener, self.roster, identity=self._identity, nursery=nursery)


class WebSocketConnector:
    """Opens `[ws]` tables."""

    def open(
        self,
        settings: object,
        *,
        total_inflight: int,
        status: DaemonStatus,
    ) -> AbstractAsyncContextManager[WebSocketConnection]:
        """Binds at once; nobody is let in before `serve`. Leaving sends everybody home."""
        return _open(cast("ListenerSettings", settings), status)


@asynccontextmanager
async def _open(
    settings: ListenerSettings, status: DaemonStatus
) -> AsyncIterator[WebSocketConnection]:
    connection = WebSocketConnection(settings)
    await connection.open()
    listeners = await bind(settings)
    make_room(sum(each.most for each in status.listeners) + settings.limits.connections)
    address = status.listening[settings.key] = describe(listeners[0])
    status.connections.append(ConnectionStatus(settings.key, address))
    status.listeners.append(connection.status)
    async with trio.open_nursery() as clients:
        groups = connection.roster.groups
        clients.start_soon(groups.run, name="group flusher")  # noqa: ASYNC113 - nobody is in yet
        clients.start_soon(end_idle, connection.roster, name="websocket idle clients")
        guests, limits = connection.roster.guests, connection.roster.limits
        clients.start_soon(keep_alive, guests, limits, name="websocket pings")
        if connection.roster.policy.has_expiries:
            clients.start_soon(connection.roster.curfew.run, name="curfew")  # noqa: ASYNC113 - same
        clients.start_soon(partial(connection.keep_doors, listeners, clients=clients))
        yield connection
        await connection.dismiss()
        clients.cancel_scope.cancel()


async def _keep_door(
    connection: WebSocketConnection, listener: trio.SocketListener, clients: trio.Nursery
) -> None:
    async with listener:
        await connection.let_in(listener, nursery=clients)


def _fixed_name(group: GroupSinkSpec) -> GroupName | None:
    """The group that an address without references means."""
    texts = [segment.literal for segment in group.segments]
    known = tuple(text for text in texts if text is not None)
    return known if len(known) == len(texts) else None
