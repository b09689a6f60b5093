"""How much one client says, against what it may say a second. No sockets, and no clock, here.

Who says too much is first not read for a while, so that TCP slows it down. Only if that goes on
it is ended: one bunch that came too fast is no offence. Control frames are another matter, since
nobody who means well sends many.
"""

from routerd.connectors.websocket.bucket import Bucket
from routerd.connectors.websocket.limits import Limits
from routerd.connectors.websocket.reasons import Ending


class Meter:
    """Counts what comes from one client.

    Attributes:
        breach: how the client shall be ended, once it has gone too far.
    """

    __slots__ = (
        "_at", "_bytes", "_controls", "_limits", "_messages", "_pause", "_stopped", "breach",
    )  # fmt: skip

    def __init__(self, limits: Limits, *, now: float) -> None:
        self._limits = limits
        self._messages = Bucket(limits.message_rate, now=now) if limits.message_rate else None
        self._bytes = Bucket(limits.byte_rate, now=now) if limits.byte_rate else None
        self._controls: Bucket | None = None  # most clients never send any but a pong now and then
        self._at = now
        self._pause = 0.0
        self._stopped = 0.0
        self.breach: Ending | None = None

    def take(self, size: int, *, messages: int, controls: int, now: float) -> float:
        """Counts what has just been read; gives the seconds for which nothing shall be read now.

        Args:
            size: all of it in bytes.
            messages: that ended in it.
            controls: control frames in it.
            now: not before the pause of the last call was over.
        """
        if controls:
            self._take_controls(controls, now)
        if self._messages is None and self._bytes is None:
            return 0.0
        pause = 0.0
        if self._messages is not None:
            pause = self._messages.take(messages, now=now)
        if self._bytes is not None:
            pause = max(pause, self._bytes.take(size, now=now))
        self._judge(pause, now)
        return pause

    def rest(self, *, since: float, now: float) -> None:
        """Nothing was read in that time: what the client might have said then comes now."""
        if self._controls is None:
            self._controls = Bucket(self._limits.control_rate, now=since)
        for bucket in (self._controls, self._messages, self._bytes):
            if bucket is not None:
                bucket.save(since=since, now=now)

    def _take_controls(self, controls: int, now: float) -> None:
        if self._controls is None:
            self._controls = Bucket(self._limits.control_rate, now=now)
        if not self._controls.offer(controls, now=now):
            self.breach = Ending.CONTROL_RATE

    def _judge(self, pause: float, now: float) -> None:
        """Adds up the time that the client was stopped; time that we waited for it makes up."""
        waited = max(now - self._at - self._pause, 0.0)
        self._stopped = max(self._stopped - waited, 0.0) + pause
        self._at, self._pause = now, pause
        if self._stopped > self._limits.rate_patience and self.breach is None:
            self.breach = Ending.RATE
