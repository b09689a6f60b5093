"""Where one client leaves messages that it wants an answer to, and where routes answer them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import trio

from routerd.connectors.websocket.acks import words
from routerd.connectors.websocket.acks.ledger import Ledger
from routerd.connectors.websocket.codecs.codec import Undecodable
from routerd.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from routerd.connectors.websocket.codecs.codec import Content
    from routerd.connectors.websocket.intake import Complaints
    from routerd.connectors.websocket.lane import Said
    from routerd.connectors.websocket.paths import Place
    from routerd.connectors.websocket.session import Session
    from routerd.connectors.websocket.source import Inlet

LAST_ANSWERS_WITHIN = 1.0
"""Seconds that a client's routes have to answer it when routerd stops."""
_STOPPED = words.Failure("shutdown: routerd stops, and may have it all the same", is_final=False)


class Desk:
    """One session's; the `intake.Taker` of a client that wants answers.

    Nothing is dropped because a route is full: the client is not read until it isn't.
    """

    def __init__(
        self,
        session: Session,
        place: Place,
        *,
        complaints: Complaints,
        send: Callable[[bytes], object],
    ) -> None:
        """Opens it for a client that was let in.

        Args:
            session: the client's.
            place: what its path means.
            complaints: about what it sends.
            send: writes frames to it, and never waits.
        """
        self.ledger = Ledger()
        self._session = session
        self._place = place
        self._complaints = complaints
        self._send = send
        self._waiting: deque[tuple[Inlet, list[Message]]] = deque()
        self._answered = trio.Event()

    # --- what the client says

    def take(self, said: Sequence[Said]) -> bool:
        """See `Taker.take`."""
        parts: dict[Inlet, list[Message]] = {}
        for data, is_text in said:
            if not self._sort(data, parts, is_text=is_text):
                break
        for inlet, messages in parts.items():
            rest = inlet.entrust(messages)
            if rest:
                self._waiting.append((inlet, rest))
        self.answer()
        return not self._waiting and self.ledger.has_room

    async def wait_for_room(self) -> None:
        """See `Taker`; however long it takes."""
        waiting = self._waiting
        try:
            while waiting:
                # A client whose end was announced says nothing more.
                await trio.lowlevel.checkpoint_if_cancelled()
                inlet, messages = waiting.popleft()
                rest = inlet.entrust(messages)
                if rest:
                    waiting.appendleft((inlet, rest))
                    await inlet.wait_for_room(patiently=True)
            while not self.ledger.has_room:
                await self._wait_answered()
        finally:
            for inlet, messages in waiting:
                inlet.drop(len(messages))
            waiting.clear()

    def _sort(self, data: bytes, parts: dict[Inlet, list[Message]], *, is_text: bool) -> bool:
        """Adds one message to what each route gets. False: nothing more is to be taken."""
        found = words.read(data)
        if found is None:
            return self._complaints.undecodable()
        if self.ledger.recalls(found.ident):
            return True
        try:
            content = self._session.codec.decode(found.frame, is_text=is_text)
        except Undecodable:
            self.ledger.refuse(found.ident, words.UNDECODABLE)
            return self._complaints.undecodable()
        self._route(found.ident, content, parts)
        return True

    def _route(self, ident: bytes, content: Content, parts: dict[Inlet, list[Message]]) -> None:
        kind, payload, is_text = content
        session = self._session
        takers = self._place.takers(kind)
        if not takers:
            self._complaints.unmatched()
            self.ledger.refuse(ident, words.UNMATCHED)
            return
        token = self.ledger.open(ident, routes=len(takers))
        for inlet in takers:
            message = Message(session.path, payload, token, is_text, session, kind)
            parts.setdefault(inlet, []).append(message)

    # --- what it is told

    def answer(self) -> None:
        """Sends the answers whose turn it is, in one write. Never blocks."""
        answers = self.ledger.take_answers()
        if answers:
            self._send(answers)
            self._answered.set()

    async def close(self, *, is_awaited: bool) -> None:
        """Answers nothing from now on.

        Args:
            is_awaited: gives the last answers, soon: what no route has confirmed by then may be
                sent again.
        """
        if is_awaited:
            with trio.move_on_after(LAST_ANSWERS_WITHIN):
                while len(self.ledger):
                    await self._wait_answered()
        self.ledger.close(_STOPPED)
        if is_awaited:
            self.answer()

    async def _wait_answered(self) -> None:
        self._answered = trio.Event()
        await self._answered.wait()
