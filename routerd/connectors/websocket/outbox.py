"""What waits for one client that reads too slowly, and what it misses. No sockets here.

A writer hands over what its socket didn't take, frame by frame, and takes from the front what
it can write next. Three kinds of frames wait:

- *urgent* ones, pings and pongs, overtake all others (RFC 6455 5.5 lets control frames stand
  between any two frames), so that a slow client is still known to be alive;
- *firm* ones: answers, and messages of groups that disconnect their slow members. If those
  alone are too much, the client is too slow;
- *loose* ones, which give way when too much waits, as the policy of their feed says.

A frame of which a part was written is none of these any more: its rest is always written first.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator, Sequence
from heapq import merge
from itertools import chain, islice
from typing import NamedTuple

from routerd.connectors.websocket.limits import DEFAULTS
from routerd.feed import Feed, Frame, Missed


class _Waiting(NamedTuple):
    """One frame; `place` is unique and orders them."""

    place: int
    data: bytes
    feed: Feed | None


class Outbox:
    """The queue of one client, and the policies of what waits in it.

    Attributes:
        size: bytes that wait, the rest of a half-written frame included.
        is_patient: whether its client may take its time: so it is with all policies except
            `disconnect`, since what waits is bounded and gives way.
    """

    __slots__ = (
        "_firm", "_loose", "_most_bytes", "_most_messages", "_next_place", "_rest", "_urgent",
        "is_patient", "size",
    )  # fmt: skip

    def __init__(
        self,
        *,
        most_bytes: int = DEFAULTS.queue_bytes,
        most_messages: int = DEFAULTS.queue_messages,
    ) -> None:
        self._most_bytes = most_bytes
        self._most_messages = most_messages
        self._rest: _Waiting | None = None
        self._urgent: deque[bytes] = deque()
        self._firm: deque[_Waiting] = deque()
        self._loose: OrderedDict[Hashable, _Waiting] = OrderedDict()
        self._next_place = 0
        self.size = 0
        self.is_patient = False

    def __len__(self) -> int:
        """How many frames wait, without a half-written one."""
        return len(self._urgent) + len(self._firm) + len(self._loose)

    def __bool__(self) -> bool:
        """Whether anything is to be written."""
        return self.size > 0

    # --- what comes in

    def add_rest(self, frames: Sequence[Frame], sent: int) -> bool:
        """Adds what is left of frames of which the socket took `sent` bytes, to an empty queue.

        False: as `add`.
        """
        is_fine = True
        for frame in frames:
            size = len(frame.data)
            if sent >= size:
                sent -= size
            elif sent:
                self._rest = _Waiting(0, frame.data[sent:], frame.feed)
                self.is_patient = frame.feed is not None and frame.feed.slow != "disconnect"
                self.size = size - sent
                sent = 0
            else:
                is_fine = self.add(frame)  # once too much, it stays too much
        return is_fine

    def add(self, frame: Frame) -> bool:
        """Adds a frame behind all others, at the cost of what may be dropped.

        A newer frame of a key takes the place of the older one that waits, so that a key that
        changes often does not come later than others for that.

        False: too much waits, and nothing of it may be dropped: the client is too slow.
        """
        data, feed = frame.data, frame.feed
        place = self._next_place
        self._next_place = place + 1
        self.size += len(data)
        if feed is None or feed.slow == "disconnect":
            self._firm.append(_Waiting(place, data, feed))
            return self._make_room()
        self.is_patient = True
        name: Hashable = place
        if feed.slow == "latest":
            name = (feed, frame.key)
            older = self._loose.get(name)
            if older is not None:
                place = older.place
                self.size -= len(older.data)
                feed.miss("replaced")
        self._loose[name] = _Waiting(place, data, feed)
        return self._make_room()

    def add_urgent(self, data: bytes) -> bool:
        """Adds a frame before all others except urgent ones. False: as `add`."""
        self._urgent.append(data)
        self.size += len(data)
        return self._make_room()

    def add_last(self, data: bytes) -> None:
        """Adds a frame behind all others, whatever waits: a close frame, which nothing follows."""
        self._firm.append(_Waiting(self._next_place, data, None))
        self.size += len(data)

    # --- what goes out

    def peek(self, most: int) -> list[bytes]:
        """What is to be written next, up to `most` pieces."""
        rest = () if self._rest is None else (self._rest.data,)
        ordered: Iterator[_Waiting] = merge(self._firm, self._loose.values())
        return list(islice(chain(rest, self._urgent, (one.data for one in ordered)), most))

    def sent(self, count: int) -> None:
        """Forgets the first `count` bytes: they are written. A frame may be cut by that."""
        self.size -= count
        while count:
            head = self._take_head()
            size = len(head.data)
            if count < size:
                self._rest = head._replace(data=head.data[count:])
                return
            count -= size

    # --- what never goes out

    def drop_waiting(self, reason: Missed) -> None:
        """Drops everything except the rest of a half-written frame."""
        for one in chain(self._firm, self._loose.values()):
            if one.feed is not None:
                one.feed.miss(reason)
        self._urgent.clear()
        self._firm.clear()
        self._loose.clear()
        self.size = 0 if self._rest is None else len(self._rest.data)

    def drop_all(self, reason: Missed) -> None:
        """Drops everything: nobody is there to write the rest to."""
        self.drop_waiting(reason)
        if self._rest is not None and self._rest.feed is not None:
            self._rest.feed.miss(reason)
        self._rest = None
        self.size = 0

    def _make_room(self) -> bool:
        """Drops loose frames as long as too much waits; whether that was enough."""
        while self._is_over():
            if not self._loose:
                return False
            feed = next(reversed(self._loose.values())).feed
            is_newest = feed is not None and feed.slow == "drop_newest"
            _, dropped = self._loose.popitem(last=is_newest)
            self.size -= len(dropped.data)
            if dropped.feed is not None:
                dropped.feed.miss("newest" if is_newest else "oldest")
        return True

    def _is_over(self) -> bool:
        count = len(self)
        return count > self._most_messages or (count > 1 and self.size > self._most_bytes)

    def _take_head(self) -> _Waiting:
        if self._rest is not None:
            head, self._rest = self._rest, None
            return head
        if self._urgent:
            return _Waiting(0, self._urgent.popleft(), None)
        firm, loose = self._firm, self._loose
        if not loose or (firm and firm[0] < next(iter(loose.values()))):
            return firm.popleft()
        return loose.popitem(last=False)[1]
