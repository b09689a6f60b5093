"""The demo's relay leads connections on, cuts them, refuses them, and has its port all the time."""

import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import trio

from routerd.demo.relay import Relay


async def echo(stream: trio.SocketStream) -> None:
    with contextlib.suppress(trio.BrokenResourceError):
        async for data in stream:
            await stream.send_all(data)
        await stream.send_eof()


async def serve(nursery: trio.Nursery, handler: object) -> int:
    listeners = await nursery.start(trio.serve_tcp, handler, 0)
    port: int = listeners[0].socket.getsockname()[1]
    return port


@pytest.fixture
async def relay(nursery: trio.Nursery) -> AsyncIterator[Relay]:
    made = Relay(await serve(nursery, echo))
    await nursery.start(made.run)
    yield made
    nursery.cancel_scope.cancel()


async def connect(relay: Relay) -> trio.SocketStream:
    return await trio.open_tcp_stream("127.0.0.1", relay.port)


async def ask(stream: trio.SocketStream, said: bytes) -> bytes:
    await stream.send_all(said)
    with trio.fail_after(5):
        return bytes(await stream.receive_some())


async def is_reset(stream: trio.SocketStream) -> bool:
    """Whether the connection ends with a reset; it must end somehow."""
    with trio.fail_after(5):
        try:
            await stream.receive_some()
        except trio.BrokenResourceError as exc:
            return isinstance(exc.__cause__, ConnectionResetError)
    return False


async def test_it_leads_on_in_both_directions(relay: Relay) -> None:
    async with await connect(relay) as stream:
        assert await ask(stream, b"hello") == b"hello"


async def test_who_has_said_all_still_gets_its_answer(relay: Relay) -> None:
    async with await connect(relay) as stream:
        await stream.send_all(b"last words")
        await stream.send_eof()
        with trio.fail_after(5):
            assert b"".join([bytes(data) async for data in stream]) == b"last words"


async def test_a_cut_resets_every_connection_and_welcomes_new_ones(relay: Relay) -> None:
    async with await connect(relay) as one, await connect(relay) as other:
        for stream in (one, other):
            assert await ask(stream, b"x") == b"x"
        relay.cut()
        assert await is_reset(one)
        assert await is_reset(other)
    async with await connect(relay) as stream:
        assert await ask(stream, b"again") == b"again"


async def test_closed_it_refuses_and_keeps_its_port(relay: Relay) -> None:
    async with await connect(relay) as stream:
        assert await ask(stream, b"x") == b"x"
        relay.close()
        assert not relay.is_open
        assert await is_reset(stream)
    with pytest.raises(OSError, match="all attempts to connect"):
        await connect(relay)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", relay.port))


async def test_opened_again_it_leads_on_at_once(relay: Relay) -> None:
    for _ in range(5):
        relay.close()
        relay.close()
        relay.open()
        relay.open()
        assert relay.is_open
        async with await connect(relay) as stream:
            assert await ask(stream, b"again") == b"again"


async def test_a_server_that_is_not_there_ends_only_that_connection(nursery: trio.Nursery) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    relay = Relay(port)
    await nursery.start(relay.run)
    for _ in range(2):
        async with await connect(relay) as stream:
            with trio.fail_after(5):
                assert await stream.receive_some() == b""
    nursery.cancel_scope.cancel()
