"""How messages end that no sink confirmed, and how it is said."""

import pytest
import trio.testing

from routerd.endings import SAY_DROPS_EVERY, Endings, shown
from routerd.errors import DeliveryFailed, DropReason
from routerd.mailbox import Batch
from routerd.message import Message
from tests.fakes import FakeSource, fake_status

REFUSED = DeliveryFailed("too large")


def batch_of(*tokens: int, source: FakeSource | None = None) -> Batch:
    messages = [Message(b"t", b"x", token) for token in tokens]
    return Batch(messages, len(messages), 0.0, source or FakeSource())


async def test_one_line_a_minute_for_each_reason_says_how_many_there_were(
    caplog: pytest.LogCaptureFixture, autojump_clock: trio.testing.MockClock
) -> None:
    status = fake_status()
    endings, batch = Endings(status), batch_of(1)
    for _ in range(3):
        endings.failed(batch, batch.messages[0], REFUSED, is_current=True)
    other = DeliveryFailed("no JSON", reason="unroutable")
    endings.failed(batch, batch.messages[0], other, is_current=True)
    assert [line.getMessage().split(" from=")[0] for line in caplog.records] == [
        "message dropped route=fake reason=rejected so_far=1",
        "message dropped route=fake reason=unroutable so_far=1",
    ]
    await trio.sleep(SAY_DROPS_EVERY)
    endings.failed(batch, batch.messages[0], REFUSED, is_current=True)
    assert "reason=rejected so_far=4" in caplog.text
    assert status.dropped == {"rejected": 4, "unroutable": 1}


@pytest.mark.parametrize("reason", ["shutdown", "route_restarted"])
def test_what_is_left_of_a_source_without_memory_is_dropped_for_its_reason(
    reason: DropReason,
) -> None:
    status = fake_status()
    Endings(status).unsettled(batch_of(1, 0, 0), reason)
    assert (status.returned, status.dropped) == (1, {reason: 2})


async def test_nobody_forgot_a_session_where_the_source_has_none() -> None:
    status, source = fake_status(), FakeSource()
    source.has_session = source.is_session_kept = False
    endings, batch = Endings(status), batch_of(1, source=source)
    endings.unsettled(batch, "shutdown")
    endings.failed(batch, batch.messages[0], REFUSED, is_current=False)
    assert status.dropped == {"shutdown": 1, "rejected": 1}


def test_an_address_is_shown_whatever_its_bytes_and_cut_short() -> None:
    assert shown("a/ü".encode()) == "a/ü"
    assert shown(b"\xff") == "\\xff"
    assert shown(b"x" * 65_535) == "x" * 256 + "..."
