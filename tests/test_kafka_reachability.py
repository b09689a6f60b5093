"""One line when Kafka stops to confirm, one when it does again, and no more."""

import logging
from dataclasses import dataclass

import pytest
import trio
from confluent_kafka import KafkaError
from trio.testing import MockClock

from routerd.connectors.kafka.reachability import NO_BROKER, RECENTLY, SILENCE, Reachability
from routerd.status import RouteStatus
from routerd.unrest import MOST_CHANGES, RESTS_AFTER

NO_BROKER_LEFT = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")  # noqa: SLF001
REFUSED = KafkaError(KafkaError._TRANSPORT, "Connection refused")  # noqa: SLF001
CUT_OFF = "no broker can be reached: Connection refused"


@dataclass
class Output:
    """A route's output, and when its oldest batch came that is not confirmed."""

    status: RouteStatus
    oldest: float | None = None

    def hand_over(self) -> None:
        self.oldest = trio.current_time()


@pytest.fixture
def reachability(caplog: pytest.LogCaptureFixture) -> Reachability:
    caplog.set_level(logging.INFO, "routerd")
    return Reachability("kafka")


def watched(reachability: Reachability, name: str = "r") -> Output:
    output = Output(RouteStatus(name, "mqtt:t", []))
    reachability.watch(output.status, lambda: output.oldest)
    return output


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records]


async def look_for(reachability: Reachability, seconds: float) -> None:
    until = trio.current_time() + seconds
    while trio.current_time() < until:
        await trio.sleep(1)
        reachability.look()


async def test_a_thousand_failed_connections_are_one_warning_with_the_reason(
    reachability: Reachability, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    output = watched(reachability)
    output.hand_over()
    for _ in range(1000):
        reachability.error(REFUSED)
        reachability.error(NO_BROKER_LEFT)
        reachability.look()
        await trio.sleep(0.05)
    assert levels(caplog) == ["WARNING"]
    assert CUT_OFF in caplog.text
    assert output.status.waiting == f"kafka: {CUT_OFF}"


async def test_the_reason_is_in_plain_words(
    reachability: Reachability, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    words = (
        "127.0.0.1:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: Connection refused "
        "(after 0ms in state CONNECT, 1 identical error(s) suppressed)"
    )
    reachability.error(KafkaError(KafkaError._TRANSPORT, words))  # noqa: SLF001
    reachability.error(NO_BROKER_LEFT)
    assert reachability.describe_trouble() == (
        "no broker can be reached: "
        "127.0.0.1:9092: Connect to 127.0.0.1:9092 failed: Connection refused"
    )


async def test_the_first_confirmation_is_one_info(
    reachability: Reachability, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    output = watched(reachability)
    output.hand_over()
    reachability.error(REFUSED)
    reachability.error(NO_BROKER_LEFT)
    await trio.sleep(7)
    output.oldest = None
    reachability.confirmed()
    reachability.confirmed()
    reachability.look()
    assert levels(caplog) == ["WARNING", "INFO"]
    assert "kafka confirms again connection=kafka after_s=7" in caplog.text
    assert output.status.waiting == ""


async def test_a_route_that_sent_nothing_waits_for_nothing(
    reachability: Reachability, autojump_clock: MockClock
) -> None:
    idle, busy = watched(reachability, "idle"), watched(reachability, "busy")
    busy.hand_over()
    reachability.error(REFUSED)
    reachability.error(NO_BROKER_LEFT)
    assert (idle.status.waiting, busy.status.waiting) == ("", f"kafka: {CUT_OFF}")
    idle.hand_over()
    reachability.look()
    assert idle.status.waiting == f"kafka: {CUT_OFF}"


async def test_a_broker_that_closes_an_idle_connection_is_no_news(
    reachability: Reachability, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    output = watched(reachability)
    reachability.error(NO_BROKER_LEFT)
    await look_for(reachability, RECENTLY + 1)
    reachability.error(REFUSED)
    output.hand_over()
    await trio.sleep(NO_BROKER / 2)
    reachability.look()
    assert caplog.records == []


async def test_no_broker_while_something_is_outstanding_is_said_after_a_second(
    reachability: Reachability, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    watched(reachability).hand_over()
    reachability.error(NO_BROKER_LEFT)
    await look_for(reachability, NO_BROKER)
    assert "no broker can be reached" in caplog.text


async def test_a_broker_that_is_only_silent_is_said_after_ten(
    reachability: Reachability, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    output = watched(reachability)
    output.hand_over()
    await look_for(reachability, SILENCE - 1)
    assert caplog.records == []
    await look_for(reachability, 3)
    assert levels(caplog) == ["WARNING"]
    assert "nothing of r was confirmed for 10 s" in caplog.text
    assert output.status.waiting == "kafka: it does not confirm"
    await look_for(reachability, 3)
    output.oldest = None
    reachability.look()
    assert "after_s=15" in caplog.text
    assert output.status.waiting == ""


async def test_one_topic_that_does_not_confirm_is_named_while_others_do(
    reachability: Reachability, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    well, stuck = watched(reachability, "well"), watched(reachability, "stuck")
    stuck.hand_over()
    for _ in range(30):
        well.hand_over()
        await look_for(reachability, 1)
        reachability.confirmed()
    assert levels(caplog) == ["WARNING"]
    assert "nothing of stuck was confirmed for 10 s" in caplog.text
    assert (well.status.waiting, stuck.status.waiting) == ("", "kafka: it does not confirm")
    assert reachability.describe_trouble() == "it does not confirm"


async def test_its_trouble_is_in_words_until_it_confirms(
    reachability: Reachability, autojump_clock: MockClock
) -> None:
    assert reachability.describe_trouble() == ""
    reachability.error(REFUSED)
    reachability.error(NO_BROKER_LEFT)
    assert reachability.describe_trouble().startswith("no broker can be reached: ")
    reachability.confirmed()
    assert reachability.describe_trouble() == ""


async def test_a_reset_of_the_source_leaves_what_its_sinks_wait_for(
    reachability: Reachability, autojump_clock: MockClock
) -> None:
    output = watched(reachability)
    output.hand_over()
    reachability.away("no broker can be reached")
    for state in ("backoff", "starting", "running"):
        output.status.enter(state)
    assert output.status.waiting == "kafka: no broker can be reached"


async def test_two_clusters_of_one_route_are_told_apart(
    reachability: Reachability, autojump_clock: MockClock
) -> None:
    output, other = watched(reachability), Reachability("kafka.audit")
    other.watch(output.status, lambda: output.oldest)
    output.hand_over()
    other.away("no broker can be reached")
    reachability.look()
    assert output.status.waiting == "kafka.audit: no broker can be reached"


async def test_the_last_words_of_a_producer_that_ends_in_a_thread_are_not_heard(
    reachability: Reachability, caplog: pytest.LogCaptureFixture
) -> None:
    watched(reachability).hand_over()
    for error in (REFUSED, NO_BROKER_LEFT):
        await trio.to_thread.run_sync(reachability.error, error)
    assert caplog.records == []


async def test_a_kafka_that_comes_and_goes_is_said_once_and_again_when_it_is_steady(
    reachability: Reachability, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    for _ in range(500):
        reachability.away("no broker can be reached")
        await trio.sleep(3)
        reachability.confirmed()
        await look_for(reachability, 3)
    assert len(caplog.records) == MOST_CHANGES + 1
    assert levels(caplog)[-1] == "WARNING"
    assert "kafka comes and goes; it is told when it is steady connection=kafka" in caplog.text
    await look_for(reachability, RESTS_AFTER)
    assert levels(caplog)[-1] == "INFO"
    untold = 2 * 500 - MOST_CHANGES
    assert f"kafka is steady again: it confirms connection=kafka untold={untold}" in caplog.text
    await look_for(reachability, RESTS_AFTER)
    assert len(caplog.records) == MOST_CHANGES + 2


async def test_a_kafka_that_came_and_went_and_stays_away_is_said(
    reachability: Reachability, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    for _ in range(MOST_CHANGES):
        reachability.confirmed()
        reachability.away("no broker can be reached")
        reachability.error(REFUSED)
        await trio.sleep(1)
    await look_for(reachability, RESTS_AFTER + 1)
    assert levels(caplog)[-1] == "WARNING"
    assert "kafka is steady again: it does not confirm connection=kafka" in caplog.text


async def test_one_broker_of_several_that_is_down_is_no_news(
    reachability: Reachability, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    watched(reachability)
    for _ in range(10):
        reachability.error(REFUSED)
        await look_for(reachability, 10)
    assert caplog.records == []
