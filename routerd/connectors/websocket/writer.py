"""The one writer of a client: protocol frames and broadcasts in one order, never mixed up.

A write goes straight to the socket; only what that doesn't take is queued, and drained by a
task that lives as long as the queue does. For plain TCP.
"""

import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from itertools import islice

import trio

from routerd.connectors.websocket.frames import CLOSE

QUEUE_BYTES = 1 << 20
"""Most bytes that wait for a client. A lone write may exceed it, so that any message fits."""
SEND_TIMEOUT = 10.0
"""Seconds without a byte taken, after which the client is too slow."""
_CHUNKS_AT_ONCE = 64
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: the kernel throws away what is unsent


class _State(Enum):
    OPEN = auto()
    SLOW = auto()  # only a close frame may follow
    SEALED = auto()  # a close frame was written; nothing may follow (RFC 6455 5.5.1)
    GONE = auto()


class Writer:
    """Writes to one client; an `interfaces.Member`. Owns its socket's writing side and its end."""

    __slots__ = (
        "_drained", "_fd", "_is_cut", "_is_direct", "_is_draining", "_on_slow", "_queue",
        "_queued", "_socket", "_start_drain", "_state",
    )  # fmt: skip

    def __init__(
        self,
        sock: trio.socket.SocketType,
        *,
        start_drain: Callable[[], None],
        on_slow: Callable[[], None],
    ) -> None:
        """Takes over the writing side of `sock`.

        Args:
            sock: which nobody else writes to or closes.
            start_drain: starts `drain` as a task.
            on_slow: called when the client takes too little; it shall be closed with 4408.
        """
        self._socket = sock
        self._fd = sock.fileno()
        self._start_drain = start_drain
        self._on_slow = on_slow
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._is_cut = False  # the head of the queue is what is left of a half-written chunk
        self._is_draining = False
        self._drained: trio.Event | None = None
        self._state = _State.OPEN
        self._is_direct = True

    @property
    def is_sealed(self) -> bool:
        """Whether nothing can follow: a close frame was written, or the client is gone."""
        return self._state in {_State.SEALED, _State.GONE}

    @property
    def queued_bytes(self) -> int:
        """How much waits because the client takes it too slowly."""
        return self._queued

    def push(self, frames: bytes) -> None:
        """Writes broadcast frames after all that was written before. Never blocks or raises.

        A client that is closing, gone or too slow gets none.
        """
        if self._is_direct:
            self._send(frames)
        elif self._state is _State.OPEN:
            self._enqueue(frames)

    def offer(self, frame: bytes) -> bool:
        """As `push`; False: this client gets nothing any more."""
        self.push(frame)
        return self._state is _State.OPEN

    def write(self, frame: bytes) -> None:
        """Writes one protocol frame, or the response to a handshake.

        Raises:
            trio.BrokenResourceError: the client is gone.
        """
        is_close = frame[0] == CLOSE
        if self._state is _State.OPEN or (self._state is _State.SLOW and is_close):
            if is_close:
                self._enter(_State.SEALED)
            if self._queue:
                self._enqueue(frame)
            else:
                self._send(frame)
        if self._state is _State.GONE:
            raise trio.BrokenResourceError("the client is gone")

    async def wait_drained(self) -> None:
        """Returns when nothing is queued, or the client is gone."""
        while self._queue:
            if self._drained is None:
                self._drained = trio.Event()
            await self._drained.wait()

    async def drain(self) -> None:
        """Writes what is queued, and returns when nothing is. A slow client is reported."""
        try:
            while self._queue:
                with trio.move_on_after(SEND_TIMEOUT) as patience:
                    await trio.lowlevel.wait_writable(self._socket)
                if patience.cancelled_caught:
                    self._become_slow()
                else:
                    self._write_queued()
        except OSError:
            self._lose()
        except trio.ClosedResourceError:
            self._lose()
        self._is_draining = False
        self._enter(self._state)
        self._tell_drained()

    def close(self, *, last_words: bytes = b"", reset: bool = False) -> None:
        """Closes the socket; harmless a second time.

        Args:
            last_words: a close frame, written only if that can be done at once.
            reset: throws away what is unsent.
        """
        if last_words and self._is_direct:
            with suppress(OSError):
                os.write(self._fd, last_words)
        self._lose()
        if reset:
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._socket.close()

    def _send(self, frames: bytes) -> None:
        try:
            sent = os.write(self._fd, frames)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lose()
            return
        if sent < len(frames):
            self._is_cut = sent > 0
            self._enqueue(frames[sent:])

    def _enqueue(self, frames: bytes) -> None:
        is_over = self._queued + len(frames) > QUEUE_BYTES
        if self._queue and is_over and self._state is _State.OPEN:
            self._become_slow()
            return
        self._queue.append(frames)
        self._queued += len(frames)
        self._is_direct = False
        if not self._is_draining:
            self._is_draining = True
            self._start_drain()

    def _write_queued(self) -> None:
        queue = self._queue
        try:
            sent = os.writev(self._fd, list(islice(queue, _CHUNKS_AT_ONCE)))
        except BlockingIOError:
            return
        self._queued -= sent
        while queue and sent >= len(queue[0]):
            sent -= len(queue.popleft())
            self._is_cut = False
        if sent:
            queue[0] = queue[0][sent:]
            self._is_cut = True

    def _become_slow(self) -> None:
        """Forgets what waits, but for the rest of a half-written chunk: a close frame is next."""
        if self._state is not _State.OPEN:
            return
        self._enter(_State.SLOW)
        rest = self._queue[0] if self._is_cut else b""
        self._queue.clear()
        self._queued = len(rest)
        if rest:
            self._queue.append(rest)
        self._on_slow()

    def _lose(self) -> None:
        """Writes nothing any more: another connection may get this file descriptor."""
        self._enter(_State.GONE)
        self._fd = -1
        self._queue.clear()
        self._queued = 0
        self._tell_drained()

    def _tell_drained(self) -> None:
        if self._drained is not None:
            self._drained.set()
            self._drained = None

    def _enter(self, state: _State) -> None:
        if self._state is not _State.GONE:
            self._state = state
        self._is_direct = self._state is _State.OPEN and not self._queue
