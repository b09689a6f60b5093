"""What trio-websocket reads and writes of a client, without trio-websocket."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from routerd.connectors.websocket import stream as stream_module
from routerd.connectors.websocket.frames import encode_close
from routerd.connectors.websocket.handshake import parse
from routerd.connectors.websocket.limits import DEFAULTS
from routerd.connectors.websocket.reasons import Ending
from routerd.connectors.websocket.stream import ClientStream
from routerd.connectors.websocket.writer import Writer
from tests.raw_websocket import BINARY, TEXT, frame, request

ANSWER = b"HTTP/1.1 101 and so on\r\n\r\n"


class Line:
    """A stream whose handshake is over, the client's end of it, and what it told of the client."""

    def __init__(self, nursery: trio.Nursery, near: socket.socket, far: socket.socket) -> None:
        transport = trio.SocketStream(trio.socket.from_stdlib_socket(near))
        self.client = trio.SocketStream(trio.socket.from_stdlib_socket(far))
        self.offences: list[Ending] = []
        self.writer = Writer(
            transport.socket,
            start_drain=lambda: nursery.start_soon(self.writer.drain),
            on_slow=lambda: None,
        )
        self.stream = ClientStream(
            transport, self.writer, limits=DEFAULTS, on_offence=self.offences.append
        )

    async def open(self) -> None:
        """The handshake, as trio-websocket has it."""
        await self.client.send_all(request())
        asked = parse(await self.stream.read_head())
        self.stream.present(asked.encode(), on_open=self._tell_news)
        assert await self.stream.receive_some() == asked.encode()
        await self.stream.send_all(ANSWER)
        assert await self.client.receive_some() == ANSWER + b"news"

    def _tell_news(self) -> None:
        assert self.writer.offer(b"news")


@asynccontextmanager
async def open_line() -> AsyncIterator[Line]:
    near, far = socket.socketpair()
    try:
        async with trio.open_nursery() as nursery:
            line = Line(nursery, near, far)
            await line.open()
            yield line
            nursery.cancel_scope.cancel()
    finally:
        near.close()
        far.close()


async def test_frames_that_came_with_the_request_are_read_after_it() -> None:
    near, far = socket.socketpair()
    async with trio.open_nursery() as nursery:
        line = Line(nursery, near, far)
        await line.client.send_all(request() + frame(TEXT, b"early"))
        head = await line.stream.read_head()
        line.stream.present(head, on_open=lambda: None)
        assert await line.stream.receive_some() == head
        await line.stream.send_all(ANSWER)
        assert b"early" not in await line.client.receive_some()
        assert len(await line.stream.receive_some()) == len(frame(TEXT, b"early"))
        line.writer.close()
        await line.client.aclose()


async def test_nothing_is_read_while_it_is_held() -> None:
    async with open_line() as line, trio.open_nursery() as nursery:
        received: list[bytes] = []

        async def receive() -> None:
            received.append(await line.stream.receive_some())

        line.stream.hold()
        hello = frame(TEXT, b"hello")
        await line.client.send_all(hello)
        nursery.start_soon(receive)
        await wait_all_tasks_blocked(0.01)
        assert received == []
        line.stream.resume()
        await wait_all_tasks_blocked(0.01)
        assert received == [hello]


async def test_what_is_over_a_limit_never_arrives_and_the_client_is_told() -> None:
    async with open_line() as line:
        good = frame(TEXT, b"good")
        await line.client.send_all(good + frame(BINARY, length=DEFAULTS.max_message + 1, width=8))
        assert await line.stream.receive_some() == good
        assert await line.stream.receive_some() == b""
        assert await line.client.receive_some() == encode_close(Ending.TOO_BIG.code)
        assert line.offences == [Ending.TOO_BIG]


async def test_closing_waits_for_the_client_to_close_its_side() -> None:
    async with open_line() as line, trio.open_nursery() as nursery:
        nursery.start_soon(line.stream.aclose)
        nursery.start_soon(line.stream.aclose)
        await line.client.send_all(b"unread" * 1000)
        assert await line.client.receive_some() == b""
        await line.client.aclose()
    assert line.writer.is_sealed


@pytest.mark.slow
async def test_closing_does_not_wait_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "LINGER", 0.05)
    async with open_line() as line:
        with trio.fail_after(5):
            await line.stream.aclose()
        assert await line.client.receive_some() == b""


async def test_a_client_that_broke_the_protocol_is_told_how() -> None:
    async with open_line() as line, trio.open_nursery() as nursery:
        line.stream.offence = lambda: Ending.PROTOCOL_ERROR
        nursery.start_soon(line.stream.aclose)
        assert await line.client.receive_some() == encode_close(1002)
        await line.client.aclose()
    assert line.offences == [Ending.PROTOCOL_ERROR]


async def test_closing_while_cancelled_closes_at_once() -> None:
    async with open_line() as line:
        with trio.CancelScope() as scope:
            scope.cancel()
            await line.stream.aclose()
        assert scope.cancelled_caught
        assert await line.client.receive_some() == b""
