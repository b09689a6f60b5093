"""A receipt resolves each message exactly once."""

import pytest
import trio

from routerd.errors import DeliveryFailed
from routerd.receipt import Receipt, SinkCounts


async def test_wait_returns_when_the_last_message_is_resolved(
    autojump_clock: trio.abc.Clock,
) -> None:
    receipt = Receipt(3, SinkCounts())
    receipt.delivered(2)
    with trio.move_on_after(1) as early:
        await receipt.wait()
    receipt.failed(2, DeliveryFailed("too large"))
    await receipt.wait()
    assert early.cancelled_caught
    assert receipt.pending == 0


def test_counts_add_up_over_receipts() -> None:
    counts = SinkCounts()
    Receipt(2, counts).delivered(2)
    second = Receipt(3, counts)
    for index in range(3):
        second.failed(index, DeliveryFailed("no such topic"))
    assert (counts.delivered, counts.failed) == (2, 3)


def test_failures_keep_their_index_and_cause() -> None:
    receipt = Receipt(3, SinkCounts())
    error = DeliveryFailed("no")
    receipt.failed(1, error)
    assert receipt.failures == {1: error}
    assert receipt.pending == 2


def test_resolving_more_than_was_accepted_is_a_bug() -> None:
    receipt = Receipt(1, SinkCounts())
    receipt.delivered()
    with pytest.raises(RuntimeError, match="more messages than it accepted"):
        receipt.delivered()


def test_failing_one_message_twice_is_a_bug() -> None:
    receipt = Receipt(2, SinkCounts())
    receipt.failed(0, DeliveryFailed("no"))
    with pytest.raises(RuntimeError, match="failed twice"):
        receipt.failed(0, DeliveryFailed("no"))


async def test_every_waiter_is_woken() -> None:
    receipt = Receipt(1, SinkCounts())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(receipt.wait)
        nursery.start_soon(receipt.wait)
        await trio.testing.wait_all_tasks_blocked()
        receipt.delivered()
    assert receipt.pending == 0
