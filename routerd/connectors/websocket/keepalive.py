"""Pings the clients of a listener: one task looks who is due, and only a ping under way has one."""

import random
from collections.abc import Iterable
from typing import Protocol

import trio

ROUNDS = 16
"""How often everybody is looked at between two pings to one client."""
_LONGEST_PAUSE = 1.0
_GUESTS_A_TURN = 500


class Pinged(Protocol):
    """A client, as this sees it.

    Attributes:
        ping_at: when it is due; infinity while it isn't in, or a ping is under way.
    """

    ping_at: float

    def start_ping(self) -> None:
        """Begins to ping it; it says itself when it is due again."""


def next_ping(every: float) -> float:
    """When a client is due that is there, or has answered, now.

    With jitter, so that clients that came together are not pinged together.
    """
    return trio.current_time() + every * random.uniform(0.75, 1.0)  # noqa: S311


async def keep_alive(guests: Iterable[Pinged], every: float) -> None:
    """Pings all that come and go in `guests`, until cancelled; `every` 0: nobody."""
    while every:
        await trio.sleep(min(every / ROUNDS, _LONGEST_PAUSE))
        now = trio.current_time()
        for number, guest in enumerate(list(guests), start=1):
            if guest.ping_at <= now:
                guest.ping_at = float("inf")
                guest.start_ping()
            if number % _GUESTS_A_TURN == 0:
                await trio.lowlevel.checkpoint()
