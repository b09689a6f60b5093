"""Which paths can be connected to, and which routes read from them.

A path can be connected to when some route reads from it or broadcasts to it. Compared are
decoded segments, so that `a%2Fb` is one of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from routerd.address import Pattern
from routerd.connectors.websocket.source import Inlet

SessionEvent = Literal["@connect", "@disconnect"]
"""What happens to every session once, as the type of a message."""


def is_event(kind: str | None) -> bool:
    """Whether it is called as session events are."""
    return kind is not None and kind.startswith("@")


@dataclass(frozen=True)
class Place:
    """What a path of a client means to this listener.

    Attributes:
        label: the most literal pattern that it fits, for metrics.
        inlets: of every route that takes messages of any type from it.
        by_type: of every route that takes those of one type, the former included.
    """

    label: str
    inlets: tuple[Inlet, ...]
    by_type: Mapping[str | None, tuple[Inlet, ...]]

    def takers(self, kind: str | None) -> tuple[Inlet, ...]:
        """The inlets of all routes that take a client's message of this type; a route once.

        What only session events are called is nobody's: no client shall forge one.
        """
        if kind is None:
            return self.inlets
        return () if is_event(kind) else self.by_type.get(kind, self.inlets)

    def watchers(self, event: SessionEvent) -> tuple[Inlet, ...]:
        """The inlets of all routes that ask for this event; a route once."""
        return self.by_type.get(event, ())


class Paths:
    """The patterns of all routes of one listener."""

    def __init__(self) -> None:
        self._patterns: list[tuple[Pattern, Inlet | None, str | None]] = []

    def add(self, pattern: Pattern, inlet: Inlet | None = None, *, kind: str | None = None) -> None:
        """Lets clients connect to the paths of `pattern`.

        What they send goes to `inlet`, if it is of this type; None: of any.
        """
        self._patterns.append((pattern, inlet, kind))

    def find(self, segments: Sequence[str]) -> Place | None:
        """What is behind a path; None: nothing, it can't be connected to."""
        found = [one for one in self._patterns if one[0].match(segments) is not None]
        if not found:
            return None
        best = max((pattern for pattern, _, _ in found), key=_literalness)
        reading = [(inlet, kind) for _, inlet, kind in found if inlet is not None]
        kinds = {kind for _, kind in reading}
        return Place(
            best.source,
            _takers(reading, None),
            {kind: _takers(reading, kind) for kind in kinds if kind is not None},
        )


def _takers(reading: Sequence[tuple[Inlet, str | None]], kind: str | None) -> tuple[Inlet, ...]:
    """Who takes messages of this type. A route hears one once, even if two of its patterns fit.

    Session events only come to those who ask for them.
    """
    taken = {kind} if is_event(kind) else {None, kind}
    return tuple(dict.fromkeys(inlet for inlet, own in reading if own in taken))


def _literalness(pattern: Pattern) -> tuple[int, ...]:
    """Its specificity, with the end counted too: of `/a` and `/a/{rest#}`, `/a` says more."""
    return (*pattern.specificity, 1)
