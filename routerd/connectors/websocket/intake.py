"""What the messages of one client go through: from what it said to the routes of its path.

One read brings many messages, so they come and go in batches, and each route gets its part of
them in one. What concerns the client before any route is asked belongs around this: another
`Taker`, which may pass on to this one or take its place.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from routerd.connectors.websocket.codecs.codec import Undecodable
from routerd.connectors.websocket.lane import Said
from routerd.connectors.websocket.paths import Place
from routerd.connectors.websocket.roster import Reading
from routerd.connectors.websocket.session import Session
from routerd.connectors.websocket.source import PATIENCE, Inlet
from routerd.message import Message
from routerd.status import ListenerStatus


class Taker(Protocol):
    """Where a client's stream leaves what the client says, in order and one batch at a time."""

    def take(self, said: Sequence[Said]) -> bool:
        """Takes all of it, and never blocks.

        False: the client shall not be read until `wait_for_room` has returned.
        """

    async def wait_for_room(self) -> None:
        """Returns when the client may be read again.

        Cancelled when the client ends: what it said and found no room until then is lost.
        """


class Intake:
    """The `Taker` of a client that wants no answers."""

    __slots__ = (
        "_on_bad_frames", "_place", "_reading", "_session", "_status", "_undecodable", "_waiting"
    )  # fmt: skip

    def __init__(
        self,
        session: Session,
        place: Place,
        *,
        reading: Reading,
        status: ListenerStatus,
        on_bad_frames: Callable[[], None],
    ) -> None:
        """One for a client that was let in.

        Args:
            session: the client's.
            place: what its path means.
            reading: how its listener reads.
            status: its listener's.
            on_bad_frames: called when it sent too many frames that the codec can't read; it
                shall be ended, and nothing more is taken.
        """
        self._session = session
        self._place = place
        self._reading = reading
        self._status = status
        self._on_bad_frames = on_bad_frames
        self._undecodable = 0
        self._waiting: list[tuple[Inlet, list[Message]]] = []  # few, and mostly none

    def take(self, said: Sequence[Said]) -> bool:
        """See `Taker.take`: gives each message to every route of the path that takes its type."""
        waiting = self._waiting
        for inlet, messages in self._sort(said).items():
            if not inlet.offer(messages):
                waiting.append((inlet, messages))
        return not waiting

    async def wait_for_room(self) -> None:
        """See `Taker`. It takes `PATIENCE` at most; what no route took by then is dropped."""
        waiting = self._waiting
        try:
            # Bounded here as well: a route may have room now and then, and never for this client.
            with trio.move_on_after(PATIENCE):
                while waiting:
                    # A client whose end was announced says nothing more.
                    await trio.lowlevel.checkpoint_if_cancelled()
                    inlet, messages = waiting[0]
                    if inlet.offer(messages):
                        del waiting[0]
                    else:
                        await inlet.wait_for_room()
        finally:
            for inlet, messages in waiting:
                inlet.drop(len(messages))
            waiting.clear()

    def _sort(self, said: Sequence[Said]) -> dict[Inlet, list[Message]]:
        """What each route gets. Hot."""
        decode, find_takers = self._reading.codec.decode, self._place.takers
        session, path = self._session, self._session.path
        parts: dict[Inlet, list[Message]] = {}
        for data, was_text in said:
            try:
                kind, payload, is_text = decode(data, is_text=was_text)
            except Undecodable:
                if self._ends_undecodable():
                    break
                continue
            takers = find_takers(kind)
            if not takers:
                self._status.unmatched[self._place.label] += 1
            for inlet in takers:
                message = Message(path, payload, 0, is_text, session, kind)
                if inlet in parts:
                    parts[inlet].append(message)
                else:
                    parts[inlet] = [message]
        return parts

    def _ends_undecodable(self) -> bool:
        """Counts a frame that says nothing; whether the client is ended for it."""
        self._status.undecodable[self._place.label] += 1
        self._undecodable += 1
        if self._undecodable < self._reading.bad_frames:
            return False
        self._on_bad_frames()
        return True
