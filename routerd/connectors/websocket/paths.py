"""Which paths can be connected to, and which routes read from them.

A path can be connected to when some route reads from it or broadcasts to it. Compared are
decoded segments, so that `a%2Fb` is one of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from routerd.address import Pattern
from routerd.connectors.websocket.source import Inlet


@dataclass(frozen=True)
class Place:
    """What a path of a client means to this listener.

    Attributes:
        label: the most literal pattern that it fits, for metrics.
        inlets: of every route that reads from it.
    """

    label: str
    inlets: tuple[Inlet, ...]


class Paths:
    """The patterns of all routes of one listener."""

    def __init__(self) -> None:
        self._patterns: list[tuple[Pattern, Inlet | None]] = []

    def add(self, pattern: Pattern, inlet: Inlet | None = None) -> None:
        """Lets clients connect to the paths of `pattern`; what they send goes to `inlet`."""
        self._patterns.append((pattern, inlet))

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that `find` may give."""
        return tuple(dict.fromkeys(pattern.source for pattern, _ in self._patterns))

    def find(self, segments: Sequence[str]) -> Place | None:
        """What is behind a path; None: nothing, it can't be connected to."""
        found = [(p, inlet) for p, inlet in self._patterns if p.match(segments) is not None]
        if not found:
            return None
        best = max((pattern for pattern, _ in found), key=_literalness)
        # A route hears a message once, even if two of its patterns fit.
        inlets = dict.fromkeys(inlet for _, inlet in found if inlet is not None)
        return Place(best.source, tuple(inlets))


def _literalness(pattern: Pattern) -> tuple[int, ...]:
    """Its specificity, with the end counted too: of `/a` and `/a/{rest#}`, `/a` says more."""
    return (*pattern.specificity, 1)
