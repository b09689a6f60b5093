"""Clients that may hear a path and not send to it."""

from collections.abc import Callable, Sequence

import trio

from routerd.connectors.websocket.lane import Said


class Muzzle:
    """The `intake.Taker` of one: the first message that it sends ends it."""

    def __init__(self, on_message: Callable[[], None]) -> None:
        """One for a client that shall be ended when `on_message` is called."""
        self._on_message = on_message

    def take(self, said: Sequence[Said]) -> bool:
        """See `Taker.take`: throws it away."""
        if said:
            self._on_message()
        return True

    async def wait_for_room(self) -> None:
        """See `Taker`: there always is."""
        await trio.lowlevel.checkpoint()
