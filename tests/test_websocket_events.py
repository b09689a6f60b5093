"""Session events: one `@connect` and one `@disconnect` for each session, however it ends."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from routerd.connectors.websocket import listener as listener_module
from routerd.connectors.websocket.limits import Limits
from routerd.message import Message
from tests.raw_websocket import CLOSE, TEXT, RawClient, frame, request
from tests.websocket_house import ROOMY, House, Room, eventually, open_house


@asynccontextmanager
async def watched_house(limits: Limits = ROOMY) -> AsyncIterator[tuple[House, list[Message]]]:
    """A house, and what happens to the sessions of `/watched/{room}` in it."""
    async with open_house(limits=limits) as house:
        yield house, watch(house).heard


def watch(house: House, path: str = "/watched/{room}") -> Room:
    return house.add_room(path, kind=("@connect", "@disconnect"))


def types(events: list[Message]) -> list[str | None]:
    return [event.type for event in events]


async def close_well(client: RawClient) -> None:
    await client.send(frame(CLOSE, b"\x03\xe8"))
    assert await client.read_close() == 1000


async def close_without_a_word(client: RawClient) -> None:
    await client.aclose()


async def reset(client: RawClient) -> None:
    await client.reset()


async def break_the_protocol(client: RawClient) -> None:
    await client.send(frame(0x3, b""))
    assert await client.read_close() == 1002


@pytest.mark.parametrize("end", [close_well, close_without_a_word, reset, break_the_protocol])
async def test_a_session_comes_once_and_goes_once(
    end: Callable[[RawClient], Awaitable[None]],
) -> None:
    async with watched_house() as (house, events):
        client = await house.connect("/watched/a")
        await eventually(lambda: types(events) == ["@connect"])
        await end(client)
        await eventually(lambda: types(events) == ["@connect", "@disconnect"])
        await trio.sleep(0.05)
        assert len(events) == 2
        sessions = {event.origin.session for event in events if event.origin}
        assert len(sessions) == 1
        assert events[0].payload == b'{"event":"@connect","session":"%s"}' % sessions.pop().encode()


@pytest.mark.slow
async def test_a_client_that_vanished_goes_at_the_ping_timeout() -> None:
    limits = replace(ROOMY, ping_every=0.05, pong_timeout=0.05)
    async with watched_house(limits=limits) as (house, events):
        await house.connect("/watched/a")
        await eventually(lambda: types(events) == ["@connect", "@disconnect"])


async def test_what_was_asked_for_is_known_in_both_events() -> None:
    async with watched_house() as (house, events):
        client = await house.dial()
        await client.send(request("/watched/a%2Fb?name=ada", b"X-Id: 7"))
        assert (await client.read_answer())[0] == 101
        await client.aclose()
        await eventually(lambda: len(events) == 2)
        for event in events:
            assert event.origin is not None
            assert event.address == event.origin.path == b"/watched/a%2Fb"
            assert event.origin.query == {"name": "ada"}
            assert event.origin.headers["x-id"] == "7"
            assert event.origin.peer.startswith("127.0.0.1:")


async def test_a_session_comes_before_its_messages_and_goes_after_them() -> None:
    async with open_house() as house:
        room = house.add_room("/all", kind=(None, "@connect", "@disconnect"))
        client = await house.connect("/all")
        await client.send(frame(TEXT, b"1") + frame(TEXT, b"2"))
        await eventually(lambda: len(room.heard) == 3)
        await client.aclose()
        await eventually(lambda: len(room.heard) == 4)
        assert types(room.heard) == ["@connect", None, None, "@disconnect"]


async def test_who_asks_for_no_events_hears_none() -> None:
    async with open_house() as house:
        room, other = house.add_room("/all"), watch(house, "/all")
        await (await house.connect("/all")).aclose()
        await eventually(lambda: len(other.heard) == 2)
        assert room.heard == []


async def test_a_refused_handshake_is_no_session() -> None:
    async with watched_house() as (house, events):
        client = await house.dial()
        await client.send(request("/watched/a", Origin=b"http://elsewhere.example"))
        assert (await client.read_answer())[0] == 403
        late = await house.dial()
        await late.send(request("/watched/a")[:-1])
        await late.aclose()
        await house.connect("/watched/b")
        await eventually(lambda: len(events) == 1)
        assert events[0].address == b"/watched/b"


@pytest.mark.slow
async def test_everyone_goes_once_when_everybody_is_dismissed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_module, "GOODBYE_TIMEOUT", 0.1)
    async with watched_house() as (house, events):
        for _ in range(20):
            await house.connect("/watched/a")
        await eventually(lambda: len(events) == 20)
        await house.connection.dismiss()
        assert len(house.connection.roster.guests) == 0
        await eventually(lambda: len(events) == 40)
        assert types(events).count("@disconnect") == 20
        assert len({event.origin.session for event in events if event.origin}) == 20


async def test_a_route_that_is_down_misses_events_and_counts_them() -> None:
    async with open_house() as house:
        room = watch(house)
        await wait_all_tasks_blocked()
        room.fall()
        client = await house.connect("/watched/a")
        await eventually(lambda: room.status.dropped.get("route_restarted") == 1)
        await client.aclose()
        await eventually(lambda: room.status.dropped.get("route_restarted") == 2)
        assert room.status.received == 2


async def test_a_full_route_still_hears_who_comes_and_goes() -> None:
    async with open_house() as house:
        room = watch(house)
        room.may_deliver = trio.Event()
        room.status.inflight_limit = 1
        clients = [await house.connect("/watched/a") for _ in range(5)]
        for client in clients:
            await client.aclose()
        await eventually(lambda: room.status.received == 10)
        room.may_deliver.set()
        await eventually(lambda: len(room.heard) == 10)
