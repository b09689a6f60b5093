"""Who is pinged when, and who is ended for silence; no sockets, and a clock that jumps."""

import trio
from trio.testing import MockClock

from routerd.connectors.websocket.keepalive import keep_alive, next_ping
from routerd.connectors.websocket.limits import Limits
from routerd.connectors.websocket.reasons import Ending

LIMITS = Limits(ping_every=20, pong_timeout=10)


class Guest:
    """One that answers each ping after a while."""

    def __init__(self, *, answers_after: float) -> None:
        self._answers_after = answers_after
        self.ping_at, self.pinged_at = next_ping(20), float("inf")
        self.pings: list[float] = []
        self.ended: list[Ending] = []

    def ping(self) -> None:
        self.pings.append(trio.current_time())

    def heard_at(self) -> float:
        answers = [at + self._answers_after for at in self.pings]
        return max([at for at in answers if at <= trio.current_time()], default=0.0)

    def end(self, why: Ending, *, is_hopeless: bool = False) -> None:
        self.ended.append(why)


async def test_everybody_is_pinged_again_some_time_after_an_answer(
    autojump_clock: MockClock,
) -> None:
    guests, began = [Guest(answers_after=5) for _ in range(50)], trio.current_time()
    with trio.move_on_after(60):
        await keep_alive(guests, LIMITS)
    for guest in guests:
        first, second, *_ = guest.pings
        assert 15 <= first - began <= 21
        assert 20 <= second - first <= 27
        assert guest.ended == []
    assert len({guest.pings[0] for guest in guests}) > 1


async def test_who_answers_too_late_is_ended(autojump_clock: MockClock) -> None:
    late = Guest(answers_after=11)
    with trio.move_on_after(36):
        await keep_alive([late], LIMITS)
    assert len(late.pings) == 1
    assert set(late.ended) == {Ending.PING_TIMEOUT}


async def test_nobody_need_be_pinged(autojump_clock: MockClock) -> None:
    unasked = Guest(answers_after=1)
    await keep_alive([unasked], Limits(ping_every=0))
    assert unasked.pings == []
