"""Between a source and its route: bursts in, batches out, and the bound on what is in flight.

In flight is everything from `put` until it is settled, so the limit covers the mailbox
itself, what sinks hold, and what waits to be acknowledged in order. A mailbox belongs to its
route and outlives the lives of the source.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Iterable

    from routerd.errors import DeliveryFailed, DropReason
    from routerd.interfaces import Source
    from routerd.message import Message
    from routerd.status import RouteStatus


MOST_AT_ONCE = 1000
"""Messages; bursts beyond are taken in another turn. At 2-3 µs each, others wait some ms."""


@dataclass(slots=True, eq=False)
class Batch:
    """Messages that were read together; the unit of flow.

    Attributes:
        messages: in the order in which they were read.
        size: their payload bytes.
        received_at: `trio.current_time()` of the first read in it.
        source: the life they came from, which alone may acknowledge them.
        problems: index -> why that message can't be routed, where the source knows already.
        failed: index -> why that message went nowhere and is settled all the same; set by the
            route before it settles the batch.
    """

    messages: list[Message]
    size: int
    received_at: float
    source: Source
    problems: dict[int, DeliveryFailed] = field(default_factory=dict)
    failed: dict[int, DeliveryFailed] = field(default_factory=dict)

    def absorb(self, later: Batch) -> None:
        """Appends a batch of the same source that was read after this one."""
        for index, problem in later.problems.items():
            self.problems[len(self.messages) + index] = problem
        self.messages += later.messages
        self.size += later.size


class Mailbox:
    """Where a source puts what it read.

    The queue has no bound of its own: sources look at `has_room` before each read, since a
    source must never block with a burst in its hands.

    Attributes:
        closing: set when the route drains; nothing more shall be read.
        is_paused: a message of this route stands; nothing more is read until it went through.
        is_past_known: the present life has a connection, whose peer has said what it still has.
    """

    def __init__(self, status: RouteStatus) -> None:
        self.closing = trio.Event()
        self.is_paused = False
        self._status = status
        self._bursts: deque[Batch] = deque()
        self._arrived = trio.Event()
        self._changed = trio.Event()
        self._waits_for_last_life = False
        self.is_past_known = False

    # --- what a source calls

    def past_known(self) -> None:
        """The peer has said what it still has of us: `gives_again` of older lives is final now."""
        self.is_past_known = True
        self.notify()

    @property
    def has_room(self) -> bool:
        """Whether the source may read once more. That read may exceed the limit."""
        status = self._status
        return (
            status.inflight < status.inflight_limit
            and status.inflight_bytes < status.inflight_bytes_limit
            and not self.is_paused
            and not self.waits_for_last_life
            and not self.closing.is_set()
        )

    @property
    def waits_for_last_life(self) -> bool:
        """Whether sinks still hold messages that the route's last life put."""
        if self._waits_for_last_life and not self._status.inflight:
            self._waits_for_last_life = False
        return self._waits_for_last_life

    async def wait_for_room(self) -> None:
        """Returns when the source may read once more; never again once the route drains."""
        while not self.has_room:
            await self._changed.wait()

    async def wait_settled(self) -> None:
        """Returns when nothing of this route is in flight any more."""
        while self._status.inflight:
            await self._changed.wait()

    def put(
        self,
        messages: list[Message],
        *,
        size: int,
        source: Source,
        problems: dict[int, DeliveryFailed] | None = None,
    ) -> None:
        """Hands over one burst, in order; the mailbox owns the list from here on.

        Never waits, and takes the burst even without room: what was read must not be lost.

        Args:
            messages: at least one.
            size: the sum of their payload bytes.
            source: the life that shall acknowledge them.
            problems: index -> why that one can't be routed, e.g. over the packet limit.
        """
        status = self._status
        status.received += len(messages)
        status.inflight += len(messages)
        status.inflight_bytes += size
        self._bursts.append(Batch(messages, size, trio.current_time(), source, problems or {}))
        self._arrived.set()

    def drop(self, count: int, reason: DropReason) -> None:
        """Counts messages that the source received and can neither put nor give back."""
        self._status.received += count
        self._status.drop(count, reason)

    # --- what the route calls

    def begin_life(self) -> None:
        """A new life starts: it reads nothing until the last one's messages are resolved.

        MQTT gives again what was not acknowledged; read at once, each life would put another
        copy of its window into the sinks.
        """
        self._waits_for_last_life = self._status.inflight > 0

    def end_life(self) -> None:
        """A life is over: whether the peer gives its messages again is open from here on."""
        self.is_past_known = False

    async def wait_past_known(self) -> None:
        """Returns when a later life knows what the peer gives again, or the route drains."""
        while not (self.is_past_known or self.closing.is_set()):
            await self._changed.wait()

    def close(self) -> None:
        """The route drains: sources stop reading and leave once all is settled."""
        self.closing.set()
        self.notify()

    def release(self, batches: Iterable[Batch]) -> None:
        """Counts settled batches out and wakes whoever waits for room."""
        for batch in batches:
            self._status.inflight -= len(batch.messages)
            self._status.inflight_bytes -= batch.size
        self.notify()

    def notify(self) -> None:
        """Wakes whoever waits, to look again."""
        self._changed.set()
        self._changed = trio.Event()

    async def take(self) -> Batch:
        """What piled up from one life, as one batch; waits while there is nothing.

        Always lets others have their turn. Cancelled, it has taken nothing.
        """
        await trio.lowlevel.checkpoint()
        while not self._bursts:
            self._arrived = trio.Event()
            await self._arrived.wait()
        bursts = self._bursts
        batch = bursts.popleft()
        while (
            bursts
            and bursts[0].source is batch.source
            and len(batch.messages) + len(bursts[0].messages) <= MOST_AT_ONCE
        ):
            batch.absorb(bursts.popleft())
        return batch

    def take_rest(self) -> list[Batch]:
        """What nobody took, when the route ends or restarts."""
        rest = list(self._bursts)
        self._bursts.clear()
        return rest

    @property
    def oldest(self) -> float | None:
        """When the oldest message that nobody took yet was read; None without one."""
        return self._bursts[0].received_at if self._bursts else None
