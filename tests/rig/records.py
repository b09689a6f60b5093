"""What is in a Kafka topic, read back by a client of its own; for any kind of broker."""

import time
from collections.abc import Mapping
from typing import NamedTuple

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from tests.rig.waiting import wait_until

ClientConfig = Mapping[str, str | int | bool]


class Record(NamedTuple):
    """One record as it lies in a partition."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class Records:
    """Reads the topics of the broker that `config` (at least `bootstrap.servers`) leads to."""

    def __init__(self, config: ClientConfig) -> None:
        self._config: dict[str, str | int | float | bool] = {
            "group.id": "rig",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": False,
            "log_level": 2,  # a broker that is down on purpose is not worth a line
            **config,
        }

    def read(self, topic: str, *, timeout: float = 30.0) -> list[Record]:
        """Every record that is in the topic now, partition by partition in their order.

        Raises:
            TimeoutError: the broker did not give all of them within `timeout` seconds.
        """
        consumer = Consumer(self._config)
        try:
            return sorted(_read_all(consumer, topic, deadline=time.monotonic() + timeout))
        finally:
            consumer.close()

    def count(self, topic: str) -> int:
        """How many records are in the topic; 0 where there is none of that name."""
        consumer = Consumer(self._config)
        try:
            return _count(consumer, topic)
        finally:
            consumer.close()

    def wait_until_count(self, topic: str, n: int, *, timeout: float = 30.0) -> None:
        """Blocks until at least `n` records are in the topic.

        Raises:
            TimeoutError: there were fewer after `timeout` seconds; says how many.
        """
        consumer = Consumer(self._config)
        try:
            wait_until(
                lambda: _count(consumer, topic) >= n, f"{n} records in {topic}", timeout=timeout
            )
        except TimeoutError as exc:
            raise TimeoutError(f"{exc}, it has {_count(consumer, topic)}") from None
        finally:
            consumer.close()


def _partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    metadata = consumer.list_topics(topic, timeout=10).topics[topic]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    return [TopicPartition(topic, number, OFFSET_BEGINNING) for number in metadata.partitions]


def _read_all(consumer: Consumer, topic: str, *, deadline: float) -> list[Record]:
    partitions = _partitions(consumer, topic)
    unfinished = {found.partition for found in partitions}
    consumer.assign(partitions)
    records: list[Record] = []
    while unfinished:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{topic}: read {len(records)}, not to its end: {unfinished}")
        for message in consumer.consume(10_000, timeout=0.1):
            error = message.error()
            partition, offset = message.partition(), message.offset()
            assert partition is not None
            if error is None:
                assert offset is not None
                headers = _headers(message)
                key, value = _bytes(message.key()), _bytes(message.value())
                records.append(Record(partition, offset, key, value, headers))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its documented name
                unfinished.discard(partition)
            else:
                raise KafkaException(error)
    return records


def _headers(message: Message) -> list[tuple[str, bytes | None]]:
    headers = message.headers() or []
    assert isinstance(headers, list)
    return [(name, _bytes(value)) for name, value in headers]


def _bytes(value: object) -> bytes | None:
    assert value is None or isinstance(value, bytes)
    return value


def _count(consumer: Consumer, topic: str) -> int:
    """0 while the broker is away: whoever waits for a count waits for the broker, too."""
    try:
        marks = [
            consumer.get_watermark_offsets(found, timeout=5)
            for found in _partitions(consumer, topic)
        ]
    except KafkaException:
        return 0
    return sum(high - low for low, high in marks)
