"""What `interfaces.py` says of every source and every sink, as tests that run on each of them.

A test module has a fixture that gives a `SourceCase` or a `SinkCase`, and runs the rules on it:

    @pytest.mark.parametrize("rule", SINK_RULES, ids=name_of)
    async def test_keeps_the_contract(rule: SinkRule, case: SinkCase) -> None:
        await rule(case)
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import trio

from routerd.errors import DeliveryFailed, Rejected, Unavailable, leaves
from routerd.interfaces import Sink, Source
from routerd.mailbox import Batch, Mailbox
from routerd.message import Message
from routerd.receipt import SinkCounts
from routerd.status import RouteStatus

PATIENCE = 20.0
"""Seconds for something that must happen; a real broker may start meanwhile."""
A_WHILE = 0.3
"""Seconds for something that must not happen."""


class SinkCase(Protocol):
    """A sink and what is behind it.

    Attributes:
        counts: those that the sink was opened with.
        is_required: whether an acknowledgement would wait for it.
    """

    sink: Sink
    counts: SinkCounts
    is_required: bool

    def message(self, payload: bytes) -> Message:
        """One that the sink can take."""

    def unroutable(self) -> Message:
        """One whose template fails."""

    async def arrived(self, count: int) -> list[bytes]:
        """The payloads of the first `count` messages behind the sink, waited for, in order."""

    async def stall(self) -> None:
        """What is behind the sink takes nothing from now on, without being gone."""

    async def resume(self) -> None:
        """Takes `stall` back."""


class Openable(Protocol):
    """A source, life after life.

    Attributes:
        status: the route's that the source was opened for; its limit is 20 messages.
    """

    status: RouteStatus

    def open(self) -> Source:
        """A new life."""


class SourceCase(Openable, Protocol):
    """A source and its peer.

    Attributes:
        has_memory: whether the peer gives again what was not acknowledged.
        has_peer: whether there is a connection that can break.
        outlives_route: whether the peer's connection, and with it what is said on it, goes on
            when the life ends.
        says_no: whether the peer is told of messages that went nowhere.
    """

    has_memory: bool
    has_peer: bool
    outlives_route: bool
    says_no: bool

    async def send(self, payloads: Sequence[bytes]) -> None:
        """The peer has these messages for us, in order, to be acknowledged."""

    async def acknowledged(self, count: int) -> None:
        """Returns once the peer has that many in all; at once where there are none."""

    async def count_acknowledged(self) -> int:
        """How many acknowledgements the peer has so far; 0 where there are none."""

    async def count_refused(self) -> int:
        """How often the peer was told that a message went nowhere; 0 where nothing says so."""

    async def break_off(self) -> None:
        """The peer resets the connection."""


SinkRule = Callable[[SinkCase], Awaitable[None]]
SourceRule = Callable[[SourceCase], Awaitable[None]]


def name_of(rule: SinkRule | SourceRule) -> str:
    """For `ids=` of `parametrize`."""
    return getattr(rule, "__name__", "rule")


# --- sinks


async def resolves_every_message_once(case: SinkCase) -> None:
    payloads = [b"m%d" % number for number in range(50)]
    with trio.fail_after(PATIENCE):
        receipt = await case.sink.accept([case.message(payload) for payload in payloads])
        await receipt.wait()
    assert receipt.failures == {}
    assert receipt.pending == 0
    assert (case.counts.delivered, case.counts.failed) == (50, 0)
    assert await case.arrived(50) == payloads


async def keeps_the_order_of_batches(case: SinkCase) -> None:
    payloads = [b"m%d" % number for number in range(60)]
    with trio.fail_after(PATIENCE):
        for start in range(0, 60, 20):
            await case.sink.accept([case.message(p) for p in payloads[start : start + 20]])
        assert await case.arrived(60) == payloads


async def fails_what_it_cannot_route_alone(case: SinkCase) -> None:
    messages = [case.message(b"before"), case.unroutable(), case.message(b"after")]
    with trio.fail_after(PATIENCE):
        receipt = await case.sink.accept(messages)
        await receipt.wait()
        assert await case.arrived(2) == [b"before", b"after"]
    assert list(receipt.failures) == [1]
    assert receipt.failures[1].reason == "unroutable"
    assert (case.counts.delivered, case.counts.failed) == (2, 1)


async def does_not_hold_the_route_while_there_is_room(case: SinkCase) -> None:
    await case.stall()
    with trio.fail_after(PATIENCE):
        receipt = await case.sink.accept([case.message(b"held")])
        if case.is_required:
            await trio.sleep(A_WHILE)
            assert receipt.pending == 1
            assert case.counts.delivered == 0
        await case.resume()
        await receipt.wait()
    assert case.counts.delivered + case.counts.failed == 1


SINK_RULES: list[SinkRule] = [
    resolves_every_message_once,
    keeps_the_order_of_batches,
    fails_what_it_cannot_route_alone,
    does_not_hold_the_route_while_there_is_room,
]


# --- sources


@dataclass
class Life:
    """One life of a source that a rule runs, and what it put.

    Attributes:
        ended: set when `run` has returned or raised.
        failure: what it raised.
    """

    source: Source
    mailbox: Mailbox
    status: RouteStatus
    batches: list[Batch] = field(default_factory=list)
    ended: trio.Event = field(default_factory=trio.Event)
    failure: BaseException | None = None

    async def take(self, count: int) -> list[bytes]:
        """Takes bursts until `count` payloads are there, in the order in which they were put."""
        found: list[bytes] = []
        with trio.fail_after(PATIENCE):
            while len(found) < count:
                batch = await self.mailbox.take()
                self.batches.append(batch)
                found += [message.payload for message in batch.messages]
        return found

    def settle(self) -> None:
        """Settles all that was taken, as a route does."""
        batches, self.batches = self.batches, []
        self.status.delivered += sum(len(batch.messages) for batch in batches)
        self.source.settle(batches)
        self.mailbox.release(batches)

    def abandon(self) -> None:
        """Gives up all that was taken, as a route that restarts does."""
        batches, self.batches = self.batches, []
        self.status.drop(sum(len(batch.messages) for batch in batches), "route_restarted")
        for batch in batches:
            self.source.abandon(batch, "route_restarted")
        self.mailbox.release(batches)


@asynccontextmanager
async def living(case: Openable, *, mailbox: Mailbox | None = None) -> AsyncIterator[Life]:
    """A life that has started; cancelled at the end if it still runs."""
    life = Life(case.open(), mailbox or Mailbox(case.status), case.status)

    async def run(*, task_status: trio.TaskStatus[None]) -> None:
        try:
            await life.source.run(life.mailbox, task_status=task_status)
        except* (Unavailable, Rejected) as group:
            life.failure = leaves(group)[0]
        finally:
            life.ended.set()

    async with trio.open_nursery() as nursery:
        with trio.fail_after(PATIENCE):
            await nursery.start(run)
        yield life
        nursery.cancel_scope.cancel()


async def puts_messages_in_order(case: SourceCase) -> None:
    payloads = [b"m%d" % number for number in range(10)]
    async with living(case) as life:
        await case.send(payloads)
        assert await life.take(10) == payloads
    assert case.status.received == 10


async def acknowledges_only_what_is_settled(case: SourceCase) -> None:
    async with living(case) as life:
        await case.send([b"a", b"b"])
        await life.take(2)
        await trio.sleep(A_WHILE)
        assert await case.count_acknowledged() == 0
        life.settle()
        await case.acknowledged(2)


async def reads_no_more_than_there_is_room_for(case: SourceCase) -> None:
    payloads = [b"m%03d" % number for number in range(60)]
    found: list[bytes] = []
    async with living(case) as life, trio.open_nursery() as nursery:
        nursery.start_soon(case.send, payloads)  # it may have to wait for us
        await trio.sleep(A_WHILE)
        most = case.status.inflight
        with trio.fail_after(PATIENCE):
            while len(found) < len(payloads):
                found += await life.take(1)
                most = max(most, case.status.inflight)
                life.settle()
    assert found == payloads
    # One read may exceed the limit of 20; a second one is not begun.
    assert most <= 20 + 40


async def leaves_when_all_is_settled(case: SourceCase) -> None:
    async with living(case) as life:
        await case.send([b"a", b"b"])
        await life.take(2)
        life.mailbox.close()
        await trio.sleep(A_WHILE)
        assert not life.ended.is_set()
        life.settle()
        with trio.fail_after(PATIENCE):
            await life.ended.wait()
        assert life.failure is None
        await case.acknowledged(2)


async def settling_after_the_end_does_nothing(case: SourceCase) -> None:
    async with living(case) as life:
        await case.send([b"a"])
        await life.take(1)
    before = await case.count_acknowledged()
    life.settle()
    await trio.sleep(A_WHILE)
    assert await case.count_acknowledged() == before + (1 if case.outlives_route else 0)


async def says_of_a_failed_message_nothing_but_that(case: SourceCase) -> None:
    async with living(case) as life:
        await case.send([b"a", b"b", b"c"])
        await life.take(3)
        failure = DeliveryFailed("no such topic")
        places = [(batch, i) for batch in life.batches for i in range(len(batch.messages))]
        batch, index = places[1]
        batch.failed[index] = failure
        life.settle()
        await trio.sleep(A_WHILE)
        count, refused = await case.count_acknowledged(), await case.count_refused()
        # MQTT has no word for it: the message is acknowledged. Whoever has one, says it once.
        assert refused == (1 if case.says_no else 0)
        assert count + refused == (3 if case.has_memory or case.says_no else 0)


async def never_acknowledges_what_is_abandoned(case: SourceCase) -> None:
    async with living(case) as life:
        await case.send([b"a", b"b"])
        await life.take(2)
        life.abandon()
        await trio.sleep(A_WHILE)
        assert await case.count_acknowledged() == 0
        assert await case.count_refused() == (2 if case.says_no else 0)


async def what_was_not_acknowledged_comes_again_if_it_says_so(case: SourceCase) -> None:
    async with living(case) as life:
        await case.send([b"a", b"b"])
        await life.take(2)
        messages = [message for batch in life.batches for message in batch.messages]
        assert [life.source.gives_again(one) for one in messages] == [case.has_memory] * 2
    life.mailbox.release(life.batches)
    if not case.has_memory:
        return
    async with living(case, mailbox=life.mailbox) as second:
        assert await second.take(2) == [b"a", b"b"]
        second.settle()
        await case.acknowledged(2)


async def a_broken_connection_is_unavailable(case: SourceCase) -> None:
    if not case.has_peer:
        return
    async with living(case) as life:
        await case.break_off()
        with trio.fail_after(PATIENCE):
            await life.ended.wait()
        assert isinstance(life.failure, Unavailable)


async def a_full_route_still_leaves(case: SourceCase) -> None:
    async with living(case) as life:
        life.mailbox.is_paused = True
        life.mailbox.close()
        with trio.fail_after(PATIENCE):
            await life.ended.wait()
        assert life.failure is None


SOURCE_RULES: list[SourceRule] = [
    puts_messages_in_order,
    acknowledges_only_what_is_settled,
    reads_no_more_than_there_is_room_for,
    leaves_when_all_is_settled,
    settling_after_the_end_does_nothing,
    says_of_a_failed_message_nothing_but_that,
    never_acknowledges_what_is_abandoned,
    what_was_not_acknowledged_comes_again_if_it_says_so,
    a_broken_connection_is_unavailable,
    a_full_route_still_leaves,
]
