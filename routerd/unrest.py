"""Which changes of something that comes and goes are worth a log line: each, until it never rests.

A broker that is restarted is three lines. One that comes and goes every few seconds, for an hour,
would be thousands: so that is said once, and what came of it when it rests again.
"""

from collections import deque
from typing import Literal

import trio

MOST_CHANGES = 20
"""Within `WITHIN`; ten times up and ten times down."""
WITHIN = 600.0
"""Seconds."""
RESTS_AFTER = 60.0
"""Seconds without a change."""

Worth = Literal["line", "unrest", "nothing"]


class Unrest:
    """The changes of one thing."""

    def __init__(self) -> None:
        self._changes: deque[float] = deque(maxlen=MOST_CHANGES + 1)
        self._unsaid = 0

    def changed(self, now: float) -> Worth:
        """Notes a change. `unrest`: it is the last that is told, say so; then `nothing`."""
        self._changes.append(now)
        if self._unsaid:
            self._unsaid += 1
            return "nothing"
        if len(self._changes) <= MOST_CHANGES or now - self._changes[0] > WITHIN:
            return "line"
        self._unsaid = 1
        return "unrest"

    def rested(self, now: float) -> int:
        """How many changes were not told, when it rests at last; once, and 0 before and after."""
        if not self._unsaid or now - self._changes[-1] < RESTS_AFTER:
            return 0
        count, self._unsaid = self._unsaid, 0
        self._changes.clear()
        return count

    async def wait_rested(self) -> int:
        """The same, once it may have rested if nothing changes from now on."""
        await trio.sleep(RESTS_AFTER)
        return self.rested(trio.current_time())
