"""The tables of etc/examples on ports of the test's own, and clients that write their own bytes.

Nothing here knows routerd's codecs: what a frame is, is said again, as its format says it.
"""

import itertools
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import quote

import trio

from tests.docs_pages import ROOT
from tests.raw_websocket import BINARY, CLOSE, PING, PONG, Frame, RawClient, frame, request
from tests.rig.daemon import Routerd
from tests.rig.ports import free_port

EXAMPLES = ROOT / "etc" / "examples"
PATIENCE = 20.0
"""Seconds for something that must happen."""

_numbers = itertools.count(1)
_LISTEN = re.compile(r'^listen = "127\.0\.0\.1:\d+"', re.MULTILINE)
_KAFKA = re.compile(r'^bootstrap_servers = ".*"', re.MULTILINE)


def example(name: str, *, kafka: str = "") -> str:
    """A table as it is, but for its ports and its Kafka, which is away unless it is given."""
    text = _LISTEN.sub('listen = "127.0.0.1:0"', (EXAMPLES / name).read_text("utf-8"))
    return _KAFKA.sub(f'bootstrap_servers = "{kafka or f"127.0.0.1:{free_port()}"}"', text)


def port_of(daemon: Routerd, listener: str = "ws") -> int:
    """Where a listener of a running daemon is bound."""
    return int(str(daemon.events("ready")[0][listener]).rpartition(":")[2])


class Guest:
    """A client that is in, and answers pings as every library does."""

    def __init__(self, client: RawClient) -> None:
        self.client = client

    async def send(self, payload: bytes, *, opcode: int = BINARY) -> None:
        await self.client.send(frame(opcode, payload))

    async def hear(self) -> Frame:
        """The next data frame."""
        with trio.fail_after(PATIENCE):
            while (found := await self.client.read()) is not None:
                if found.opcode == PING:
                    await self.client.send(frame(PONG, found.payload))
                elif found.opcode != PONG:
                    assert found.opcode != CLOSE, found.code
                    return found
        raise AssertionError("the connection ended")

    async def hear_until(self, is_it: Callable[[bytes], bool]) -> bytes:
        """The payload of the next data frame that is it; those before are left out."""
        while True:
            payload = (await self.hear()).payload
            if is_it(payload):
                return payload

    async def leave(self) -> None:
        """Closes as RFC 6455 wants it."""
        await self.client.send(frame(CLOSE, b"\x03\xe8"))
        with trio.fail_after(PATIENCE):
            assert await self.client.read_close() == 1000


@asynccontextmanager
async def guests(port: int, *paths: str) -> AsyncIterator[list[Guest]]:
    """One client on each of these paths; those that are left at the end, go."""
    found: list[Guest] = []
    try:
        for path in paths:
            found.append(await come(port, path))  # noqa: PERF401 - those before it are closed, too
        yield found
    finally:
        for guest in found:
            guest.client.stream.socket.close()


async def come(port: int, path: str, *, buffer: int | None = None) -> Guest:
    """A client that has completed its handshake; each comes from another address, as people do.

    Args:
        port: of the listener.
        path: with its query.
        buffer: bytes that its kernel takes in before it reads.
    """
    mine = trio.socket.socket()
    if buffer is not None:
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    number = next(_numbers)
    await mine.bind((f"127.1.{number >> 8}.{number & 0xFF}", 0))
    await mine.connect(("127.0.0.1", port))
    return Guest(await RawClient(trio.SocketStream(mine)).open(path))


async def knock(port: int, path: str) -> int | None:
    """The status of the answer to a handshake."""
    client = RawClient(await trio.open_tcp_stream("127.0.0.1", port))
    await client.send(request(path))
    status, _ = await client.read_answer()
    await client.aclose()
    return status


def room_path(room: str, name: str | None = None) -> str:
    """Where a room of chatroom.toml is, for one of that name."""
    path = f"/room/{quote(room, safe='')}"
    return path if name is None else f"{path}?name={quote(name)}"


async def eventually(is_so: Callable[[], bool]) -> None:
    """Returns when `is_so()`; it may block for a while, as asking a daemon does."""
    with trio.fail_after(PATIENCE):
        while not await trio.to_thread.run_sync(is_so):  # noqa: ASYNC110 - nothing says when
            await trio.sleep(0.02)
