"""Each limit over real sockets: what the client is told, what is counted, who notices nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
import trio

from routerd.connectors.websocket import intake as intake_module
from routerd.connectors.websocket import porter as porter_module
from routerd.connectors.websocket import source as source_module
from routerd.connectors.websocket.frames import encode
from routerd.connectors.websocket.limits import Limits
from routerd.connectors.websocket.reasons import Ending, Refusal
from tests.fakes import fake_status
from tests.raw_websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    RawClient,
    frame,
    request,
)
from tests.websocket_house import ROOMY, House, eventually, open_house


async def answered(house: House) -> tuple[RawClient, int | None]:
    """A client that asks to come in, and what it is told."""
    client = await house.dial()
    await client.send(request("/echo/1"))
    status, _ = await client.read_answer()
    return client, status


@pytest.mark.parametrize(
    ("limits", "fits", "refusal"),
    [
        (replace(ROOMY, connections=3), 2, Refusal.FULL),
        (replace(ROOMY, connections_per_address=3), 2, Refusal.ADDRESS_FULL),
        (replace(ROOMY, handshake_rate=1), 2, Refusal.HANDSHAKE_RATE),
    ],
    ids=["in all", "of an address", "handshakes of an address"],
)
async def test_whoever_is_too_many_is_told_so(
    limits: Limits, fits: int, refusal: Refusal, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_house(limits=limits) as house:
        good = await house.connect("/echo/1")
        assert [(await answered(house))[1] for _ in range(fits)] == [101] * fits
        late, status = await answered(house)
        assert status == refusal.status
        assert await late.read_to_end() == b""
        assert house.counts.refused == {("", refusal.word): 1}
        assert await good.echo(b"still here") == b"still here"
    assert [record.getMessage() for record in caplog.records] == [
        f"websocket clients are turned away limit={refusal.word} address=127.0.0.1"
    ]


async def test_there_is_room_again_when_somebody_has_left() -> None:
    async with open_house(limits=replace(ROOMY, connections=1)) as house:
        first = await house.connect("/echo/1")
        assert (await answered(house))[1] == 503
        await first.aclose()
        await eventually(lambda: house.connection.roster.gate.clients == 0)
        assert (await answered(house))[1] == 101


async def test_a_client_that_is_refused_for_something_else_makes_room_as_well() -> None:
    async with open_house(limits=replace(ROOMY, connections=1)) as house:
        for _ in range(3):
            client = await house.dial()
            await client.send(request("/nowhere"))
            assert (await client.read_answer())[0] == 404
            await client.aclose()
            await eventually(lambda: house.connection.roster.gate.clients == 0)


async def test_a_crowd_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(porter_module, "MOST_TOLD", 2)
    async with open_house(limits=replace(ROOMY, connections=1)) as house:
        good = await house.connect("/echo/1")
        crowd = [await house.dial() for _ in range(10)]
        answers = [(await client.read_answer())[0] for client in crowd]
        assert answers == [503, 503] + [None] * 8
        assert house.counts.refused == {("", "connections"): 10}
        assert await good.echo(b"still here") == b"still here"
    assert len(caplog.records) == 1


# --- who is in


def talk(*frames: bytes) -> Callable[[RawClient], Awaitable[None]]:
    """A client that sends all of this at once."""

    async def send(client: RawClient) -> None:
        with suppress(trio.BrokenResourceError):  # it may be cut off before the end
            await client.send(b"".join(frames))

    return send


async def say_nothing(client: RawClient) -> None:
    await trio.lowlevel.checkpoint()


CASES: list[tuple[str, Limits, Callable[[RawClient], Awaitable[None]], Ending]] = [
    (
        "max_message",
        replace(ROOMY, max_message=1000),
        talk(frame(TEXT, b"x" * 1001)),
        Ending.TOO_BIG,
    ),
    (
        "max_message in fragments",
        replace(ROOMY, max_message=1000),
        talk(frame(TEXT, b"x" * 600, fin=False), frame(CONTINUATION, b"x" * 600)),
        Ending.TOO_BIG,
    ),
    (
        "max_fragments",
        replace(ROOMY, max_fragments=3),
        talk(frame(TEXT, b"x", fin=False), frame(CONTINUATION, b"x", fin=False) * 3),
        Ending.TOO_MANY_FRAGMENTS,
    ),
    (
        "control_rate",
        replace(ROOMY, control_rate=2),
        talk(frame(PING) * 7),
        Ending.CONTROL_RATE,
    ),
    (
        "message_rate",
        replace(ROOMY, message_rate=100, rate_patience=0.1),
        talk(frame(TEXT, b"x") * 2000),
        Ending.RATE,
    ),
    (
        "byte_rate",
        replace(ROOMY, byte_rate=10_000, rate_patience=0.1),
        talk(frame(BINARY, b"x" * 1000) * 200),
        Ending.RATE,
    ),
    (
        "pong_timeout",
        replace(ROOMY, ping_every=0.02, pong_timeout=1.0, control_rate=1000),
        say_nothing,
        Ending.PING_TIMEOUT,
    ),
    (
        "idle_timeout",
        replace(ROOMY, ping_every=0.0, idle_timeout=1.0),
        say_nothing,
        Ending.IDLE,
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "offend", "ending"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
async def test_who_is_over_a_limit_is_ended_by_code_and_reason_and_nobody_else(
    limits: Limits, offend: Callable[[RawClient], Awaitable[None]], ending: Ending
) -> None:
    limits = replace(limits, close_timeout=0.1)
    async with open_house(limits=limits) as house, good_client(house, "/echo/good"):
        bad = await house.connect("/echo/bad")
        await offend(bad)
        with trio.fail_after(5):
            assert await bad.read_close() == ending.code
            await bad.read_to_end()
        await bad.aclose()
        await eventually(lambda: house.connection.roster.gate.clients == 1)
        assert house.counts.closed == {("/echo/{room}", ending.word): 1}


@asynccontextmanager
async def good_client(house: House, path: str) -> AsyncIterator[None]:
    """One that talks, answers pings and keeps all limits, and fails if it is not served."""
    client = await house.connect(path)
    sending = trio.Lock()
    heard = 0

    async def say(data: bytes) -> None:
        async with sending:
            await client.send(data)

    async def listen() -> None:
        nonlocal heard
        while (found := await client.read()) is not None:
            assert found.opcode in {TEXT, PING}, found
            if found.opcode == PING:
                await say(frame(PONG, found.payload))
            else:
                heard += 1
        raise AssertionError("it was cut off")

    async def talk_on() -> None:
        while True:
            await say(frame(TEXT, b"x"))
            await trio.sleep(0.02)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        nursery.start_soon(talk_on)
        yield
        before = heard
        await say(frame(TEXT, b"still here"))
        await eventually(lambda: heard > before)
        nursery.cancel_scope.cancel()


@pytest.mark.slow
@pytest.mark.parametrize(
    "limits",
    [replace(ROOMY, queue_bytes=50_000), replace(ROOMY, queue_messages=10)],
    ids=["queue_bytes", "queue_messages"],
)
async def test_who_lets_too_much_wait_is_too_slow(limits: Limits) -> None:
    async with open_house(limits=limits) as house:
        slow = await house.connect("/echo/1")
        payload = encode(b"x" * 10_000, is_text=True)
        with trio.fail_after(5):
            while not house.counts.closed:
                house.publish(("echo", "1"), payload)
                await trio.lowlevel.checkpoint()
            assert await slow.read_close() == Ending.SLOW.code
        assert house.counts.closed == {("/echo/{room}", "slow"): 1}


@pytest.mark.slow
async def test_who_takes_nothing_for_too_long_is_too_slow() -> None:
    limits = replace(ROOMY, send_timeout=0.1, queue_bytes=1 << 30, queue_messages=100_000)
    async with open_house(limits=limits) as house:
        slow = await house.connect("/echo/1")
        for _ in range(100):
            house.publish(("echo", "1"), encode(b"x" * 100_000, is_text=True))
            await trio.lowlevel.checkpoint()
        await eventually(lambda: house.counts.closed == {("/echo/{room}", "slow"): 1})
        with trio.fail_after(5):
            assert await slow.read_close() == Ending.SLOW.code


@pytest.mark.slow
async def test_who_does_not_answer_our_goodbye_is_cut() -> None:
    async with open_house(limits=replace(ROOMY, close_timeout=0.1)) as house:
        deaf = await house.connect("/echo/1")
        next(iter(house.connection.roster.guests)).end(Ending.RESTART)
        await eventually(lambda: house.connection.roster.gate.clients == 0)
        assert await deaf.read_close() == Ending.RESTART.code


@pytest.mark.slow
async def test_who_says_too_much_is_slowed_down_and_heard_in_full() -> None:
    limits = replace(ROOMY, message_rate=100, rate_patience=5.0)
    async with open_house(limits=limits) as house:
        client = await house.connect("/echo/1")
        begun = trio.current_time()
        await client.send(b"".join(frame(TEXT, b"%d" % number) for number in range(320)))
        with trio.fail_after(5):
            heard = [await client.read() for _ in range(320)]
        assert [each.payload for each in heard if each] == [b"%d" % number for number in range(320)]
        assert house.counts.closed == {}
        await client.echo(b"and more")
        assert trio.current_time() - begun >= 0.2


@pytest.mark.slow
async def test_who_is_slowed_down_can_be_sent_home_at_once() -> None:
    limits = replace(ROOMY, message_rate=1, rate_patience=600.0)
    async with open_house(limits=limits) as house:
        client = await house.connect("/echo/1")
        await client.send(frame(TEXT, b"x") * 100)
        await eventually(lambda: house.counts.connections["/echo/{room}"] == 1)
        with trio.fail_after(2):
            next(iter(house.connection.roster.guests)).end(Ending.RESTART)
            assert await client.read_close() == Ending.RESTART.code
            await client.send(frame(CLOSE, b"\x03\xf4"))
            await client.read_to_end()


@pytest.mark.slow
@pytest.mark.parametrize(
    "limits",
    [
        replace(ROOMY, ping_every=0.0, idle_timeout=0.2),
        replace(ROOMY, ping_every=0.05, pong_timeout=0.1),
    ],
    ids=["idle", "pong"],
)
async def test_the_deadlines_of_a_client_that_is_not_read_rest(
    limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "PATIENCE", 1.0)
    monkeypatch.setattr(source_module, "PATIENCE", 1.0)
    async with open_house(limits=limits) as house:
        full = house.add_room("/full", status=fake_status(inflight=1))
        full.may_deliver = trio.Event()
        client = await house.connect("/full")
        await client.send(frame(TEXT, b"a"))
        await eventually(lambda: full.status.inflight > 0)
        await client.send(frame(TEXT, b"b"))
        await trio.sleep(0.4)
        assert house.counts.closed == {}
        full.may_deliver.set()
        await eventually(lambda: len(full.heard) == 2)
