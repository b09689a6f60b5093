"""Who is pinged when; no sockets, and a clock that jumps."""

import trio
from trio.testing import MockClock

from routerd.connectors.websocket.keepalive import keep_alive, next_ping


class Guest:
    """One that answers each ping after a while."""

    def __init__(self, *, answers_after: float) -> None:
        self._answers_after = answers_after
        self.ping_at = next_ping(20)
        self.pings: list[float] = []

    def start_ping(self) -> None:
        self.pings.append(trio.current_time())
        self.ping_at = trio.current_time() + self._answers_after


async def test_everybody_is_pinged_again_some_time_after_an_answer(
    autojump_clock: MockClock,
) -> None:
    guests = [Guest(answers_after=16) for _ in range(50)]
    began = trio.current_time()
    with trio.move_on_after(60):
        await keep_alive(guests, 20)
    for guest in guests:
        first, second, *_ = guest.pings
        assert 15 <= first - began <= 21
        assert 16 <= second - first <= 18
    assert len({guest.pings[0] for guest in guests}) > 1


async def test_nobody_is_pinged_while_a_ping_is_under_way_or_without_pings(
    autojump_clock: MockClock,
) -> None:
    slow, unasked = Guest(answers_after=1000), Guest(answers_after=1)
    with trio.move_on_after(100):
        await keep_alive([slow], 20)
    await keep_alive([unasked], 0)
    assert (len(slow.pings), unasked.pings) == (1, [])
