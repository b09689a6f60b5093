"""A token bucket: what somebody may do in the long run, and how much of it at once."""

BURST_SECONDS = 3.0
"""How much may come at once: what the rate allows in so many seconds."""


class Bucket:
    """Fills at a rate, and may be overdrawn: then it says for how long to wait.

    Clocks are the caller's: a moment must not lie before an earlier one.
    """

    __slots__ = ("_at", "_level", "_most", "_rate")

    def __init__(self, rate: float, *, now: float) -> None:
        self._rate = rate
        self._most = self._level = rate * BURST_SECONDS
        self._at = now

    def take(self, amount: float, *, now: float) -> float:
        """Takes `amount` out; gives the seconds after which it isn't overdrawn any more."""
        self._fill(now)
        self._level -= amount
        return max(-self._level / self._rate, 0.0)

    def offer(self, amount: float, *, now: float) -> bool:
        """Takes `amount` out if it is there; False: it isn't, and nothing was taken."""
        self._fill(now)
        if self._level < amount:
            return False
        self._level -= amount
        return True

    def save(self, *, since: float, now: float) -> None:
        """Fills for that time also over its brim: for whoever was kept from taking any then."""
        self._fill(since)
        self._level += (now - since) * self._rate
        self._at = now

    def is_full(self, *, now: float) -> bool:
        """Whether it is as if nothing had ever been taken."""
        self._fill(now)
        return self._level >= self._most

    def _fill(self, now: float) -> None:
        if self._level < self._most:  # what was saved stays
            self._level = min(self._level + (now - self._at) * self._rate, self._most)
        self._at = now
