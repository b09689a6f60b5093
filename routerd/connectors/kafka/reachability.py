"""Whether Kafka confirms: one warning when it stops to, one info when it does so again.

librdkafka reports each attempt at each broker, twenty lines a second; it says nothing at all of a
broker that is connected and silent. So what counts here is confirmations, and its last words are
the reason.
"""

import logging

import trio
from confluent_kafka import KafkaError

from routerd.connectors.kafka.refusals import ALL_BROKERS_DOWN
from routerd.status import RouteStatus

logger = logging.getLogger(__name__)

SILENCE = 10.0
"""Seconds without a confirmation, with records outstanding, that are worth a line."""
NO_BROKER = 1.0
"""As many where no broker is connected. Not at once: brokers close idle connections, too."""
RECENTLY = 30.0
"""Seconds within which failing connections and no broker left belong together."""


class Reachability:
    """What is known of one connection's brokers."""

    def __init__(self, connection: str) -> None:
        self._connection = connection
        self._routes: list[RouteStatus] = []
        self._away_since: float | None = None
        self._waits_for = ""
        self._no_broker_since = float("-inf")
        self._last_words = ""
        self._last_words_at = float("-inf")

    def watch(self, route: RouteStatus) -> None:
        """Says in the status of this route from now on what it waits for."""
        self._routes.append(route)
        route.waits_for = self._waits_for

    def error(self, error: KafkaError) -> None:
        """What librdkafka calls as its `error_cb`. Never raises."""
        now = trio.current_time()
        if error.code() == ALL_BROKERS_DOWN:
            self._no_broker_since = now
        else:
            self._last_words, self._last_words_at = error.str(), now
        if min(self._no_broker_since, self._last_words_at) >= now - RECENTLY:
            self.away("no broker can be reached")

    def silent(self, seconds: float) -> None:
        """Nothing was confirmed for so long, though something is outstanding."""
        if seconds >= NO_BROKER and self._no_broker_since > float("-inf"):
            self.away("no broker can be reached", seconds=seconds)
        elif seconds >= SILENCE:
            self.away(f"nothing was confirmed for {seconds:.0f} s", seconds=seconds)

    def away(self, reason: str, *, seconds: float = 0.0) -> None:
        """Kafka has not confirmed anything for so long, for this reason."""
        if self._away_since is not None:
            return
        if self._last_words:
            reason += f": {self._last_words}"
        self._away_since = trio.current_time() - seconds
        self._tell_routes(f"{self._connection}: {reason}")
        logger.warning(
            "kafka does not confirm; what was sent waits connection=%s error=%r",
            self._connection, reason,
        )  # fmt: skip

    def confirmed(self) -> None:
        """A broker has confirmed something."""
        self._last_words = ""
        self._no_broker_since = self._last_words_at = float("-inf")
        if self._away_since is None:
            return
        seconds, self._away_since = trio.current_time() - self._away_since, None
        self._tell_routes("")
        logger.info("kafka confirms again connection=%s after_s=%.0f", self._connection, seconds)

    def _tell_routes(self, waits_for: str) -> None:
        self._waits_for = waits_for
        for route in self._routes:
            route.waits_for = waits_for
