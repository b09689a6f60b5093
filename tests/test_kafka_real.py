"""The sink against a real Apache Kafka: topics, rights, limits, outages."""

import logging
from collections.abc import Callable, Iterator

import pytest
import trio

from routerd.message import Message
from tests.contracts import SINK_RULES, SinkRule, name_of
from tests.kafka_house import (
    PATIENCE,
    KafkaSinkCase,
    numbered,
    open_kafka,
    open_output,
    payloads,
    values,
    wait_until,
)
from tests.rig.kafka import Kafka

pytestmark = [pytest.mark.slow, pytest.mark.kafka]

StartKafka = Callable[..., Kafka]


@pytest.fixture(scope="module")
def troubled() -> Iterator[Kafka]:
    """A Kafka of this module's own, which its tests freeze and restart."""
    with Kafka() as broker:
        yield broker


@pytest.mark.parametrize("rule", SINK_RULES, ids=name_of)
async def test_the_sink_keeps_the_contract(rule: SinkRule, troubled: Kafka, topic: str) -> None:
    troubled.create_topic(topic)
    async with open_kafka(troubled.bootstrap) as connection:
        output = open_output(connection, "{device}")
        await rule(KafkaSinkCase(output, troubled, topic, is_required=True))


async def test_an_unknown_topic_is_named_and_holds_no_other_route(kafka: Kafka, topic: str) -> None:
    kafka.create_topic(topic)
    async with open_kafka(kafka.bootstrap) as connection:
        good = open_output(connection, topic)
        bad = open_output(connection, f"{topic}-missing")
        lost = await bad.accept(numbered(10))
        for start in range(0, 1000, 100):
            assert (await good.deliver(numbered(100, start=start))).failures == {}
        assert lost.pending == 10  # it may yet appear: the others did not wait for that
        with trio.fail_after(PATIENCE):
            await lost.wait()
        assert len(lost.failures) == 10
        assert str(lost.failures[0]) == (
            f"the Kafka topic {topic}-missing does not exist: create it"
        )
        again = await bad.deliver(numbered(1))
        assert again.failures.keys() == {0}


async def test_a_topic_that_was_created_meanwhile_is_written_to_at_the_next_offer(
    kafka: Kafka, topic: str
) -> None:
    async with open_kafka(kafka.bootstrap) as connection:
        output = open_output(connection, topic)
        assert (await output.deliver(numbered(10))).failures.keys() == set(range(10))
        kafka.create_topic(topic)
        await trio.sleep(2)  # librdkafka asks once a second; a route offers again after 60 s
        assert (await output.deliver(numbered(10))).failures == {}
    assert values(kafka, topic) == payloads(numbered(10))


async def test_a_topic_that_appears_within_seconds_fails_nothing_and_keeps_its_order(
    kafka: Kafka, topic: str
) -> None:
    async with open_kafka(kafka.bootstrap, topic_metadata_propagation_max_ms=1) as connection:
        output = open_output(connection, topic)
        receipts = [await output.accept(numbered(10))]
        await trio.sleep(0.5)
        receipts.append(await output.accept(numbered(10, start=10)))
        kafka.create_topic(topic)
        for start in range(20, 500, 10):
            receipts.append(await output.accept(numbered(10, start=start)))
            await trio.sleep(0.01)
        with trio.fail_after(PATIENCE):
            for receipt in receipts:
                await receipt.wait()
    assert [receipt.failures for receipt in receipts] == [{}] * 50
    assert values(kafka, topic) == payloads(numbered(500))


async def test_one_topic_of_a_template_that_is_missing_fails_its_messages_only(
    kafka: Kafka, topic: str
) -> None:
    kafka.create_topic(topic)
    messages = numbered(6, device=topic)
    messages[2] = Message(f"s/{topic}-missing".encode(), b"2", 1)
    async with open_kafka(kafka.bootstrap) as connection:
        receipt = await open_output(connection, "{device}").deliver(messages)
    assert receipt.failures.keys() == {2}


async def test_a_record_that_is_too_large_for_its_topic_fails_alone(
    kafka: Kafka, topic: str
) -> None:
    kafka.create_topic(topic, config={"max.message.bytes": "5000"})
    messages = [*numbered(20), Message(b"s/a", b"x" * 6000, 1), *numbered(20, start=20)]
    async with open_kafka(kafka.bootstrap) as connection:
        output = open_output(connection, topic)
        receipt = await output.deliver(messages)
        assert receipt.failures.keys() == {20}
        assert "`max.message.bytes`" in str(receipt.failures[20])
        assert (await output.deliver([messages[20]])).failures.keys() == {0}
        kafka.set_topic_config(topic, "max.message.bytes", "10000")
        assert (await output.deliver([messages[20]])).failures == {}
    found = values(kafka, topic)
    assert sorted(found, key=lambda value: int(value or b"") if len(value or b"") < 9 else 99) == (
        payloads([*numbered(40), messages[20]])
    )


async def test_bad_records_in_a_stream_of_good_ones_take_none_of_them_along(
    kafka: Kafka, topic: str
) -> None:
    # Kafka takes no record without a key into a compacted topic, nor the batch around it.
    kafka.create_topic(topic, config={"cleanup.policy": "compact"})
    messages = [
        Message(b"s/a", b'{"n": %d}' % n if n % 50 == 7 else b'{"n": %d, "k": "%d"}' % (n, n), 1)
        for n in range(1000)
    ]
    receipts = []
    async with open_kafka(kafka.bootstrap) as connection:
        output = open_output(connection, topic, key="{.k?}")
        for start in range(0, 1000, 20):
            receipts.append(await output.accept(messages[start : start + 20]))
            await trio.sleep(0.001)
        with trio.fail_after(PATIENCE):
            for receipt in receipts:
                await receipt.wait()
        refused = [20 * n + index for n, r in enumerate(receipts) for index in r.failures]
        assert refused == list(range(7, 1000, 50))
        assert "needs a `key`" in str(receipts[0].failures[7])
        assert (await output.deliver([messages[7]])).failures.keys() == {0}
    assert len(values(kafka, topic)) == 980


async def test_a_topic_that_may_not_be_written_to_is_named_and_holds_no_other_route(
    start_kafka: StartKafka,
) -> None:
    kafka = start_kafka(acls=True)
    for name in ("good", "secret"):
        kafka.create_topic(name)
    kafka.permit("good")
    async with open_kafka(kafka.bootstrap) as connection:
        good, bad = open_output(connection, "good"), open_output(connection, "secret")
        for start in range(0, 1000, 100):
            refused = await bad.deliver(numbered(10))
            assert len(refused.failures) == 10
            assert "ask for a WRITE ACL on it" in str(refused.failures[0])
            assert (await good.deliver(numbered(100, start=start))).failures == {}
        kafka.permit("secret")
        await trio.sleep(2)
        assert (await bad.deliver(numbered(10))).failures == {}


async def test_who_may_write_nowhere_is_told_so_and_goes_on_when_it_may(
    start_kafka: StartKafka, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "routerd")
    kafka = start_kafka(acls=True)
    kafka.create_topic("t")
    async with open_kafka(kafka.bootstrap) as connection:
        output = open_output(connection, "t")
        refused = await output.deliver(numbered(1))
        assert "ask for a WRITE ACL on it" in str(refused.failures[0])
        await wait_until(lambda: "IDEMPOTENT_WRITE" in caplog.text)
        kafka.permit("t")
        with trio.fail_after(2 * PATIENCE):
            while (await output.deliver(numbered(1))).failures:  # noqa: ASYNC110 - as a route does
                await trio.sleep(0.5)
    assert values(kafka, "t") == [b"0"]


async def test_a_kafka_that_stood_still_gets_everything_once_and_in_order(
    troubled: Kafka, topic: str
) -> None:
    troubled.create_topic(topic)
    async with open_kafka(troubled.bootstrap, socket_timeout_ms=2000) as connection:
        output = open_output(connection, topic)
        await output.deliver(numbered(1))
        troubled.freeze()
        receipts = [await output.accept(numbered(100, start=s)) for s in range(1, 2001, 100)]
        await trio.sleep(5)  # longer than a request may take
        troubled.thaw()
        with trio.fail_after(PATIENCE):
            for receipt in receipts:
                await receipt.wait()
    assert values(troubled, topic) == payloads(numbered(2001))


async def test_a_kafka_that_is_restarted_gets_everything_once_and_in_order(
    troubled: Kafka, topic: str
) -> None:
    troubled.create_topic(topic)
    receipts = []
    async with open_kafka(troubled.bootstrap) as connection, trio.open_nursery() as nursery:
        output = open_output(connection, topic)
        await output.deliver(numbered(1))
        nursery.start_soon(trio.to_thread.run_sync, troubled.restart)
        for start in range(1, 2001, 10):
            receipts.append(await output.accept(numbered(10, start=start)))
            await trio.sleep(0.03)
        with trio.fail_after(3 * PATIENCE):
            for receipt in receipts:
                await receipt.wait()
    assert [receipt.failures for receipt in receipts] == [{}] * 200
    assert values(troubled, topic) == payloads(numbered(2001))
