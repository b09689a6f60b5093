"""Who has no room at the gate is told so, as long as that costs little."""

import logging

import trio

from routerd.connectors.websocket.handshake import Refused
from routerd.connectors.websocket.reasons import Refusal
from routerd.connectors.websocket.stream import LINGER

logger = logging.getLogger(__name__)

MOST_TOLD = 64
"""Clients at a time that are told why they can't come in; the others are just hung up on."""
TELL_EVERY = 60.0
"""Seconds between two lines of the log."""


class Porter:
    """Turns clients away at one listening socket."""

    def __init__(self, *, is_mute: bool = False) -> None:
        """One that tells nobody why, if it `is_mute`: TLS's handshake is what would cost most."""
        self._is_mute = is_mute
        self._busy = 0
        self._told_at = float("-inf")

    def turn_away(
        self,
        transport: trio.SocketStream,
        refusal: Refusal,
        *,
        address: str,
        nursery: trio.Nursery,
    ) -> None:
        """Closes a connection, of which nothing was read; if there is time with an answer."""
        now = trio.current_time()
        if now >= self._told_at + TELL_EVERY:
            self._told_at = now
            logger.warning(
                "websocket clients are turned away limit=%s address=%s", refusal.word, address
            )
        if self._busy < MOST_TOLD and not self._is_mute:
            self._busy += 1
            nursery.start_soon(self._tell, transport, refusal, name="websocket refusal")
        else:
            transport.socket.close()

    async def _tell(self, transport: trio.SocketStream, refusal: Refusal) -> None:
        try:
            with trio.move_on_after(LINGER):
                await transport.send_all(Refused(refusal).encode())
                await transport.send_eof()
                while await transport.receive_some(1 << 16):
                    pass
        except trio.BrokenResourceError:
            pass
        finally:
            transport.socket.close()
            self._busy -= 1
