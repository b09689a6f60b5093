"""Pings the clients of a listener, and ends those that don't answer: one task for all of them.

A client that says anything at all is there: what it has to answer is our silence.
"""

import random
from collections.abc import Collection
from typing import Protocol

import trio

from routerd.connectors.websocket.limits import Limits
from routerd.connectors.websocket.reasons import Ending

ROUNDS = 16
"""How often everybody is looked at between two pings to one client, and while an answer is due."""
_LONGEST_PAUSE = 1.0
_GUESTS_A_TURN = 500
_NEVER = float("inf")


class Pinged(Protocol):
    """A client, as this sees it.

    Attributes:
        ping_at: when it is due; infinity before it is in, and while an answer is.
        pinged_at: since when an answer is due; infinity while none is.
    """

    ping_at: float
    pinged_at: float

    def ping(self) -> None:
        """Writes a ping. Never blocks or raises."""

    def heard_at(self) -> float:
        """When it last said something; now, if it can't be heard."""

    def end(self, why: Ending, *, is_hopeless: bool = False) -> None:
        """Closes it with the code of `why`."""


def next_ping(every: float) -> float:
    """When a client is due that is there, or has answered, now.

    With jitter, so that clients that came together are not pinged together.
    """
    return trio.current_time() + every * random.uniform(0.75, 1.0)  # noqa: S311


async def keep_alive(guests: Collection[Pinged], limits: Limits) -> None:
    """Looks after all that come and go in `guests`, until cancelled."""
    every, timeout = limits.ping_every, limits.pong_timeout
    while every:
        await trio.sleep(min(every / ROUNDS, timeout / ROUNDS, _LONGEST_PAUSE))
        for number, guest in enumerate(list(guests), start=1):
            _look_after(guest, every=every, timeout=timeout)
            if number % _GUESTS_A_TURN == 0:
                await trio.lowlevel.checkpoint()


def _look_after(guest: Pinged, *, every: float, timeout: float) -> None:
    now = trio.current_time()
    if guest.ping_at <= now:
        guest.ping()
        guest.ping_at, guest.pinged_at = _NEVER, now
    elif guest.pinged_at < guest.heard_at():
        guest.ping_at, guest.pinged_at = next_ping(every), _NEVER
    elif guest.pinged_at + timeout <= now:
        guest.end(Ending.PING_TIMEOUT, is_hopeless=True)
