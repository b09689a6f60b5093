"""What trio-websocket reads and writes of a client, without trio-websocket."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from routerd.connectors.websocket import stream as stream_module
from routerd.connectors.websocket.frames import encode_close
from routerd.connectors.websocket.handshake import parse
from routerd.connectors.websocket.lane import Said
from routerd.connectors.websocket.limits import DEFAULTS
from routerd.connectors.websocket.reasons import Ending
from routerd.connectors.websocket.stream import ClientStream
from routerd.connectors.websocket.writer import Writer
from tests.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, request

ANSWER = b"HTTP/1.1 101 and so on\r\n\r\n"


class Desk:
    """A `Taker` with as much room as the test allows."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.room = trio.Event()
        self.room.set()

    def take(self, said: Sequence[Said]) -> bool:
        self.said += said
        return self.room.is_set()

    async def wait_for_room(self) -> None:
        await self.room.wait()


class Line:
    """A stream whose handshake is over, the client's end of it, and what it told of the client."""

    def __init__(self, nursery: trio.Nursery, near: socket.socket, far: socket.socket) -> None:
        self.desk = Desk()
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
        self.stream.present(asked.encode(), taker=self.desk, on_open=self._tell_news)
        self.stream.ask()
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
        early = frame(TEXT, b"early")
        await line.client.send_all(request() + early + frame(PING))
        head = await line.stream.read_head()
        line.stream.present(head, taker=line.desk, on_open=lambda: None)
        line.stream.ask()
        assert await line.stream.receive_some() == head
        await line.stream.send_all(ANSWER)
        assert b"early" not in await line.client.receive_some()
        assert len(await line.stream.receive_some()) == len(frame(PING))
        assert line.desk.said == [(b"early", True)]
        line.writer.close()
        await line.client.aclose()


@asynccontextmanager
async def reading(line: Line) -> AsyncIterator[list[bytes]]:
    """What trio-websocket gets meanwhile; a read without anything new is not in it."""
    received: list[bytes] = []

    async def read() -> None:
        while piece := await line.stream.receive_some():
            received.append(piece)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        yield received
        nursery.cancel_scope.cancel()


async def test_messages_go_to_the_taker_and_the_rest_to_trio_websocket() -> None:
    async with open_line() as line, reading(line) as received:
        ping = frame(PING, b"x")
        await line.client.send_all(frame(TEXT, b"a") + ping + frame(BINARY, b"b"))
        await wait_all_tasks_blocked(0.01)
        assert line.desk.said == [(b"a", True), (b"b", False)]
        assert received == [ping]


async def test_nothing_is_read_while_the_taker_has_no_room() -> None:
    async with open_line() as line, reading(line) as received:
        line.desk.room = trio.Event()
        ping = frame(PING, b"x")
        await line.client.send_all(frame(TEXT, b"a") + ping)
        await wait_all_tasks_blocked(0.01)
        await line.client.send_all(frame(TEXT, b"b"))
        await wait_all_tasks_blocked(0.01)
        assert (line.desk.said, received) == ([(b"a", True)], [])
        line.desk.room.set()
        await wait_all_tasks_blocked(0.01)
        assert (line.desk.said, received) == ([(b"a", True), (b"b", True)], [ping])


async def test_pings_that_pile_up_while_nothing_is_read_are_no_flood(
    mock_clock: trio.testing.MockClock,
) -> None:
    async with open_line() as line, reading(line) as received:
        line.desk.room = trio.Event()
        await line.client.send_all(frame(TEXT, b"x"))
        await wait_all_tasks_blocked(0.01)
        mock_clock.jump(60.0)
        await line.client.send_all(frame(PING) * 120)  # two a second
        line.desk.room.set()
        await wait_all_tasks_blocked(0.01)
        assert (len(received), line.offences) == (120, [])


async def test_no_message_overtakes_one_that_trio_websocket_has() -> None:
    async with open_line() as line, reading(line) as received:
        first, last, ping = frame(TEXT, b"a", fin=False), frame(CONTINUATION, b"b"), frame(PING)
        await line.client.send_all(first + ping + last + frame(TEXT, b"next") + ping)
        await wait_all_tasks_blocked(0.01)
        assert (line.desk.said, received) == ([], [first, ping, last])
        await line.stream.take((b"ab", True))
        await wait_all_tasks_blocked(0.01)
        assert line.desk.said == [(b"ab", True), (b"next", True)]
        assert received == [first, ping, last, ping]


async def test_trio_websocket_may_go_when_nothing_is_left_for_it() -> None:
    async with open_line() as line:
        told = list[bool]()
        first, last = frame(TEXT, b"a", fin=False), frame(CONTINUATION)
        await line.client.send_all(first)
        assert await line.stream.listen()
        line.stream.on_quiet = lambda: told.append(True)
        async with reading(line) as received:
            await wait_all_tasks_blocked(0.01)
            assert (received, told) == ([first], [])
            await line.client.send_all(last + frame(TEXT, b"next"))
            await wait_all_tasks_blocked(0.01)
            assert (received, told) == ([first, last], [])
            await line.stream.take((b"a", True))
            await wait_all_tasks_blocked(0.01)
            assert (line.desk.said, told) == ([(b"a", True), (b"next", True)], [True])
        assert not line.stream.is_closing


async def test_trio_websocket_stays_with_a_client_that_needs_it_often() -> None:
    async with open_line() as line:
        told = list[bool]()
        line.stream.on_quiet = lambda: told.append(True)
        async with reading(line) as received:
            await wait_all_tasks_blocked(0.01)
            assert told == [True]
        async with reading(line) as received:
            ping = frame(PING)
            await line.client.send_all(ping)
            await wait_all_tasks_blocked(0.01)
            assert (received, told) == ([ping], [True])


async def test_while_nobody_listens_for_them_messages_and_pongs_are_taken() -> None:
    async with open_line() as line:
        ping = frame(PING)
        await line.client.send_all(frame(TEXT, b"a") + frame(PONG) + ping + frame(TEXT, b"b"))
        assert await line.stream.listen()
        assert line.desk.said == [(b"a", True)]
        assert await line.stream.receive_some() == ping
        await line.client.aclose()
        assert not await line.stream.listen()
        assert line.desk.said == [(b"a", True), (b"b", True)]


@pytest.mark.parametrize("waits_for", ["room", "trio-websocket"])
async def test_when_the_client_ends_only_what_ends_it_is_read(waits_for: str) -> None:
    async with open_line() as line, reading(line) as received:
        if waits_for == "room":
            line.desk.room = trio.Event()
        await line.client.send_all(
            frame(TEXT, b"a") + frame(TEXT, b"b", fin=False) + frame(CONTINUATION)
        )
        await wait_all_tasks_blocked(0.01)
        goodbye = frame(CLOSE, b"\x03\xe8")
        await line.client.send_all(frame(TEXT, b"too late") + goodbye)
        line.stream.close_lane()
        await wait_all_tasks_blocked(0.01)
        assert line.desk.said == [(b"a", True)]
        assert received[-1] == goodbye


async def test_what_is_over_a_limit_never_arrives_and_the_client_is_told() -> None:
    async with open_line() as line:
        good = frame(PING, b"good")
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
