"""TCP connections led on from one port to another, which can be cut and refused on demand.

It stands between the demo's MQTT broker and everybody who talks to it: a broker that keeps its
sessions in memory can't be stopped without losing them, but it can be cut off the network.
"""

import contextlib
import socket
import struct
from typing import Final

import trio

_HOST: Final = "127.0.0.1"
_CHUNK: Final = 65_536
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_PAUSE_WHEN_EXHAUSTED: Final = 0.1  # seconds


class Relay:
    """Leads what comes to `port` on to another one, while `run` runs and it is open.

    Attributes:
        port: its own for as long as the object is there, also while it is closed.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        # Bound but never listening: it keeps the port for us while connections are refused.
        self._holder = _bind(0)
        self.port: int = self._holder.getsockname()[1]
        self._listener: trio.SocketListener | None = None
        self._opened = trio.Event()
        self._streams: set[trio.SocketStream] = set()
        self.open()

    @property
    def is_open(self) -> bool:
        """False from `close` to `open`."""
        return self._listener is not None

    def open(self) -> None:
        """Takes new connections from now on."""
        if self._listener is None:
            listening = _bind(self.port)
            listening.listen(128)
            self._listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
            self._opened.set()

    def close(self) -> None:
        """Cuts every connection, and refuses new ones until `open`."""
        if self._listener is not None:
            self._listener.socket.close()
            self._listener = None
            self._opened = trio.Event()
        self.cut()

    def cut(self) -> None:
        """Ends every connection on both sides with a reset; new ones are welcome."""
        for stream in self._streams:
            with contextlib.suppress(OSError):
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            stream.socket.close()
        self._streams.clear()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Leads connections on, until cancelled."""
        task_status.started()
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    await self._opened.wait()
                    stream = await self._accept()
                    if stream is not None:
                        nursery.start_soon(self._serve, stream)
        finally:
            self.close()
            self._holder.close()

    async def _accept(self) -> trio.SocketStream | None:
        if self._listener is None:
            return None
        try:
            return await self._listener.accept()
        except trio.ClosedResourceError:
            return None
        except OSError:  # out of file descriptors; whoever waits is let in later
            await trio.sleep(_PAUSE_WHEN_EXHAUSTED)
            return None

    async def _serve(self, client: trio.SocketStream) -> None:
        """One connection to its end; whatever happens to it is its own affair."""
        self._streams.add(client)
        server: trio.SocketStream | None = None
        try:
            server = await trio.open_tcp_stream(_HOST, self._target)
            self._streams.add(server)
            if client not in self._streams:  # cut meanwhile
                return
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_pump, client, server)
                nursery.start_soon(_pump, server, client)
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            for stream in (client, server):
                if stream is not None:
                    self._streams.discard(stream)
                    stream.socket.close()


async def _pump(source: trio.SocketStream, target: trio.SocketStream) -> None:
    while data := await source.receive_some(_CHUNK):
        await target.send_all(data)
    await target.send_eof()


def _bind(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((_HOST, port))
    return bound
