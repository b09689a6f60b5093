"""A route's MQTT source without its route: what tests of it drive, and a broker that remembers."""

from collections.abc import Sequence

import trio

from routerd.connectors.mqtt.connector import MqttConnection
from routerd.connectors.mqtt.settings import MqttFilter, MqttSettings, MqttSourceSpec
from routerd.errors import Rejected, Unavailable
from routerd.interfaces import RouteContext, Source
from routerd.mailbox import Mailbox
from routerd.scope import Scope
from tests.contracts import Life
from tests.fakes import fake_status
from tests.mqtt_frames import (
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    SUBSCRIBE,
    connack,
    publish,
)
from tests.scripted_broker import PATIENCE, Peer, ScriptedBroker

ALL = (MqttFilter("#"),)


class MqttRoute:
    """The source of one route, life after life."""

    has_memory = True
    has_peer = True
    outlives_route = False
    says_no = False

    def __init__(
        self,
        settings: MqttSettings,
        *,
        filters: tuple[MqttFilter, ...] = ALL,
        session: str = "the-session",
        inflight: int = 20,
    ) -> None:
        self.status = fake_status(inflight=inflight)
        self._open = MqttConnection(settings).open_source(
            MqttSourceSpec(filters, session),
            RouteContext(
                name="fake",
                status=self.status,
                scope=Scope([], []),
                key=None,
                headers={},
                inflight=inflight,
                max_destinations=1000,
            ),
        )

    def open(self) -> Source:
        """A new life."""
        return self._open()

    async def count_refused(self) -> int:
        """MQTT has no word for it."""
        return 0


async def failure_of(
    route: MqttRoute, *, mailbox: Mailbox | None = None, source: Source | None = None
) -> Unavailable | Rejected | None:
    """Runs one life to its end; what it raised."""
    source = source or route.open()
    try:
        with trio.fail_after(PATIENCE):
            await source.run(mailbox or Mailbox(route.status))
    except (Unavailable, Rejected) as exc:
        return exc
    return None


def start(nursery: trio.Nursery, route: MqttRoute, *, mailbox: Mailbox | None = None) -> Life:
    """One life in a task of its own, whose beginning a test scripts itself."""
    life = Life(route.open(), mailbox or Mailbox(route.status), route.status)

    async def run() -> None:
        life.failure = await failure_of(route, mailbox=life.mailbox, source=life.source)
        life.ended.set()

    nursery.start_soon(run)
    return life


async def end_of(life: Life) -> BaseException | None:
    """What a life raised, once it has ended."""
    with trio.fail_after(PATIENCE):
        await life.ended.wait()
    return life.failure


async def settle_down(route: MqttRoute) -> None:
    """Returns once the route waits for nothing."""
    with trio.fail_after(PATIENCE):
        while route.status.waits_for or not route.status.mqtt_connected:  # noqa: ASYNC110
            await trio.sleep(0.001)


class RememberingRoute(MqttRoute):
    """A source, and a broker that keeps its session: a `SourceCase`. `serve` is a task."""

    def __init__(self, broker: ScriptedBroker, settings: MqttSettings) -> None:
        super().__init__(settings)
        self._broker = broker
        self._is_v5 = settings.version == "5"
        self._queue: dict[int, bytes] = {}
        self._next_id = 1
        self._acknowledged = 0
        self._peer: Peer | None = None
        self._changed = trio.Event()

    async def send(self, payloads: Sequence[bytes]) -> None:
        frames = []
        for payload in payloads:
            self._queue[self._next_id] = payload
            frames.append(publish("t", payload, packet_id=self._next_id, is_v5=self._is_v5))
            self._next_id += 1
        assert self._peer is not None
        await self._peer.send(*frames)

    async def acknowledged(self, count: int) -> None:
        while self._acknowledged < count:
            await self._changed.wait()

    async def count_acknowledged(self) -> int:
        return self._acknowledged

    async def break_off(self) -> None:
        assert self._peer is not None
        self._peer.reset()

    async def serve(self) -> None:
        """One connection after the other, like a broker that keeps everything in memory."""
        is_known = False
        while True:
            peer = self._peer = await self._accept()
            try:
                await peer.expect(CONNECT)
                await peer.send(connack(is_present=is_known, is_v5=self._is_v5))
                is_known = True
                for packet_id, payload in self._queue.items():
                    await peer.send(
                        publish("t", payload, packet_id=packet_id, is_again=True, is_v5=self._is_v5)
                    )
                while True:
                    await self._answer(peer)
            except (EOFError, trio.BrokenResourceError, trio.ClosedResourceError):
                peer.close()

    async def _accept(self) -> Peer:
        while True:
            try:
                return await self._broker.accept()
            except trio.TooSlowError:
                continue

    async def _answer(self, peer: Peer) -> None:
        kind, body = await peer.receive()
        if kind == SUBSCRIBE:
            await peer.grant(body, is_v5=self._is_v5)
        elif kind == PUBACK:
            # MQTT-4.6.0-2: in the order in which they were sent.
            first = next(iter(self._queue))
            assert int.from_bytes(body[:2], "big") == first
            del self._queue[first]
            self._acknowledged += 1
            self._changed.set()
            self._changed = trio.Event()
        elif kind == PINGREQ:
            await peer.send(PINGRESP)
        else:
            assert kind == DISCONNECT, f"packet of type {kind}: {body!r}"
            raise EOFError
