"""Asks Kafka what no message has asked: are the table's topics there, is it back after an outage.

A message tells both, but it may come at night. Each question has a client of its own, made and
ended in its thread: the producers' must not be asked while another thread may end them.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

import trio
from confluent_kafka import KafkaException, Producer

from routerd.connectors.kafka.library import LibraryLog
from routerd.connectors.kafka.refusals import UNKNOWN_TOPIC
from routerd.findings import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from routerd.connectors.kafka.reachability import Reachability
    from routerd.status import RouteStatus

logger = logging.getLogger(__name__)

ASK_EVERY: Final = 5.0
"""Seconds between two questions whether Kafka is back."""
FIRST_RETRY, LAST_RETRY = 5.0, 60.0
"""Seconds before topics are asked for again, when nobody answered or some are missing."""
_ONLY_ASKS: Final[Mapping[str, object]] = {
    # Without these it asks for no producer id, which needs a right of its own.
    "enable.idempotence": False,
    "enable.gapless.guarantee": False,
    "allow.auto.create.topics": False,  # whatever the table allows: asking must make nothing
    "log_level": 0,
}
PATIENCE: Final = 5.0
"""Seconds for the answer about one topic."""


class Probe:
    """The questions of one connection.

    Args:
        config: librdkafka's properties of the producers.
        connection: for the log.
        reachability: is told when Kafka answers again.
    """

    def __init__(
        self, config: Mapping[str, object], *, connection: str, reachability: Reachability
    ) -> None:
        self._config = {**config, **_ONLY_ASKS}
        self._connection = connection
        self._reachability = reachability
        self._topics: dict[str, list[RouteStatus]] = {}
        self._all_known = trio.Event()
        self._limiter = trio.CapacityLimiter(2)

    def expect(self, topic: str, route: RouteStatus | None) -> None:
        """The table names this topic; `route`, if there is one, can't do without it."""
        self._topics.setdefault(topic, []).extend([route] if route else [])

    def begin(self) -> None:
        """Every topic of the table is expected by now."""
        self._all_known.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Asks for the topics until all are there, and after each outage; until cancelled."""
        task_status.started()
        await self._all_known.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look_for_topics)
            nursery.start_soon(self._end_outages)

    async def _end_outages(self) -> None:
        while True:
            await trio.sleep(ASK_EVERY)
            if self._reachability.is_forgotten and await self._missing([]) is not None:
                self._reachability.confirmed()

    async def _look_for_topics(self) -> None:
        delay, told = FIRST_RETRY, False
        while (missing := await self._missing([*self._topics])) != []:
            if missing and not told:
                told = True
                logger.warning(
                    "kafka topics are missing; create them: until then their messages can't be "
                    "delivered connection=%s topics=%r",
                    self._connection, listed(missing, mark=""),
                )  # fmt: skip
            if missing is not None:
                self._tell_routes(missing)
            await trio.sleep(delay)
            delay = min(2 * delay, LAST_RETRY)
        self._tell_routes([])
        if told:
            logger.info("kafka topics are there now connection=%s", self._connection)

    def _tell_routes(self, missing: Sequence[str]) -> None:
        """Says in the status of each route which topic it waits for."""
        key = f"{self._connection} topic"
        for routes in self._topics.values():
            for route in routes:
                route.sinks_wait_for.pop(key, None)
        for topic in missing:
            for route in self._topics[topic]:
                route.sinks_wait_for[key] = f"`{topic}` does not exist"

    async def _missing(self, topics: Sequence[str]) -> list[str] | None:
        """Which of these topics are not there; None if nobody answers."""
        return await trio.to_thread.run_sync(
            partial(_ask, self._config, topics), limiter=self._limiter, abandon_on_cancel=True
        )


def _ask(config: Mapping[str, object], topics: Sequence[str]) -> list[str] | None:
    """Asks for one topic after the other, or just for any answer. Blocks."""
    try:
        client = Producer({**config}, logger=LibraryLog())
        try:
            if not topics:
                client.list_topics(topic=_ANY_TOPIC, timeout=PATIENCE)
            return [topic for topic in topics if _is_missing(client, topic)]
        finally:
            client.close()
    except (KafkaException, ValueError, TypeError):
        return None  # the producer has the same trouble, and says it


# Any name will do; a whole cluster's topics would be too much of an answer.
_ANY_TOPIC: Final = "routerd-probe"


def _is_missing(client: Producer, topic: str) -> bool:
    """Whether Kafka knows no such topic. It creates none.

    Raises:
        KafkaException: nobody answers.
    """
    found = client.list_topics(topic=topic, timeout=PATIENCE).topics.get(topic)
    return found is not None and found.error is not None and found.error.code() in UNKNOWN_TOPIC
