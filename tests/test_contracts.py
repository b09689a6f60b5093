"""The fakes keep the contracts, as those who are tested against them rely on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from routerd.errors import DeliveryFailed
from routerd.interfaces import Sink, Source
from routerd.message import Message
from tests.contracts import SINK_RULES, SOURCE_RULES, SinkRule, SourceRule, name_of
from tests.fakes import FakeSink, FakeSource, fake_status

if TYPE_CHECKING:
    from routerd.receipt import SinkCounts
    from routerd.status import RouteStatus


class FakeSinkCase:
    """`FakeSink`, as the rules drive it."""

    is_required = True

    def __init__(self) -> None:
        self.fake = FakeSink(confirms_at_once=True)
        self.sink: Sink = self.fake
        self.counts: SinkCounts = self.fake.counts
        self.fake.refuses[b"unroutable"] = DeliveryFailed("no value", reason="unroutable")

    def message(self, payload: bytes) -> Message:
        return Message(b"t", payload, 1)

    def unroutable(self) -> Message:
        return self.message(b"unroutable")

    async def arrived(self, count: int) -> list[bytes]:
        return [one for one in self.fake.accepted if one != b"unroutable"][:count]

    async def stall(self) -> None:
        self.fake.confirms_at_once = False

    async def resume(self) -> None:
        self.fake.confirms_at_once = True
        self.fake.confirm()


class FakeSourceCase:
    """`FakeSource`, with a peer that remembers what was not acknowledged."""

    has_memory = True
    has_peer = True
    outlives_route = False
    says_no = False

    def __init__(self) -> None:
        self.status: RouteStatus = fake_status(inflight=20)
        self._lives: list[FakeSource] = []

    def open(self) -> Source:
        before = self._lives[-1] if self._lives else None
        self._lives.append(FakeSource())
        if before is not None:
            self._lives[-1].gives_at_start = [p for p in before.given if p not in before.settled]
        return self._lives[-1]

    async def send(self, payloads: Sequence[bytes]) -> None:
        source = self._lives[-1]
        assert source.mailbox is not None
        for payload in payloads:
            await source.mailbox.wait_for_room()
            source.put(payload)

    async def acknowledged(self, count: int) -> None:
        while await self.count_acknowledged() < count:  # noqa: ASYNC110 - the fake has no event
            await trio.sleep(0.01)

    async def count_acknowledged(self) -> int:
        return sum(len(life.settled) for life in self._lives)

    async def count_refused(self) -> int:
        return 0

    async def break_off(self) -> None:
        self._lives[-1].fall()


@pytest.mark.parametrize("rule", SINK_RULES, ids=name_of)
async def test_the_fake_sink_keeps_the_contract(
    rule: SinkRule, autojump_clock: trio.testing.MockClock
) -> None:
    await rule(FakeSinkCase())


@pytest.mark.parametrize("rule", SOURCE_RULES, ids=name_of)
async def test_the_fake_source_keeps_the_contract(
    rule: SourceRule, autojump_clock: trio.testing.MockClock
) -> None:
    await rule(FakeSourceCase())
