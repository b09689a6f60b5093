"""The rig's real Kafka does what tests rely on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Message, Producer

from tests.rig.kafka import Kafka
from tests.rig.records import Record
from tests.rig.waiting import wait_until


def produce(bootstrap: str, topic: str, *values: bytes, timeout_ms: int = 10_000) -> list[int]:
    """The error code of each record's delivery, 0 for delivered, in order of the reports."""
    codes: list[int] = []

    def report(error: KafkaError | None, message: Message) -> None:
        codes.append(0 if error is None else error.code())

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "log_level": 2,
            "message.timeout.ms": timeout_ms,
            "acks": "all",
        }
    )
    for value in values:
        producer.produce(topic, value, b"key", headers=[("h", b"1")], on_delivery=report)
    producer.flush(30)
    return codes


def values(records: list[Record]) -> list[bytes | None]:
    return [record.value for record in records]


def test_what_is_produced_is_read_back(kafka: Kafka, topic: str) -> None:
    kafka.create_topic(topic)
    assert produce(kafka.bootstrap, topic, b"a", b"b") == [0, 0]
    assert kafka.records.read(topic) == [
        Record(0, 0, b"key", b"a", [("h", b"1")]),
        Record(0, 1, b"key", b"b", [("h", b"1")]),
    ]
    assert kafka.records.count(topic) == 2


def test_records_are_read_over_all_partitions(kafka: Kafka, topic: str) -> None:
    kafka.create_topic(topic, 3)
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for number in range(3000):
        producer.produce(topic, b"%d" % number, partition=number % 3)
    producer.flush(30)
    kafka.records.wait_until_count(topic, 3000)
    records = kafka.records.read(topic)
    assert [record.offset for record in records] == [*range(1000)] * 3
    assert values(records)[:2] == [b"0", b"3"]


def test_topics_are_not_created_by_themselves(kafka: Kafka, topic: str) -> None:
    assert produce(kafka.bootstrap, topic, b"x", timeout_ms=2000) != [0]
    assert topic not in kafka.topics()
    assert kafka.records.count(topic) == 0


def test_waiting_for_records_that_do_not_come_says_how_many_there_are(
    kafka: Kafka, topic: str
) -> None:
    kafka.create_topic(topic)
    produce(kafka.bootstrap, topic, b"x")
    with pytest.raises(TimeoutError, match=f"2 records in {topic}, it has 1"):
        kafka.records.wait_until_count(topic, 2, timeout=0.1)


def test_a_topic_is_deleted(kafka: Kafka, topic: str) -> None:
    kafka.create_topic(topic)
    assert topic in kafka.topics()
    kafka.delete_topic(topic)
    assert topic not in kafka.topics()


def test_a_topics_setting_is_obeyed(kafka: Kafka, topic: str) -> None:
    kafka.create_topic(topic, config={"max.message.bytes": "200"})
    big = b"x" * 500
    assert produce(kafka.bootstrap, topic, big) == [KafkaError.MSG_SIZE_TOO_LARGE]
    kafka.set_topic_config(topic, "max.message.bytes", "1000")
    wait_until(lambda: produce(kafka.bootstrap, topic, big) == [0], "the big one is taken")


def test_a_frozen_broker_confirms_once_it_is_thawed(start_kafka: Callable[..., Kafka]) -> None:
    broker = start_kafka()
    broker.create_topic("t")
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 2})
    broker.freeze()
    producer.produce("t", b"x")
    assert producer.flush(0.5) == 1
    broker.thaw()
    assert producer.flush(30) == 0


@pytest.mark.parametrize("ends", [Kafka.stop, Kafka.kill])
def test_a_broker_that_comes_back_has_what_it_had(
    start_kafka: Callable[..., Kafka], ends: Callable[[Kafka], None]
) -> None:
    broker = start_kafka()
    broker.create_topic("t")
    produce(broker.bootstrap, "t", b"before")
    ends(broker)
    broker.start()
    assert produce(broker.bootstrap, "t", b"after") == [0]
    assert values(broker.records.read("t")) == [b"before", b"after"]


def test_acls_close_all_topics_but_those_that_are_permitted(
    start_kafka: Callable[..., Kafka],
) -> None:
    broker = start_kafka(acls=True)
    broker.create_topic("open")
    broker.create_topic("closed")
    broker.permit("open")
    assert produce(broker.bootstrap, "open", b"x") == [0]
    assert produce(broker.bootstrap, "closed", b"x") == [KafkaError.TOPIC_AUTHORIZATION_FAILED]
    broker.permit("closed")
    assert produce(broker.bootstrap, "closed", b"y") == [0]
    assert values(broker.records.read("closed")) == [b"y"]


def test_settings_of_the_broker_are_ours_to_choose(start_kafka: Callable[..., Kafka]) -> None:
    broker = start_kafka(settings={"message.max.bytes": "200"})
    broker.create_topic("t")
    big = b"x" * 500
    assert produce(broker.bootstrap, "t", big) == [KafkaError.MSG_SIZE_TOO_LARGE]
    broker.set_broker_config("message.max.bytes", "1000")
    wait_until(lambda: produce(broker.bootstrap, "t", big) == [0], "the big one is taken")


def test_without_its_jars_it_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ROUTERD_TEST_KAFKA", str(tmp_path))
    with pytest.raises(RuntimeError, match="run `tests/run install`"), Kafka():
        pass
