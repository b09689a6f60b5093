"""The one writer of a client: protocol frames and broadcasts in one order, never mixed up.

A write goes straight to the socket; only what that doesn't take waits in an `outbox`, and is
written by a task that lives as long as something waits. Plain TCP and TLS differ in the pipe.
"""

import os
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum, auto
from functools import partial
from typing import Protocol

import trio

from routerd.connectors.websocket.frames import CLOSE
from routerd.connectors.websocket.limits import DEFAULTS, Limits
from routerd.connectors.websocket.outbox import Outbox
from routerd.feed import Frame

_PIECES_AT_ONCE = 512
_UNSENT_BYTES = 32 << 10
"""That the kernel holds for a client that may miss messages, beside what is on the way to it."""
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: the kernel throws away what is unsent


class Pipe(Protocol):
    """Where a writer's bytes go; never blocks."""

    @property
    def is_behind(self) -> bool:
        """Whether the kernel has not got all that was taken. The next write goes on with that."""

    def write(self, data: bytes, /) -> int:
        """How much of `data` it has taken.

        Raises:
            BlockingIOError: nothing; it can be tried again when the socket is writable.
            OSError: the client is gone.
        """

    def write_pieces(self, pieces: Sequence[bytes], /) -> int:
        """As `write`, of all of them together."""


class PlainPipe:
    """A TCP socket, as it is."""

    __slots__ = ("write", "write_pieces")
    is_behind = False

    def __init__(self, fd: int) -> None:
        self.write: Callable[[bytes], int] = partial(os.write, fd)
        self.write_pieces: Callable[[Sequence[bytes]], int] = partial(os.writev, fd)


class _State(Enum):
    OPEN = auto()
    SLOW = auto()  # only a close frame may follow
    SEALED = auto()  # a close frame was written; nothing may follow (RFC 6455 5.5.1)
    GONE = auto()


class Writer:
    """Writes to one client; an `interfaces.Member`. Owns its socket's writing side and its end."""

    __slots__ = (
        "_drained", "_is_direct", "_is_draining", "_limits", "_may_lag", "_on_slow", "_outbox",
        "_pipe", "_socket", "_start_drain", "_state", "_write",
    )  # fmt: skip

    def __init__(
        self,
        sock: trio.socket.SocketType,
        *,
        start_drain: Callable[[], None],
        on_slow: Callable[[], None],
        pipe: Pipe | None = None,
        limits: Limits = DEFAULTS,
    ) -> None:
        """Takes over the writing side of `sock`.

        Args:
            sock: which nobody else writes to or closes.
            start_drain: starts `drain` as a task.
            on_slow: called when the client takes too little; it shall be closed with 4408.
            pipe: what leads to the socket; None: nothing between.
            limits: on how much waits for it, and for how long.
        """
        self._socket = sock
        self._pipe: Pipe = pipe or PlainPipe(sock.fileno())
        self._may_lag = pipe is not None
        self._write = self._pipe.write  # once per broadcast and member: it shows
        self._start_drain = start_drain
        self._on_slow = on_slow
        self._limits = limits
        self._outbox: Outbox | None = None  # most clients never need one
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
        return self._outbox.size if self._outbox else 0

    def _has_more(self) -> bool:
        """Whether something is to be written before the socket may be closed."""
        return bool(self._outbox) or self._pipe.is_behind

    def push(self, data: bytes, frames: Sequence[Frame]) -> None:
        """Writes broadcast frames after all that was written before. Never blocks or raises.

        A client that is closing, gone or too slow gets none.
        """
        if self._is_direct:
            self._send(data, frames)
        elif self._state is _State.OPEN:
            self._enqueue(frames)
        else:
            self._miss(frames)

    def offer(self, data: bytes) -> bool:
        """Writes an answer, as `push` does; False: this client gets nothing any more."""
        self.push(data, (Frame(data),))
        return self._state is _State.OPEN

    def write(self, data: bytes) -> None:
        """Writes one protocol frame, or the response to a handshake.

        Raises:
            trio.BrokenResourceError: the client is gone.
        """
        is_close = data[0] == CLOSE
        if self._state is _State.OPEN or (self._state is _State.SLOW and is_close):
            if is_close:
                self._enter(_State.SEALED)
            if self._outbox is None:
                self._send(data, (Frame(data),))
            elif is_close:
                self._outbox.add_last(data)
            elif not self._outbox.add_urgent(data):
                self._become_slow()
        if self._state is _State.GONE:
            raise trio.BrokenResourceError("the client is gone")

    async def wait_drained(self) -> None:
        """Returns when nothing is queued, or the client is gone."""
        while self._has_more():
            if self._drained is None:
                self._drained = trio.Event()
            await self._drained.wait()

    async def drain(self) -> None:
        """Writes what is queued, and returns when nothing is. A slow client is reported."""
        try:
            while self._has_more() and (outbox := self._outbox) is not None:
                with trio.move_on_after(self._limits.send_timeout) as patience:
                    await trio.lowlevel.wait_writable(self._socket)
                if not patience.cancelled_caught:
                    self._write_queued()
                elif not outbox.is_patient:
                    self._become_slow()
        except OSError:
            self._lose()
        except trio.ClosedResourceError:
            self._lose()
        self._is_draining = False
        self._outbox = None
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
                self._write(last_words)
        self._lose()
        if reset:
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._socket.close()

    def _send(self, data: bytes, frames: Sequence[Frame]) -> None:
        try:
            sent = self._write(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lose()
            self._miss(frames)
            return
        if sent < len(data) or (self._may_lag and self._pipe.is_behind):
            self._begin_queue(frames, sent)

    def _begin_queue(self, frames: Sequence[Frame], sent: int) -> None:
        """What is left of these frames waits, and whatever is pushed meanwhile comes after it."""
        outbox = Outbox(
            most_bytes=self._limits.queue_bytes, most_messages=self._limits.queue_messages
        )
        self._outbox = outbox
        self._is_direct = False
        if not outbox.add_rest(frames, sent):
            self._become_slow()
        elif outbox.is_patient:
            self._shorten_kernel_queue()
        if not self._is_draining:
            self._is_draining = True
            self._start_drain()

    def _shorten_kernel_queue(self) -> None:
        """Leaves to the kernel only a little that it can't send yet.

        A client that was fast before it was slow has megabytes of buffer there, and what is in
        it can't be dropped: old news, and a ping behind them.
        """
        with suppress(OSError):  # not TCP
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)

    def _enqueue(self, frames: Sequence[Frame]) -> None:
        outbox = self._outbox
        if outbox is None:
            return
        for index, frame in enumerate(frames):
            if not outbox.add(frame):
                self._become_slow()
                self._miss(frames[index + 1 :])
                return

    def _write_queued(self) -> None:
        outbox = self._outbox
        if outbox is None:
            return
        try:
            sent = self._pipe.write_pieces(outbox.peek(_PIECES_AT_ONCE))
        except BlockingIOError:
            return
        outbox.sent(sent)

    def _become_slow(self) -> None:
        """Forgets what waits, but for the rest of a half-written frame: a close frame is next."""
        if self._state is not _State.OPEN:
            return
        self._enter(_State.SLOW)
        if self._outbox is not None:
            self._outbox.drop_waiting("disconnected")
        self._on_slow()

    def _miss(self, frames: Sequence[Frame]) -> None:
        """Counts what comes too late for this client."""
        for frame in frames:
            if frame.feed is not None:
                frame.feed.miss("disconnected" if self._state is _State.SLOW else "gone")

    def _lose(self) -> None:
        """Writes nothing any more: another connection may get this file descriptor."""
        self._enter(_State.GONE)
        self._pipe, self._write = _GONE, _GONE.write
        if self._outbox is not None:
            self._outbox.drop_all("gone")
        self._tell_drained()

    def _tell_drained(self) -> None:
        if self._drained is not None:
            self._drained.set()
            self._drained = None

    def _enter(self, state: _State) -> None:
        if self._state is not _State.GONE:
            self._state = state
        self._is_direct = self._state is _State.OPEN and self._outbox is None


class _Nowhere:
    """The pipe of a client that is gone: its file descriptor may be another one's by now."""

    is_behind = False

    def write(self, data: bytes, /) -> int:
        raise BrokenPipeError

    def write_pieces(self, pieces: Sequence[bytes], /) -> int:
        raise BrokenPipeError


_GONE = _Nowhere()
