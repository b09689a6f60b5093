"""The WebSocket source and the group sink keep the contracts, with real clients."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import trio

from routerd.address import parse_group_path, parse_path_pattern
from routerd.connectors.websocket.settings import GroupSinkSpec, WebSocketSourceSpec
from routerd.message import Message
from routerd.receipt import SinkCounts
from tests.ack_house import ACK
from tests.contracts import PATIENCE, SINK_RULES, SOURCE_RULES, SinkRule, SourceRule, name_of
from tests.fakes import fake_status
from tests.raw_websocket import TEXT, RawClient, frame
from tests.websocket_house import House, context_of, eventually, open_house

if TYPE_CHECKING:
    from routerd.interfaces import Sink, Source

pytestmark = pytest.mark.slow


@dataclass
class Sender:
    """Who sent a message; `{@query.room}` is in its query, or it isn't."""

    query: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    session: str = "1"
    peer: str = "192.0.2.1:7"
    path: bytes = b"/in"
    claims: Mapping[str, object] = field(default_factory=dict)


class GroupCase:
    """A sink whose group is named by the query, and one member of the group `room`."""

    is_required = False

    def __init__(self, house: House, member: RawClient) -> None:
        segments = parse_group_path("/live/{@query.room}")
        context = context_of(fake_status(), segments=segments)
        self.counts = SinkCounts()
        spec = GroupSinkSpec("group:/live/{@query.room}", segments)
        self.sink: Sink = house.connection.open_sink(spec, context, self.counts)
        self._member = member
        self._heard: list[bytes] = []

    def message(self, payload: bytes) -> Message:
        return Message(b"/in", payload, origin=Sender({"room": "room"}))

    def unroutable(self) -> Message:
        return Message(b"/in", b"lost", origin=Sender({}))

    async def arrived(self, count: int) -> list[bytes]:
        while len(self._heard) < count:
            found = await self._member.read()
            assert found is not None
            self._heard.append(found.payload)
        return self._heard[:count]

    async def stall(self) -> None:
        """Its member does not read anyhow."""

    async def resume(self) -> None:
        """Nothing to take back."""


class PathCase:
    """A route that reads from `/in`, and one client there."""

    has_memory = False
    has_peer = False
    outlives_route = False
    says_no = False

    def __init__(self, house: House) -> None:
        self.status = fake_status(inflight=20)
        pattern = parse_path_pattern("/in")
        context = context_of(self.status, patterns=[pattern])
        self._open = house.connection.open_source(WebSocketSourceSpec(((pattern, None),)), context)
        self.client: RawClient | None = None

    def open(self) -> "Source":
        return self._open()

    async def send(self, payloads: Sequence[bytes]) -> None:
        assert self.client is not None
        for payload in payloads:
            await self.client.send(frame(TEXT, payload))

    async def acknowledged(self, count: int) -> None:
        """A WebSocket knows no acknowledgements."""

    async def count_acknowledged(self) -> int:
        return 0

    async def count_refused(self) -> int:
        return 0

    async def break_off(self) -> None:
        raise NotImplementedError("a route that reads from a path has no connection of its own")


class AckCase(PathCase):
    """The same with a client that wants answers, and gets them beyond the life of the route."""

    outlives_route = True
    says_no = True

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self._sent = 0
        self._acks = self._nacks = 0

    async def send(self, payloads: Sequence[bytes]) -> None:
        assert self.client is not None
        for payload in payloads:
            self._sent += 1
            await self.client.send(frame(TEXT, b"pub %d %s" % (self._sent, payload)))

    async def acknowledged(self, count: int) -> None:
        with trio.fail_after(PATIENCE):
            while self._acks < count:
                await self._hear()

    async def count_acknowledged(self) -> int:
        await self._hear_all()
        return self._acks

    async def count_refused(self) -> int:
        await self._hear_all()
        return self._nacks

    async def _hear_all(self) -> None:
        with trio.move_on_after(0.05):
            while True:
                await self._hear()

    async def _hear(self) -> None:
        assert self.client is not None
        found = await self.client.read()
        assert found is not None
        word = found.payload.split(b" ")[0]
        self._acks += word == b"ack"
        self._nacks += word == b"nack"


@asynccontextmanager
async def group_case() -> AsyncIterator[GroupCase]:
    async with open_house() as house:
        house.allow("/live/{room}")
        yield GroupCase(house, await house.connect("/live/room"))


@asynccontextmanager
async def path_case() -> AsyncIterator[PathCase]:
    async with open_house() as house:
        case = PathCase(house)
        case.client = await house.connect("/in")
        yield case


@asynccontextmanager
async def ack_case() -> AsyncIterator[AckCase]:
    async with open_house() as house:
        case = AckCase(house)
        case.client = await (await house.dial()).open("/in", ACK)
        yield case
        await case.client.aclose()  # else the house would wait for its last answers
        await eventually(lambda: not house.connection.roster.guests)


@pytest.mark.parametrize("rule", SINK_RULES, ids=name_of)
async def test_the_group_sink_keeps_the_contract(rule: SinkRule) -> None:
    async with group_case() as case:
        await rule(case)


@pytest.mark.parametrize("rule", SOURCE_RULES, ids=name_of)
async def test_the_source_keeps_the_contract(rule: SourceRule) -> None:
    async with path_case() as case:
        await rule(case)


@pytest.mark.parametrize("rule", SOURCE_RULES, ids=name_of)
async def test_the_source_keeps_the_contract_with_a_client_that_wants_answers(
    rule: SourceRule,
) -> None:
    async with ack_case() as case:
        await rule(case)
