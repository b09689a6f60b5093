"""One connection to the admin listener, as hypercorn sees it: a stream that gives up."""

from typing import Final

import trio

_WRITE_SECONDS: Final = 10.0
_WRITE_BYTES: Final = 64 << 10
_HALF_CLOSED_SECONDS: Final = 5.0
_SILENT_SECONDS: Final = 60.0  # longer than hypercorn's keep-alive


class Client:
    """A stream whose reader has so many seconds for each piece.

    Attributes:
        scope: everything that is done for this connection runs in it.
        socket: hypercorn asks it for both addresses.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self.scope = trio.CancelScope()
        self.socket = stream.socket
        self._stream = stream
        self._is_ending = False
        self._stay()
        # hypercorn may close its side while one of its tasks still writes.
        self._sending = trio.Lock()

    async def send_all(self, data: bytes) -> None:
        """Writes all of it.

        Raises:
            trio.BrokenResourceError: the connection is gone, or its reader took too long.
        """
        view = memoryview(data)
        self._stay()
        async with self._sending:
            for start in range(0, len(view), _WRITE_BYTES):
                with trio.move_on_after(_WRITE_SECONDS) as timeout:
                    await self._stream.send_all(view[start : start + _WRITE_BYTES])
                if timeout.cancelled_caught:
                    self.cut()
                    raise trio.BrokenResourceError("the client does not read")

    async def receive_some(self, max_bytes: int) -> bytes:
        """Whatever came, at most `max_bytes`; nothing at the end.

        A client that has said all may still read its answer, but not for long: hypercorn
        would keep even one that is gone until its keep-alive ends.
        """
        self._stay()
        data = await self._stream.receive_some(max_bytes)
        if not data:
            self._end_soon()
        return data

    async def send_eof(self) -> None:
        """Says that nothing more is written."""
        async with self._sending:
            await self._stream.send_eof()

    async def aclose(self) -> None:
        """Closes the connection; what hypercorn still does for it ends soon."""
        self._end_soon()
        await self._stream.aclose()

    def cut(self) -> None:
        """Ends the connection now.

        Cancelling is not enough: hypercorn shields its writes, which only a closed socket ends.
        """
        self.scope.cancel()
        self.socket.close()

    def _stay(self) -> None:
        """Puts the end off. A body that nobody takes makes hypercorn wait for ever, unread."""
        if not self._is_ending:
            self.scope.deadline = trio.current_time() + _SILENT_SECONDS

    def _end_soon(self) -> None:
        self._is_ending = True
        self.scope.deadline = trio.current_time() + _HALF_CLOSED_SECONDS
