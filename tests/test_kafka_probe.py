"""What Kafka is asked before any message asks it, and after an outage."""

import logging
from collections.abc import Callable

import pytest
import trio

from tests.kafka_house import numbered, open_kafka, open_output, wait_until
from tests.rig.kafka import Kafka
from tests.rig.mockkafka import MockKafka

pytestmark = pytest.mark.slow

StartKafka = Callable[..., Kafka]


async def test_missing_topics_are_named_before_any_message(
    mockkafka: MockKafka, caplog: pytest.LogCaptureFixture
) -> None:
    mockkafka.create_topic("there", 1)
    async with open_kafka(mockkafka.bootstrap) as connection:
        for topic in ("there", "chat", "telemetry", "{device}"):
            open_output(connection, topic)
        connection.serve()
        await wait_until(lambda: "kafka topics are missing" in caplog.text)
    [line] = [record.getMessage() for record in caplog.records]
    assert line.endswith("connection=kafka topics='chat and telemetry'")


async def test_topics_are_asked_for_again_when_kafka_has_come_up(
    mockkafka: MockKafka, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("routerd.connectors.kafka.probe.FIRST_RETRY", 0.1)
    monkeypatch.setattr("routerd.connectors.kafka.probe.PATIENCE", 0.2)
    mockkafka.down()
    async with open_kafka(mockkafka.bootstrap, reconnect_backoff_max_ms=200) as connection:
        open_output(connection, "missing")
        connection.serve()
        await wait_until(lambda: connection.reachability.describe_trouble() != "")
        assert "topics are missing" not in caplog.text
        mockkafka.up()
        await wait_until(lambda: "kafka topics are missing" in caplog.text)


async def test_an_idle_connection_learns_that_kafka_is_back(
    mockkafka: MockKafka, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("routerd.connectors.kafka.probe.ASK_EVERY", 0.2)
    mockkafka.create_topic("quiet", 1)
    mockkafka.down()
    async with open_kafka(mockkafka.bootstrap, reconnect_backoff_max_ms=200) as connection:
        output = open_output(connection, "quiet")
        open_output(connection, "missing")  # which must not keep the rest from being asked
        connection.serve()
        await wait_until(lambda: connection.reachability.describe_trouble() != "")
        mockkafka.up()
        await wait_until(lambda: "kafka confirms again" in caplog.text)
        assert connection.reachability.describe_trouble() == ""
        assert (await output.deliver(numbered(1))).failures == {}


async def test_a_route_waits_for_its_topic_until_it_is_there(
    mockkafka: MockKafka, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("routerd.connectors.kafka.probe.FIRST_RETRY", 0.1)
    async with open_kafka(mockkafka.bootstrap) as connection:
        needs = open_output(connection, "chat")
        best_effort = open_output(connection, "chat", required=False)
        other = open_output(connection, "{device}")
        connection.serve()
        await wait_until(lambda: needs.status.waiting != "")
        assert needs.status.waiting == "kafka topic: `chat` does not exist"
        assert best_effort.status.waiting == other.status.waiting == ""
        mockkafka.create_topic("chat", 1)
        await wait_until(lambda: needs.status.waiting == "")
    assert caplog.text.count("kafka topics are missing") == 1
    assert "kafka topics are there now" in caplog.text


@pytest.mark.kafka
async def test_asking_for_a_topic_does_not_create_it(
    start_kafka: StartKafka, caplog: pytest.LogCaptureFixture
) -> None:
    def start() -> Kafka:
        return start_kafka(settings={"auto.create.topics.enable": "true"})

    broker = await trio.to_thread.run_sync(start)
    for gapless in (False, True):
        caplog.clear()
        async with open_kafka(
            broker.bootstrap,
            allow_auto_create_topics=True,
            enable_gapless_guarantee=gapless,
        ) as connection:
            open_output(connection, "never-made")
            connection.serve()
            await wait_until(lambda: "never-made" in caplog.text)
