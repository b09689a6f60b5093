"""Program: a group's member beside a direct subscriber. `MQTT_PORT COUNT RATE [HOST WS_PORT]`.

One process publishes, subscribes to the same topic at the broker, and is a member of the group at
/sub: what routerd adds is the time by which a message came later to the member. Without `HOST` it
subscribes a second time instead: what the measuring itself comes to.
"""

import select
import socket
import sys
import time
from typing import Protocol

from tests.bench import mqtt_bytes, sockets
from tests.bench.figures import percentile
from tests.bench.mqtt_bytes import PUBLISH
from tests.bench.pacing import Schedule
from tests.bench.program import say, wait_for_go

_TOPIC = "latency/one"
_SIZE = 100
_PATIENCE = 5.0


class Listener(Protocol):
    """One who gets the messages, and when each came: seconds, in the order of arrival."""

    connection: socket.socket
    came: list[float]

    def take(self, data: bytes, now: float) -> None:
        """Notes the messages that end in `data`."""


class Subscriber:
    """A listener at the broker itself."""

    def __init__(self, port: int, client_id: str) -> None:
        self.connection = _mqtt_client(port, client_id)
        self.connection.sendall(mqtt_bytes.subscribe(_TOPIC, 1))
        self.connection.recv(5)
        self.came: list[float] = []
        self._rest = b""

    def take(self, data: bytes, now: float) -> None:
        packets, self._rest = mqtt_bytes.split(self._rest + data)
        for first, body in packets:
            if first & 0xF0 == PUBLISH:
                self.came.append(now)
                id_at = 2 + int.from_bytes(body[:2], "big")
                self.connection.sendall(mqtt_bytes.puback(body[id_at : id_at + 2]))


class Member:
    """A listener at routerd's WebSocket."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.connection = sockets.connect(address, "/sub")
        self.came: list[float] = []
        self._bytes = 0

    def take(self, data: bytes, now: float) -> None:
        frames, self._bytes = divmod(self._bytes + len(data), sockets.FRAME_BYTES)
        self.came += [now] * frames


class Stream:
    """A publisher and two listeners."""

    def __init__(self, port: int, direct: Listener, other: Listener, *, rate: float) -> None:
        self._publisher = _mqtt_client(port, "bench-publisher")
        self._listeners = [direct, other]
        self._rate = rate

    def run(self, count: int) -> list[float]:
        """Seconds by which each message came later to the other one, ordered.

        Ends when all have come to both, or nothing has come for some seconds.
        """
        for listener in self._listeners:
            listener.came.clear()
        schedule = Schedule(count, self._rate)
        sent = 0
        while min(len(listener.came) for listener in self._listeners) < count:
            while schedule.take_if_due():
                sent += 1
                frame = mqtt_bytes.publish(_TOPIC, b"x" * _SIZE, qos=1, packet_id=sent)
                self._publisher.sendall(frame)
            wait = schedule.wait(_PATIENCE)
            if not self._listen(wait) and wait == _PATIENCE:
                break
            _discard(self._publisher)
        direct, other = (listener.came for listener in self._listeners)
        return sorted(late - early for early, late in zip(direct, other, strict=False))

    def _listen(self, wait: float) -> bool:
        by_connection = {listener.connection: listener for listener in self._listeners}
        ready = select.select(list(by_connection), [], [], wait)[0]
        for connection in ready:
            data = connection.recv(65_536)
            by_connection[connection].take(data, time.monotonic())
        return bool(ready)


def _main() -> None:
    port, count, rate = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    direct = Subscriber(port, "bench-direct")
    other: Listener
    if sys.argv[4:]:
        other = Member((sys.argv[4], int(sys.argv[5])))
    else:
        other = Subscriber(port, "bench-second")
    stream = Stream(port, direct, other, rate=rate)
    stream.run(100)
    say(warm=1)
    wait_for_go()
    began = time.monotonic()
    added = stream.run(count) or [0.0]
    say(
        began=began,
        ended=time.monotonic(),
        arrived=len(other.came),
        p50_ms=percentile(added, 0.5) * 1000,
        p99_ms=percentile(added, 0.99) * 1000,
    )
    wait_for_go()


def _discard(publisher: socket.socket) -> None:
    """Throws its PUBACKs away."""
    if select.select([publisher], [], [], 0)[0]:
        publisher.recv(65_536)


def _mqtt_client(port: int, client_id: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(mqtt_bytes.connect(client_id))
    connection.recv(4)
    return connection


if __name__ == "__main__":
    _main()
