"""What the table says of a route's log lines, checked."""

from dataclasses import dataclass

from routerd.template import Template


@dataclass(frozen=True)
class LogSinkSpec:
    """A route's output: `log:TEMPLATE`."""

    text: Template
