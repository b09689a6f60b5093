"""The way from a client into a route, with the route's room decided by the test."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from routerd.connectors.websocket.source import PATIENCE, Inlet, WebSocketSource
from routerd.mailbox import Mailbox
from routerd.message import Message
from tests.fakes import fake_status


class Life:
    """A source that runs, and the mailbox that it puts into."""

    def __init__(self, *, inflight: int) -> None:
        self.status = fake_status(inflight=inflight)
        self.inlet = Inlet(self.status)
        self.mailbox = Mailbox(self.status)
        self.source = WebSocketSource(self.inlet)
        self.ended = trio.Event()
        self.scope = trio.CancelScope()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with self.scope:
            await self.source.run(self.mailbox, task_status=task_status)
        self.ended.set()

    async def deliver(self) -> list[bytes]:
        """Takes and settles what waits."""
        batch = await self.mailbox.take()
        payloads = [message.payload for message in batch.messages]
        self.status.delivered += len(payloads)
        self.mailbox.release([batch])
        return payloads

    @property
    def is_balanced(self) -> bool:
        return self.status.received == self.status.settled + self.status.inflight


@asynccontextmanager
async def running(*, inflight: int = 100) -> AsyncIterator[Life]:
    life = Life(inflight=inflight)
    async with trio.open_nursery() as nursery:
        await nursery.start(life.run)
        yield life
        nursery.cancel_scope.cancel()


def said(payload: bytes) -> Message:
    return Message(b"/chat", payload)


async def test_what_was_read_together_is_put_together_though_it_exceeds_the_limit() -> None:
    async with running(inflight=2) as life:
        assert life.inlet.offer([said(b"a"), said(b"b"), said(b"c")])
        assert not life.inlet.offer([said(b"d")])
        assert life.status.inflight == life.status.inflight_bytes == 3
        assert await life.deliver() == [b"a", b"b", b"c"]
        assert life.status.inflight_bytes == 0


async def test_what_was_read_together_is_dropped_together() -> None:
    async with running() as life:
        life.mailbox.close()
        assert life.inlet.offer([said(b"a"), said(b"b")])
        assert life.status.dropped["shutdown"] == 2
        assert life.is_balanced


async def test_what_a_client_says_is_in_the_mailbox() -> None:
    async with running() as life:
        assert life.inlet.offer([said(b"a")])
        assert life.inlet.offer([said(b"b")])
        assert await life.deliver() == [b"a", b"b"]
        assert life.is_balanced


async def test_before_and_after_a_life_messages_are_dropped_by_name() -> None:
    async with running() as life:
        life.scope.cancel()
        await life.ended.wait()
        assert life.inlet.offer([said(b"a")])
        assert life.status.dropped == {"route_restarted": 1}
        assert life.is_balanced


async def test_a_full_route_is_waited_for() -> None:
    async with running(inflight=1) as life:
        assert life.inlet.offer([said(b"a")])
        assert not life.inlet.offer([said(b"b")])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(life.inlet.wait_for_room)
            await wait_all_tasks_blocked()
            assert await life.deliver() == [b"a"]
        assert life.inlet.offer([said(b"b")])
        assert await life.deliver() == [b"b"]
        assert life.status.dropped == {}


async def test_patience_with_a_full_route_ends(autojump_clock: MockClock) -> None:
    async with running(inflight=1) as life:
        assert life.inlet.offer([said(b"a")])
        assert not life.inlet.offer([said(b"b")])
        before = trio.current_time()
        await life.inlet.wait_for_room()
        assert trio.current_time() - before == PATIENCE
        assert life.inlet.offer([said(b"b")])
        assert life.status.dropped == {"overloaded": 1}
        assert life.is_balanced


async def test_room_that_others_took_begins_patience_anew(autojump_clock: MockClock) -> None:
    async with running(inflight=1) as life:
        assert life.inlet.entrust([said(b"a"), said(b"b")]) == [said(b"b")]
        assert not life.inlet.offer([said(b"x")])
        await trio.sleep(PATIENCE - 1)
        await life.deliver()
        assert life.inlet.entrust([said(b"b")]) == []
        await trio.sleep(PATIENCE - 1)
        assert not life.inlet.offer([said(b"x")])
        assert life.status.dropped == {}


async def test_who_waits_for_an_answer_waits_for_room_however_long(
    autojump_clock: MockClock,
) -> None:
    async with running(inflight=1) as life, trio.open_nursery() as nursery:
        assert life.inlet.entrust([said(b"a")]) == []
        waited = trio.Event()

        async def wait() -> None:
            await life.inlet.wait_for_room(patiently=True)
            waited.set()

        nursery.start_soon(wait)
        await trio.sleep(100 * PATIENCE)
        assert not waited.is_set()
        await life.deliver()
        await waited.wait()
        assert life.status.dropped == {}


async def test_an_overloaded_route_is_not_waited_for_again(autojump_clock: MockClock) -> None:
    async with running(inflight=1) as life:
        assert life.inlet.offer([said(b"a")])
        assert not life.inlet.offer([said(b"b")])
        await life.inlet.wait_for_room()
        before = trio.current_time()
        assert [life.inlet.offer([said(b"x")]) for _ in range(10)] == [True] * 10
        assert trio.current_time() == before
        assert life.status.dropped == {"overloaded": 10}


async def test_all_clients_of_a_route_share_one_patience(autojump_clock: MockClock) -> None:
    async with running(inflight=1) as life:
        assert life.inlet.offer([said(b"a")])
        assert not life.inlet.offer([said(b"b")])
        await trio.sleep(PATIENCE - 1)
        assert not life.inlet.offer([said(b"c")])
        before = trio.current_time()
        await life.inlet.wait_for_room()
        assert trio.current_time() - before == 1


async def test_room_ends_an_overload_and_patience_begins_anew(autojump_clock: MockClock) -> None:
    async with running(inflight=1) as life:
        assert life.inlet.offer([said(b"a")])
        assert not life.inlet.offer([said(b"b")])
        await life.inlet.wait_for_room()
        assert life.inlet.offer([said(b"dropped")])
        assert await life.deliver() == [b"a"]
        assert life.inlet.offer([said(b"c")])
        assert not life.inlet.offer([said(b"d")])
        assert life.status.dropped == {"overloaded": 1}


async def test_the_bound_in_bytes_counts_too() -> None:
    async with running() as life:
        life.status.inflight_bytes_limit = 10
        assert life.inlet.offer([said(b"x" * 11)])
        assert not life.inlet.offer([said(b"y")])


async def test_a_draining_route_takes_nothing_and_leaves_when_all_is_settled() -> None:
    async with running() as life:
        assert life.inlet.offer([said(b"a")])
        life.mailbox.close()
        assert life.inlet.offer([said(b"late")])
        await wait_all_tasks_blocked()
        assert not life.ended.is_set()
        assert await life.deliver() == [b"a"]
        await life.ended.wait()
        assert life.inlet.offer([said(b"later")])
        assert life.status.dropped == {"shutdown": 2}
        assert life.is_balanced


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda life: life.mailbox.close(), "shutdown"),
        (lambda life: life.scope.cancel(), "route_restarted"),
    ],
    ids=["draining", "the end of a life"],
)
async def test_whoever_waits_for_room_is_woken_when_there_will_be_none(
    end: Callable[[Life], None], reason: str, autojump_clock: MockClock
) -> None:
    async with running(inflight=1) as life:
        assert life.inlet.offer([said(b"a")])
        assert not life.inlet.offer([said(b"b")])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(life.inlet.wait_for_room)
            await wait_all_tasks_blocked()
            before = trio.current_time()
            end(life)
        assert trio.current_time() == before
        assert life.inlet.offer([said(b"b")])
        assert life.status.dropped == {reason: 1}


async def test_a_websocket_gives_nothing_again() -> None:
    async with running() as life:
        assert not life.source.gives_again(said(b"a"))
