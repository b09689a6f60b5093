"""When to ping the broker, and when its silence means that it is gone. Keeps no clock.

paho's own keepalive gives up on a connection that we chose not to read. So pings are ours:
half a keepalive after the last sign of life in either direction, read or not, which is all
that the broker asks for. Silence is judged only while we read.
"""

from math import inf

PATIENCE = 1.5
"""Keepalives of silence after which the broker is gone: the PINGREQ at 0.5 had one to come back."""


class Keepalive:
    """The times of one connection, all from the same clock.

    Args:
        seconds: as agreed with the broker; 0: none.
        now: when the connection was made.

    Attributes:
        last_sent: when something was last sent.
        last_received: when something was last received.
    """

    def __init__(self, seconds: float, *, now: float) -> None:
        self._seconds = seconds
        self.last_sent = now
        self.last_received = now
        self._last_ping = now
        self._reading_since = now
        self._is_reading = True

    def pause(self) -> None:
        """Nothing is read from here on."""
        self._is_reading = False

    def resume(self, now: float) -> None:
        """Reading goes on."""
        self._is_reading = True
        self._reading_since = now

    def pinged(self, now: float) -> None:
        """A PINGREQ was sent."""
        self._last_ping = self.last_sent = now

    @property
    def ping_at(self) -> float:
        """When the next PINGREQ is due, as things are."""
        if not self._seconds:
            return inf
        quiet_since = min(self.last_sent, self.last_received)
        return max(quiet_since, self._last_ping) + self._seconds / 2

    @property
    def gone_at(self) -> float:
        """When the broker counts as gone, as things are."""
        if not self._seconds or not self._is_reading:
            return inf
        return max(self.last_received, self._reading_since) + self._seconds * PATIENCE
