"""What applies to a path: each key of the most literal table that has it."""

from collections.abc import Sequence
from dataclasses import dataclass

from routerd.connectors.websocket.entry.origin import check_origin
from routerd.connectors.websocket.entry.patterns import most_literal_first
from routerd.connectors.websocket.entry.settings import EntrySettings, Rule
from routerd.connectors.websocket.handshake import Handshake


@dataclass(frozen=True)
class Access:
    """What a path asks of its clients.

    Attributes:
        origins: where pages may come from; None: from the `Host`.
        require_origin: whether clients that are no page must stay out.
    """

    origins: frozenset[str] | None
    require_origin: bool

    def check_origin(self, asked: Handshake) -> None:
        """Whether the page that opened it may.

        Raises:
            Refused: it may not.
        """
        check_origin(asked, self.origins, is_required=self.require_origin)


class Policy:
    """Who may come in by one listener."""

    def __init__(self, settings: EntrySettings) -> None:
        own = [rule for rule in settings.rules if rule.pattern is None]
        of_paths = [(rule, rule.pattern) for rule in settings.rules if rule.pattern is not None]
        order = most_literal_first([pattern for _, pattern in of_paths])
        self._of_paths = [of_paths[place] for place in order]
        self._own = own

    def find(self, segments: Sequence[str]) -> Access:
        """What applies to a path, whether or not any route has it."""
        rules = [rule for rule, pattern in self._of_paths if pattern.match(segments) is not None]
        return _combined([*rules, *self._own])


def _combined(rules: Sequence[Rule]) -> Access:
    origins = next((rule.origins for rule in rules if rule.origins is not None), None)
    required = (rule.require_origin for rule in rules if rule.require_origin is not None)
    return Access(origins, require_origin=next(required, False))
