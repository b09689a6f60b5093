"""One client among others, over real sockets: what it hears, and how it comes to its end."""

import gc
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio_websocket
from trio.testing import wait_all_tasks_blocked

from routerd.address import parse_path_pattern
from routerd.connectors.websocket import source as source_module
from routerd.connectors.websocket import stream as stream_module
from routerd.connectors.websocket.frames import encode
from routerd.connectors.websocket.limits import DEFAULTS
from routerd.connectors.websocket.reasons import Ending
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

FRAGMENTS, MESSAGE_BYTES = DEFAULTS.max_fragments, DEFAULTS.max_message

if TYPE_CHECKING:
    from routerd.connectors.websocket.session import Session
    from routerd.connectors.websocket.source import Inlet


async def wait_until_gone(house: House, label: str = "/echo/{room}", *, left: int = 0) -> None:
    """Returns when only `left` clients are counted at `label`."""
    await eventually(lambda: house.counts.connections[label] == left)


async def read(client: RawClient, count: int) -> list[bytes]:
    """The payloads of the next frames."""
    payloads = []
    with trio.fail_after(5):
        for _ in range(count):
            found = await client.read()
            assert found is not None
            payloads.append(found.payload)
    return payloads


# --- what it hears


async def test_everyone_connected_to_a_path_hears_what_one_says_there_itself_included() -> None:
    async with open_house() as house:
        clients = [await house.connect("/echo/1") for _ in range(3)]
        other = await house.connect("/echo/2")
        await clients[0].send(frame(TEXT, b"hello"))
        assert [await read(client, 1) for client in clients] == [[b"hello"]] * 3
        assert await other.echo(b"only mine") == b"only mine"


async def test_text_stays_text_and_binary_binary() -> None:
    async with open_house() as house:
        client = await house.connect("/echo")
        for opcode, payload in ((TEXT, b"a"), (BINARY, b"a"), (TEXT, b""), (BINARY, b"\xff")):
            await client.send(frame(opcode, payload))
            answer = await client.read()
            assert answer is not None
            assert (answer.opcode, answer.payload) == (opcode, payload)


async def test_a_segment_with_an_escaped_slash_is_a_room_and_no_path() -> None:
    async with open_house() as house:
        slash, dots = await house.connect("/echo/a%2Fb"), await house.connect("/echo/..")
        empty = await house.connect("/echo/")
        for client in (slash, dots, empty):
            assert await client.echo(b"alone here") == b"alone here"
        same = await house.connect("/echo/%61%2fb")
        await slash.send(frame(TEXT, b"hello"))
        assert await read(same, 1) == [b"hello"]


async def test_members_hear_a_path_that_nobody_reads_from() -> None:
    async with open_house() as house:
        house.allow("/live/{device}")
        client = await house.connect("/live/42")
        await client.send(frame(TEXT, b"to nobody"))
        house.publish(("live", "42"), encode(b"news", is_text=None))
        assert await read(client, 1) == [b"news"]


async def test_a_route_sees_who_sent_a_message_and_on_which_path() -> None:
    async with open_house() as house:
        room = house.add_room("/who/{name}")
        first, second = await house.connect("/who/a%2Fb?token=t"), await house.connect("/who/c")
        for client in (first, second, first):
            await client.echo(b"x")
        assert [message.address for message in room.heard] == [
            b"/who/a%2Fb", b"/who/c", b"/who/a%2Fb",
        ]  # fmt: skip
        origins = [message.origin for message in room.heard]
        assert origins[0] is not None
        assert origins[0] is origins[2] is not origins[1]
        assert origins[0].query == {"token": "t"}


async def test_who_is_pinged_or_answered_as_its_last_task_ends_harms_nobody() -> None:
    async with open_house() as house:
        room = house.add_room("/asked")
        guests = house.connection.roster.guests
        for turns in range(12):  # one of them is between that task and the end
            client = await house.connect("/asked")
            await client.echo(b"x")
            for guest in list(guests):
                guest.cut()
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
            for guest in list(guests):
                guest.ping()
            session = cast("Session", room.heard[-1].origin)
            session.reply(None, bytes(16 << 20), is_text=False)
            await eventually(lambda: not guests)


@pytest.mark.slow
async def test_whoever_has_its_101_misses_nothing_published_after_it() -> None:
    async with open_house() as house:
        published = 0

        async def publish() -> None:
            nonlocal published
            while True:
                published += 1
                house.publish(("echo", "1"), encode(b"%d" % published, is_text=True))
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish)
            for _ in range(50):
                client = await house.dial()
                before = published
                await client.open("/echo/1")
                after = published
                numbers = [int(payload) for payload in await read(client, 20)]
                assert before < numbers[0] <= after + 1
                assert numbers == list(range(numbers[0], numbers[0] + 20))
                await client.reset()
            nursery.cancel_scope.cancel()


async def test_a_message_may_be_as_large_as_the_limit_and_in_as_many_pieces() -> None:
    async with open_house() as house:
        client = await house.connect("/echo/1")
        largest = b"\xc3\xa4" * (MESSAGE_BYTES // 2)
        assert await client.echo(largest) == largest
        pieces = frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", fin=False) * (
            FRAGMENTS - 2
        )
        await client.send(pieces + frame(PING, b"p") + frame(CONTINUATION, b"c"))
        pong = await client.read()
        assert pong is not None
        assert (pong.opcode, pong.payload) == (PONG, b"p")
        assert await read(client, 1) == [b"a" + b"b" * (FRAGMENTS - 2) + b"c"]


async def test_bytes_may_come_one_by_one_or_all_with_the_handshake() -> None:
    async with open_house() as house:
        slow = await house.dial()
        for byte in request("/echo/1") + frame(TEXT, b"hello"):
            await slow.send(bytes([byte]))
        assert (await slow.read_answer())[0] == 101
        assert await read(slow, 1) == [b"hello"]
        fast = await house.dial()
        await fast.send(request("/echo/2") + frame(TEXT, b"a") + frame(TEXT, b"b"))
        assert (await fast.read_answer())[0] == 101
        assert await read(fast, 2) == [b"a", b"b"]


async def test_other_peoples_clients_get_along_with_us() -> None:
    async with open_house() as house:
        address = f"ws://127.0.0.1:{house.port}/echo/1?a=b"
        async with trio_websocket.open_websocket_url(address) as client:
            await client.send_message("text")
            assert await client.get_message() == "text"
            await client.send_message(b"binary")
            assert await client.get_message() == b"binary"
            await client.ping(b"hello")


# --- how it ends


async def test_an_unrouted_path_is_not_found_before_any_upgrade() -> None:
    async with open_house() as house:
        client = await house.dial()
        await client.send(request("/nowhere"))
        status, head = await client.read_answer()
        assert status == 404
        assert b"Upgrade" not in head
        assert await client.read_to_end() == b""
        assert house.counts.refused == {("", "not_found"): 1}


@pytest.mark.parametrize("code", [1000, 1001, 3999])
async def test_a_client_that_says_goodbye_is_answered_and_forgotten(code: int) -> None:
    async with open_house() as house:
        client = await house.connect("/echo/1")
        await client.send(frame(CLOSE, code.to_bytes(2, "big")))
        assert await client.read_close() == code
        assert await client.read() is None
        await client.aclose()
        await house.connection.roster.wait_empty()
        assert ("echo", "1") not in house.connection.roster.groups
        assert house.counts.closed == {("/echo/{room}", "client"): 1}


async def test_clients_that_go_without_a_word_are_forgotten() -> None:
    async with open_house() as house:
        await wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        clients = [await house.connect("/echo/1") for _ in range(20)]
        assert house.counts.connections["/echo/{room}"] == 20
        for number, client in enumerate(clients):
            if number % 2:
                await client.reset()
            else:
                await client.aclose()
        await wait_until_gone(house)
        await house.connection.roster.wait_empty()
        assert house.counts.closed == {("/echo/{room}", "client"): 20}
        await wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks


@pytest.mark.slow
async def test_who_completes_no_handshake_is_told_so_and_cut() -> None:
    async with open_house(limits=replace(ROOMY, handshake_timeout=0.1)) as house:
        for beginning in (b"", b"GET ", request("/echo/1")[:-1]):
            client = await house.dial()
            await client.send(beginning)
            with trio.fail_after(5):
                assert (await client.read_answer())[0] == 408
        assert house.counts.refused == {("", "timeout"): 3}


@pytest.mark.slow
async def test_who_answers_pings_stays_and_who_does_not_goes() -> None:
    async with open_house(limits=replace(ROOMY, ping_every=0.05, pong_timeout=1.0)) as house:
        deaf, good = await house.connect("/echo/1"), await house.connect("/echo/1")
        answered = 0
        with trio.fail_after(5):
            while house.counts.connections["/echo/{room}"] == 2:
                ping = await good.read()
                assert ping is not None
                assert ping.opcode == PING
                await good.send(frame(PONG, ping.payload))
                answered += 1
        assert answered > 1
        with trio.fail_after(5):
            assert await deaf.read_close() == Ending.PING_TIMEOUT.code
        assert house.counts.closed == {("/echo/{room}", "ping_timeout"): 1}


async def test_only_who_needs_trio_websocket_often_keeps_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_house() as house:
        client = await house.connect("/echo/1")
        assert await client.echo(b"a") == b"a"
        assert await count_trio_websockets() == 0
        for seldom, kept in ((0.0, 0), (1000.0, 1), (0.0, 0)):
            monkeypatch.setattr(stream_module, "SELDOM", seldom)
            await client.send(frame(PING, b"are you there"))
            answer = await client.read()
            assert answer is not None
            assert (answer.opcode, answer.payload) == (PONG, b"are you there")
            assert await count_trio_websockets() == kept


async def count_trio_websockets() -> int:
    """How many there are when all is quiet."""
    await wait_all_tasks_blocked(0.01)
    gc.collect()
    return sum(isinstance(one, trio_websocket.WebSocketConnection) for one in gc.get_objects())


@pytest.mark.slow
async def test_a_client_that_does_not_read_is_cut_and_blocks_nobody() -> None:
    async with open_house() as house:
        slow, good = await house.connect("/echo/1"), await house.connect("/echo/1")
        payload, sent = b"x" * 65536, 0
        with trio.fail_after(10):
            while not house.counts.closed:
                sent += 1
                assert await good.echo(payload) == payload
        assert house.counts.closed == {("/echo/{room}", "slow"): 1}
        await wait_until_gone(house, left=1)
        assert await good.echo(b"still here") == b"still here"
        heard = 0
        with trio.fail_after(5):
            while (found := await slow.read()) is not None and found.opcode == TEXT:
                heard += 1
        assert found is not None
        assert found.code == Ending.SLOW.code
        assert 0 < heard < sent


@pytest.mark.parametrize(
    ("data", "ending"),
    [
        (frame(TEXT, length=MESSAGE_BYTES + 1, width=8), Ending.TOO_BIG),
        (
            frame(TEXT, b"a", fin=False) + frame(CONTINUATION, fin=False) * FRAGMENTS,
            Ending.TOO_MANY_FRAGMENTS,
        ),
        (frame(TEXT, b"a", masked=False), Ending.PROTOCOL_ERROR),
        (frame(TEXT, b"\xff"), Ending.INVALID_UTF8),
    ],
    ids=["too big", "in too many pieces", "unmasked", "no UTF-8"],
)
async def test_who_does_wrong_is_told_by_a_code_and_counted_by_a_reason(
    data: bytes, ending: Ending
) -> None:
    async with open_house() as house:
        client = await house.connect("/echo/1")
        await client.send(data)
        assert await client.read_close() == ending.code
        await client.read_to_end()
        await client.aclose()
        await house.connection.roster.wait_empty()
        assert house.counts.closed == {("/echo/{room}", ending.word): 1}


async def test_a_bug_that_every_client_meets_is_one_traceback_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_house() as house:
        inlet = cast("Inlet", BrokenInlet())
        house.connection.roster.open_path(parse_path_pattern("/bug"), inlet)
        for _ in range(5):
            unlucky = await house.connect("/bug")
            await unlucky.send(frame(TEXT, b"x"))
            assert await unlucky.read_close() == Ending.BUG.code
        assert house.counts.closed == {("/bug", "bug"): 5}
    assert len(caplog.records) == 1


class BrokenInlet:
    """A bug of ours, in the way of every message."""

    def offer(self, message: object) -> bool:
        raise ZeroDivisionError("a bug")


async def test_a_bug_cuts_the_client_that_met_it_and_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_house() as house:
        inlet = cast("Inlet", BrokenInlet())
        house.connection.roster.open_path(parse_path_pattern("/bug"), inlet)
        unlucky, good = await house.connect("/bug"), await house.connect("/echo/1")
        await unlucky.send(frame(TEXT, b"x"))
        assert await unlucky.read_close() == Ending.BUG.code
        assert await unlucky.read() is None
        assert await good.echo(b"still here") == b"still here"
        assert house.counts.closed == {("/bug", "bug"): 1}
        assert house.counts.connections["/bug"] == 0
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "ZeroDivisionError" in caplog.text


# --- routes without room


@pytest.mark.slow
async def test_a_full_route_holds_its_clients_up_only_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source_module, "PATIENCE", 0.2)
    async with open_house() as house:
        full = house.add_room("/both", status=fake_status(inflight=1))
        other = house.add_room("/{any}")
        full.may_deliver = trio.Event()
        client = await house.connect("/both")
        for number in range(20):
            await client.send(frame(TEXT, b"%d" % number))
            await eventually(lambda: full.status.received > 0)
        await client.send(frame(PING, b"are you there"))
        with trio.fail_after(5):
            while (found := await client.read()) is not None and found.opcode != PONG:
                pass
            await eventually(lambda: len(other.heard) == 20)
        assert [message.payload for message in other.heard] == [b"%d" % n for n in range(20)]
        assert full.status.dropped == {"overloaded": 19}
        assert other.status.dropped == {}
        full.may_deliver.set()
        await eventually(lambda: not full.status.inflight)
        await client.send(frame(TEXT, b"welcome again"))
        await eventually(lambda: len(full.heard) == 2)
        assert full.heard[1].payload == b"welcome again"


async def test_a_client_that_leaves_while_its_route_is_full_loses_nothing_silently() -> None:
    async with open_house() as house:
        full = house.add_room("/full", status=fake_status(inflight=1))
        full.may_deliver = trio.Event()
        client = await house.connect("/full")
        await client.send(frame(TEXT, b"a"))
        await eventually(lambda: full.status.inflight > 0)
        await client.send(frame(TEXT, b"b"))
        await wait_all_tasks_blocked(0.01)
        next(iter(house.connection.roster.guests)).end(Ending.RESTART)
        await wait_until_gone(house, "/full")
        assert full.status.dropped == {"overloaded": 1}
        assert full.status.received == 2


async def test_what_is_said_while_a_route_is_down_is_dropped_by_name() -> None:
    async with open_house() as house:
        room, other = house.add_room("/two"), house.add_room("/{any}")
        client = await house.connect("/two")
        await client.echo(b"a")
        room.fall()
        await wait_all_tasks_blocked()
        await client.send(frame(TEXT, b"b"))
        await eventually(lambda: len(other.heard) == 2)
        assert room.status.dropped == {"route_restarted": 1}
        assert other.status.dropped == {}
