"""Messages as log lines, for looking at a route; never as many as there are messages."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import trio

from routerd.errors import DeliveryFailed
from routerd.receipt import Receipt, SinkCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routerd.message import Message
    from routerd.scope import Renderer

logger = logging.getLogger("routerd.messages")

LINES_PER_SECOND = 10
LONGEST_LINE = 4096
# What ends a line, moves a terminal's cursor, turns text around, or is no character at all.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class LogSink:
    """One `log:` output of one route. Best effort: what is over the limit is only counted."""

    def __init__(self, render: Renderer[str], *, route: str, counts: SinkCounts) -> None:
        self._render = render
        self._route = route
        self._counts = counts
        self._second = float("-inf")
        self._lines = 0
        self._suppressed = 0

    async def accept(self, messages: Sequence[Message]) -> Receipt:
        """Logs the first few of each second, and resolves all at once; never waits."""
        receipt = Receipt(len(messages), self._counts)
        self._begin_second()
        tried = min(len(messages), LINES_PER_SECOND - self._lines)
        for index in range(tried):
            try:
                self._log(self._render(messages[index]))
            except DeliveryFailed as error:
                receipt.failed(index, error)
        self._lines += tried
        self._suppressed += len(messages) - tried
        receipt.delivered(receipt.pending)
        return receipt

    def report_suppressed(self) -> None:
        """Says how many lines there would have been since the last time; nothing for none."""
        if self._suppressed:
            logger.info(
                "further messages not shown route=%s count=%d", self._route, self._suppressed
            )
            self._suppressed = 0

    def _begin_second(self) -> None:
        now = trio.current_time()
        if now >= self._second + 1:
            self._second, self._lines = now, 0

    def _log(self, text: str) -> None:
        shown = _UNSAFE.sub(_escape, text[:LONGEST_LINE])
        logger.info("%s route=%s", shown, self._route)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
