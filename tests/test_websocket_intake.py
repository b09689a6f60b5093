"""From what a client said to its routes, with the routes' room decided by the test."""

import trio
from trio.testing import MockClock

from routerd.address import parse_path_pattern
from routerd.connectors.websocket.codecs import CODECS
from routerd.connectors.websocket.handshake import Handshake
from routerd.connectors.websocket.intake import Complaints, Intake
from routerd.connectors.websocket.paths import Paths
from routerd.connectors.websocket.session import Session
from routerd.connectors.websocket.source import PATIENCE, Inlet, WebSocketSource
from routerd.mailbox import Mailbox
from routerd.status import ListenerStatus
from tests.fakes import fake_status

ASKED = Handshake(b"/chat", ("chat",), b"", [])


class Route:
    """One that runs, and settles what it got when the test says so."""

    def __init__(self, *, inflight: int = 100) -> None:
        self.status = fake_status(inflight=inflight)
        self.inlet = Inlet(self.status)
        self.mailbox = Mailbox(self.status)
        self.inlet.attach(WebSocketSource(self.inlet), self.mailbox)

    async def deliver(self) -> list[bytes]:
        """What piled up."""
        batch = await self.mailbox.take()
        self.status.delivered += len(batch.messages)
        self.mailbox.release([batch])
        return [message.payload for message in batch.messages]


class Client:
    """One whose path is read by some routes, each for a type or for any."""

    def __init__(self, routes: dict[str | None, Route], *, codec: str = "raw") -> None:
        paths = Paths()
        for kind, route in routes.items():
            paths.add(parse_path_pattern("/chat"), route.inlet, kind=kind)
        place = paths.find(("chat",))
        assert place is not None
        self.status = ListenerStatus("ws")
        self.bad_ends = 0
        self.intake = Intake(
            Session(ASKED, peer="", codec=CODECS[codec], send=lambda _: True),
            place,
            complaints=Complaints(self.status, place.label, most=3, on_bad_frames=self._end),
        )

    def say(self, *texts: bytes) -> bool:
        return self.intake.take([(text, True) for text in texts])

    def _end(self) -> None:
        self.bad_ends += 1


def typed(kind: int) -> bytes:
    return b'{"type":%d,"payload":"%d"}' % (kind, kind)


async def test_what_was_read_together_comes_to_the_route_together_and_in_order() -> None:
    route = Route(inflight=2)
    client = Client({None: route})
    assert client.say(b"a", b"b", b"c")
    assert not client.say(b"d")
    assert await route.deliver() == [b"a", b"b", b"c"]
    await client.intake.wait_for_room()
    assert await route.deliver() == [b"d"]


async def test_each_route_gets_the_types_that_it_takes() -> None:
    one, any_, other = Route(), Route(), Route()
    client = Client({"1": one, None: any_, "2": other}, codec="kratos-text")
    assert client.say(typed(1), typed(3), typed(2), typed(1))
    assert await one.deliver() == [b"1", b"1"]
    assert await any_.deliver() == [b"1", b"3", b"2", b"1"]
    assert await other.deliver() == [b"2"]


async def test_what_nobody_takes_and_what_nobody_can_read_is_counted() -> None:
    route = Route()
    client = Client({"1": route}, codec="kratos-text")
    assert client.say(typed(2), typed(1), b"rubbish", typed(3))
    assert client.status.unmatched == {"/chat": 2}
    assert client.status.undecodable == {"/chat": 1}
    assert await route.deliver() == [b"1"]


async def test_nothing_is_taken_after_the_last_bad_frame() -> None:
    route = Route()
    client = Client({None: route}, codec="kratos-text")
    client.say(b"bad", typed(1), b"bad", b"bad", b"bad", typed(2))
    assert (client.bad_ends, client.status.undecodable["/chat"]) == (1, 3)
    assert await route.deliver() == [b"1"]


async def test_a_full_route_keeps_others_of_the_path_in_order(autojump_clock: MockClock) -> None:
    full, free = Route(inflight=1), Route()
    client = Client({None: full, "1": free}, codec="kratos-text")
    client.say(typed(1), typed(1))
    heard = await free.deliver()
    for _ in range(2):
        if not client.say(typed(1)):
            with trio.move_on_after(PATIENCE * 2):
                await client.intake.wait_for_room()
        heard += await free.deliver()
    assert heard == [b"1"] * 4
    assert full.status.dropped["overloaded"] == 2
