"""A Kafka to demonstrate with: librdkafka's mock cluster, in a child process.

It speaks the real protocol and keeps the newest 5 MiB of each partition in memory.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer, Producer, TopicPartition

READ_AT_ONCE = 5000


def serve(topics: list[str]) -> None:
    """The child: a mock cluster with these topics, until standard input closes."""
    cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    brokers = cluster.list_topics(timeout=10).brokers.values()
    bootstrap = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    creator = Producer({"bootstrap.servers": bootstrap})
    for topic in topics:
        creator.list_topics(topic, timeout=10)  # asking for it creates it
    sys.stdout.write(f"{bootstrap}\n")
    sys.stdout.flush()
    sys.stdin.read()


@contextmanager
def open_kafka(topics: list[str]) -> Iterator[str]:
    """Starts the child and gives its bootstrap address."""
    command = f"from routerd.demo.kafka import serve; serve({topics!r})"
    with subprocess.Popen(  # noqa: S603 - our own interpreter and our own text
        [sys.executable, "-c", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a Ctrl-C is for us; it ends when its standard input closes
    ) as child:
        try:
            bootstrap = child.stdout.readline().strip() if child.stdout else ""
            if not bootstrap:
                raise RuntimeError("the demo's Kafka did not start; its error stands above")
            yield bootstrap
        finally:
            child.kill()


def count_records(bootstrap: str, topic: str) -> int:
    """How many records the topic ever held. Blocks for up to a few seconds."""
    consumer = _consumer(bootstrap)
    try:
        return sum(
            consumer.get_watermark_offsets(partition, timeout=5)[1]
            for partition in _partitions(consumer, topic)
        )
    finally:
        consumer.close()


def read_keys_and_values(bootstrap: str, topic: str) -> list[tuple[bytes | None, bytes]]:
    """What the topic still holds, partition by partition. Blocks until it has all of it."""
    consumer = _consumer(bootstrap)
    found: list[tuple[bytes | None, bytes]] = []
    try:
        for partition in _partitions(consumer, topic):
            low, high = consumer.get_watermark_offsets(partition, timeout=5)
            consumer.assign([TopicPartition(topic, partition.partition, low)])
            position = low
            while position < high:
                # No more than there are: it waits for all that it was asked for.
                for record in consumer.consume(min(READ_AT_ONCE, high - position), timeout=5):
                    if record.error() is not None:
                        raise RuntimeError(f"can't read {topic} back: {record.error()}")
                    found.append((record.key(), record.value() or b""))
                    position = (record.offset() or 0) + 1
    finally:
        consumer.close()
    return found


def _consumer(bootstrap: str) -> Consumer:
    return Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "routerd-demo", "enable.auto.commit": False}
    )


def _partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    found = consumer.list_topics(topic, timeout=5).topics[topic].partitions
    return [TopicPartition(topic, number) for number in found]
