"""What a source does about a broker that takes nothing: on a link of the test's own, in no time."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
import trio

from routerd.connectors.mqtt import source as source_module
from routerd.connectors.mqtt.client import Connack, GivenSocketClient, Heard, open_client
from routerd.connectors.mqtt.connector import MqttConnector
from routerd.connectors.mqtt.lane import PahoSocket
from routerd.connectors.mqtt.link import PUBACK, Burst
from routerd.connectors.mqtt.session import SessionMemory
from routerd.connectors.mqtt.settings import MqttFilter, MqttSettings, MqttSourceSpec
from routerd.connectors.mqtt.source import MqttSource
from routerd.errors import Unavailable
from routerd.interfaces import RouteContext
from routerd.mailbox import Batch, Mailbox
from routerd.message import Message
from routerd.receipt import SinkCounts
from routerd.scope import Scope
from routerd.status import DaemonStatus
from tests.fakes import fake_status

SPEC = MqttSourceSpec((MqttFilter("#"),), "s")


@dataclass
class StubbornLink:
    """A link whose other side may take nothing. A byte on `sock` is a packet to read."""

    sock: socket.socket
    heard: Heard
    takes: bool = True
    is_subscribed: bool = False
    has_more: bool = False
    pings: int = 0
    unsent: int = 0
    breaks: str = ""
    acknowledged: list[int] = field(default_factory=list)
    closed: bool = False

    def fileno(self) -> int:
        return self.sock.fileno()

    def read(self) -> Burst:
        with suppress(BlockingIOError):
            self.sock.recv(1)
        if not self.is_subscribed:
            self.is_subscribed, self.heard.suback = True, (1, [1])
        return Burst()

    def read_packet(self) -> None:
        self.sock.recv(1)
        self.heard.connack = Connack(0, "Success", is_session_present=True)

    def has_hung_up(self) -> bool:
        return False

    def acknowledge(self, tokens: Sequence[int]) -> None:
        self.acknowledged += tokens
        self.unsent += 4 * len(tokens)

    def ping(self) -> None:
        self.pings += 1
        self.unsent += 2

    def flush(self) -> bool:
        if self.breaks:
            raise Unavailable(self.breaks)
        if self.takes:
            self.unsent = 0
        return self.takes

    def close_sending(self) -> None:
        """Nothing to say."""

    def discard(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


class House:
    """A source on a stubborn link."""

    def __init__(self, sock: socket.socket, *, keepalive: int = 0) -> None:
        self.status = fake_status()
        self.mailbox = Mailbox(self.status)
        self.link = StubbornLink(sock, Heard())
        settings = MqttSettings("mqtt", "mqtt", "broker", 1883, keepalive=keepalive)
        self.source = MqttSource(settings, SPEC, self._context(), SessionMemory(), self._open)
        self.failure: Exception | None = None

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            await self.source.run(self.mailbox, task_status=task_status)
        except Unavailable as exc:
            self.failure = exc

    def settle(self, *tokens: int) -> None:
        messages = [Message(b"t", b"", token) for token in tokens]
        self.source.settle([Batch(messages, 0, 0, self.source)])

    def _context(self) -> RouteContext:
        return RouteContext("fake", self.status, Scope([], []), None, {}, 20, 1000)

    async def _open(
        self, settings: MqttSettings, spec: MqttSourceSpec, heard: Heard
    ) -> tuple[GivenSocketClient, StubbornLink]:
        self.link.heard = heard
        client = open_client(settings, spec, heard=heard)
        client.given = PahoSocket(self.link.fileno())
        return client, self.link


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection with CONNACK on it: our end, and the broker's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.send(b"x")
        yield ours, theirs


@pytest.fixture
def ready(pair: tuple[socket.socket, socket.socket]) -> socket.socket:
    """Our end."""
    return pair[0]


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection can be written to."""

    async def wait(_descriptor: int) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(trio.lowlevel, "wait_writable", wait)


@pytest.mark.usefixtures("stuck")
async def test_a_broker_that_takes_nothing_is_given_up(
    ready: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "FLUSH_TIMEOUT", 0.02)
    house = House(ready)
    async with trio.open_nursery() as nursery:
        await nursery.start(house.run)
        house.link.takes = False
        house.settle(PUBACK | 1)
    assert str(house.failure) == "broker:1883 takes nothing that we send"
    assert house.link.closed


@pytest.mark.usefixtures("stuck")
async def test_acknowledgements_that_pile_up_are_the_end(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ready, broker = pair
    monkeypatch.setattr(source_module, "MOST_UNSENT", 100)
    house = House(ready)
    async with trio.open_nursery() as nursery:
        await nursery.start(house.run)
        house.link.takes = False
        house.settle(*range(PUBACK + 1, PUBACK + 100))
        broker.send(b"x")  # it has more for us
    assert str(house.failure) == "broker:1883 takes none of our acknowledgements"


async def test_a_write_that_fails_ends_the_life_and_not_the_route(ready: socket.socket) -> None:
    house = House(ready)
    async with trio.open_nursery() as nursery:
        await nursery.start(house.run)
        house.link.breaks = "the connection to the broker broke: Broken pipe"
        house.settle(PUBACK | 1)  # called by the route, which must not fall by it
    assert str(house.failure) == house.link.breaks


@pytest.mark.slow
@pytest.mark.usefixtures("stuck")
async def test_no_ping_is_queued_behind_something_that_waits_to_be_sent(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ready, broker = pair
    house = House(ready, keepalive=1)
    async with trio.open_nursery() as nursery:
        await nursery.start(house.run)
        house.link.takes = False
        house.settle(PUBACK | 1)
        house.mailbox.is_paused = True
        broker.send(b"x")  # the reader finds no room, and silence is not judged
        await trio.sleep(1.7)  # three pings were due
        nursery.cancel_scope.cancel()
    assert house.link.pings == 0
    assert house.link.acknowledged == [PUBACK | 1]


async def test_settling_after_the_end_is_counted(ready: socket.socket) -> None:
    house = House(ready)
    async with trio.open_nursery() as nursery:
        await nursery.start(house.run)
        nursery.cancel_scope.cancel()
    house.settle(PUBACK | 1, 0, PUBACK | 2)
    assert house.status.late_acks == 2
    assert house.link.acknowledged == []
    assert house.status.mqtt_connected is False


async def test_the_connector_connects_nowhere_by_itself() -> None:
    connector = MqttConnector()
    settings = MqttSettings("mqtt", "mqtt", "broker.invalid", 1883)
    status = DaemonStatus("test")
    async with connector.open(settings, total_inflight=0, status=status) as connection:
        context = RouteContext("r", fake_status(), Scope([], []), None, {}, 20, 1000)
        open_source = connection.open_source(SPEC, context)
        assert open_source() is not open_source()
        assert context.status.mqtt_connected is False
        with pytest.raises(NotImplementedError):
            connection.open_sink(None, context, SinkCounts())
