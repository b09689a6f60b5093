"""What becomes of clients that are in: what they may do, for how long, and who sees their token."""

import logging
import time
from pathlib import Path

import pytest
import trio

from routerd.connectors.websocket.entry.curfew import Curfew
from routerd.connectors.websocket.reasons import Ending
from tests.entry_tables import entry_of
from tests.entry_tokens import LOBBY, STATIC, digest, signed, write_files
from tests.raw_websocket import TEXT, RawClient, frame, request
from tests.websocket_house import House, eventually, open_house

BOTH = (
    'auth = { tokens = "tokens.toml", cookie = "session", query = "token", '
    'jwt = [{ algorithm = "RS256", key = "rsa.pem", audience = ["routerd"] }] }'
)
HALVES = f"""{BOTH}
[ws.paths."/echo/{{room}}"]
allow.publish = {{ "@claim.speaks" = "{{room}}" }}
allow.subscribe = {{ "@claim.hears" = "{{room}}" }}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


async def enter(house: House, path: str, token: str) -> RawClient:
    client = await house.dial()
    await client.send(request(path, b"Authorization: Bearer " + token.encode()))
    status, _ = await client.read_answer()
    assert status == 101, status
    return client


async def test_who_may_only_listen_hears_and_is_closed_when_it_sends(folder: Path) -> None:
    async with open_house(entry=entry_of(HALVES, folder=folder)) as house:
        listener = await enter(house, "/echo/a", signed(hears="a"))
        speaker = await enter(house, "/echo/a", signed(hears="a", speaks=["b", "a"]))
        assert await speaker.echo(b"first") == b"first"
        heard = await listener.read()
        assert heard is not None
        assert heard.payload == b"first"

        await listener.send(frame(TEXT, b"no") * 3)

        assert await listener.read_close() == Ending.FORBIDDEN.code
        assert await speaker.echo(b"second") == b"second"  # and nothing of the listener before it
        assert house.counts.closed == {("/echo/{room}", "forbidden"): 1}


async def test_a_message_in_pieces_is_refused_as_well(folder: Path) -> None:
    async with open_house(entry=entry_of(HALVES, folder=folder)) as house:
        listener = await enter(house, "/echo/a", signed(hears="a"))
        await listener.send(frame(TEXT, b"n", fin=False) + frame(0, b"o"))
        assert await listener.read_close() == Ending.FORBIDDEN.code


async def test_who_may_only_send_is_no_member(folder: Path) -> None:
    async with open_house(entry=entry_of(HALVES, folder=folder)) as house:
        speaker = await enter(house, "/echo/a", signed(speaks="a"))
        member = await enter(house, "/echo/a", signed(hears="a"))
        assert house.connection.roster.groups.count(("a",)) == 0
        assert house.connection.roster.groups.count(("echo", "a")) == 1

        await speaker.send(frame(TEXT, b"news"))

        heard = await member.read()
        assert heard is not None
        assert heard.payload == b"news"
        await speaker.send(frame(8, b"\x03\xe8"))
        assert await speaker.read_close() == 1000  # and no echo before it


async def test_messages_and_events_carry_the_claims(folder: Path) -> None:
    async with open_house(entry=entry_of(BOTH, folder=folder)) as house:
        room = house.add_room("/claims", kind=(None, "@connect", "@disconnect"))
        client = await enter(house, "/claims", STATIC)
        await client.send(frame(TEXT, b"x"))
        await eventually(lambda: len(room.heard) == 2)
        await client.aclose()
        await eventually(lambda: len(room.heard) == 3)

        claims = [message.origin.claims for message in room.heard if message.origin]
        assert claims == [{"room": ["a", "b"], "level": 3, "admin": True, "sub": "dashboard"}] * 3


@pytest.mark.slow
async def test_a_token_that_expires_closes_its_client_and_no_other(folder: Path) -> None:
    async with open_house(entry=entry_of(BOTH, folder=folder)) as house:
        short = await enter(house, "/echo/a", signed(exp=int(time.time()) + 2))
        other = await enter(house, "/echo/a", signed())
        static = await enter(house, "/echo/a", LOBBY)

        with trio.fail_after(6):
            assert await short.read_close() == Ending.EXPIRED.code

        assert await other.echo(b"still here") == b"still here"
        assert await static.read() is not None
        assert house.counts.closed == {("/echo/{room}", "expired"): 1}


async def test_who_has_left_is_not_remembered(folder: Path) -> None:
    async with open_house(entry=entry_of(BOTH, folder=folder)) as house:
        for _ in range(3):
            await (await enter(house, "/echo/a", LOBBY)).reset()
        await eventually(lambda: not house.connection.roster.guests)
        assert house.connection.roster.curfew.count == 0


class Leaver:
    """Counts how often it is told to leave."""

    def __init__(self) -> None:
        self.told: list[Ending] = []

    def end(self, why: Ending) -> None:
        self.told.append(why)


class Wall:
    """The clock that people set: trio's, and an offset."""

    def __init__(self) -> None:
        self.offset = 1_000_000.0

    def __call__(self) -> float:
        return self.offset + trio.current_time()


async def test_a_clock_that_is_set_ahead_ends_whose_time_has_come(
    autojump_clock: trio.testing.MockClock,
) -> None:
    wall, guest, later = Wall(), Leaver(), Leaver()
    curfew = Curfew(now=wall)
    curfew.add(guest, wall() + 3600)
    curfew.add(later, wall() + 7200)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(curfew.run)
        await trio.sleep(10)
        assert not guest.told
        wall.offset += 3600
        await trio.sleep(2)
        nursery.cancel_scope.cancel()
    assert (guest.told, later.told) == ([Ending.EXPIRED], [])


async def test_a_clock_that_is_set_back_gives_the_time_that_it_says(
    autojump_clock: trio.testing.MockClock,
) -> None:
    wall, guest = Wall(), Leaver()
    curfew = Curfew(now=wall)
    curfew.add(guest, wall() + 5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(curfew.run)
        wall.offset -= 100
        await trio.sleep(100)
        assert not guest.told
        await trio.sleep(7)
        nursery.cancel_scope.cancel()
    assert guest.told == [Ending.EXPIRED]


async def test_nobody_sees_the_token_of_a_client(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="")
    places = (
        b"Authorization: Bearer " + STATIC.encode(),
        b"Cookie: a=1; session=" + STATIC.encode() + b"; b=2",
        b"Sec-WebSocket-Protocol: chat, bearer." + STATIC.encode(),
        b"X-Other: kept",
    )
    async with open_house(entry=entry_of(BOTH, folder=folder)) as house:
        room = house.add_room("/seen")
        client = await house.dial()
        await client.send(request(f"/seen?x=1&token={STATIC}&y=%20", *places))
        _, head = await client.read_answer()
        await client.send(frame(TEXT, b"x"))
        await eventually(lambda: len(room.heard) == 1)
        origin = room.heard[0].origin
        assert origin is not None
        headers = dict(origin.headers)

        assert dict(origin.query) == {"x": "1", "y": " "}
        assert headers["cookie"] == "a=1; b=2"
        assert headers["sec-websocket-protocol"] == "chat"
        assert headers["x-other"] == "kept"
        assert "authorization" not in headers
        for seen in (str(headers), origin.path.decode(), head.decode(), repr(house.counts)):
            assert "CANARY" not in seen
    assert "CANARY" not in caplog.text


async def test_an_open_path_hides_the_places_of_the_others(folder: Path) -> None:
    table = f'{BOTH}\n[ws.paths."/echo"]\nauth = "none"'
    async with open_house(entry=entry_of(table, folder=folder)) as house:
        room = house.add_room("/echo")
        client = await house.dial()
        await client.send(request(f"/echo?token={STATIC}", b"Cookie: session=" + STATIC.encode()))
        assert (await client.read_answer())[0] == 101
        await client.send(frame(TEXT, b"x"))
        await eventually(lambda: len(room.heard) == 1)
        origin = room.heard[0].origin
        assert origin is not None
        assert not origin.query
        assert "cookie" not in origin.headers


async def test_a_browser_is_answered_with_the_subprotocol_that_is_no_token(folder: Path) -> None:
    offer = b"Sec-WebSocket-Protocol: bearer." + STATIC.encode() + b", routerd.v1"
    async with open_house(entry=entry_of(BOTH, folder=folder)) as house:
        client = await house.dial()
        await client.send(request("/echo", offer))
        status, head = await client.read_answer()
        assert status == 101
        assert b"sec-websocket-protocol: routerd.v1" in head.lower()
        assert b"CANARY" not in head
        assert await client.echo(b"hi") == b"hi"


async def test_without_auth_a_header_is_a_header() -> None:
    async with open_house() as house:
        room = house.add_room("/plain")
        client = await house.dial()
        await client.send(request("/plain?token=t", b"Authorization: Bearer t"))
        assert (await client.read_answer())[0] == 101
        await client.send(frame(TEXT, b"x"))
        await eventually(lambda: len(room.heard) == 1)
        origin = room.heard[0].origin
        assert origin is not None
        assert (origin.query["token"], origin.headers["authorization"]) == ("t", "Bearer t")


async def test_a_reload_takes_good_files_and_keeps_what_it_has_of_bad_ones(folder: Path) -> None:
    async with open_house(entry=entry_of(BOTH, folder=folder)) as house:
        inside = await enter(house, "/echo/a", STATIC)
        tokens = folder / "tokens.toml"
        tokens.write_text(f'[[token]]\nsha256 = "{digest("new")}"\n')
        (folder / "rsa.pem").write_text("no key")

        reloaded = await house.connection.reload()

        assert reloaded.taken == 1
        (sentence,) = reloaded.refused
        assert sentence.startswith(f"[ws] {folder / 'rsa.pem'} is no key for RS256")
        await enter(house, "/echo/b", "new")
        await enter(house, "/echo/b", signed())  # by the key that it still has
        assert await answer(house, STATIC) == 401
        assert await inside.echo(b"still in") == b"still in"

        tokens.write_text(f'[[token]]\nsha256 = "{digest("newer")}"\n[[token]]\n')
        reloaded = await house.connection.reload()

        assert [reloaded.taken, len(reloaded.refused)] == [0, 2]
        assert await answer(house, "newer") == 401  # all or nothing
        assert await answer(house, "new") == 101


async def answer(house: House, token: str) -> int | None:
    client = await house.dial()
    await client.send(request("/echo/b", b"Authorization: Bearer " + token.encode()))
    return (await client.read_answer())[0]
