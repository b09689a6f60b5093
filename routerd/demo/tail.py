"""What reached Kafka: a consumer that follows the demo's topics, as any other program could."""

import json
import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

import trio
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from routerd.demo.kafka import TOPICS
from routerd.demo.ledger import Ledger

READINGS: Final = "telemetry"
"""The topic whose records are counted in the ledger."""

_KEPT: Final = 12
_AT_ONCE: Final = 1000
_TURN_SECONDS: Final = 0.25
_SHOWN_CHARACTERS: Final = 200


@dataclass(frozen=True)
class Record:
    """One record, for people.

    Attributes:
        seen_at: seconds since 1970.
    """

    partition: int
    offset: int
    key: str
    value: str
    seen_at: float


class Tail:
    """Follows every topic from its beginning.

    Attributes:
        newest: topic -> its last records, the newest first.
        counts: topic -> how many records came.
    """

    def __init__(self, bootstrap: str, ledger: Ledger) -> None:
        self.newest: dict[str, deque[Record]] = {topic: deque(maxlen=_KEPT) for topic in TOPICS}
        self.counts = dict.fromkeys(TOPICS, 0)
        self._bootstrap = bootstrap
        self._ledger = ledger

    async def run(self) -> None:
        """Follows until cancelled; while Kafka is away it waits."""
        await trio.to_thread.run_sync(self._follow, limiter=trio.CapacityLimiter(1))

    def take(self, topic: str, record: Record, *, value: bytes) -> None:
        """Counts and keeps one record."""
        self.counts[topic] += 1
        self.newest[topic].appendleft(record)
        if topic == READINGS:
            self._ledger.arrive(record.key, _number_in(value))

    def _follow(self) -> None:
        """The thread: librdkafka waits in here, so that the loop need not."""
        consumer = _open_consumer(self._bootstrap)
        try:
            while True:
                trio.from_thread.check_cancelled()
                if messages := consumer.consume(_AT_ONCE, timeout=_TURN_SECONDS):
                    trio.from_thread.run_sync(self._take_all, messages)
        finally:
            consumer.close()

    def _take_all(self, messages: list[Message]) -> None:
        now = time.time()
        for message in messages:
            topic, value = message.topic(), message.value()
            if message.error() is None and topic is not None and isinstance(value, bytes):
                record = Record(
                    partition=message.partition() or 0,
                    offset=message.offset() or 0,
                    key=_text(message.key()),
                    value=_text(value),
                    seen_at=now,
                )
                self.take(topic, record, value=value)


def _open_consumer(bootstrap: str) -> Consumer:
    quiet = logging.Logger("routerd.demo.tail", logging.CRITICAL)  # it is away on purpose
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "routerd-demo",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "reconnect.backoff.max.ms": 500,
            "fetch.wait.max.ms": 250,
        },
        logger=quiet,
    )
    partitions = [(topic, number) for topic, count in TOPICS.items() for number in range(count)]
    consumer.assign([TopicPartition(*each, OFFSET_BEGINNING) for each in partitions])
    return consumer


def _text(raw: object) -> str:
    if not isinstance(raw, bytes):
        return ""
    text = raw.decode("utf-8", "replace")
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]} …"


def _number_in(value: bytes) -> int | None:
    """The number of a reading; None if it is something else."""
    try:
        number = json.loads(value)["number"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return number if type(number) is int else None
