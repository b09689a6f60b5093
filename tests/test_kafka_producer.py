"""What the producer does about errors, injected into librdkafka's mock cluster."""

import logging

import pytest
import trio
from confluent_kafka import KafkaError

from routerd.connectors.kafka.connector import LEAST_QUEUE, library_config
from routerd.connectors.kafka.producer import FASTEST, SLOWEST, pause_after
from routerd.connectors.kafka.records import Record
from routerd.errors import DeliveryFailed
from routerd.message import Message
from routerd.secrets import Secret
from tests.kafka_house import (
    PATIENCE,
    numbered,
    open_kafka,
    open_output,
    payloads,
    values,
    wait_until,
)
from tests.rig.mockkafka import DROP_CONNECTION, PRODUCE, MockKafka

slow = pytest.mark.slow

PASSING = {
    "a closed connection": DROP_CONNECTION,
    "an old epoch": KafkaError.INVALID_PRODUCER_EPOCH,
    "fenced": KafkaError.PRODUCER_FENCED,
    "too few replicas": KafkaError.NOT_ENOUGH_REPLICAS,
    "a disk error": KafkaError.KAFKA_STORAGE_ERROR,
    "garbled": KafkaError.INVALID_MSG,
}
OF_A_BATCH = {
    "an invalid record": KafkaError.INVALID_RECORD,
    "too large": KafkaError.MSG_SIZE_TOO_LARGE,
    "against a policy": KafkaError.POLICY_VIOLATION,
}
FATAL = KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER


@slow
@pytest.mark.parametrize("code", PASSING.values(), ids=PASSING.keys())
async def test_a_passing_error_loses_nothing_and_no_route_notices(
    code: int, mockkafka: MockKafka
) -> None:
    mockkafka.create_topic("t")
    messages = numbered(2000)
    async with open_kafka(mockkafka.bootstrap) as connection:
        output = open_output(connection, "t", key="{device}")
        await output.deliver(numbered(1, start=-1))
        mockkafka.push_request_errors(PRODUCE, [code])
        receipt = await output.deliver(messages)
    assert receipt.failures == {}
    first = list(dict.fromkeys(values(mockkafka, "t")))
    assert sorted(first, key=int_of) == payloads(numbered(2001, start=-1))


def int_of(value: bytes | None) -> int:
    assert value is not None
    return int(value)


@slow
async def test_what_kafka_gave_back_is_counted_as_reordered(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    async with open_kafka(mockkafka.bootstrap) as connection:
        output = open_output(connection, "t")
        await output.deliver(numbered(1))
        mockkafka.push_request_errors(PRODUCE, [KafkaError.INVALID_PRODUCER_EPOCH])
        await output.deliver(numbered(100, start=1))
    assert output.status.reordered == 100
    assert values(mockkafka, "t") == payloads(numbered(101))


@slow
@pytest.mark.parametrize("code", OF_A_BATCH.values(), ids=OF_A_BATCH.keys())
async def test_the_mates_of_a_refused_record_are_delivered_one_by_one(
    code: int, mockkafka: MockKafka, caplog: pytest.LogCaptureFixture
) -> None:
    mockkafka.create_topic("t")
    async with open_kafka(mockkafka.bootstrap) as connection:
        output = open_output(connection, "t")
        await output.deliver(numbered(1))
        mockkafka.push_request_errors(PRODUCE, [code])
        receipt = await output.deliver(numbered(100, start=1))
    assert receipt.failures == {}
    assert sorted(values(mockkafka, "t"), key=int_of) == payloads(numbered(101))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "kafka refused a batch; its records are sent one by one" in caplog.text


@slow
async def test_what_is_refused_alone_as_well_fails_and_only_that(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    async with open_kafka(mockkafka.bootstrap) as connection:
        output = open_output(connection, "t")
        await output.deliver(numbered(1))
        # The batch of both, then the first of them alone.
        mockkafka.push_request_errors(PRODUCE, [KafkaError.INVALID_RECORD] * 2)
        receipt = await output.deliver(numbered(2, start=1))
    assert [type(error).__name__ for error in receipt.failures.values()] == ["DeliveryFailed"]
    assert receipt.failures.keys() == {0}
    assert values(mockkafka, "t") == [b"0", b"2"]


@slow
async def test_what_was_refused_alone_is_offered_again_alone(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    async with open_kafka(mockkafka.bootstrap, linger_ms=200) as connection:
        output = open_output(connection, "t")
        await output.deliver(numbered(1))
        bad = numbered(1, start=1)
        mockkafka.push_request_errors(PRODUCE, [KafkaError.INVALID_RECORD] * 3)
        assert (await output.deliver(bad)).failures.keys() == {0}
        # Without linger, so it comes first and gets the third error; these wait for linger.
        mates = await output.accept(numbered(50, start=2))
        assert (await output.deliver(bad)).failures.keys() == {0}
        with trio.fail_after(PATIENCE):
            await mates.wait()
        assert mates.failures == {}
        assert (await output.deliver(bad)).failures == {}


@slow
async def test_what_came_back_and_can_not_be_rendered_again_fails_alone(
    mockkafka: MockKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    # JSON nested so deeply that it could just be rendered where the stack was less deep.
    mockkafka.create_topic("t")
    async with open_kafka(mockkafka.bootstrap) as connection:
        output = open_output(connection, "t")
        await output.deliver(numbered(1))
        make, rendered = output.sink.record, list[bytes]()  # type: ignore[attr-defined]

        def once_only(message: Message) -> Record:
            rendered.append(message.payload)
            if rendered.count(b"1") > 1:
                raise DeliveryFailed("nested too deeply", reason="unroutable")
            record: Record = make(message)
            return record

        monkeypatch.setattr(output.sink, "record", once_only)
        mockkafka.push_request_errors(PRODUCE, [KafkaError.INVALID_PRODUCER_EPOCH])
        first = await output.deliver(numbered(1, start=1))
        monkeypatch.undo()
        assert (await output.deliver(numbered(1, start=2))).failures == {}
    assert first.failures.keys() == {0}
    assert values(mockkafka, "t") == [b"0", b"2"]


@slow
async def test_a_fatal_error_is_healed_in_order_and_no_receipt_fails(
    mockkafka: MockKafka, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "routerd")
    mockkafka.create_topic("t")
    mockkafka.create_topic("u")
    async with open_kafka(mockkafka.bootstrap) as connection:
        one, other = open_output(connection, "t"), open_output(connection, "u")
        await one.deliver(numbered(1, start=-1))
        await other.deliver(numbered(1, start=-1))
        mockkafka.push_request_errors(PRODUCE, [FATAL])
        receipts = []
        for start in range(0, 6000, 100):
            batch = numbered(100, start=start)
            receipts += [await one.accept(batch), await other.accept(batch)]
            await trio.sleep(0.001)
        with trio.fail_after(PATIENCE):
            for receipt in receipts:
                await receipt.wait()
    assert [receipt.failures for receipt in receipts] == [{}] * len(receipts)
    for topic in ("t", "u"):
        first = list(dict.fromkeys(values(mockkafka, topic)))
        assert first == payloads(numbered(6001, start=-1))
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "a new one takes over" in caplog.text


@slow
async def test_one_fatal_error_after_the_other_is_healed(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    async with open_kafka(mockkafka.bootstrap) as connection:
        output = open_output(connection, "t")
        await output.deliver(numbered(1))
        mockkafka.push_request_errors(PRODUCE, [FATAL, FATAL, FATAL])
        receipt = await output.deliver(numbered(100, start=1))
    assert receipt.failures == {}
    assert list(dict.fromkeys(values(mockkafka, "t"))) == payloads(numbered(101))


@slow
async def test_leaving_while_a_producer_is_healed_leaves_no_receipt_open(
    mockkafka: MockKafka,
) -> None:
    mockkafka.create_topic("t")
    async with open_kafka(mockkafka.bootstrap) as connection:
        output = open_output(connection, "t")
        await output.deliver(numbered(1))
        mockkafka.push_request_errors(PRODUCE, [FATAL] * 50)
        receipt = await output.accept(numbered(100))
        await wait_until(lambda: output.status.waiting != "")
    with trio.fail_after(PATIENCE):
        await receipt.wait()
    assert len(receipt.failures) == 100


@slow
async def test_a_frozen_cluster_loses_nothing(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    async with open_kafka(mockkafka.bootstrap) as connection:
        output = open_output(connection, "t")
        await output.deliver(numbered(1))
        mockkafka.freeze()
        receipts = [await output.accept(numbered(100, start=s)) for s in range(1, 2001, 100)]
        await trio.sleep(0.5)
        assert [receipt.pending for receipt in receipts] == [100] * 20
        mockkafka.thaw()
        with trio.fail_after(PATIENCE):
            for receipt in receipts:
                await receipt.wait()
    assert values(mockkafka, "t") == payloads(numbered(2001))


@slow
async def test_brokers_that_are_down_are_one_warning_and_one_info(
    mockkafka: MockKafka, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "routerd")
    mockkafka.create_topic("t")
    async with open_kafka(mockkafka.bootstrap) as connection:
        output = open_output(connection, "t")
        await output.deliver(numbered(1))
        mockkafka.down()
        receipt = await output.accept(numbered(100))
        await wait_until(lambda: output.status.waiting != "")
        await trio.sleep(1)
        mockkafka.up()
        with trio.fail_after(PATIENCE):
            await receipt.wait()
        await wait_until(lambda: output.status.waiting == "")
    assert receipt.failures == {}
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_kafka_that_is_silent_is_polled_ever_less_often_down_to_a_bound() -> None:
    pauses = [pause_after(silence) for silence in (0, 0.01, 0.1, 0.5, 1, 3600)]
    assert pauses == [FASTEST, FASTEST, 0.005, 0.025, SLOWEST, SLOWEST]


def test_the_queue_has_room_for_twice_every_window() -> None:
    assert library_config({}, 500_000)["queue.buffering.max.messages"] == 2_000_000
    assert library_config({}, 10)["queue.buffering.max.messages"] == LEAST_QUEUE


def test_the_queue_has_always_room_for_the_largest_record() -> None:
    config = library_config({"queue.buffering.max.kbytes": 1, "message.max.bytes": 10_240}, 1)
    assert config["queue.buffering.max.kbytes"] == 21


def test_secrets_are_revealed_to_librdkafka_only() -> None:
    assert library_config({"sasl.password": Secret("open")}, 1)["sasl.password"] == "open"


@slow
async def test_a_partition_without_a_leader_is_named_while_others_confirm(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("routerd.connectors.kafka.reachability.SILENCE", 2.0)
    with MockKafka(brokers=2) as cluster:
        for number, topic in enumerate(("well", "stuck"), start=1):
            cluster.create_topic(topic, 1)
            cluster.set_leader(topic, 0, number)
        async with open_kafka(cluster.bootstrap) as connection:
            well, stuck = open_output(connection, "well"), open_output(connection, "stuck")
            for output in (well, stuck):
                await output.deliver(numbered(1))
            cluster.down(2)
            receipt = await stuck.accept(numbered(10))
            with trio.fail_after(PATIENCE):
                while not stuck.status.waiting:
                    await well.deliver(numbered(1))
                    await trio.sleep(0.05)
            assert well.status.waiting == ""
            cluster.up(2)
            with trio.fail_after(PATIENCE):
                await receipt.wait()
            await wait_until(lambda: stuck.status.waiting == "")
    assert caplog.text.count("kafka does not confirm") == 1
