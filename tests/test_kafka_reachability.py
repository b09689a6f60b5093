"""One line when Kafka stops to confirm, one when it does again, and no more."""

import logging

import pytest
import trio
from confluent_kafka import KafkaError
from trio.testing import MockClock

from routerd.connectors.kafka.reachability import NO_BROKER, RECENTLY, SILENCE, Reachability
from routerd.status import RouteStatus

NO_BROKER_LEFT = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")  # noqa: SLF001
REFUSED = KafkaError(KafkaError._TRANSPORT, "Connection refused")  # noqa: SLF001


@pytest.fixture
def route() -> RouteStatus:
    return RouteStatus("r", "mqtt:t", [])


@pytest.fixture
def reachability(caplog: pytest.LogCaptureFixture, route: RouteStatus) -> Reachability:
    caplog.set_level(logging.INFO, "routerd")
    made = Reachability("kafka")
    made.watch(route)
    return made


async def test_a_thousand_failed_connections_are_one_warning_with_the_reason(
    reachability: Reachability,
    route: RouteStatus,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: MockClock,
) -> None:
    for _ in range(1000):
        reachability.error(REFUSED)
        reachability.error(NO_BROKER_LEFT)
        await trio.sleep(0.05)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "no broker can be reached: Connection refused" in caplog.text
    assert route.waits_for == "kafka: no broker can be reached: Connection refused"


async def test_the_first_confirmation_is_one_info(
    reachability: Reachability,
    route: RouteStatus,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: MockClock,
) -> None:
    reachability.error(REFUSED)
    reachability.error(NO_BROKER_LEFT)
    await trio.sleep(7)
    reachability.confirmed()
    reachability.confirmed()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "kafka confirms again connection=kafka after_s=7" in caplog.text
    assert route.waits_for == ""


async def test_a_route_that_comes_later_is_told_as_well(
    reachability: Reachability, autojump_clock: MockClock
) -> None:
    reachability.error(REFUSED)
    reachability.error(NO_BROKER_LEFT)
    await trio.sleep(1)
    later = RouteStatus("later", "mqtt:t", [])
    reachability.watch(later)
    assert later.waits_for == "kafka: no broker can be reached: Connection refused"


async def test_a_broker_that_closes_an_idle_connection_is_no_news(
    reachability: Reachability, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    reachability.error(NO_BROKER_LEFT)
    await trio.sleep(RECENTLY + 1)
    reachability.error(REFUSED)
    reachability.silent(NO_BROKER / 2)
    assert caplog.records == []


async def test_no_broker_while_something_is_outstanding_is_said_after_a_second(
    reachability: Reachability, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    reachability.error(NO_BROKER_LEFT)
    await trio.sleep(NO_BROKER)
    reachability.silent(NO_BROKER)
    assert "no broker can be reached" in caplog.text


async def test_a_broker_that_is_only_silent_is_said_after_ten(
    reachability: Reachability, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    reachability.silent(SILENCE - 0.1)
    assert caplog.records == []
    await trio.sleep(0.1)
    reachability.silent(SILENCE)
    reachability.silent(SILENCE + 1)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "nothing was confirmed for 10 s" in caplog.text
    await trio.sleep(5)
    reachability.confirmed()
    assert "after_s=15" in caplog.text


async def test_one_broker_of_several_that_is_down_is_no_news(
    reachability: Reachability, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    for _ in range(10):
        reachability.error(REFUSED)
        await trio.sleep(10)
    assert caplog.records == []
