"""Messages with types, over real sockets: who takes which, and what nobody can read."""

import pytest
import trio

from routerd.connectors.websocket.codecs import CODECS
from routerd.connectors.websocket.reasons import Ending
from tests.raw_websocket import BINARY, TEXT, RawClient, frame
from tests.websocket_house import House, eventually, open_house


def said(kind: int, payload: bytes) -> bytes:
    """A client's frame in the format `kratos`."""
    return frame(BINARY, kind.to_bytes(4, "little") + payload)


async def read(client: RawClient) -> bytes:
    with trio.fail_after(5):
        found = await client.read()
    assert found is not None
    return found.payload


def counts(house: House) -> tuple[int, int]:
    """Unmatched messages, and frames that could not be read."""
    roster = house.connection.roster
    return roster.status.unmatched["/typed"], roster.status.undecodable["/typed"]


async def test_a_type_stays_where_no_other_is_said() -> None:
    async with open_house(codec="kratos") as house:
        client = await house.connect("/echo/1")
        await client.send(said(7, b"hello"))
        assert await read(client) == b"\x07\x00\x00\x00hello"


async def test_a_route_of_one_type_takes_only_that_and_sends_as_it_says() -> None:
    async with open_house(codec="kratos") as house:
        room = house.add_room("/typed", kind="1", sends="2")
        client = await house.connect("/typed")
        await client.send(said(1, b"mine") + said(3, b"nobody's"))
        assert await read(client) == b"\x02\x00\x00\x00mine"
        await eventually(lambda: counts(house) == (1, 0))
        assert room.status.received == 1


async def test_a_route_of_any_type_hears_those_that_others_take_by_type() -> None:
    async with open_house(codec="event") as house:
        one = house.add_room("/typed", kind="viewport")
        every = house.add_room("/typed")
        client = await house.connect("/typed")
        await client.send(frame(BINARY, b'{"event_id":"viewport","payload":"v"}'))
        await client.send(frame(TEXT, b'{"event_id":"other","payload":"o"}'))
        await eventually(lambda: len(every.heard) == 2)
        assert [message.payload for message in one.heard] == [b"v"]
        assert [(message.type, message.payload) for message in every.heard] == [
            ("viewport", b"v"),
            ("other", b"o"),
        ]


async def test_what_nobody_takes_leaves_the_socket_open() -> None:
    async with open_house(codec="kratos") as house:
        house.add_room("/typed", kind="1")
        client = await house.connect("/typed")
        for kind in range(2, 20):
            await client.send(said(kind, b"x"))
        await client.send(said(1, b"still here"))
        assert (await read(client))[4:] == b"still here"
        assert counts(house) == (18, 0)


@pytest.mark.parametrize("name", ["@connect", "@disconnect", "@", "@viewport"])
async def test_a_client_forges_no_session_event(name: str) -> None:
    async with open_house(codec="event") as house:
        every = house.add_room("/typed")
        client = await house.connect("/typed")
        encoded = CODECS["event"].encode(name, b"{}", is_text=None)
        await client.send(frame(BINARY, encoded[2:]))
        await eventually(lambda: counts(house) == (1, 0))
        assert every.heard == []


async def test_a_frame_that_cannot_be_read_is_counted_and_the_tenth_ends_its_client() -> None:
    async with open_house(codec="kratos") as house:
        house.add_room("/typed")
        client, other = await house.connect("/typed"), await house.connect("/typed")
        for _ in range(9):
            await client.send(frame(BINARY, b"\x01"))
        await client.send(said(1, b"well"))
        assert (await read(client))[4:] == b"well"
        await client.send(frame(TEXT, b"\x01\x00\x00\x00x"))
        with trio.fail_after(5):
            assert await client.read_close() == Ending.BAD_FRAMES.code
        assert counts(house) == (0, 10)
        assert (await read(other))[4:] == b"well"
        await other.send(said(1, b"unharmed"))
        assert (await read(other))[4:] == b"unharmed"


async def test_how_many_bad_frames_are_too_many_is_the_tables_to_say() -> None:
    async with open_house(codec="event", bad_frames=1) as house:
        house.add_room("/typed")
        client = await house.connect("/typed")
        await client.send(frame(TEXT, b"not JSON"))
        with trio.fail_after(5):
            assert await client.read_close() == Ending.BAD_FRAMES.code
        assert house.counts.closed == {("/typed", "bad_frames"): 1}
