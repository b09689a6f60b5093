"""Whether Kafka confirms: one warning when it stops to, one info when it does so again.

librdkafka reports each attempt at each broker, twenty lines a second; it says nothing at all of a
broker that is connected and silent. So what counts here is what is not confirmed, output by output:
one partition may have no leader while all others do. librdkafka's last words are the reason.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import trio
from confluent_kafka import KafkaError

from routerd.connectors.kafka.refusals import ALL_BROKERS_DOWN
from routerd.status import RouteStatus
from routerd.unrest import Unrest

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds."""
SILENCE = 10.0
"""Seconds for which something is not confirmed that are worth a line."""
NO_BROKER = 1.0
"""As many where no broker is connected. Not at once: brokers close idle connections, too."""
RECENTLY = 30.0
"""Seconds within which failing connections and no broker left belong together."""

# What librdkafka says of its own workings beside what happened.
_JARGON: Final = re.compile(r"ipv[46]#|/bootstrap(?=:)| \(after \d+ms in state .*\)$")
_LONG_AGO: Final = float("-inf")
_SILENT: Final = "it does not confirm"


@dataclass
class _Output:
    """A required output of a route.

    Attributes:
        oldest: when the oldest batch came that Kafka has not confirmed yet.
        is_silent: that is too long ago.
    """

    route: RouteStatus
    oldest: Callable[[], float | None]
    is_silent: bool = False


class Reachability:
    """What is known of one connection's brokers."""

    def __init__(self, connection: str) -> None:
        self._connection = connection
        self._outputs: list[_Output] = []
        self._trouble = ""
        self._has_no_broker = False
        self._away_since: float | None = None
        self._no_broker_since = _LONG_AGO
        self._last_words = ""
        self._last_words_at = _LONG_AGO
        self._unrest = Unrest()

    def watch(self, route: RouteStatus, oldest: Callable[[], float | None]) -> None:
        """Says in the status of this route from now on what its output waits for.

        Args:
            route: with a required output here.
            oldest: when the oldest batch came that Kafka has not confirmed; None without one.
        """
        self._outputs.append(_Output(route, oldest))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Looks every second, until cancelled."""
        task_status.started()
        while True:
            await trio.sleep(LOOK_EVERY)
            self.look()

    def look(self) -> None:
        """Judges what is not confirmed yet."""
        now = trio.current_time()
        is_cut_off = self._no_broker_since > _LONG_AGO
        patience = NO_BROKER if is_cut_off else SILENCE
        silent: dict[str, float] = {}
        for output in self._outputs:
            oldest = output.oldest()
            output.is_silent = oldest is not None and now - oldest >= patience
            if oldest is not None and output.is_silent:
                silent[output.route.name] = min(oldest, silent.get(output.route.name, now))
        if silent:
            since = min(silent.values())
            reason = "no broker can be reached" if is_cut_off else _silence(silent, now - since)
            self._warn(reason, since=since)
        elif not self._trouble:
            self._say_that_it_confirms(now)
        self._say_that_it_is_steady(now)
        self._tell_routes()

    def describe_trouble(self) -> str:
        """Why Kafka confirms nothing now, in words; empty as long as nothing is known of that."""
        if self._trouble or not any(output.is_silent for output in self._outputs):
            return self._trouble
        return self._with_last_words(_SILENT)

    @property
    def is_forgotten(self) -> bool:
        """No broker could be reached, and nothing is under way whose confirmation would end that.

        librdkafka itself tries again only when it has something to send.
        """
        return self._has_no_broker and all(each.oldest() is None for each in self._outputs)

    def error(self, error: KafkaError) -> None:
        """What librdkafka calls as its `error_cb`. Never raises."""
        try:
            now = trio.current_time()
        except RuntimeError:
            return  # a producer that is being closed serves its last events in that thread
        if error.code() == ALL_BROKERS_DOWN:
            self._no_broker_since = now
        else:
            self._last_words, self._last_words_at = _JARGON.sub("", error.str()), now
        if min(self._no_broker_since, self._last_words_at) >= now - RECENTLY:
            self._has_no_broker = True
            self.away("no broker can be reached")

    def away(self, reason: str) -> None:
        """Kafka can confirm nothing, for this reason, until `confirmed`."""
        if not self._trouble:
            self._trouble = self._with_last_words(reason)
            self._warn(reason, since=trio.current_time())
            self._tell_routes()

    def confirmed(self) -> None:
        """A broker has confirmed something; called at each poll that brought a confirmation."""
        self._last_words = ""
        self._has_no_broker = False
        self._no_broker_since = self._last_words_at = _LONG_AGO
        if self._trouble:
            self._trouble = ""
            self.look()

    def _warn(self, reason: str, *, since: float) -> None:
        if self._away_since is not None:
            return
        self._away_since = since
        if self._is_told(trio.current_time()):
            logger.warning(
                "kafka does not confirm; what was sent waits connection=%s error=%r",
                self._connection, self._with_last_words(reason),
            )  # fmt: skip

    def _say_that_it_confirms(self, now: float) -> None:
        if self._away_since is not None:
            seconds, self._away_since = now - self._away_since, None
            if self._is_told(now):
                logger.info(
                    "kafka confirms again connection=%s after_s=%.0f", self._connection, seconds
                )

    def _is_told(self, now: float) -> bool:
        """Whether this change is worth a line of its own."""
        worth = self._unrest.changed(now)
        if worth == "unrest":
            logger.warning(
                "kafka comes and goes; it is told when it is steady connection=%s",
                self._connection,
            )
        return worth == "line"

    def _say_that_it_is_steady(self, now: float) -> None:
        untold = self._unrest.rested(now)
        if untold and self._away_since is None:
            logger.info(
                "kafka is steady again: it confirms connection=%s untold=%d",
                self._connection, untold,
            )  # fmt: skip
        elif untold:
            logger.warning(
                "kafka is steady again: it does not confirm connection=%s untold=%d error=%r",
                self._connection, untold, self.describe_trouble(),
            )  # fmt: skip

    def _with_last_words(self, reason: str) -> str:
        return f"{reason}: {self._last_words}" if self._last_words else reason

    def _tell_routes(self) -> None:
        """A route waits only for what it has sent."""
        for output in self._outputs:
            output.route.sinks_wait_for.pop(self._connection, None)
        for output in self._outputs:
            if self._trouble and output.oldest() is not None:
                output.route.sinks_wait_for[self._connection] = self._trouble
            elif output.is_silent:
                reason = self._with_last_words(_SILENT)
                output.route.sinks_wait_for[self._connection] = reason


def _silence(silent: dict[str, float], seconds: float) -> str:
    names = [*silent]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} others" if len(names) > 3 else "")  # noqa: PLR2004
    return f"nothing of {shown} was confirmed for {seconds:.0f} s"
