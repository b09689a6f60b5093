"""Who is silent for too long goes; no sockets, and a clock that jumps."""

import trio
from trio.testing import MockClock

from routerd.connectors.websocket.idle import end_idle
from routerd.connectors.websocket.limits import Limits
from routerd.connectors.websocket.reasons import Ending
from routerd.connectors.websocket.roster import Roster


class Guest:
    """A client that says something at these times."""

    queued_bytes = 0

    def __init__(self, *times: float) -> None:
        self._times = times
        self._came = trio.current_time()
        self.ended: list[tuple[Ending, float]] = []

    ping_at = pinged_at = float("inf")

    def ping(self) -> None:
        raise AssertionError

    def heard_at(self) -> float:
        past = trio.current_time() - self._came
        return self._came + max((time for time in self._times if time <= past), default=0.0)

    def end(self, why: Ending, *, is_hopeless: bool = False) -> None:
        self.ended.append((why, trio.current_time() - self._came))

    def cut(self) -> None:
        raise AssertionError


async def watch(limits: Limits, *guests: Guest) -> None:
    """A hundred seconds."""
    roster = Roster(limits=limits)
    roster.guests.update(guests)
    with trio.move_on_after(100):
        await end_idle(roster)


async def test_a_client_of_which_nothing_is_heard_is_ended(autojump_clock: MockClock) -> None:
    silent, chatty = Guest(30), Guest(*range(0, 100, 39))
    await watch(Limits(idle_timeout=40), silent, chatty)
    assert silent.ended[0][0] is Ending.IDLE
    assert 70 < silent.ended[0][1] <= 75
    assert chatty.ended == []


async def test_silence_may_be_no_offence(autojump_clock: MockClock) -> None:
    silent = Guest()
    await watch(Limits(idle_timeout=0), silent)
    assert silent.ended == []


async def test_very_many_clients_are_looked_at_in_turns(autojump_clock: MockClock) -> None:
    guests = [Guest() for _ in range(1200)]
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count_turns)
        await watch(Limits(idle_timeout=40), *guests)
        nursery.cancel_scope.cancel()
    assert all(guest.ended for guest in guests)
    assert turns >= 100
