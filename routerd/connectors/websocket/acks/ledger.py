"""What one client has sent and had no answer to, and what it was told. Knows no sockets.

Answers leave in the order of the client's messages, each once. A message waits for every route
that took it, and then for its turn.
"""

from collections import deque
from dataclasses import dataclass, field

from routerd.connectors.websocket.acks.words import Failure, encode_ack, encode_nack

MOST_UNANSWERED = 4000
"""Messages of one client, whatever its routes allow: a few hundred bytes each."""
REMEMBERED = 10_000
"""Names of messages that were answered with `ack`, the newest; at most a megabyte and a half."""


@dataclass(slots=True, eq=False)
class _Entry:
    """One message.

    Attributes:
        routes: that take it.
        waiting: how many of them have not said what became of it.
        taken: how many of them have it.
    """

    ident: bytes
    routes: int = 0
    waiting: int = 0
    taken: int = 0
    failures: list[Failure] = field(default_factory=list)


class Ledger:
    """One session's."""

    def __init__(self, *, most: int = MOST_UNANSWERED, remembered: int = REMEMBERED) -> None:
        self._most = most
        self._remembered = remembered
        self._turns: deque[_Entry] = deque()  # one that was sent twice is in it twice
        self._by_ident: dict[bytes, _Entry] = {}
        self._by_token: dict[int, _Entry] = {}
        self._last_token = 0
        self._acked: set[bytes] = set()
        self._acked_order: deque[bytes] = deque()

    def __len__(self) -> int:
        """How many answers are owed."""
        return len(self._turns)

    @property
    def has_room(self) -> bool:
        """Whether one more message may be taken in."""
        return len(self._turns) < self._most

    # --- what the client sends

    def recalls(self, ident: bytes) -> bool:
        """Whether this message was sent before: then it gets the same answer again, in its turn.

        What was answered with `nack` is forgotten, and may be sent again.
        """
        entry = self._by_ident.get(ident)
        if entry is None:
            if ident not in self._acked:
                return False
            entry = _Entry(ident)
        self._turns.append(entry)
        return True

    def open(self, ident: bytes, *, routes: int) -> int:
        """A new message; gives the token by which each of `routes` says what became of it."""
        entry = _Entry(ident, routes, routes)
        self._add(entry)
        self._last_token += 1
        self._by_token[self._last_token] = entry
        return self._last_token

    def refuse(self, ident: bytes, failure: Failure) -> None:
        """A new message that no route takes."""
        self._add(_Entry(ident, failures=[failure]))

    # --- what routes say

    def confirm(self, token: int) -> None:
        """One route has it."""
        entry = self._by_token.get(token)
        if entry is not None:  # else the client was given its last answers already
            entry.taken += 1
            self._heard(token, entry)

    def fail(self, token: int, failure: Failure) -> None:
        """One route could not take it."""
        entry = self._by_token.get(token)
        if entry is not None:
            entry.failures.append(failure)
            self._heard(token, entry)

    def close(self, failure: Failure) -> None:
        """Answers all that waits with `failure`; what routes say from now on is not heard."""
        for entry in self._by_token.values():
            entry.failures.append(failure)
            entry.waiting = 0
        self._by_token.clear()

    # --- what the client is told

    def take_answers(self) -> bytes:
        """Frames with the answers whose turn it is; empty without one."""
        turns = self._turns
        answers: list[bytes] = []
        while turns and not turns[0].waiting:
            answers.append(self._answer(turns.popleft()))
        return b"".join(answers)

    def _add(self, entry: _Entry) -> None:
        self._by_ident[entry.ident] = entry
        self._turns.append(entry)

    def _heard(self, token: int, entry: _Entry) -> None:
        entry.waiting -= 1
        if not entry.waiting:
            del self._by_token[token]

    def _answer(self, entry: _Entry) -> bytes:
        ident = entry.ident
        if self._by_ident.get(ident) is entry:
            del self._by_ident[ident]
        if entry.failures:
            return encode_nack(ident, entry.failures, taken=entry.taken, routes=entry.routes)
        self._remember(ident)
        return encode_ack(ident)

    def _remember(self, ident: bytes) -> None:
        if ident in self._acked:
            return
        self._acked.add(ident)
        self._acked_order.append(ident)
        if len(self._acked_order) > self._remembered:
            self._acked.discard(self._acked_order.popleft())
