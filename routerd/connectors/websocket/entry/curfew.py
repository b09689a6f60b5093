"""Clients whose tokens expire while they are connected."""

import time
from collections.abc import Callable
from typing import Protocol

import trio

from routerd.connectors.websocket.reasons import Ending

EVERY = 1.0
"""Seconds between two looks at the clock: one task for all, and a clock that is set is noticed."""


class Leaver(Protocol):
    """Whoever must leave then."""

    def end(self, why: Ending) -> None:
        """Closes it with the code of `why`."""


class Curfew:
    """Who must leave, and when, by the clock that people set."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        """With a clock that gives seconds since 1970."""
        self._now = now
        self._ends: dict[Leaver, float] = {}
        self._next = float("inf")

    @property
    def count(self) -> int:
        """How many it remembers."""
        return len(self._ends)

    def add(self, guest: Leaver, ends_at: float) -> None:
        """It must leave at `ends_at`, in seconds since 1970."""
        self._ends[guest] = ends_at
        self._next = min(self._next, ends_at)

    def remove(self, guest: Leaver) -> None:
        """It has left. Harmless if it never was added."""
        self._ends.pop(guest, None)

    async def run(self) -> None:
        """Tells everybody in time, until cancelled."""
        while True:
            await trio.sleep(EVERY)
            if self._now() >= self._next:
                self._look()

    def _look(self) -> None:
        now = self._now()
        due = [guest for guest, ends_at in self._ends.items() if ends_at <= now]
        for guest in due:
            del self._ends[guest]
            guest.end(Ending.EXPIRED)
        self._next = min(self._ends.values(), default=float("inf"))
