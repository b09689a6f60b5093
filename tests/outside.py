"""A running daemon's WebSocket listener, as its clients see it; a `siege.Door`."""

from tests.raw_websocket import RawClient, connect
from tests.rig.daemon import Routerd
from tests.rig.waiting import wait_until


class Outside:
    """Where clients come in; they close themselves."""

    def __init__(self, routerd: Routerd) -> None:
        self.port = routerd.ws_address[1]

    async def connect(self, path: str, *, receive_bytes: int | None = None) -> RawClient:
        """A client that is in."""
        return await (await self.dial(receive_bytes=receive_bytes)).open(path)

    async def dial(
        self, *, source: str = "127.0.0.1", receive_bytes: int | None = None
    ) -> RawClient:
        """A connection without a handshake yet; see `raw_websocket.connect`."""
        return await connect(self.port, source=source, receive_bytes=receive_bytes)


def wait_deserted(routerd: Routerd) -> None:
    """Returns when no client is left."""
    wait_until(
        lambda: routerd.metric("routerd_ws_connections") == 0, "everybody has left", timeout=20
    )
