"""What waits to be produced: in order, and not too soon."""

from itertools import count

import pytest
import trio
from trio.testing import MockClock

from routerd.connectors.kafka import waiting
from routerd.connectors.kafka.handed import Handed
from routerd.connectors.kafka.producer import FASTEST
from routerd.connectors.kafka.records import Record
from routerd.connectors.kafka.waiting import LATEST, SOONEST, WaitingRecords
from routerd.message import Message
from routerd.receipt import Receipt, SinkCounts

_numbers = count()


class NoSink:
    """Asked for nothing here."""

    def record(self, message: Message) -> Record:
        raise NotImplementedError

    def note_reordered(self, count: int) -> None:
        raise NotImplementedError

    def note_guilty(self, message: Message) -> None:
        raise NotImplementedError

    def note_finished(self, handed: Handed) -> None:
        raise NotImplementedError


def batch() -> Handed:
    return Handed(
        [Message(b"t", b"")] * 3, Receipt(3, SinkCounts()), giver=NoSink(), number=next(_numbers)
    )


def test_records_come_out_in_the_order_in_which_they_were_handed_over() -> None:
    first, second = batch(), batch()
    queue = WaitingRecords()
    for handed, index in [(second, 0), (first, 2), (second, 1), (first, 0)]:
        queue.add(handed, index)
    assert queue.take_turn() == [(first, 0), (first, 2), (second, 0), (second, 1)]
    assert len(queue) == 0


async def test_a_turn_is_no_longer_than_its_bound(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr(waiting, "RECORDS_PER_TURN", 2)
    handed, queue = batch(), WaitingRecords()
    for index in range(3):
        queue.add(handed, index)
    assert queue.take_turn() == [(handed, 0), (handed, 1)]
    queue.end_turn(is_stuck=False)
    await trio.sleep(FASTEST)
    assert queue.is_due
    assert queue.take_turn() == [(handed, 2)]


async def test_what_came_back_waits_twice_as_long_each_time(autojump_clock: MockClock) -> None:
    handed, queue = batch(), WaitingRecords()
    queue.add_returned(handed, 0, "t")
    for delay in (SOONEST, SOONEST, 2 * SOONEST, 4 * SOONEST):
        await trio.sleep(delay * 0.99)
        assert not queue.is_due
        await trio.sleep(delay * 0.02)
        assert queue.is_due
        for entry in queue.take_turn():
            queue.add_returned(*entry, "t")
        queue.end_turn(is_stuck=True)


async def test_it_never_waits_longer_than_the_bound(autojump_clock: MockClock) -> None:
    queue = WaitingRecords()
    queue.add_returned(batch(), 0, "t")
    for _ in range(20):
        queue.end_turn(is_stuck=True)
    await trio.sleep(LATEST)
    assert queue.is_due


async def test_after_a_confirmation_it_waits_a_short_time_again(autojump_clock: MockClock) -> None:
    queue = WaitingRecords()
    queue.add_returned(batch(), 0, "t")
    for _ in range(20):
        queue.end_turn(is_stuck=True)
    queue.reset_delay()
    queue.end_turn(is_stuck=True)
    await trio.sleep(SOONEST)
    assert queue.is_due


async def test_later_records_of_a_topic_stay_behind_until_all_have_gone(
    autojump_clock: MockClock,
) -> None:
    queue = WaitingRecords()
    queue.add_returned(batch(), 0, "t")
    assert queue.holds("t")
    assert not queue.holds("other")
    await trio.sleep(SOONEST)
    queue.take_turn()
    queue.end_turn(is_stuck=False)
    assert not queue.holds("t")


async def test_a_new_producer_makes_everything_due(autojump_clock: MockClock) -> None:
    queue = WaitingRecords()
    queue.add_returned(batch(), 0, "t")
    await trio.sleep(SOONEST / 2)
    assert not queue.is_due
    queue.make_due()
    assert queue.is_due
