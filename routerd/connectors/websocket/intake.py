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


class Complaints:
    """What is wrong with what one client says, counted for its path; too much of it ends it."""

    __slots__ = ("_label", "_most", "_on_bad_frames", "_status", "_undecodable")

    def __init__(
        self, status: ListenerStatus, label: str, *, most: int, on_bad_frames: Callable[[], None]
    ) -> None:
        """Nothing is wrong yet.

        Args:
            status: its listener's.
            label: its path's.
            most: so many frames that the codec can't read are too many.
            on_bad_frames: called when they are; it shall be ended, and nothing more is taken.
        """
        self._status = status
        self._label = label
        self._most = most
        self._on_bad_frames = on_bad_frames
        self._undecodable = 0

    def unmatched(self) -> None:
        """No route takes a message."""
        self._status.unmatched[self._label] += 1

    def undecodable(self) -> bool:
        """A frame says nothing. False: the client is ended for it."""
        self._status.undecodable[self._label] += 1
        self._undecodable += 1
        if self._undecodable < self._most:
            return True
        self._on_bad_frames()
        return False


class Intake:
    """The `Taker` of a client that wants no answers."""

    __slots__ = ("_complaints", "_place", "_session", "_waiting")

    def __init__(self, session: Session, place: Place, *, complaints: Complaints) -> None:
        """One for a client that was let in.

        Args:
            session: the client's.
            place: what its path means.
            complaints: about what it sends.
        """
        self._session = session
        self._place = place
        self._complaints = complaints
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
        session, path = self._session, self._session.path
        decode, find_takers = session.codec.decode, self._place.takers
        parts: dict[Inlet, list[Message]] = {}
        for data, was_text in said:
            try:
                kind, payload, is_text = decode(data, is_text=was_text)
            except Undecodable:
                if self._complaints.undecodable():
                    continue
                break
            takers = find_takers(kind)
            if not takers:
                self._complaints.unmatched()
            for inlet in takers:
                message = Message(path, payload, 0, is_text, session, kind)
                if inlet in parts:
                    parts[inlet].append(message)
                else:
                    parts[inlet] = [message]
        return parts
