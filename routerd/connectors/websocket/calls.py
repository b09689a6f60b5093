"""trio-websocket for one client, called only when there is something for it.

It is there for the handshake, for whatever the lane passes on, and for a goodbye; each time a new
one, which is given the same request: between two messages it has nothing to remember. An idle
connection with a trio-websocket took twice the memory.
"""

import trio
import trio_websocket

from routerd.connectors.websocket.reasons import Ending
from routerd.connectors.websocket.stream import ClientStream

READ_AHEAD = 16
"""Messages that trio-websocket may decode before we take them."""
_OFFENCES = {1002: Ending.PROTOCOL_ERROR, 1007: Ending.INVALID_UTF8}
"""What trio-websocket finds, by its close code."""


class Calls:
    """Those of one client."""

    __slots__ = ("_max_message", "_stream", "_subprotocol")

    def __init__(
        self, stream: ClientStream, *, max_message: int, subprotocol: str | None = None
    ) -> None:
        """None yet.

        Args:
            stream: the client's, which has been presented the request.
            max_message: bytes.
            subprotocol: which the request asks for, and the client gets.
        """
        self._stream = stream
        self._max_message = max_message
        self._subprotocol = subprotocol

    async def read(self) -> bool:
        """Has it read what is there for it; the first time, and before that, the request.

        False: the client is gone, after all that there was to say to each other about it.
        """
        stream, quiet = self._stream, trio.CancelScope()
        stream.on_quiet = quiet.cancel
        async with trio.open_nursery() as nursery:
            socket = await self._open(nursery)
            stream.offence = lambda: _offence(socket)
            with quiet:
                await self._take_messages(socket)
            if quiet.cancelled_caught:
                nursery.cancel_scope.cancel()
        if quiet.cancelled_caught:
            stream.forget_call()
        return quiet.cancelled_caught

    async def say_goodbye(self, code: int) -> None:
        """Sends a close frame and waits for the client's, however long it takes."""
        self._stream.forget_call()
        async with trio.open_nursery() as nursery:
            socket = await self._open(nursery)
            await socket.aclose(code)

    async def _open(self, nursery: trio.Nursery) -> trio_websocket.WebSocketConnection:
        self._stream.ask()
        request = await trio_websocket.wrap_server_stream(
            nursery,
            self._stream,
            message_queue_size=READ_AHEAD,
            max_message_size=self._max_message,
        )
        return await request.accept(subprotocol=self._subprotocol)

    async def _take_messages(self, socket: trio_websocket.WebSocketConnection) -> None:
        """Takes what the client says in more than one frame, until it is gone."""
        while True:
            try:
                received = await socket.get_message()
            except trio_websocket.ConnectionClosed:
                return
            if isinstance(received, str):
                await self._stream.take((received.encode(), True))
            else:
                await self._stream.take((received, False))


def _offence(socket: trio_websocket.WebSocketConnection) -> Ending | None:
    """What trio-websocket found wrong, and didn't tell the client."""
    reason = socket.closed
    return None if reason is None else _OFFENCES.get(reason.code)
