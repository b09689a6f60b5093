"""A thousand members of one group on real sockets, of which a hundred read only when told to.

Whoever reads is read through one epoll, and what it gets is compared with what it should get, byte
by byte. For tests of a daemon in another process.
"""

import json
import resource
import select
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

from routerd.connectors.websocket.frames import encode
from tests.raw_websocket import TEXT, frame, request

MEMBERS, SLEEPERS = 1000, 100
KEYS = 7
_SIZE = 400
FRAME_BYTES = _SIZE + 4
_AT_A_TIME = 100
"""Messages on their way to those who read: fewer than may wait for one, so that none is slow."""
_SMALLEST_BUFFER = 2048
_PATIENCE = 20.0


@dataclass
class Message:
    """What a member has read."""

    number: int
    key: str


@dataclass
class Sleeper:
    """A member that has read nothing so far."""

    socket: socket.socket
    data: bytearray = field(default_factory=bytearray)
    is_closed: bool = False

    def messages(self) -> list[Message]:
        """All that it has read; a half frame is an error."""
        return [_decoded(payload) for opcode, payload in _frames(self.data) if opcode == TEXT]


def allow_files() -> None:
    """Lets this process and those that it starts open as many sockets as a crowd has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))


class Crowd:
    """All members, and one who publishes."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sleepers = [Sleeper(one) for one in _connect(address, SLEEPERS, sleeps=True)]
        self._readers = _connect(address, MEMBERS - SLEEPERS)
        self._publisher = _connect(address, 1, path="/pub")[0]
        self._published = 0

    def publish(self, count: int) -> None:
        """Returns when all who read have got exactly these messages, in order."""
        for start in range(0, count, _AT_A_TIME):
            numbers = range(self._published, self._published + min(_AT_A_TIME, count - start))
            payloads = [_payload(number) for number in numbers]
            self._published += len(payloads)
            self._publisher.sendall(b"".join(frame(TEXT, payload) for payload in payloads))
            self._expect(b"".join(encode(payload, is_text=True) for payload in payloads))

    def wake(self) -> None:
        """Lets the sleepers read all that there is for them."""
        poll = select.epoll()
        of = {sleeper.socket.fileno(): sleeper for sleeper in self.sleepers}
        for descriptor, sleeper in of.items():
            sleeper.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            poll.register(descriptor, select.EPOLLIN)
        while ready := poll.poll(0.5):
            for descriptor, _ in ready:
                if not _read_more(of[descriptor]):
                    poll.unregister(descriptor)

    def close(self) -> None:
        """Hangs up."""
        for one in (*self._readers, *(each.socket for each in self.sleepers), self._publisher):
            one.close()

    def _expect(self, data: bytes) -> None:
        poll = select.epoll()
        left = {one.fileno(): (one, 0) for one in self._readers}
        for descriptor in left:
            poll.register(descriptor, select.EPOLLIN)
        while left:
            ready = poll.poll(_PATIENCE)
            assert ready, f"{len(left)} of those who read got nothing for {_PATIENCE} s"
            for descriptor, _ in ready:
                one, done = left[descriptor]
                piece = one.recv(len(data) - done)
                assert piece, "one of those who read was closed"
                assert data.startswith(piece, done)
                left[descriptor] = one, done + len(piece)
                if done + len(piece) == len(data):
                    poll.unregister(descriptor)
                    del left[descriptor]


def _connect(
    address: tuple[str, int], count: int, *, path: str = "/sub", sleeps: bool = False
) -> list[socket.socket]:
    """Clients that are in; in bundles, since a handshake waits for the other side."""
    clients: list[socket.socket] = []
    while len(clients) < count:
        bundle = [socket.socket() for _ in range(min(50, count - len(clients)))]
        for client in bundle:
            if sleeps:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALLEST_BUFFER)
            client.settimeout(_PATIENCE)
            client.connect(address)
            client.sendall(request(path))
        for client in bundle:
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer += client.recv(4096)
            assert answer.startswith(b"HTTP/1.1 101 ")
        clients += bundle
    return clients


def _read_more(sleeper: Sleeper) -> bool:
    try:
        piece = sleeper.socket.recv(1 << 16)
    except ConnectionResetError:
        piece = b""
    sleeper.data += piece
    sleeper.is_closed = not piece
    return bool(piece)


def _payload(number: int) -> bytes:
    return json.dumps({"number": number, "key": str(number % KEYS)}).encode().ljust(_SIZE)


def _decoded(payload: bytearray) -> Message:
    found = json.loads(payload)
    return Message(found["number"], found["key"])


def _frames(data: bytearray) -> Iterator[tuple[int, bytearray]]:
    position = 0
    while position < len(data):
        size, start = data[position + 1], position + 2
        if size > 125:
            size, start = int.from_bytes(data[start : start + 2], "big"), start + 2
        payload = data[start : start + size]
        assert len(payload) == size, "half a frame"
        yield data[position] & 0x0F, payload
        position = start + size
