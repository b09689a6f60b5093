"""The rig's publisher believes nothing but a PUBACK: shown on a broker that follows a script."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from select import select

import pytest

from tests.rig.mqttpub import Publisher

CONNACK = b"\x20\x02\x00\x00"
Script = Callable[["Connection"], None]


class Connection:
    """The broker's side of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.published: list[tuple[bytes, bytes, int]] = []

    def read(self) -> tuple[int, bytes]:
        """First byte and body of the next packet; (0, b"") at the end."""
        head = self._take(1)
        if not head:
            return 0, b""
        length = shift = 0
        while True:
            digit = self._take(1)[0]
            length |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                return head[0], self._take(length)

    def read_publish(self) -> int | None:
        """The packet id of the next PUBLISH (0 for QoS 0); None at the end."""
        head, body = self.read()
        if head & 0xF0 != 0x30:
            return None
        topic, rest = body[2 : 2 + body[1]], body[2 + body[1] :]
        packet_id, payload = (struct.unpack(">H", rest[:2])[0], rest[2:]) if head & 6 else (0, rest)
        self.published.append((topic, payload, head & 0x0F))
        return int(packet_id)

    def acknowledge(self, *packet_ids: int) -> None:
        self.socket.sendall(b"".join(struct.pack(">BBH", 0x40, 2, each) for each in packet_ids))

    def has_more(self) -> bool:
        """Whether something has come that was not read."""
        return bool(select([self.socket], [], [], 0)[0])

    def _take(self, count: int) -> bytes:
        return self.socket.recv(count, socket.MSG_WAITALL) if count else b""


class ScriptedBroker:
    """Accepts one connection, answers CONNECT, and follows the script."""

    def __init__(self, script: Script, *, connack: bytes = CONNACK) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.published: list[tuple[bytes, bytes, int]] = []
        self.connect = b""
        self._script, self._connack = script, connack
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        accepted, _ = self._server.accept()
        connection = Connection(accepted)
        self.published = connection.published
        _, self.connect = connection.read()
        accepted.sendall(self._connack)
        self._script(connection)
        accepted.close()

    def close(self) -> None:
        self._thread.join(10)
        self._server.close()


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedBroker]]:
    """Makes brokers that follow a script."""
    brokers: list[ScriptedBroker] = []

    def make(script: Script, *, connack: bytes = CONNACK) -> ScriptedBroker:
        brokers.append(ScriptedBroker(script, connack=connack))
        return brokers[-1]

    yield make
    for broker in brokers:
        broker.close()


def acknowledge_all(connection: Connection) -> None:
    while (packet_id := connection.read_publish()) is not None:
        if packet_id:
            connection.acknowledge(packet_id)


def messages(count: int) -> list[tuple[str, bytes]]:
    return [(f"t/{number % 7}", b"%d" % number) for number in range(count)]


def test_what_is_published_arrives_in_order(scripted: Callable[..., ScriptedBroker]) -> None:
    broker = scripted(acknowledge_all)
    with Publisher(broker.port) as publisher:
        assert publisher.publish(messages(500)) == list(range(500))
    broker.close()
    assert broker.published == [(topic.encode(), body, 0b0010) for topic, body in messages(500)]


@pytest.mark.slow
def test_packet_ids_go_round_without_zero(scripted: Callable[..., ScriptedBroker]) -> None:
    ids: list[int] = []

    def script(connection: Connection) -> None:
        while (packet_id := connection.read_publish()) is not None:
            ids.append(packet_id)
            connection.acknowledge(packet_id)

    broker = scripted(script)
    with Publisher(broker.port) as publisher:
        assert publisher.publish(messages(40_000)) == list(range(40_000))
        assert publisher.publish(messages(40_000)) == list(range(40_000))
    broker.close()
    assert ids == [*range(1, 65_536), *range(1, 80_000 - 65_535 + 1)]


def test_acknowledgements_may_come_in_any_order_and_any_pieces(
    scripted: Callable[..., ScriptedBroker],
) -> None:
    def script(connection: Connection) -> None:
        ids = [connection.read_publish() or 0 for _ in range(5)]
        data = b"".join(struct.pack(">BBH", 0x40, 2, each) for each in reversed(ids))
        for byte in data:
            connection.socket.sendall(bytes([byte]))
        connection.read()

    with Publisher(scripted(script).port) as publisher:
        assert publisher.publish(messages(5)) == [4, 3, 2, 1, 0]


def test_only_what_was_acknowledged_counts_when_the_connection_breaks(
    scripted: Callable[..., ScriptedBroker],
) -> None:
    def script(connection: Connection) -> None:
        ids = [connection.read_publish() or 0 for _ in range(10)]
        connection.acknowledge(*ids[:4], ids[7])

    publisher = Publisher(scripted(script).port, window=10)
    assert publisher.publish(messages(100)) == [0, 1, 2, 3, 7]
    publisher.close()


@pytest.mark.slow
def test_only_what_was_acknowledged_in_time_counts(
    scripted: Callable[..., ScriptedBroker],
) -> None:
    def script(connection: Connection) -> None:
        connection.acknowledge(connection.read_publish() or 0)
        while connection.read_publish() is not None:
            pass

    publisher = Publisher(scripted(script).port)
    assert publisher.publish(messages(3), timeout=0.2) == [0]
    assert publisher.publish(messages(3)) == []
    publisher.close()


def test_no_more_than_the_window_is_out(scripted: Callable[..., ScriptedBroker]) -> None:
    has_more: list[bool] = []

    def script(connection: Connection) -> None:
        first = [connection.read_publish() or 0 for _ in range(3)]
        has_more.append(connection.has_more())
        connection.acknowledge(*first)
        acknowledge_all(connection)

    with Publisher(scripted(script).port, window=3) as publisher:
        assert len(publisher.publish(messages(30))) == 30
    assert has_more == [False]


def test_quality_of_service_0_counts_what_was_sent(
    scripted: Callable[..., ScriptedBroker],
) -> None:
    broker = scripted(acknowledge_all)
    with Publisher(broker.port) as publisher:
        assert publisher.publish([("t", b"x")] * 3, qos=0, retain=True) == [0, 1, 2]
    broker.close()
    assert broker.published == [(b"t", b"x", 0b0001)] * 3


def test_a_refused_connect_is_an_error(scripted: Callable[..., ScriptedBroker]) -> None:
    broker = scripted(lambda _: None, connack=b"\x20\x02\x00\x05")
    with pytest.raises(ConnectionRefusedError, match="20020005"):
        Publisher(broker.port)


def test_name_and_password_are_sent(scripted: Callable[..., ScriptedBroker]) -> None:
    broker = scripted(acknowledge_all)
    Publisher(broker.port, client_id="me", login=("plant", "secret")).close()
    broker.close()
    assert broker.connect[7] == 0b1100_0010
    assert broker.connect.endswith(b"\x00\x02me\x00\x05plant\x00\x06secret")


@pytest.mark.slow
def test_a_rate_holds_messages_back(scripted: Callable[..., ScriptedBroker]) -> None:
    publisher = Publisher(scripted(acknowledge_all).port)
    assert publisher.publish(messages(100), rate=0.01, timeout=0.2) == [0]
    publisher.close()
