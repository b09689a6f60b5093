"""One librdkafka producer: made, emptied and ended without holding the event loop."""

import logging
import time
from collections.abc import Mapping

import trio
from confluent_kafka import KafkaException, Producer

logger = logging.getLogger(__name__)

POLL_EVERY = 0.001
"""Seconds between two polls while records come back."""
CLOSE_WITHIN = 1.0
"""Seconds for librdkafka's threads to end."""
LINES_PER_SECOND = 10
"""Most of librdkafka's own log lines that are logged, for debugging. What matters in them is said
by `Reachability` and by the errors of messages."""


async def make_producer(config: Mapping[str, object], *, limiter: trio.CapacityLimiter) -> Producer:
    """Makes a producer; it connects in the background.

    Raises:
        KafkaException, ValueError, TypeError: librdkafka refuses the settings.
    """

    def make() -> Producer:
        return Producer({**config}, logger=LibraryLog())

    return await trio.to_thread.run_sync(make, limiter=limiter)  # it may read certificates


async def take_back(producer: Producer) -> None:
    """Returns when every record that the producer had was reported, most of them as purged."""
    producer.purge(in_queue=True, in_flight=True, blocking=False)
    while len(producer):
        try:
            producer.poll(0)
        except KafkaException as exc:
            logger.debug("records are taken back with trouble error=%r", str(exc))
        await trio.sleep(POLL_EVERY)


async def end_producer(producer: Producer) -> None:
    """Ends its threads; one may be inside DNS, and is not waited for. Once for each producer.

    librdkafka's `close` waits for ever while a record is outstanding: `take_back` comes first.
    """
    with trio.move_on_after(CLOSE_WITHIN, shield=True):
        await trio.to_thread.run_sync(
            producer.close, limiter=trio.CapacityLimiter(1), abandon_on_cancel=True
        )


class LibraryLog:
    """Takes the place of a `logging.Logger` towards confluent-kafka, which calls `log` only."""

    def __init__(self) -> None:
        self._second = float("-inf")
        self._lines = 0

    def log(self, level: int, template: str, *arguments: object) -> None:
        """Called from within `poll`. Never raises."""
        if not logger.isEnabledFor(logging.DEBUG):
            return
        now = time.monotonic()
        if now >= self._second + 1:
            self._second, self._lines = now, 0
        self._lines += 1
        if self._lines <= LINES_PER_SECOND:
            text = template % arguments
            logger.debug("librdkafka says severity=%s text=%r", logging.getLevelName(level), text)
