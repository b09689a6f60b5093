"""A fast MQTT 3.1.1 publisher on a bare socket, and the proof of what it got acknowledged.

A message is known by its index in the list that `publish` was given. Nothing is sent twice: what
has no PUBACK when the connection breaks is simply not acknowledged.
"""

import contextlib
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

_CONNACK = 0x20
_PUBACK = 0x40
_PUBACK_BYTES = 4
_CHUNK = 200
_KEEPALIVE_SECONDS = 65_535  # never, as good as; 0, which says so, is an error to rumqttd


@dataclass
class _Progress:
    """What one call of `publish` has sent and got back."""

    frames: Sequence[bytes]
    first_id: int
    sent: int = 0
    acknowledged: list[int] = field(default_factory=list)

    @property
    def unacknowledged(self) -> int:
        return self.sent - len(self.acknowledged)

    def index_of(self, packet_id: int) -> int:
        """The message that this packet id stands for: at most 65535 are out at a time."""
        index = (packet_id - self.first_id) % 65_535
        done = self.sent - 1
        return index + (done - index) // 65_535 * 65_535


class Publisher:
    """A client connected to a broker, from `with` to its end. It doesn't reconnect.

    Args:
        port: of the broker on 127.0.0.1.
        client_id: empty has the broker choose.
        login: name and password.
        window: at most so many messages wait for their PUBACK.
    """

    def __init__(
        self,
        port: int,
        *,
        client_id: str = "",
        login: tuple[str, str] | None = None,
        window: int = 1000,
    ) -> None:
        self._window = window
        self._next_id = 1
        self._rest = b""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(_connect_frame(client_id, login))
        answer = self._socket.recv(4)
        if len(answer) != 4 or answer[0] != _CONNACK or answer[3] != 0:
            self._socket.close()
            raise ConnectionRefusedError(f"CONNACK {answer.hex()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """DISCONNECT if that is still possible."""
        try:
            self._socket.sendall(b"\xe0\x00")
        except OSError:
            pass
        finally:
            self._socket.close()

    def publish(
        self,
        messages: Sequence[tuple[str, bytes]],
        *,
        qos: int = 1,
        rate: float | None = None,
        retain: bool = False,
        timeout: float = 60.0,
    ) -> list[int]:
        """Publishes (topic, payload) pairs and returns the indices that were acknowledged.

        Blocks until all have been, the connection broke, or `timeout` seconds have gone; the last
        two are no error, but the publisher is of no more use then. With QoS 0 it returns those
        that were handed to the kernel.

        Args:
            messages: what to publish, in this order.
            qos: 0 or 1.
            rate: messages a second; None: as fast as the window allows.
            retain: sets the retain flag.
            timeout: seconds.
        """
        first_id = self._next_id
        flags = 0x30 | qos << 1 | (1 if retain else 0)
        frames = [
            _publish_frame(flags, topic, payload, packet_id=(first_id + i - 1) % 65_535 + 1)
            for i, (topic, payload) in enumerate(messages)
        ]
        self._next_id = (first_id + len(frames) - 1) % 65_535 + 1
        progress = _Progress(frames, first_id)
        with contextlib.suppress(OSError):  # broken or too late: what is acknowledged counts
            self._run(progress, qos=qos, rate=rate, timeout=timeout)
        if qos and progress.unacknowledged:
            self._socket.close()  # a late PUBACK must not be taken for one of the next call's
        return list(range(progress.sent)) if qos == 0 else progress.acknowledged

    def _run(self, progress: _Progress, *, qos: int, rate: float | None, timeout: float) -> None:
        begin = time.monotonic()
        self._socket.settimeout(timeout)
        while progress.sent < len(progress.frames) or (qos and progress.unacknowledged):
            if time.monotonic() - begin > timeout:
                return
            due = self._due(progress, rate, elapsed=time.monotonic() - begin)
            if qos:
                due = min(due, self._window - progress.unacknowledged)
            if due > 0:
                self._send(progress, min(due, _CHUNK))
            elif rate and progress.sent < len(progress.frames):
                time.sleep(min(0.001, 1 / rate))
            if qos and progress.unacknowledged:
                self._receive(progress, waits=due <= 0 and not self._is_paced(progress, rate))

    def _due(self, progress: _Progress, rate: float | None, *, elapsed: float) -> int:
        left = len(progress.frames) - progress.sent
        return left if rate is None else min(left, int(elapsed * rate) + 1 - progress.sent)

    def _is_paced(self, progress: _Progress, rate: float | None) -> bool:
        return rate is not None and progress.sent < len(progress.frames)

    def _send(self, progress: _Progress, count: int) -> None:
        self._socket.sendall(b"".join(progress.frames[progress.sent : progress.sent + count]))
        progress.sent += count

    def _receive(self, progress: _Progress, *, waits: bool) -> None:
        try:
            data = self._socket.recv(65_536, 0 if waits else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionResetError("the broker closed the connection")
        data = self._rest + data
        whole = len(data) - len(data) % _PUBACK_BYTES  # a client that only publishes gets no other
        self._rest = data[whole:]
        for kind, _, packet_id in struct.iter_unpack(">BBH", data[:whole]):
            assert kind == _PUBACK, data.hex()
            progress.acknowledged.append(progress.index_of(packet_id))


def _connect_frame(client_id: str, login: tuple[str, str] | None) -> bytes:
    flags = 0x02 | (0xC0 if login else 0)
    body = _text("MQTT") + bytes([4, flags]) + struct.pack(">H", _KEEPALIVE_SECONDS)
    body += b"".join(map(_text, [client_id, *(login or ())]))
    return b"\x10" + _length(len(body)) + body


def _publish_frame(flags: int, topic: str, payload: bytes, *, packet_id: int) -> bytes:
    head = _text(topic) + (struct.pack(">H", packet_id) if flags & 0x06 else b"")
    return bytes([flags]) + _length(len(head) + len(payload)) + head + payload


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack(">H", len(encoded)) + encoded


def _length(value: int) -> bytes:
    """MQTT's variable byte integer."""
    encoded = bytearray()
    while True:
        value, digit = divmod(value, 128)
        encoded.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(encoded)
