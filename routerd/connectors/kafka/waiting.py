"""Records that a producer has to produce later: again, or for the first time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from routerd.connectors.kafka.handed import Handed

SOONEST, LATEST = 0.1, 5.0
"""Seconds before what came back is produced again; they double while nothing is confirmed."""
RECORDS_PER_TURN = 2000
"""Most records that are produced without a checkpoint; about 2 ms."""

Entry = tuple["Handed", int]


class WaitingRecords:
    """A queue in the order in which the records were handed over, whenever they came back."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._is_sorted = True
        self._topics: set[str] = set()
        self._due_at = 0.0
        self._delay = SOONEST

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_due(self) -> bool:
        """Whether there is something to be produced now."""
        return bool(self._entries) and trio.current_time() >= self._due_at

    def add(self, handed: Handed, index: int) -> None:
        """Adds a record that need not wait for anything."""
        self._entries.append((handed, index))
        self._is_sorted = False

    def add_returned(self, handed: Handed, index: int, topic: str) -> None:
        """Adds a record that came back; later ones of its topic must stay behind it."""
        if not self._entries:
            self._due_at = trio.current_time() + self._delay
        self._topics.add(topic)
        self.add(handed, index)

    def holds(self, topic: str) -> bool:
        """Whether records of this topic must stay behind others."""
        return topic in self._topics

    def take_turn(self) -> list[Entry]:
        """Takes out as many as may be produced in one go, the oldest first."""
        if not self._is_sorted:
            self._entries.sort(key=lambda entry: (entry[0].number, entry[1]))
            self._is_sorted = True
        turn, self._entries = self._entries[:RECORDS_PER_TURN], self._entries[RECORDS_PER_TURN:]
        return turn

    def end_turn(self, *, is_stuck: bool) -> None:
        """Says when the next turn is due: not at once if some record could not be produced."""
        if not self._entries:
            self._topics.clear()
        elif is_stuck:
            self._due_at = trio.current_time() + self._delay
            self._delay = min(2 * self._delay, LATEST)
        else:
            self._due_at = 0.0

    def make_due(self) -> None:
        """What waits is due now: there is a new producer."""
        self._due_at = 0.0

    def reset_delay(self) -> None:
        """Kafka confirms: the next delay is a short one."""
        self._delay = SOONEST
