"""The sink against librdkafka's mock cluster: what it hands over, and what it does when full."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from routerd.connectors.kafka.connector import KafkaConnection
from routerd.message import Message
from tests.contracts import SINK_RULES, SinkRule, name_of
from tests.kafka_house import (
    PATIENCE,
    KafkaSinkCase,
    Output,
    numbered,
    open_kafka,
    open_output,
    payloads,
    values,
    wait_until,
)
from tests.rig.mockkafka import MockKafka
from tests.rig.ports import free_port

if TYPE_CHECKING:
    from routerd.receipt import Receipt

pytestmark = pytest.mark.slow


@asynccontextmanager
async def open_small_queue(cluster: MockKafka) -> AsyncIterator[KafkaConnection]:
    """A producer whose queue takes some 15 records of 600 bytes."""
    async with open_kafka(
        cluster.bootstrap, message_max_bytes=1000, queue_buffering_max_kbytes=10
    ) as connection:
        yield connection


def large(count: int) -> list[Message]:
    return [Message(b"s/a", b"%03d" % number + b"x" * 600, 1) for number in range(count)]


class Accepting:
    """An `accept` in a task of its own."""

    def __init__(self, output: Output, messages: list[Message]) -> None:
        self.receipt: Receipt | None = None
        self.scope = trio.CancelScope()
        self._output = output
        self._messages = messages

    async def run(self) -> None:
        with self.scope:
            self.receipt = await self._output.accept(self._messages)


@pytest.mark.parametrize("required", [True, False], ids=["required", "best effort"])
@pytest.mark.parametrize("rule", SINK_RULES, ids=name_of)
async def test_the_kafka_sink_keeps_the_contract(
    rule: SinkRule, required: bool, mockkafka: MockKafka
) -> None:
    mockkafka.create_topic("t")
    async with open_kafka(mockkafka.bootstrap) as connection:
        output = open_output(connection, "{device}", required=required)
        await rule(KafkaSinkCase(output, mockkafka, "t", is_required=required))


async def test_records_have_the_key_the_headers_and_the_untouched_payload(
    mockkafka: MockKafka,
) -> None:
    mockkafka.create_topic("t")
    async with open_kafka(mockkafka.bootstrap) as connection:
        output = open_output(connection, "t", key="{device}", headers={"from": "{@topic}"})
        await output.deliver([Message(b"s/7", b"\xff\x00 {", 1)])
    assert mockkafka.records.read("t")[0][2:] == (b"7", b"\xff\x00 {", [("from", b"s/7")])


async def test_without_a_key_and_headers_there_are_none(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    async with open_kafka(mockkafka.bootstrap) as connection:
        await open_output(connection, "t").deliver(numbered(1))
    assert mockkafka.records.read("t")[0][2:] == (None, b"0", [])


async def test_an_empty_batch_is_resolved(mockkafka: MockKafka) -> None:
    async with open_kafka(mockkafka.bootstrap) as connection:
        receipt = await open_output(connection, "t").deliver([])
    assert (receipt.pending, receipt.failures) == (0, {})


async def test_many_routes_share_one_producer(mockkafka: MockKafka) -> None:
    for number in range(20):
        mockkafka.create_topic(f"t{number}")
    async with open_kafka(mockkafka.bootstrap) as connection:
        outputs = [open_output(connection, f"t{number}") for number in range(20)]
        async with trio.open_nursery() as nursery:
            for output in outputs:
                nursery.start_soon(output.deliver, numbered(100))
    assert [output.counts.delivered for output in outputs] == [100] * 20


async def test_a_batch_of_several_turns_is_delivered_in_order(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    messages = numbered(5000)
    async with open_kafka(mockkafka.bootstrap) as connection:
        await open_output(connection, "t").deliver(messages)
    assert values(mockkafka, "t") == payloads(messages)


async def test_a_record_that_is_too_large_does_not_take_its_batch_along(
    mockkafka: MockKafka,
) -> None:
    mockkafka.create_topic("t")
    messages = numbered(10)
    messages[4] = Message(b"s/a", b"x" * 1_000_000, 1)
    async with open_kafka(mockkafka.bootstrap) as connection:
        receipt = await open_output(connection, "t").deliver(messages)
    assert list(receipt.failures) == [4]
    assert "message.max.bytes" in str(receipt.failures[4])
    assert values(mockkafka, "t") == payloads(messages[:4] + messages[5:])


async def test_a_required_sink_waits_for_room_and_loses_nothing(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    messages = large(200)
    async with open_small_queue(mockkafka) as connection, trio.open_nursery() as nursery:
        accepting = Accepting(open_output(connection, "t"), messages)
        mockkafka.freeze()
        nursery.start_soon(accepting.run)
        await trio.sleep(0.3)
        assert accepting.receipt is None
        mockkafka.thaw()
        await wait_until(lambda: accepting.receipt is not None)
        assert accepting.receipt is not None
        with trio.fail_after(PATIENCE):
            await accepting.receipt.wait()
        assert accepting.receipt.failures == {}
    assert values(mockkafka, "t") == payloads(messages)


async def test_an_accept_that_is_cancelled_while_it_waits_leaves_nothing_open(
    mockkafka: MockKafka,
) -> None:
    mockkafka.create_topic("t")
    async with open_small_queue(mockkafka) as connection, trio.open_nursery() as nursery:
        output = open_output(connection, "t")
        accepting = Accepting(output, large(200))
        mockkafka.freeze()
        nursery.start_soon(accepting.run)
        await trio.sleep(0.1)
        accepting.scope.cancel()
        mockkafka.thaw()
        await wait_until(lambda: output.counts.delivered + output.counts.failed == 200)
        assert output.counts.delivered > 0
        assert output.counts.failed > 0


async def test_a_best_effort_sink_fails_at_once_what_does_not_fit(
    mockkafka: MockKafka, caplog: pytest.LogCaptureFixture
) -> None:
    mockkafka.create_topic("t")
    async with open_kafka(mockkafka.bootstrap) as connection:
        output = open_output(connection, "t", required=False, inflight=10)
        await output.deliver(numbered(1))
        mockkafka.freeze()
        receipt = await output.accept(numbered(30))
        assert list(receipt.failures) == list(range(20, 30))
        assert "best-effort Kafka output full" in str(receipt.failures[20])
        mockkafka.thaw()
        with trio.fail_after(PATIENCE):
            await receipt.wait()
        assert (output.counts.delivered, output.counts.failed) == (21, 10)
        assert (await output.deliver(numbered(20))).failures == {}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "best-effort kafka output fails route=route failed=10" in caplog.text


async def test_a_best_effort_sink_does_not_wait_for_room(mockkafka: MockKafka) -> None:
    mockkafka.create_topic("t")
    async with open_small_queue(mockkafka) as connection:
        output = open_output(connection, "t", required=False)
        mockkafka.freeze()
        receipt = await output.accept(large(200))
        assert list(receipt.failures) == list(range(200 - len(receipt.failures), 200))
        mockkafka.thaw()
        with trio.fail_after(PATIENCE):
            await receipt.wait()
    assert 0 < output.counts.delivered < 200


async def test_a_dead_best_effort_cluster_does_not_hold_a_required_one(
    mockkafka: MockKafka,
) -> None:
    mockkafka.create_topic("t")
    dead = f"127.0.0.1:{free_port()}"
    async with open_kafka(mockkafka.bootstrap) as alive, open_kafka(dead) as away:
        required = open_output(alive, "t")
        audit = open_output(away, "t", required=False, inflight=10)
        for start in range(0, 1000, 50):
            receipt = await required.accept(numbered(50, start=start))
            await audit.accept(numbered(50, start=start))
            with trio.fail_after(PATIENCE):
                await receipt.wait()
        assert (audit.counts.delivered, audit.counts.failed) == (0, 980)
    assert required.counts.delivered == 1000
    assert audit.counts.failed == 1000


async def test_leaving_with_records_outstanding_leaves_no_receipt_open(
    mockkafka: MockKafka, caplog: pytest.LogCaptureFixture
) -> None:
    mockkafka.create_topic("t")
    with trio.fail_after(PATIENCE):
        async with open_kafka(mockkafka.bootstrap) as connection:
            output = open_output(connection, "t")
            await output.deliver(numbered(1))
            mockkafka.freeze()
            receipt = await output.accept(numbered(100))
        await receipt.wait()
    assert len(receipt.failures) == 100
    assert receipt.failures[0].reason == "shutdown"
    assert caplog.records == []
    mockkafka.thaw()


async def test_leaving_by_cancellation_leaves_no_receipt_open(mockkafka: MockKafka) -> None:
    dead = f"127.0.0.1:{free_port()}"
    receipts = []
    with trio.CancelScope() as scope:
        async with open_kafka(dead) as connection:
            receipts.append(await open_output(connection, "t").accept(numbered(100)))
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert [len(receipt.failures) for receipt in receipts] == [100]


async def test_a_cluster_that_is_away_at_the_start_is_waited_for(
    mockkafka: MockKafka, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "routerd")
    mockkafka.create_topic("t")
    mockkafka.down()
    async with open_kafka(mockkafka.bootstrap) as connection:
        output = open_output(connection, "t")
        receipt = await output.accept(numbered(10))
        await wait_until(lambda: output.status.waiting != "")
        assert receipt.pending == 10
        mockkafka.up()
        with trio.fail_after(PATIENCE):
            await receipt.wait()
        await wait_until(lambda: output.status.waiting == "")
    assert receipt.failures == {}
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
