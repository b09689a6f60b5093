"""One port for the page and for routerd's WebSockets, as a reverse proxy in front of both.

routerd takes a WebSocket only from a page of its own host and port, since no browser keeps a
foreign page from opening one. So each connection is led to the one or to the other by the first
request on it; browsers open a connection of its own for every WebSocket.
"""

import re
from typing import Final

import trio

from routerd.demo.relay import Choose

_HEAD_BYTES: Final = 16 << 10
_HEAD_SECONDS: Final = 60.0
# A page that has rebound its name to this address says that name: the page's server refuses it.
_OURS: Final = re.compile(rb"\r\nhost:[ \t]*(127\.0\.0\.1|localhost)(:\d+)?[ \t]*\r\n", re.I)
_UPGRADES: Final = re.compile(rb"\r\nupgrade:[ \t]*websocket[ \t]*\r\n", re.IGNORECASE)


def page_or_websocket(*, page: int, websocket: int) -> Choose:
    """Requests for a WebSocket lead to that port, all others to the page's."""

    async def choose(stream: trio.SocketStream) -> tuple[int, bytes]:
        said = await _read_head(stream)
        head = said.partition(b"\r\n\r\n")[0] + b"\r\n"
        is_upgrade = _UPGRADES.search(head) and _OURS.search(head)
        return (websocket if is_upgrade else page), said

    return choose


async def _read_head(stream: trio.SocketStream) -> bytes:
    """What the client said up to the end of its first request's head, or a little more.

    Raises:
        trio.BrokenResourceError: that takes too long, is too long, or never comes.
    """
    head = b""
    with trio.move_on_after(_HEAD_SECONDS):
        while len(head) < _HEAD_BYTES:
            data = await stream.receive_some(_HEAD_BYTES)
            head += data
            if b"\r\n\r\n" in head:
                return head
            if not data:
                break
    raise trio.BrokenResourceError("no HTTP request came")
