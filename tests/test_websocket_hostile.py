"""What wrong clients are answered, and that nobody else notices them."""

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.lowlevel
from trio.testing import wait_all_tasks_blocked

from routerd.connectors.websocket import stream as stream_module
from tests.hostile_websockets import odd_but_right
from tests.raw_websocket import CLOSE, PING, TEXT, Frame, RawClient, frame, request
from tests.siege import (
    FRAMES,
    HANDSHAKES,
    answer_to_frames,
    answer_to_handshake,
    attack,
    good_clients,
)
from tests.websocket_house import ROOMY, House, eventually, open_house

ODD_BUT_RIGHT = list(odd_but_right())
PATIENCE = 1.0
"""Seconds for a handshake, where a test waits for the end of it; good clients need it too."""
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "LINGER", 0.3)


@pytest.mark.parametrize(
    ("data", "status"), [row[1:] for row in HANDSHAKES], ids=[row[0] for row in HANDSHAKES]
)
async def test_a_wrong_handshake_is_answered(data: bytes, status: int) -> None:
    async with open_house() as house:
        assert await answer_to_handshake(house, data) == status
        assert await (await house.connect("/echo/good")).echo(b"still here") == b"still here"


@pytest.mark.parametrize(
    ("data", "code"), [row[1:] for row in FRAMES], ids=[row[0] for row in FRAMES]
)
async def test_a_wrong_frame_is_answered(data: bytes, code: int) -> None:
    async with open_house() as house:
        assert await answer_to_frames(house, data) == code
        assert await (await house.connect("/echo/good")).echo(b"still here") == b"still here"


@pytest.mark.parametrize("pieces", [0, 40], ids=["at once", "in drops"])
@pytest.mark.parametrize(
    ("data", "answers"), [row[1:] for row in ODD_BUT_RIGHT], ids=[row[0] for row in ODD_BUT_RIGHT]
)
async def test_what_is_odd_but_right_is_served(
    data: bytes, answers: list[bytes], pieces: int
) -> None:
    async with open_house() as house:
        client = await house.connect("/echo/odd")
        for byte in data[:pieces]:
            await client.send(bytes([byte]))
            await wait_all_tasks_blocked()
        await client.send(data[pieces:])
        heard: list[bytes] = []
        with trio.fail_after(10):
            while len(heard) < len(answers):
                answer = await client.read()
                assert answer is not None
                heard.append(answer.payload)
        assert heard == answers


async def test_frames_in_the_segment_of_the_request_are_heard() -> None:
    async with open_house() as house:
        client = await house.dial()
        await client.send(request("/echo/early") + frame(TEXT, b"early"))
        with trio.fail_after(10):
            status, _ = await client.read_answer()
            answer = await client.read()
        assert (status, answer) == (101, Frame(TEXT, b"early"))


async def test_good_clients_notice_nothing_of_all_of_them_together(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_house() as house, good_clients(house):
        await attack(house)
    assert caplog.records == []


async def test_good_clients_notice_nothing_of_resets_at_every_stage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_house() as house, good_clients(house):
        for _, data, _ in HANDSHAKES:
            bad = await house.dial()
            await bad.send(data[: len(data) // 2])
            await bad.reset()
        for _, data, _ in [*HANDSHAKES, *FRAMES]:
            bad = await house.dial()
            await bad.send(request("/echo/bad") + data)
            await bad.reset()
        for _, data, _ in FRAMES:
            bad = await house.connect("/echo/bad")
            await bad.send(data[: 1 + len(data) // 2])
            await bad.reset()
        await eventually(lambda: house.counts.connections["/echo/{room}"] == 10)
    assert caplog.records == []


async def test_good_clients_notice_nothing_of_many_that_never_finish_a_handshake() -> None:
    limits = replace(ROOMY, handshake_timeout=PATIENCE)
    async with (
        open_house(limits=limits) as house,
        good_clients(house),
        trio.open_nursery() as nursery,
    ):

        async def dawdle() -> None:
            bad = await house.dial()
            with suppress(trio.BrokenResourceError):
                for byte in request("/echo/bad"):
                    await bad.send(bytes([byte]))
                    await trio.sleep(PATIENCE / 10)
            with trio.fail_after(10):
                assert (await bad.read_answer())[0] == 408
            await bad.aclose()

        for _ in range(200):
            nursery.start_soon(dawdle)


async def leave_politely(bad: RawClient) -> None:
    await bad.send(frame(CLOSE, b"\x03\xe8"))
    assert await bad.read_close() == 1000


async def leave_amid_a_frame(bad: RawClient) -> None:
    await bad.send(frame(TEXT, b"x" * 100)[:50])
    await bad.reset()


async def leave_by_half(bad: RawClient) -> None:
    """Says that it sends nothing more, and reads on."""
    await bad.stream.send_eof()
    await bad.read_to_end()


WAYS = [leave_politely, leave_amid_a_frame, leave_by_half, RawClient.aclose, RawClient.reset]


async def test_those_who_stay_hear_all_while_others_leave_in_every_way(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = [b"%d" % number for number in range(200)]

    async with open_house() as house, trio.open_nursery() as nursery:
        stay = [await house.connect("/echo/room") for _ in range(10)]
        leave = [(way, await house.connect("/echo/room")) for way in WAYS * 8]

        async def listen(client: RawClient) -> None:
            with trio.fail_after(10):
                for text in said:
                    assert await client.read() == Frame(TEXT, text)

        for client in stay:
            nursery.start_soon(listen, client)
        for number, text in enumerate(said):
            house.publish(("echo", "room"), frame(TEXT, text, masked=False))
            if number % 5 == 0:
                way, client = leave[number // 5]
                nursery.start_soon(way, client)
            await trio.lowlevel.checkpoint()
    assert caplog.records == []


async def test_what_a_client_said_before_it_half_closed_is_heard() -> None:
    async with open_house() as house:
        client, other = [await house.connect("/echo/room") for _ in range(2)]
        await client.send(frame(TEXT, b"last words"))
        await client.stream.send_eof()
        with trio.fail_after(10):
            assert await other.read() == Frame(TEXT, b"last words")
            await client.read_to_end()


async def flood_with_pings(house: House) -> None:
    """Never reads its pongs."""
    bad = await house.connect("/echo/bad")
    with suppress(trio.BrokenResourceError), trio.move_on_after(0.5):
        while True:
            await bad.send(frame(PING, b"x" * 125) * 1000)
    await bad.reset()


async def flood_with_nothing(house: House) -> None:
    """Messages without a byte, and it never reads what comes of them."""
    bad = await house.connect("/echo/bad")
    with suppress(trio.BrokenResourceError), trio.move_on_after(0.5):
        await bad.send(frame(TEXT) * 20_000)
    await bad.reset()


async def flood_with_one_byte_writes(house: House) -> None:
    bad = await house.connect("/echo/bad2")
    for byte in frame(TEXT, b"x" * 2000):
        await bad.send(bytes([byte]))
    await bad.aclose()


@pytest.mark.parametrize(
    "flood", [flood_with_pings, flood_with_nothing, flood_with_one_byte_writes]
)
async def test_good_clients_notice_nothing_of_a_flood(
    flood: Callable[[House], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    async with open_house() as house, good_clients(house), trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(flood, house)
    assert caplog.records == []


def resident_bytes() -> int:
    """Of this process, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_wrong_clients_leave_nothing_behind() -> None:
    async with open_house() as house:
        await attack(house)
        await house.connection.roster.wait_empty()
        await wait_all_tasks_blocked(0.01)
        tasks, memory = trio.lowlevel.current_statistics().tasks_living, resident_bytes()
        for _ in range(3):
            await attack(house)
        await house.connection.roster.wait_empty()
        await wait_all_tasks_blocked(0.01)
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert resident_bytes() - memory < 32 << 20
        assert set(house.counts.connections.values()) == {0}
