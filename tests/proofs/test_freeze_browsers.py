"""A hundred clients sit through a frozen Kafka: none is cut, their rooms go on, losses have a name.

Half of them speak `routerd.ack.v1`, and of what those say nothing is lost. Kafka is frozen for
longer than a full route holds the others up, and for several pings. By hand for a minute, with
pings as by default: `ROUTERD_FROZEN=60 tests/run test tests/proofs/test_freeze_browsers.py`. On
2026-11-25, of 30,213 messages: the 15,109 of those who ask were confirmed, once and in order; of
the 15,104 of the others 14,990 were dropped as `overloaded`, and the rooms heard them all.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

import trio

from tests.outside import Outside
from tests.proofs.watching import status_of, wait_running
from tests.raw_websocket import PING, PONG, TEXT, RawClient, frame, request
from tests.rig.daemon import Routerd
from tests.rig.kafka import Kafka
from tests.rig.waiting import wait_until

FROZEN = float(os.environ.get("ROUTERD_FROZEN", "7"))
ROOMS, IN_EACH = 10, 10
SAYS_EVERY = 0.2
"""Seconds."""
PINGS = "" if FROZEN >= 60 else 'ping_every = "1s", pong_timeout = "2s",'
TABLE = """
[kafka]
bootstrap_servers = "{kafka}"

[ws]
listen = "127.0.0.1:0"
limits = {{ {pings} connections_per_address = 1000, handshake_rate = 1000 }}

[admin]
listen = "127.0.0.1:0"

[[route]]
name = "archive"
from = "ws:/chat/{{room}}"
to = "kafka:chat"
key = "{{room}}"
inflight = 200

[[route]]
name = "rooms"
from = "ws:/chat/{{room}}"
to = "group:/chat/{{room}}"
"""


ASK = b"Sec-WebSocket-Protocol: routerd.ack.v1"


@dataclass
class Guest:
    """One client of a room.

    Attributes:
        asks: whether it speaks `routerd.ack.v1`.
        answers: to what it said, if it asks; in their order.
    """

    name: str
    client: RawClient
    asks: bool
    said: list[bytes] = field(default_factory=list)
    heard: Counter[bytes] = field(default_factory=Counter)
    answers: list[bytes] = field(default_factory=list)
    _sending: trio.Lock = field(default_factory=trio.Lock)

    async def talk(self, done: trio.Event) -> None:
        """Says something else all the time."""
        while not done.is_set():
            text = f"{self.name}/{len(self.said)}".encode()
            self.said.append(text)
            await self._send(frame(TEXT, b"pub %b %b" % (text, text) if self.asks else text))
            await trio.sleep(SAYS_EVERY)

    async def listen(self) -> None:
        """Hears what is said in the room, and answers pings; for ever, as it is never cut."""
        while (found := await self.client.read()) is not None:
            if found.opcode == PING:
                await self._send(frame(PONG, found.payload))
            else:
                assert found.opcode == TEXT, found
                self._note(found.payload)
        raise AssertionError(f"{self.name} was cut")

    def _note(self, payload: bytes) -> None:
        if self.asks and not payload.startswith(b"msg "):
            self.answers.append(payload)
        else:
            self.heard[payload.removeprefix(b"msg ") if self.asks else payload] += 1

    async def _send(self, data: bytes) -> None:
        async with self._sending:
            await self.client.send(data)

    async def wait_heard(self, said: Counter[bytes]) -> None:
        """Returns when it has heard exactly that."""
        with trio.fail_after(20):
            while self.heard.total() < said.total():  # noqa: ASYNC110 - nothing says when
                await trio.sleep(0.01)
        assert self.heard == said

    async def wait_answered(self) -> None:
        """Returns when all that it said has been confirmed, in order."""
        with trio.fail_after(20):
            while len(self.answers) < len(self.said):  # noqa: ASYNC110 - nothing says when
                await trio.sleep(0.01)
        assert self.answers == [b"ack " + text for text in self.said]


async def enter(door: Outside, room: int, seat: int) -> Guest:
    """Every other one asks."""
    asks = bool(seat % 2)
    client = await door.dial()
    await client.send(request(f"/chat/{room}", *[ASK] * asks))
    assert (await client.read_answer())[0] == 101
    return Guest(f"{room}/{seat}", client, asks)


async def test_a_frozen_kafka_cuts_no_client_and_stops_no_room(
    start_kafka: Callable[..., Kafka], start_routerd: Callable[..., Routerd]
) -> None:
    def prepare() -> tuple[Kafka, Routerd]:
        kafka = start_kafka()
        kafka.create_topic("chat", 4)
        routerd = start_routerd(TABLE.format(kafka=kafka.bootstrap, pings=PINGS))
        wait_running(routerd)
        return kafka, routerd

    kafka, routerd = await trio.to_thread.run_sync(prepare)
    door = Outside(routerd)
    rooms = [[await enter(door, room, seat) for seat in range(IN_EACH)] for room in range(ROOMS)]
    guests = list(chain.from_iterable(rooms))
    async with trio.open_nursery() as listening:
        for guest in guests:
            listening.start_soon(guest.listen)
        async with trio.open_nursery() as talking:
            done = trio.Event()
            for guest in guests:
                talking.start_soon(guest.talk, done)
            await trio.sleep(0.5)
            kafka.freeze()
            before = [guest.heard.total() for guest in guests]
            await trio.sleep(FROZEN)
            news = [guest.heard.total() - old for guest, old in zip(guests, before, strict=True)]
            kafka.thaw()
            await trio.sleep(0.5)
            done.set()
        for room in rooms:
            said = Counter(text for guest in room for text in guest.said)
            for guest in room:
                await guest.wait_heard(said)
        asking = [guest for guest in guests if guest.asks]
        for guest in asking:
            await guest.wait_answered()
        listening.cancel_scope.cancel()
    for guest in guests:
        await guest.client.aclose()
    said_in_all = sum(len(guest.said) for guest in guests)
    assert min(news) > FROZEN / SAYS_EVERY  # more than one of them alone would have said

    def settle() -> None:
        wait_until(lambda: status_of(routerd, "archive")["inflight"] == 0, "all is settled")
        received = partial(routerd.metric, "routerd_messages_received_total")
        dropped = partial(routerd.metric, "routerd_messages_dropped_total")
        assert received(route="rooms") == received(route="archive") == said_in_all
        assert dropped(route="rooms") == 0
        assert dropped(route="archive") == dropped(route="archive", reason="overloaded") > 0
        kept = Counter(record.value for record in kafka.records.read("chat"))
        assert kept.total() == said_in_all - dropped(route="archive")
        assert Counter(text for guest in asking for text in guest.said) <= kept
        assert set(kept.values()) == {1}
        assert routerd.metric("routerd_route_restarts_total") == 0
        assert routerd.metric("routerd_ws_closed_total") == routerd.metric(
            "routerd_ws_closed_total", reason="client"
        )

    await trio.to_thread.run_sync(settle)
