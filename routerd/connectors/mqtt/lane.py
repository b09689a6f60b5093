"""The lane: PUBLISH packets are taken out of the stream in bulk, paho gets all the rest.

paho reads one packet a call, a byte at a time, and acknowledges with one write each: 12-57 µs
a message. Here one `recv` fills a buffer, the splitter takes the messages out of it, and paho
is fed whole packets of every other kind. What paho and we write is collected and leaves with
one `send`. paho's bookkeeping of time knows nothing of all that, and is not used.
"""

import array
import socket
import ssl
import sys
from collections.abc import Sequence
from contextlib import suppress

import trio
from paho.mqtt.client import Client

from routerd.connectors.mqtt.client import Heard, hear, hear_refusal
from routerd.connectors.mqtt.connect import broken, has_hung_up
from routerd.connectors.mqtt.filters import Wanted
from routerd.connectors.mqtt.frames import Splitter
from routerd.connectors.mqtt.link import CLOSED, Burst
from routerd.connectors.mqtt.packets import (
    PUBREL,
    PUBREL_WITHOUT_ID,
    before_connack,
    find_control_fault,
    find_packet_id,
    long_length,
    malformed,
)
from routerd.errors import Rejected, Unavailable

LARGEST_READ = 256 * 1024
SMALLEST_READ = 16 * 1024
MESSAGES_PER_READ = 3000
"""About 2 ms' work; reads are sized to it by the messages seen so far."""
RECORDS_PER_READ = 200
"""TLS records of one read: decrypting costs more than splitting."""

_CONNACK = 0x20
_PUBCOMP = b"\x70\x02"
_PINGREQ = b"\xc0\x00"
_PINGRESP = b"\xd0\x00"


class PahoSocket:
    """What paho takes for its socket: whole packets in, a buffer out. It never blocks."""

    def __init__(self, fileno: int) -> None:
        self.inbox = b""
        self.outbox = bytearray()
        self.is_closed = False
        self._fileno = fileno

    def recv(self, size: int) -> bytes:
        """As of a socket; after the end it says so again and again, or paho stays connected."""
        taken, self.inbox = self.inbox[:size], self.inbox[size:]
        if not taken and not self.is_closed:
            raise BlockingIOError
        return taken

    def send(self, data: bytes | bytearray) -> int:
        """Collects; the lane sends."""
        self.outbox += data
        return len(data)

    def close(self) -> None:
        """Notes that paho has finished. The socket stays ours, since what it sent must leave."""
        self.is_closed = True
        self.inbox = b""

    def fileno(self) -> int:
        """The real socket's descriptor."""
        return self._fileno

    def setblocking(self, flag: bool) -> None:
        """Nothing: the real socket never blocks."""


class Lane:
    """A `Link` over plain TCP, or over TLS with an `SSLSocket`."""

    def __init__(
        self,
        sock: socket.socket,
        client: Client,
        paho_socket: PahoSocket,
        heard: Heard,
        *,
        is_v5: bool,
        max_packet: int,
        wanted: Wanted,
    ) -> None:
        self.has_more = False
        self._sock = sock
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        self._client = client
        self._paho = paho_socket
        self._heard = heard
        self._outbox = paho_socket.outbox
        self._splitter = Splitter(
            is_v5=is_v5,
            max_packet=max_packet,
            wanted=wanted,
            control=self._hear,
        )
        self._read_size = LARGEST_READ // 4
        self._eof: Unavailable | Rejected | None = None
        self._end: Unavailable | Rejected | None = None

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._sock.fileno()

    # --- in

    def read(self) -> Burst:
        """All that has arrived, or about 2 ms' work of it. What paho shall hear, it has heard."""
        if self._end is not None:
            raise self._end
        size = self._read_size
        data = self._receive_records(size) if self._is_tls else self._receive(size)
        burst = self._feed(data)
        if count := len(burst.messages) + len(burst.skipped):
            wanted = MESSAGES_PER_READ * len(data) // count
            self._read_size = min(LARGEST_READ, max(SMALLEST_READ, wanted))
        if not self._is_tls:
            self.has_more = len(data) >= size
        if self._end is not None:
            self.has_more = True  # the next read raises it
        return burst

    def read_packet(self) -> None:
        """As `read`, but never beyond the packet that is being received."""
        while data := self._receive(min(self._splitter.missing, SMALLEST_READ)):
            burst = self._feed(data)
            if self._end is not None:
                raise self._end
            if not self._splitter.is_within_packet:
                is_publish = bool(burst.messages or burst.skipped)
                if is_publish or self._heard.connack is None:
                    raise before_connack(is_publish=is_publish)
                return

    def _feed(self, data: bytes) -> Burst:
        burst = self._splitter.feed(data)
        self._end = self._end or self._splitter.fault or self._eof
        return burst

    def _receive(self, size: int) -> bytes:
        """What has arrived, up to `size` bytes; nothing if there is nothing."""
        try:
            data = self._sock.recv(size)
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return b""
        except OSError as exc:
            raise broken(exc) from exc
        if not data:
            raise Unavailable(CLOSED)
        return data

    def _receive_records(self, size: int) -> bytes:
        """As `_receive`, over TLS, which gives one record at a time.

        Until it wants to read: what is decrypted already makes no descriptor readable.
        """
        chunks: list[bytes] = []
        left = size
        for _ in range(RECORDS_PER_READ):
            try:
                chunk = self._receive(left)
            except (Unavailable, Rejected) as exc:
                if not chunks:
                    raise
                self._eof = exc  # first what came before it
                break
            if not chunk:
                self.has_more = False
                return b"".join(chunks)
            chunks.append(chunk)
            left -= len(chunk)
            if left <= 0:
                break
        self.has_more = True
        return b"".join(chunks)

    def _hear(self, packet: bytes) -> bool:
        """Takes one whole packet that is no PUBLISH; whether the connection goes on."""
        if packet == _PINGRESP:
            return True  # there is one for each PINGREQ of a long pause; paho judges none of them
        _, at = long_length(packet, 0)
        if fault := find_control_fault(packet[0]):
            self._end = malformed(fault)
        elif packet[0] == PUBREL:
            # paho answers for messages that it knows, which it doesn't; a broker waits for ever.
            if find_packet_id(packet[at:]):
                self._outbox += _PUBCOMP + packet[at : at + 2]
            else:
                self._end = malformed(PUBREL_WITHOUT_ID)
        else:
            self._end = self._tell_paho(packet)
            if self._end is not None and packet[0] == _CONNACK:
                hear_refusal(self._heard, packet[at:])
        return self._end is None

    def _tell_paho(self, packet: bytes) -> Unavailable | None:
        self._paho.inbox = packet
        end = None
        # Not `while inbox` alone: once paho has closed, it never takes the rest.
        while self._paho.inbox and end is None:
            end = hear(self._client)
        if end is None and self._paho.is_closed:
            end = Unavailable("the broker ended the connection")
        if end is None and self._heard.fault:
            end = malformed(self._heard.fault)
        return end

    # --- out

    def acknowledge(self, tokens: Sequence[int]) -> None:
        """Queues acknowledgements, in order: the tokens are the packets."""
        packets = array.array("I", tokens)
        if sys.byteorder == "little":
            packets.byteswap()
        self._outbox += packets.tobytes()

    def ping(self) -> None:
        """Queues a PINGREQ."""
        self._outbox += _PINGREQ

    @property
    def unsent(self) -> int:
        """Bytes that are queued."""
        return len(self._outbox)

    def flush(self) -> bool:
        """Sends what the system takes now; whether all of it is sent."""
        outbox = self._outbox
        try:
            while outbox:
                # After SSLWantWriteError the same bytes must come again: they do, at the front.
                sent = self._sock.send(outbox)
                del outbox[:sent]
        except (BlockingIOError, InterruptedError, ssl.SSLWantWriteError):
            return False
        except OSError as exc:
            raise broken(exc) from exc
        return True

    # --- leaving

    def has_hung_up(self) -> bool:
        """Whether the broker has left."""
        return has_hung_up(self._sock)

    def close_sending(self) -> None:
        """Says that nothing more will be sent; what arrives can still be read away."""
        # On an SSLSocket this also ends decryption: what is read from here on is not looked at.
        with suppress(OSError):  # it may be gone already
            self._sock.shutdown(socket.SHUT_WR)

    def discard(self) -> bool:
        """Reads some input away; False once the broker has closed its side."""
        try:
            return bool(self._sock.recv(LARGEST_READ))
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False

    def close(self) -> None:
        """Closes the socket. What was not flushed is lost."""
        trio.lowlevel.notify_closing(self._sock)
        self._sock.close()
