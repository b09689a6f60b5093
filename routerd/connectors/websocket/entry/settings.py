"""What the table says of who may come in, checked."""

from dataclasses import dataclass

from routerd.address import Pattern

ANYONE = "*"
"""As an origin: pages from everywhere."""


@dataclass(frozen=True)
class Rule:
    """What `[ws]`, or one table of its `paths`, says. None: nothing, so a wider one is asked.

    Attributes:
        pattern: of the paths that it is for; None: all of the listener.
        origins: where pages may come from, in canonical form.
        require_origin: whether clients that are no page must stay out.
    """

    pattern: Pattern | None = None
    origins: frozenset[str] | None = None
    require_origin: bool | None = None


@dataclass(frozen=True)
class EntrySettings:
    """Who may come in by one listener.

    Attributes:
        rules: the listener's own, and those of its paths.
    """

    rules: tuple[Rule, ...] = ()


OPEN = EntrySettings()
"""Pages of the same host, and whoever is no page."""
