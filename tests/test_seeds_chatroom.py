"""The chatroom, served by etc/examples/chatroom.toml: its rows C1 to C7, and rooms of odd names."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import trio

from tests.example_house import (
    PATIENCE,
    Guest,
    come,
    eventually,
    example,
    guests,
    knock,
    port_of,
    room_path,
)
from tests.raw_websocket import BINARY, Frame, frame
from tests.rig.daemon import Routerd
from tests.rig.kafka import Kafka
from tests.rig.mockkafka import MockKafka

pytestmark = pytest.mark.slow

CHAT_CLIENT_JS = b'\x00\x00\x00\x00{"message":"hi","sender":"","timestamp":""}'
"""What kratos-chatroom's page sends: the type 0, big-endian."""
LIMIT = 64 << 10
"""Bytes of a message, as the table says."""
IMPATIENT = '\n[ws.limits]\nping_every = "500ms"\npong_timeout = "500ms"\n'


@pytest.fixture(scope="module")
def chatroom() -> Iterator[Routerd]:
    """One whose Kafka is away, which no room notices."""
    with Routerd(example("chatroom.toml")) as daemon:
        yield daemon


def event(name: str, **payload: object) -> bytes:
    """A frame as a page writes it."""
    return json.dumps({"event_id": name, "payload": json.dumps(payload)}).encode()


def chat(message: object, **more: object) -> bytes:
    return event("chat", message=message, **more)


def unpack(payload: bytes) -> tuple[str, dict[str, object]]:
    envelope = json.loads(payload)
    return envelope["event_id"], json.loads(envelope["payload"])


async def hear(guest: Guest, name: str) -> dict[str, object]:
    """The next of these events; those of other names are left out."""
    return unpack(await guest.hear_until(lambda payload: unpack(payload)[0] == name))[1]


def without_time(said: dict[str, object]) -> dict[str, object]:
    """Each route stamps it when it reads."""
    assert said["timestamp"]
    return {name: value for name, value in said.items() if name != "timestamp"}


async def hear_messages(guest: Guest, count: int) -> list[object]:
    return [(await hear(guest, "chat"))["message"] for _ in range(count)]


async def test_c1_two_unmodified_clients_see_each_others_messages(chatroom: Routerd) -> None:
    async with guests(port_of(chatroom, "ws_kratos"), "/", "/") as both:
        for speaker in both:
            await speaker.send(CHAT_CLIENT_JS)
            for guest in both:
                assert await guest.hear() == Frame(BINARY, CHAT_CLIENT_JS)


async def test_c2_one_of_fifty_never_reads_and_the_others_get_every_message(
    chatroom: Routerd,
) -> None:
    def slow() -> float:
        name, path = "routerd_ws_closed_total", "/room/{room}"
        return chatroom.metric(name, path=path, reason="slow")

    before, port = slow(), port_of(chatroom)
    sleeper = await come(port, room_path("c2"), buffer=4096)
    async with guests(port, *[room_path("c2")] * 49) as readers:
        for number in range(60):
            said = f"{number} {'x' * 50_000}"
            await readers[0].send(chat(said))
            for reader in readers:
                assert await hear_messages(reader, 1) == [said]
        await eventually(lambda: slow() == before + 1)
    sleeper.client.stream.socket.close()


async def test_c3_a_client_that_vanished_leaves_within_the_ping_timeout(
    start_routerd: Callable[..., Routerd],
) -> None:
    table = example("chatroom.toml").replace("\n[ws.limits]\n", IMPATIENT)
    port = port_of(start_routerd(table))
    async with guests(port, room_path("c3", "Ada")) as (ada,):
        ghost = await come(port, room_path("c3", "Ghost"))  # reads nothing, and answers no ping
        came = [await hear(ada, "presence") for _ in range(2)]
        assert await hear(ada, "presence") == {**came[1], "event": "@disconnect"}
        assert [one["who"] for one in came] == ["Ada", "Ghost"]
        ghost.client.stream.socket.close()


async def test_c4_rooms_hear_only_themselves(chatroom: Routerd) -> None:
    paths = [room_path("a"), room_path("a"), room_path("b")]
    async with guests(port_of(chatroom), *paths) as (one, two, other):
        await one.send(chat("to a"))
        await hear_messages(two, 1)
        await other.send(chat("to b"))
        assert await hear_messages(other, 1) == ["to b"]
        await two.send(chat("to a again"))
        assert await hear_messages(one, 2) == ["to a", "to a again"]


async def test_c5_the_server_says_who_and_when(chatroom: Routerd) -> None:
    room = [room_path("c5", "Ada"), room_path("c5", "Bob")]
    async with guests(port_of(chatroom), *room) as (ada, bob):
        me = (await hear(ada, "welcome"))["session"]
        forged = {"sender": "Bob", "session": "Bob's", "timestamp": "1970-01-01", "more": 1}
        await ada.send(chat("hi", **forged))
        said = await hear(bob, "chat")
        now = datetime.now(UTC)
    when = datetime.fromisoformat(str(said.pop("timestamp")))
    assert now - timedelta(minutes=1) < when <= now
    assert said == {"message": "hi", "sender": "Ada", "session": me}


async def test_c6_all_that_is_said_is_in_kafka_keyed_by_room_in_room_order(
    start_routerd: Callable[..., Routerd], kafka: Kafka
) -> None:
    await trio.to_thread.run_sync(kafka.create_topic, "chat", 4)
    daemon = start_routerd(example("chatroom.toml", kafka=kafka.bootstrap))
    rooms = ("a", "b", "a/b", "")
    said = {room: [f"{number} in {room}" for number in range(25)] for room in rooms}
    heard: dict[str, list[dict[str, object]]] = {}

    async def talk(guest: Guest, room: str) -> None:
        for message in said[room]:
            await guest.send(chat(message))
        heard[room] = [await hear(guest, "chat") for _ in said[room]]

    async with guests(port_of(daemon), *[room_path(room, "Ada") for room in rooms]) as present:
        async with trio.open_nursery() as nursery:
            for guest, room in zip(present, rooms, strict=True):
                nursery.start_soon(talk, guest, room)
        await trio.to_thread.run_sync(kafka.records.wait_until_count, "chat", 100)
    records = await trio.to_thread.run_sync(kafka.records.read, "chat")
    kept = [((one.key or b"").decode(), json.loads(one.value or b"")) for one in records]
    for room in rooms:
        archived = [value for key, value in kept if key == room]
        assert [one["message"] for one in archived] == said[room]
        assert [without_time(one) for one in archived] == [without_time(one) for one in heard[room]]
    assert len(kept) == 100


async def test_the_room_goes_on_while_kafka_is_away_and_the_archive_catches_up(
    start_routerd: Callable[..., Routerd], mockkafka: MockKafka
) -> None:
    mockkafka.create_topic("chat", 1)
    mockkafka.down()
    daemon = start_routerd(example("chatroom.toml", kafka=mockkafka.bootstrap))
    said = [f"number {number}" for number in range(20)]
    async with guests(port_of(daemon), room_path("lobby"), room_path("lobby")) as (ada, bob):
        for message in said:
            await ada.send(chat(message))
        assert await hear_messages(bob, len(said)) == said
        assert daemon.metric("routerd_inflight_messages", route="archive") == len(said)
    mockkafka.up()
    await trio.to_thread.run_sync(mockkafka.records.wait_until_count, "chat", len(said))
    records = await trio.to_thread.run_sync(mockkafka.records.read, "chat")
    assert [json.loads(one.value or b"")["message"] for one in records] == said
    assert {one.key for one in records} == {b"lobby"}


async def test_c7_a_message_that_is_too_big_ends_its_sender_and_no_one_else(
    chatroom: Routerd,
) -> None:
    async with guests(port_of(chatroom), *[room_path("c7")] * 2) as (sender, other):
        await sender.client.send(frame(BINARY, b"x" * (LIMIT + 1)))
        with trio.fail_after(PATIENCE):
            assert await sender.client.read_close() == 1009
        await other.send(chat("still here"))
        assert await hear_messages(other, 1) == ["still here"]


LONG = "x" * 4096
ROOMS = ("a", "a%2Fb", "a%252Fb", "b", "..", ".", "", LONG, LONG[:-1] + "y", "%00", "A", "a%20")
SAME = {"a": "%61", "a%2Fb": "%61%2fb", "..": "%2e%2e", "a%20": "a%20"}
"""What is another way to write a room's name."""


async def test_rooms_of_odd_names_are_apart_from_each_other(chatroom: Routerd) -> None:
    paths = [f"/room/{room}" for room in ROOMS]
    others = [f"/room/{SAME.get(room, room)}" for room in ROOMS]
    async with guests(port_of(chatroom), *paths, *others) as present:
        speakers, listeners = present[: len(ROOMS)], present[len(ROOMS) :]
        for speaker, path in zip(speakers, paths, strict=True):
            await speaker.send(chat(path))
        for listener, path in zip(listeners, paths, strict=True):
            assert await hear_messages(listener, 1) == [path]
        for speaker, listener, path in zip(speakers, listeners, paths, strict=True):
            await speaker.send(chat("end"))  # whatever else came, came before it
            assert await hear_messages(listener, 1) == ["end"]
            assert await hear_messages(speaker, 2) == [path, "end"]


@pytest.mark.parametrize("path", ["/room", "/room/a/b", "/room//", "/room/a/", "/room/../room/a"])
async def test_what_is_no_room_is_refused(chatroom: Routerd, path: str) -> None:
    assert await knock(port_of(chatroom), path) == 404
