"""Which topics a route's filters take (MQTT-4.7).

A broker sends more than the table asks for: a subscription lives as long as its session, so one
that was taken out of the table goes on.
"""

import re
from collections.abc import Iterable

from routerd.connectors.mqtt.settings import MqttFilter

_NOTHING = re.compile(rb"(?!)")


class Wanted:
    """The filters of one route, as a question about a topic.

    Attributes:
        drops_retained: whether some filter wants no retained messages.
    """

    def __init__(self, filters: tuple[MqttFilter, ...]) -> None:
        self._all = _compile(entry.filter for entry in filters)
        self._without_retained = _compile(e.filter for e in filters if e.drops_retained)
        self.drops_retained = self._without_retained is not _NOTHING

    def takes(self, topic: bytes) -> bool:
        """Whether a filter of the route matches."""
        return self._all.fullmatch(topic) is not None

    def takes_retained(self, topic: bytes) -> bool:
        """Whether the route wants it too if the broker had retained it."""
        return self._without_retained.fullmatch(topic) is None


def _compile(filters: Iterable[str]) -> re.Pattern[bytes]:
    """One expression for all of them: a route may see millions of topics."""
    expressions = [_expression(filter_) for filter_ in filters]
    return re.compile(b"|".join(expressions), re.DOTALL) if expressions else _NOTHING


def _expression(filter_: str) -> bytes:
    if filter_.startswith("$share/"):
        filter_ = filter_.split("/", 2)[2]  # what it matches does not depend on the group
    levels = filter_.encode().split(b"/")
    # MQTT-4.7.2-1: `$SYS/...` is only for those who spell it out.
    start = rb"(?!\$)" if levels[0] in {b"+", b"#"} else b""
    if levels == [b"#"]:
        return start + b".*"
    # `a/#` takes `a` as well (MQTT 4.7.1.2).
    end = b"(?:/.*)?" if levels[-1] == b"#" else b""
    named = levels[:-1] if end else levels
    return (
        start + b"/".join(b"[^/]*" if level == b"+" else re.escape(level) for level in named) + end
    )
