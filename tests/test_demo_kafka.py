"""The demo's Kafka can be away without losing anything, and its tail sees all that reached it."""

import json
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import trio
from confluent_kafka import KafkaError, Message, Producer

from routerd.demo.kafka import TOPICS, Kafka, open_kafka
from routerd.demo.ledger import Ledger
from routerd.demo.tail import Record, Tail

pytestmark = pytest.mark.slow

TIMED_OUT = KafkaError._MSG_TIMED_OUT  # noqa: SLF001 - its documented name


@pytest.fixture
def kafka() -> Iterator[Kafka]:
    with open_kafka() as started:
        yield started


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger(["bus-1"])
    made.accounts["bus-1"].published = 100
    return made


def produce(kafka: Kafka, topic: str, *values: bytes, key: bytes = b"bus-1") -> list[int]:
    """The error code of each record's delivery, 0 for delivered."""
    codes: list[int] = []

    def report(error: KafkaError | None, _message: Message) -> None:
        codes.append(0 if error is None else error.code())

    options = {"bootstrap.servers": kafka.bootstrap, "message.timeout.ms": 1500, "log_level": 2}
    producer = Producer(options)
    for value in values:
        producer.produce(topic, value, key, on_delivery=report)
    producer.flush(10)
    return codes


def readings(*numbers: int) -> list[bytes]:
    return [json.dumps({"number": number}).encode() for number in numbers]


async def wait_until(is_so: Callable[[], bool]) -> None:
    with trio.fail_after(20):
        while not is_so():  # noqa: ASYNC110 - a thread of librdkafka's has it
            await trio.sleep(0.01)


def test_its_topics_are_there(kafka: Kafka) -> None:
    topics = Producer({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).topics
    assert {name: len(topic.partitions) for name, topic in topics.items()} == TOPICS


def test_stopped_it_takes_nothing_and_started_again_it_has_what_it_had(kafka: Kafka) -> None:
    assert produce(kafka, "chat", b"before") == [0]
    kafka.stop()
    assert not kafka.is_up
    assert produce(kafka, "chat", b"lost") == [TIMED_OUT]
    kafka.stop()
    kafka.start()
    assert kafka.is_up
    assert produce(kafka, "chat", b"after") == [0]


async def test_the_tail_counts_readings_and_keeps_the_newest_records(
    kafka: Kafka, ledger: Ledger, nursery: trio.Nursery
) -> None:
    tail = Tail(kafka.bootstrap, ledger)
    nursery.start_soon(tail.run)
    await trio.to_thread.run_sync(lambda: produce(kafka, "telemetry", *readings(*range(30), 3)))
    await trio.to_thread.run_sync(lambda: produce(kafka, "chat", b"hello \xff", key=b"lobby"))
    await wait_until(lambda: tail.counts == {"telemetry": 31, "chat": 1})
    assert (ledger.in_kafka, ledger.duplicates, ledger.lost, ledger.strangers) == (30, 1, 0, 0)
    assert [record.offset for record in tail.newest["telemetry"]] == list(range(30, 18, -1))
    (said,) = tail.newest["chat"]
    assert (said.key, said.value, said.offset) == ("lobby", "hello \ufffd", 0)
    nursery.cancel_scope.cancel()


async def test_the_tail_waits_while_kafka_is_away_and_misses_nothing(
    kafka: Kafka, ledger: Ledger, nursery: trio.Nursery
) -> None:
    tail = Tail(kafka.bootstrap, ledger)
    nursery.start_soon(tail.run)
    for first in (0, 2, 4):
        values = readings(first, first + 1)
        await trio.to_thread.run_sync(partial(produce, kafka, "telemetry", *values))
        kafka.stop()
        await trio.sleep(0.5)
        kafka.start()
    await wait_until(lambda: ledger.in_kafka == 6)
    assert (ledger.duplicates, ledger.lost) == (0, 0)
    nursery.cancel_scope.cancel()


async def test_the_tail_ends_at_once_also_while_kafka_is_away(kafka: Kafka, ledger: Ledger) -> None:
    tail = Tail(kafka.bootstrap, ledger)
    kafka.stop()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tail.run)
            await trio.sleep(0.5)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "value", [b"", b"{", b"[1]", b"{}", b'{"number": "1"}', b'{"number": true}', b'{"number": 1e3}']
)
def test_what_is_no_reading_is_a_stranger(ledger: Ledger, value: bytes) -> None:
    record = Record(partition=0, offset=0, key="bus-1", value="", seen_at=0)
    Tail("", ledger).take("telemetry", record, value=value)
    assert (ledger.strangers, ledger.in_kafka) == (1, 0)
