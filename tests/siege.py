"""Wrong clients, all at once, and good ones in their midst, of any listener: see `Door`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import trio

from tests.hostile_websockets import frames, handshakes
from tests.raw_websocket import RawClient

HANDSHAKES = list(handshakes())
FRAMES = list(frames())


class Door(Protocol):
    """Where clients come in; `/echo` and `/echo/*` say to each what it says."""

    async def connect(self, path: str) -> RawClient:
        """A client that is in."""

    async def dial(self) -> RawClient:
        """A connection without a handshake yet."""


async def answer_to_handshake(door: Door, data: bytes) -> int | None:
    bad = await door.dial()
    with trio.fail_after(10):
        with suppress(trio.BrokenResourceError):  # answered and closed before it was all sent
            await bad.send(data)
        status, _ = await bad.read_answer()
        if status != 101:
            await bad.read_to_end()
    await bad.aclose()
    return status


async def answer_to_frames(door: Door, data: bytes) -> int | None:
    bad = await door.connect("/echo/bad")
    with trio.fail_after(10):
        with suppress(trio.BrokenResourceError):
            await bad.send(data)
        code = await bad.read_close()
        await bad.read_to_end()
    await bad.aclose()
    return code


@asynccontextmanager
async def good_clients(door: Door, count: int = 10) -> AsyncIterator[None]:
    """Clients that talk to themselves all the time, and fail when an echo doesn't come."""
    done = trio.Event()

    async def talk(number: int, *, task_status: trio.TaskStatus[None]) -> None:
        client = await door.connect(f"/echo/good{number}")
        task_status.started()
        turn = 0
        while not done.is_set() or turn < 3:
            turn += 1
            with trio.fail_after(10):
                heard = await client.echo(b"%d/%d" % (number, turn))
            assert heard == b"%d/%d" % (number, turn)
            await trio.sleep(0.001)
        await client.aclose()

    async with trio.open_nursery() as nursery:
        for number in range(count):
            await nursery.start(talk, number)
        yield
        done.set()


async def attack(door: Door) -> None:
    """Every row of both tables, all at once; each is answered as its row says."""

    async def shake_hands(name: str, data: bytes, status: int) -> None:
        assert await answer_to_handshake(door, data) == status, name

    async def send_frames(name: str, data: bytes, code: int) -> None:
        assert await answer_to_frames(door, data) == code, name

    async with trio.open_nursery() as nursery:
        for row in HANDSHAKES:
            nursery.start_soon(shake_hands, *row)
        for row in FRAMES:
            nursery.start_soon(send_frames, *row)
