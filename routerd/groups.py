"""Who is connected to which group, and how what is published reaches them.

A group is the tuple of its path's segments, each decoded: a name is never parsed again, so a
room called `a/b` is one segment. Knows nothing of sockets: a member is an
`interfaces.Member`. What a frame is, is the publisher's business.
"""

from collections import deque
from dataclasses import dataclass, field

import trio

from routerd.feed import Feed, Frame
from routerd.interfaces import Member

GroupName = tuple[str, ...]

PAUSE = 0.001
"""Seconds between the flushes of a busy group; what is published meanwhile goes out as one write.

Measured: a write to each member is all that a broadcast costs, so only fewer writes help, and
a first message after a quiet spell still goes out at once.
"""
AT_ONCE = 3
"""Flushes that a group may have without a pause between them, saved up in as many pauses.

A few hundred messages a second at random moments often come in twos; that is not busy yet.
"""
MEMBERS_PER_TURN = 256
"""Pushes before others have their turn: at 4-5 us each, a little over a millisecond."""
BYTES_PER_TURN = 4 << 20
"""Bytes pushed, over all members, before others have their turn."""
FRAMES_PER_TURN = 4096
"""Frames pushed, over all members: one that doesn't keep up takes 1-2 us for each."""
FLUSH_BYTES = 256 << 10
"""Most bytes of one flush, unless a single frame is larger."""
GROUP_BYTES = 8 << 20
"""Most bytes that wait for the flushes of one group. A lone frame may exceed it.

Members that read too slowly are cut by their own bound; this one is for a group that is
published to faster than this process can write to so many members.
"""
TOTAL_BYTES = 64 << 20
"""Most bytes that wait for all groups together. A lone frame may exceed it."""


@dataclass(slots=True, eq=False)
class _Group:
    """The members of one group, in the order in which they joined, and what waits for them.

    Attributes:
        pending_bytes: of all that is in `pending`.
        next_flush: when its next flush would come if flushes were always a pause apart. One may
            come `AT_ONCE - 1` pauses earlier than that.
        is_busy: whether the flusher knows that something waits.
    """

    members: dict[Member, None] = field(default_factory=dict)
    pending: deque[Frame] = field(default_factory=deque)
    pending_bytes: int = 0
    next_flush: float = float("-inf")
    is_busy: bool = False

    @property
    def due(self) -> float:
        """The earliest time for its next flush."""
        return self.next_flush - (AT_ONCE - 1) * PAUSE

    def take_pending(self) -> list[Frame]:
        """The frames of the next flush; the rest stays."""
        pending = self.pending
        frames = [pending.popleft()]
        size = len(frames[0].data)
        while pending and size + len(pending[0].data) <= FLUSH_BYTES:
            size += len(pending[0].data)
            frames.append(pending.popleft())
        self.pending_bytes -= size
        return frames


class _Flush:
    """One flush on its way to those who were members when it began."""

    __slots__ = ("_data", "_done", "_frames", "_members", "_per_turn", "group", "size")

    def __init__(self, group: _Group, now: float) -> None:
        self.group = group
        self._frames = frames = group.take_pending()
        self._data = b"".join([frame.data for frame in frames])  # of one, that one
        self.size = len(self._data)
        self._members = list(group.members)
        self._done = 0
        most = min(BYTES_PER_TURN // self.size, FRAMES_PER_TURN // len(frames))
        self._per_turn = max(1, min(MEMBERS_PER_TURN, most))
        group.next_flush = max(group.next_flush, now) + PAUSE

    @property
    def next_turn(self) -> float:
        """How much of what may be done without a pause the next turn takes, 0 to 1."""
        return min(1.0, (len(self._members) - self._done) / self._per_turn)

    def take_turn(self) -> bool:
        """Pushes to the next members; whether that was the last of them."""
        data, frames, members = self._data, self._frames, self.group.members
        end = self._done + self._per_turn
        for member in self._members[self._done : end]:
            if member in members:  # it may have left in an earlier turn
                member.push(data, frames)
        self._done = end
        return end >= len(self._members)


class Groups:
    """All groups of one listener. Not thread-safe.

    Each member of a group gets every frame published after it joined, once, in the order of
    publication, until it leaves. It may get those that waited for a flush when it joined.

    Attributes:
        pending_bytes: published, and not yet on their way to any member.
    """

    def __init__(self) -> None:
        self._groups: dict[GroupName, _Group] = {}
        self.pending_bytes = 0
        self._busy: list[_Group] = []
        self._flushes: deque[_Flush] = deque()
        self._woken = trio.Event()
        self._idle = trio.Event()

    def __contains__(self, name: GroupName) -> bool:
        """Whether anybody is connected to it."""
        return name in self._groups

    def count(self, name: GroupName) -> int:
        """How many members it has now."""
        group = self._groups.get(name)
        return len(group.members) if group else 0

    def join(self, name: GroupName, member: Member) -> None:
        """Makes `member` one of the group; a second time changes nothing."""
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = _Group()
        group.members[member] = None

    def leave(self, name: GroupName, member: Member) -> None:
        """Nothing published from now on is pushed to `member`. Harmless if it isn't one."""
        group = self._groups.get(name)
        if group is None:
            return
        group.members.pop(member, None)
        if not group.members:
            del self._groups[name]
            self.pending_bytes -= group.pending_bytes
            group.pending_bytes = 0
            group.pending.clear()

    def publish(
        self, name: GroupName, data: bytes, *, feed: Feed | None = None, key: str = ""
    ) -> bool:
        """Queues a frame for every member, of whom there may be none. Never waits.

        False: it is lost to all of them, since too much waits already.

        Args:
            name: of the group.
            data: the frame, encoded.
            feed: says what becomes of members that don't keep up; None: they are disconnected.
            key: see `Frame`.
        """
        group = self._groups.get(name)
        if group is None:
            return True
        size = len(data)
        if group.pending_bytes and group.pending_bytes + size > GROUP_BYTES:
            return False
        if self.pending_bytes and self.pending_bytes + size > TOTAL_BYTES:
            return False
        group.pending.append(Frame(data, feed, key))
        group.pending_bytes += size
        self.pending_bytes += size
        if not group.is_busy:
            group.is_busy = True
            self._busy.append(group)
            self._woken.set()
        return True

    async def wait_flushed(self) -> None:
        """Returns when nothing waits any more; what is published meanwhile prolongs it."""
        while self._busy or self._flushes:
            self._idle = trio.Event()
            await self._idle.wait()

    async def run(self) -> None:
        """Flushes busy groups until cancelled: one task for all of them."""
        while True:
            next_due = self._begin_flushes(trio.current_time())
            if self._flushes:
                self._take_turns()
                # Broadcasts are long loops without a wait: let others have their turn.
                await trio.lowlevel.checkpoint()
                continue
            self._woken = trio.Event()
            if not self._busy:
                self._idle.set()
            with trio.move_on_at(next_due):
                await self._woken.wait()

    def _begin_flushes(self, now: float) -> float:
        """Begins what is due. Gives when the next of the others is; infinity without one."""
        next_due = float("inf")
        waiting: list[_Group] = []
        for group in self._busy:
            if not group.pending:
                group.is_busy = False
            elif group.due <= now:
                flush = _Flush(group, now)
                self.pending_bytes -= flush.size
                self._flushes.append(flush)
            else:
                waiting.append(group)
                next_due = min(next_due, group.due)
        self._busy = waiting
        return next_due

    def _take_turns(self) -> None:
        """One turn each, for as many flushes as fit: a large group doesn't hold up small ones."""
        left = 1.0
        flushes = self._flushes
        while flushes and left > 0:
            flush = flushes.popleft()
            left -= flush.next_turn
            if not flush.take_turn():
                flushes.append(flush)
            elif flush.group.pending:
                # More came during this flush, so more is about to come: gather it first.
                flush.group.next_flush = trio.current_time() + AT_ONCE * PAUSE
                self._busy.append(flush.group)
            else:
                flush.group.is_busy = False
