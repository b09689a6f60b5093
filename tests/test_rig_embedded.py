"""The embedded brokers of the rig do what tests rely on."""

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, Message, Producer
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from tests.rig.embedded_mqtt import EmbeddedMqtt
from tests.rig.mockkafka import DROP_CONNECTION, PRODUCE, MockKafka
from tests.rig.mqttpub import Publisher
from tests.rig.waiting import wait_until

pytestmark = pytest.mark.slow


def produce(kafka: MockKafka, topic: str, *values: bytes, **settings: str | int) -> list[int]:
    """The error code of each record's delivery, 0 for delivered."""
    codes: list[int] = []

    def report(error: KafkaError | None, message: Message) -> None:
        codes.append(0 if error is None else error.code())

    options = {name.replace("_", "."): value for name, value in settings.items()}
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 2, **options})
    for value in values:
        producer.produce(topic, value, on_delivery=report)
    producer.flush(20)
    return codes


def hear(port: int, version: MQTTProtocolVersion, publish: Callable[[], object]) -> list[bytes]:
    """What a client that had subscribed to everything hears of what `publish` publishes."""
    heard: list[bytes] = []
    subscribed: list[int] = []
    client = Client(CallbackAPIVersion.VERSION2, "listener", protocol=version)
    client.on_message = lambda _, __, message: heard.append(bytes(message.payload))
    client.on_subscribe = lambda _, __, mid, *___: subscribed.append(mid)
    client.connect("127.0.0.1", port)
    client.subscribe("#", qos=1)
    turn_until(client, lambda: bool(subscribed))
    publish()
    turn_until(client, lambda: bool(heard))
    client.disconnect()
    return heard


def turn_until(client: Client, is_so: Callable[[], bool]) -> None:
    def turned() -> bool:
        assert client.loop(0.05) == MQTTErrorCode.MQTT_ERR_SUCCESS
        return is_so()

    wait_until(turned, "the client hears of it")


@pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
def test_mqtt_of_both_versions_hears_what_is_published(
    embedded_mqtt: EmbeddedMqtt, version: MQTTProtocolVersion
) -> None:
    is_5 = version == MQTTProtocolVersion.MQTTv5
    port = embedded_mqtt.port if is_5 else embedded_mqtt.port_311
    with Publisher(embedded_mqtt.port_311) as publisher:
        assert hear(port, version, lambda: publisher.publish([("a/b", b"21.5")])) == [b"21.5"]


def test_the_embedded_mqtt_broker_comes_back_on_its_ports(embedded_mqtt: EmbeddedMqtt) -> None:
    embedded_mqtt.restart()
    with Publisher(embedded_mqtt.port_311) as publisher:
        assert publisher.publish([("a/b", b"x")]) == [0]


def test_the_embedded_mqtt_broker_can_be_frozen(embedded_mqtt: EmbeddedMqtt) -> None:
    with Publisher(embedded_mqtt.port_311) as publisher:
        embedded_mqtt.freeze()
        assert publisher.publish([("a/b", b"x")], timeout=0.1) == []
        embedded_mqtt.thaw()


def test_what_the_mock_is_given_is_read_back(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    assert produce(mockkafka, "t", b"a", b"b") == [0, 0]
    assert [record.value for record in mockkafka.records.read("t")] == [b"a", b"b"]
    mockkafka.records.wait_until_count("t", 2)


def test_a_topics_error_holds_until_it_is_healed(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    mockkafka.set_topic_error("t", KafkaError.TOPIC_AUTHORIZATION_FAILED)
    assert produce(mockkafka, "t", b"x") == [KafkaError.TOPIC_AUTHORIZATION_FAILED]
    mockkafka.set_topic_error("t", 0)
    assert produce(mockkafka, "t", b"x") == [0]


def test_errors_are_pushed_for_so_many_requests(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    mockkafka.push_request_errors(PRODUCE, [KafkaError.INVALID_RECORD])
    assert produce(mockkafka, "t", b"x") == [KafkaError.INVALID_RECORD]
    assert produce(mockkafka, "t", b"y") == [0]
    mockkafka.push_request_errors(PRODUCE, [KafkaError.INVALID_RECORD])
    mockkafka.clear_request_errors(PRODUCE)
    assert produce(mockkafka, "t", b"z") == [0]


def test_a_dropped_connection_is_tried_again(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    mockkafka.push_request_errors(PRODUCE, [DROP_CONNECTION])
    assert produce(mockkafka, "t", b"x") == [0]


def test_a_broker_that_is_down_takes_nothing_until_it_is_up(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    mockkafka.down()
    assert produce(mockkafka, "t", b"x", message_timeout_ms=300) == [KafkaError._MSG_TIMED_OUT]  # noqa: SLF001 - its documented name
    mockkafka.up()
    assert produce(mockkafka, "t", b"y") == [0]


def test_a_frozen_mock_takes_nothing_until_it_is_thawed(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    mockkafka.freeze()
    assert produce(mockkafka, "t", b"x", message_timeout_ms=300) == [KafkaError._MSG_TIMED_OUT]  # noqa: SLF001
    mockkafka.thaw()
    assert produce(mockkafka, "t", b"y") == [0]


def test_a_delay_is_one_of_every_answer(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    mockkafka.set_delay(60_000)
    assert produce(mockkafka, "t", b"x", message_timeout_ms=300) == [KafkaError._MSG_TIMED_OUT]  # noqa: SLF001
    mockkafka.set_delay(0)


def test_a_partition_moves_to_another_broker() -> None:
    with MockKafka(brokers=2) as kafka:
        kafka.create_topic("t")
        for broker in (1, 2):
            kafka.set_leader("t", 0, broker)
            assert produce(kafka, "t", b"x") == [0]
            metadata = Producer({"bootstrap.servers": kafka.bootstrap}).list_topics("t", timeout=10)
            assert metadata.topics["t"].partitions[0].leader == broker


def test_a_deleted_topic_is_empty(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    produce(mockkafka, "t", b"x")
    mockkafka.delete_topic("t")
    mockkafka.create_topic("t")
    assert mockkafka.records.count("t") == 0


def test_an_order_that_the_mock_refuses_is_an_error(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    with pytest.raises(RuntimeError, match="topic_create"):
        mockkafka.create_topic("t")
