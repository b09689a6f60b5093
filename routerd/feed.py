"""What a route sends to groups, frame by frame, and what slow members miss of it.

Made by whoever publishes, carried by `groups`, read by the queue of a member that doesn't keep
up. What the bytes of a frame say is none of its business.
"""

from typing import Literal, get_args

import msgspec

Slow = Literal["disconnect", "drop_oldest", "drop_newest", "latest"]
"""What becomes of a member for which too much waits: it is closed, or it misses messages."""
Missed = Literal["disconnected", "oldest", "newest", "replaced", "gone"]
"""Why a member missed a message that it should have had.

`disconnected`: it was closed for being slow. `oldest`, `newest`: too much waited, and this one
gave way. `replaced`: a newer one with the same key took its place. `gone`: the member went, of
itself or for another reason, while it waited.
"""
REASONS: dict[Slow, tuple[Missed, ...]] = {
    "disconnect": ("disconnected", "gone"),
    "drop_oldest": ("oldest", "disconnected", "gone"),
    "drop_newest": ("newest", "disconnected", "gone"),
    "latest": ("replaced", "oldest", "disconnected", "gone"),
}
"""Those that a policy may lead to."""
POLICIES: tuple[Slow, ...] = get_args(Slow)


class Feed:
    """All that one sink of one route sends to its groups.

    Attributes:
        slow: what becomes of members that don't keep up.
        missed: reason -> messages, counted once for each member that missed one.
    """

    __slots__ = ("missed", "slow")

    def __init__(self, slow: Slow = "disconnect", missed: dict[str, int] | None = None) -> None:
        """Counts into `missed`, which it fills with zeros first."""
        self.slow = slow
        self.missed = {} if missed is None else missed
        for reason in REASONS[slow]:
            self.missed.setdefault(reason, 0)

    def miss(self, reason: Missed) -> None:
        """One member misses one message."""
        self.missed[reason] += 1


class Frame(msgspec.Struct, gc=False):
    """One encoded message.

    Attributes:
        data: whole, as it goes on the wire.
        feed: that it is part of; None: an answer to one client, which no policy may drop.
        key: with `latest`, only the newest frame of a feed with the same key waits.
    """

    data: bytes
    feed: Feed | None = None
    key: str = ""
