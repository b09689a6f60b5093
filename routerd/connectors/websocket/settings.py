"""What the table says of a WebSocket listener, a route's paths and its groups, checked."""

from dataclasses import dataclass

from routerd.address import Pattern
from routerd.template import Template


@dataclass(frozen=True)
class ListenerSettings:
    """One `[ws]` table.

    Attributes:
        key: `ws`, or `ws.NAME`.
        port: 0 picks a free one.
    """

    key: str
    host: str
    port: int


@dataclass(frozen=True)
class WebSocketSourceSpec:
    """A route's input: `ws:/PATH`, one or several."""

    patterns: tuple[Pattern, ...]


@dataclass(frozen=True)
class GroupSinkSpec:
    """A route's output: `group:/PATH`. One template for each segment of the path.

    A segment `{rest#}` stands for as many segments as it captured.
    """

    address: str
    segments: tuple[Template, ...]
