"""A TCP proxy that breaks connections the way networks do: by a reset, or by silence one way."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from queue import SimpleQueue
from select import select
from types import TracebackType
from typing import Literal, Self

Direction = Literal["to_server", "to_client"]

_CHUNK = 65_536
_BUFFER_BYTES = 4 * _CHUNK  # a peer that does not read must be felt by the other one
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _End:
    """One end of a connection, and what waits to be written to it."""

    def __init__(self, end: socket.socket, direction: Direction) -> None:
        self.socket = end
        self.direction = direction  # of what is read here
        self.outgoing = bytearray()
        self.has_ended = False
        self.other: _End = self
        end.setblocking(False)
        with contextlib.suppress(OSError):  # reset already, as the first read will say
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        return self.socket.fileno()

    def read(self) -> None:
        data = self.socket.recv(_CHUNK)
        self.other.outgoing += data
        if not data:
            self.has_ended = True
            if not self.other.outgoing:
                self.other.socket.shutdown(socket.SHUT_WR)

    def write(self) -> None:
        del self.outgoing[: self.socket.send(self.outgoing)]
        if self.other.has_ended and not self.outgoing:
            self.socket.shutdown(socket.SHUT_WR)


class FaultProxy:
    """Leads connections from `port` to `target` on 127.0.0.1, from `with` to its end.

    Its methods return when what they say has been done.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._ends: list[_End] = []
        self._silent: set[Direction] = set()
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._wake, self._woken = socket.socketpair()
        self._is_open = True
        self._thread = threading.Thread(target=self._serve, name="faultproxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._do(self._close)
        self._thread.join()
        for each in (self._server, self._wake, self._woken):
            each.close()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._ends) // 2

    def reset(self) -> None:
        """Every connection ends with a RST on both sides; new ones are welcome."""
        self._do(self._reset)

    def silence(self, direction: Direction) -> None:
        """Holds what goes in that direction, on old and new connections, until `flow`."""
        self._do(lambda: self._silent.add(direction))

    def flow(self) -> None:
        """Takes `silence` back: what was held goes on, nothing is lost."""
        self._do(self._silent.clear)

    def _do(self, order: Callable[[], None]) -> None:
        """Has the proxy's own thread do it: a socket closes badly while another thread waits."""
        done = threading.Event()

        def carry_out() -> None:
            order()
            done.set()

        self._orders.put(carry_out)
        self._wake.send(b"\0")
        done.wait()

    def _serve(self) -> None:
        while self._is_open:
            readers: list[socket.socket | _End] = [self._woken, self._server]
            readers += [end for end in self._ends if self._may_read(end)]
            writers = [end for end in self._ends if end.outgoing]
            readable, writable, _ = select(readers, writers, [])
            for each in (*readable, *writable):
                if each is self._woken:
                    self._woken.recv(1)
                    self._orders.get()()
                elif each is self._server:
                    self._accept()
                elif isinstance(each, _End) and each in self._ends:  # else reset meanwhile
                    self._move(each, reads=each in readable)

    def _may_read(self, end: _End) -> bool:
        is_full = len(end.other.outgoing) >= _BUFFER_BYTES
        return not (end.has_ended or is_full or end.direction in self._silent)

    def _accept(self) -> None:
        accepted, _ = self._server.accept()
        try:
            onward = socket.create_connection(("127.0.0.1", self.target), timeout=5)
        except OSError:
            accepted.close()
            return
        client, server = _End(accepted, "to_server"), _End(onward, "to_client")
        client.other, server.other = server, client
        self._ends += [client, server]

    def _move(self, end: _End, *, reads: bool) -> None:
        try:
            end.read() if reads else end.write()
        except BlockingIOError:
            return
        except OSError:  # one side broke: so does the other
            self._drop(end, resets=True)
            return
        if end.has_ended and end.other.has_ended and not end.outgoing and not end.other.outgoing:
            self._drop(end, resets=False)

    def _drop(self, end: _End, *, resets: bool) -> None:
        for each in (end, end.other):
            with contextlib.suppress(OSError):
                if resets:
                    each.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                each.socket.close()
            self._ends.remove(each)

    def _reset(self) -> None:
        while self._ends:
            self._drop(self._ends[0], resets=True)

    def _close(self) -> None:
        self._reset()
        self._is_open = False
