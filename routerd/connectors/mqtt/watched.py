"""What paho takes for its socket on the plain path, and what can be learnt from what it reads.

paho tells no callback of a PUBREL, and of some other packets that matter. It reads byte by byte,
never beyond a packet, so it is enough to look at what passes.
"""
# ruff: noqa: PLR2004 - the numbers are those of MQTT's packet format

import ssl
from typing import Protocol

from routerd.connectors.mqtt.packets import long_length

_KEPT = 4
"""Bytes of a packet's body that are remembered."""
_LONGEST_HEAD = 5
"""Bytes of a fixed header; paho refuses a longer one."""


class WebSocket(Protocol):
    """What paho makes for transport `websockets`."""

    def recv(self, size: int) -> bytes:
        """Up to so many bytes of the MQTT stream."""

    def send(self, data: bytes | bytearray) -> int:
        """All of it as one frame, or 0: then the same must be offered again."""


class Watch:
    """Which packets pass by, in what somebody else reads.

    Attributes:
        packets: the first byte of each, and the start of its body; whoever looks empties it.
    """

    def __init__(self) -> None:
        self.packets: list[tuple[int, bytes]] = []
        self._head = bytearray()
        self._body = bytearray()
        self._left = 0

    def see(self, data: bytes) -> None:
        """One read: a byte of a fixed header, or a part of a body."""
        if self._left:
            self._body += data[: _KEPT - len(self._body)]
            self._left -= len(data)
        elif data:
            self._head += data
            if len(self._head) == 1 or self._head[-1] > 127 or len(self._head) > _LONGEST_HEAD:
                return
            self._left, _ = long_length(bytes(self._head), 0)
        if self._head and not self._left:
            self.packets.append((self._head[0], bytes(self._body)))
            self._head.clear()
            self._body.clear()


class CollectingSocket:
    """What paho takes for its socket: reads go through, writes are collected.

    paho loses a packet of which only a part could be written to a WebSocket.

    Attributes:
        outbox: what the link shall send.
        is_closed: paho has finished with it.
        watch: the packets that paho has read.
        failure: why a read failed.
    """

    def __init__(self, made: WebSocket, fileno: int) -> None:
        self.outbox = bytearray()
        self.is_closed = False
        self.watch = Watch()
        self.failure: OSError | None = None
        self._made = made
        self._fileno = fileno

    def recv(self, size: int) -> bytes:
        """As of a socket."""
        if self.is_closed:
            return b""
        try:
            data = self._made.recv(size)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError as exc:
            self.failure = exc  # paho says no more than that the connection is lost
            raise
        self.watch.see(data)
        return data

    def send(self, data: bytes | bytearray) -> int:
        """Collects; the link sends."""
        self.outbox += data
        return len(data)

    def close(self) -> None:
        """Notes that paho has finished. The socket stays ours, since what it sent must leave."""
        self.is_closed = True

    def fileno(self) -> int:
        """The real socket's descriptor."""
        return self._fileno

    def setblocking(self, flag: bool) -> None:
        """Nothing: the real socket never blocks."""
