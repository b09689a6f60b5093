"""A WebSocket listener with one route, for tests: what a client says, its room hears."""

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import trio

from routerd.address import Pattern, group_pattern, parse_group_path, parse_path_pattern
from routerd.certificate import CertificateFiles
from routerd.connectors.websocket.connector import WebSocketConnection, WebSocketConnector
from routerd.connectors.websocket.entry.settings import OPEN, EntrySettings
from routerd.connectors.websocket.limits import Limits
from routerd.connectors.websocket.settings import (
    GroupSinkSpec,
    ListenerSettings,
    WebSocketSourceSpec,
)
from routerd.interfaces import RouteContext
from routerd.mailbox import Mailbox
from routerd.receipt import SinkCounts
from routerd.scope import Scope
from routerd.status import DaemonStatus, ListenerStatus, RouteStatus
from routerd.template import Template
from tests.fakes import fake_status
from tests.raw_websocket import RawClient, connect
from tests.rig.certs import Certs

if TYPE_CHECKING:
    from routerd.message import Message

Kinds = str | None | tuple[str | None, ...]
ROOMY = Limits(connections_per_address=100_000, handshake_rate=100_000)
"""All clients of a test come from one address."""
TLS: Certs | None = None
"""Set: houses have a listener with this certificate, and their clients trust it."""
SETTINGS = ListenerSettings("ws", "127.0.0.1", 0, limits=ROOMY)


async def eventually(is_so: Callable[[], bool]) -> None:
    """Returns when `is_so()`, which the network decides."""
    with trio.fail_after(5):
        while not is_so():  # noqa: ASYNC110 - nothing says when
            await trio.sleep(0.001)


@dataclass
class House:
    """A running listener, and what a test wants to know of it."""

    port: int
    connection: WebSocketConnection
    status: DaemonStatus
    nursery: trio.Nursery
    clients: list[RawClient] = field(default_factory=list)
    tls: ssl.SSLContext | None = None

    @property
    def counts(self) -> ListenerStatus:
        """What the listener counts."""
        return self.connection.status

    def add_room(
        self,
        path: str,
        *,
        status: RouteStatus | None = None,
        kind: Kinds = None,
        sends: str | None = None,
    ) -> "Room":
        """A route whose clients hear what they say; it lives until the house closes.

        Args:
            path: that clients connect to.
            status: of the route.
            kind: takes only messages of this type, or of each of these.
            sends: sends them as this type.
        """
        room = Room(self.connection, path, status or fake_status(), kind=kind, sends=sends)
        self.nursery.start_soon(room.run)
        return room

    def allow(self, path: str) -> None:
        """Lets clients connect to a path that nobody reads from."""
        self.connection.roster.open_path(group_pattern(parse_group_path(path)))

    def publish(self, group: tuple[str, ...], frame: bytes) -> None:
        """Sends a frame to a group, as a route from elsewhere would."""
        self.connection.roster.groups.publish(group, frame)

    def keep_clients(self) -> None:
        """The test itself closes its clients: they shall see how the house closes."""
        self.clients.clear()

    async def connect(self, path: str) -> RawClient:
        """A client that is in; closed with the house at the latest."""
        return await (await self.dial()).open(path)

    async def dial(self) -> RawClient:
        """A connection without a handshake yet; closed with the house at the latest."""
        client = await connect(self.port)
        self.clients.append(client)
        return client if self.tls is None else await client.secure(self.tls)


def context_of(
    status: RouteStatus, *, patterns: Sequence[Pattern] = (), segments: Sequence[Template] = ()
) -> RouteContext:
    """What a connector sees of a route that reads from `patterns` and sends to `segments`."""
    return RouteContext(
        name=status.name,
        status=status,
        scope=Scope(patterns, [r for segment in segments for r in segment.references]),
        key=None,
        headers={},
        inflight=status.inflight_limit,
        max_destinations=1000,
    )


class Room:
    """A route without a pump's rules: from its paths to the groups of the same paths."""

    def __init__(
        self,
        connection: WebSocketConnection,
        path: str,
        status: RouteStatus,
        *,
        kind: Kinds = None,
        sends: str | None = None,
    ) -> None:
        self.status = status
        self.mailbox = Mailbox(status)
        self.heard: list[Message] = []
        self.may_deliver = trio.Event()
        self.may_deliver.set()
        pattern, segments = parse_path_pattern(path), parse_group_path(path)
        context = context_of(status, patterns=[pattern], segments=segments)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        wanted = tuple((pattern, one) for one in kinds)
        self._open_source = connection.open_source(WebSocketSourceSpec(wanted), context)
        group = GroupSinkSpec(f"group:{path}", segments, sends)
        self._sink = connection.open_sink(group, context, SinkCounts())
        self._life = trio.CancelScope()

    async def run(self) -> None:
        """Delivers until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._live)
            while True:
                batch = await self.mailbox.take()
                await self.may_deliver.wait()
                self.heard += batch.messages
                await self._sink.accept(batch.messages)
                self.status.delivered += len(batch.messages)
                batch.source.settle([batch])
                self.mailbox.release([batch])

    def fall(self) -> None:
        """The life of the source ends, and no other one begins."""
        self._life.cancel()

    async def _live(self, *, task_status: trio.TaskStatus[None]) -> None:
        with self._life:
            await self._open_source().run(self.mailbox, task_status=task_status)


@asynccontextmanager
async def open_house(
    *,
    codec: str = "raw",
    bad_frames: int = 10,
    limits: Limits = ROOMY,
    entry: EntrySettings = OPEN,
    require_ack: bool = False,
) -> AsyncIterator[House]:
    """A listener on a free port; `/echo` and `/echo/*` are rooms."""
    status = DaemonStatus("test")
    connector = WebSocketConnector()
    listener = replace(
        SETTINGS,
        codec=codec,
        bad_frames=bad_frames,
        limits=limits,
        entry=entry,
        require_ack=require_ack,
    )
    tls = None
    if TLS is not None:
        files = CertificateFiles(TLS.server.cert, TLS.server.key)
        listener = replace(listener, certificate=files)
        tls = ssl.create_default_context(cafile=TLS.ca)
    async with trio.open_nursery() as nursery:
        async with connector.open(listener, total_inflight=0, status=status) as connection:
            port = int(status.listening["ws"].rpartition(":")[2])
            house = House(port, connection, status, nursery, tls=tls)
            house.add_room("/echo")
            house.add_room("/echo/{room}")
            connection.serve()
            try:
                yield house
            finally:
                for client in house.clients:
                    client.socket.close()
        nursery.cancel_scope.cancel()
