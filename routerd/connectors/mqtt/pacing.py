"""How long to leave the socket alone so that messages gather. Keeps no clock.

A broker like mosquitto writes one segment a message, and a reader that is always ready takes
them one by one, at 10 µs of system calls each. A pause of 1 ms gathers 60-90. But it must not
delay messages while there are few: what counts is how many came lately. (Whether two came close
together doesn't tell: of 500 a second at random moments, most do so now and then.)
"""

import math

PAUSE = 0.001
"""Seconds. 3 and 5 ms brought nothing more, and over TLS too little is read then."""
LATELY = 0.01
"""Seconds in which a message is forgotten."""
BUSY = 20
"""Messages that came lately, from which on there is a pause: about 2000 a second."""
FULL_BURST = 64
"""Messages of a burst that was worth its wake-up: no pause."""


class Pacer:
    """The pace of one connection."""

    def __init__(self) -> None:
        self._last_read = -math.inf
        self._came_lately = 0.0

    def read_at(self, count: int, now: float) -> float:
        """When to read again after a burst of `count` messages; `now`: as soon as there is any.

        Pauses end at whole ms of the clock, so that the routes of a process wake up together.
        """
        if not count:
            return now
        remembered = max(0.0, 1.0 - (now - self._last_read) / LATELY)
        self._last_read = now
        self._came_lately = self._came_lately * remembered + count
        if count >= FULL_BURST or self._came_lately < BUSY:
            return now
        return (math.floor(now / PAUSE) + 1) * PAUSE
