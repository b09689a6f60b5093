"""A WebSocket listener in a thread of its own, for clients without trio: Hypothesis knows none."""

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from queue import SimpleQueue

import trio

from routerd.connectors.websocket.entry.settings import OPEN, EntrySettings
from routerd.connectors.websocket.limits import Limits
from tests.raw_websocket import Frame, request
from tests.websocket_house import ROOMY, open_house


class Grumbles(logging.Handler):
    """What the log has of warnings and worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class Listener:
    """One in a thread; each of its clients has a room for itself.

    Attributes:
        grumbles: whatever it logs that an operator would look at.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self.port = port
        self.tls = tls
        self.grumbles = Grumbles()
        self._rooms = count()

    @contextmanager
    def client(self) -> Iterator["Blocking"]:
        """A client that is in."""
        with self.connection() as plain:
            sock = self.tls.wrap_socket(plain, server_hostname="127.0.0.1") if self.tls else plain
            with sock:
                client = Blocking(sock)
                sock.sendall(request(f"/echo/{next(self._rooms)}"))
                client.read_head()
                yield client

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        """One on which nothing was said yet."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield sock


class Blocking:
    """A client without trio."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._received = b""

    def read_head(self) -> None:
        """The answer to a handshake that is accepted."""
        while b"\r\n\r\n" not in self._received:
            assert self._receive(), "refused"
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")

    def send(self, data: bytes, cuts: list[int]) -> None:
        """In segments of these sizes, and then the rest."""
        for size in cuts:
            self.sock.sendall(data[:size])
            data = data[size:]
        self.sock.sendall(data)

    def read(self, most: int) -> list[Frame]:
        """As many frames, or those until the end."""
        found: list[Frame] = []
        while len(found) < most:
            parsed = self._take_frame()
            if parsed is not None:
                found.append(parsed)
            elif not self._receive():
                break
        return found

    def _receive(self) -> bool:
        data = self.sock.recv(1 << 16)
        self._received += data
        return bool(data)

    def _take_frame(self) -> Frame | None:
        data = self._received
        if len(data) < 2 or len(data) < (start := {126: 4, 127: 10}.get(data[1], 2)):
            return None
        end = start + (data[1] if start == 2 else int.from_bytes(data[2:start], "big"))
        if len(data) < end:
            return None
        assert data[0] & 0xF0 == 0x80
        self._received = data[end:]
        return Frame(data[0] & 0x0F, data[start:end])


@contextmanager
def running_listener(
    *, tls: ssl.SSLContext | None = None, limits: Limits = ROOMY, entry: EntrySettings = OPEN
) -> Iterator[Listener]:
    """One as `open_house` makes it; on leaving, all of its clients are gone."""
    started: SimpleQueue[tuple[int, Callable[[], None]]] = SimpleQueue()

    async def live() -> None:
        async with open_house(limits=limits, entry=entry) as house:
            done = trio.Event()
            token = trio.lowlevel.current_trio_token()
            started.put((house.port, lambda: token.run_sync_soon(done.set)))
            await done.wait()
            with trio.fail_after(5):
                await house.connection.roster.wait_empty()

    thread = threading.Thread(target=trio.run, args=(live,))
    thread.start()
    port, stop = started.get(timeout=10)
    listener = Listener(port, tls)
    logger = logging.getLogger("routerd")
    logger.addHandler(listener.grumbles)
    try:
        yield listener
    finally:
        logger.removeHandler(listener.grumbles)
        stop()
        thread.join()
