"""An MQTT broker that goes: what it keeps is not lost, and what it forgets is named."""

import time
from collections.abc import Callable

from tests.proofs.history import judge, some_readings
from tests.proofs.publishing import Firehose
from tests.proofs.tables import head, telemetry
from tests.proofs.watching import status_of, wait_running
from tests.rig.daemon import Routerd
from tests.rig.faultproxy import FaultProxy
from tests.rig.kafka import Kafka
from tests.rig.mosquitto import Mosquitto
from tests.rig.mqttpub import Publisher
from tests.rig.waiting import wait_until

StartMosquitto = Callable[..., Mosquitto]
StartRouterd = Callable[..., Routerd]
StartKafka = Callable[..., Kafka]

HELD = 500
RESETS = 5


def test_a_restart_that_keeps_the_session_loses_nothing(
    start_mosquitto: StartMosquitto, start_kafka: StartKafka, start_routerd: StartRouterd
) -> None:
    kafka, mosquitto = start_kafka(), start_mosquitto(persistence=True)
    kafka.create_topic("telemetry", 4)
    routerd = start_routerd(head(mosquitto.url, kafka.bootstrap) + telemetry('"kafka:telemetry"'))
    wait_running(routerd)
    messages = some_readings(2 * HELD)
    _publish(mosquitto, messages[:HELD])
    kafka.records.wait_until_count("telemetry", HELD)
    kafka.freeze()
    _publish(mosquitto, messages[HELD:])
    _wait_inflight(routerd, HELD)
    mosquitto.restart()
    routerd.wait_event("mqtt connected", count=2)
    kafka.thaw()
    _wait_inflight(routerd, 0)
    kafka.records.wait_until_count("telemetry", 2 * HELD)
    wait_running(routerd)
    assert routerd.stop() == 0
    assert routerd.events("the broker lost our session: what it had queued is gone") == []
    verdict = judge(messages, kafka.records.read("telemetry"))
    assert (verdict.lost, verdict.inversions, verdict.strangers) == ([], 0, 0)
    assert mosquitto.log.count("Error") == mosquitto.log.count("rotocol") == 0


def test_connections_that_are_reset_under_load_lose_nothing(
    mosquitto: Mosquitto, kafka: Kafka, topic: str, start_routerd: StartRouterd
) -> None:
    kafka.create_topic(topic, 4)
    with FaultProxy(mosquitto.port) as proxy:
        url = f"mqtt://127.0.0.1:{proxy.port}"
        routerd = start_routerd(head(url, kafka.bootstrap) + telemetry(f'"kafka:{topic}"'))
        wait_running(routerd)
        with Firehose(mosquitto.port) as firehose:
            for number in range(RESETS):
                time.sleep(0.5)
                proxy.reset()
                routerd.wait_event("mqtt connected", count=number + 2)
        kafka.records.wait_until_count(topic, len(firehose.acknowledged), timeout=60)
        _wait_inflight(routerd, 0)
        assert status_of(routerd, "telemetry")["restarts"] == RESETS
        assert routerd.stop() == 0
    verdict = judge(firehose.acknowledged, kafka.records.read(topic))
    assert (verdict.lost, verdict.inversions, verdict.strangers) == ([], 0, 0)
    assert mosquitto.log.count("rotocol error") == 0


def test_a_session_that_is_lost_is_named_and_what_we_held_is_delivered(
    start_mosquitto: StartMosquitto, start_kafka: StartKafka, start_routerd: StartRouterd
) -> None:
    kafka, mosquitto = start_kafka(), start_mosquitto(persistence=True)
    kafka.create_topic("telemetry", 4)
    routerd = start_routerd(head(mosquitto.url, kafka.bootstrap) + telemetry('"kafka:telemetry"'))
    wait_running(routerd)
    messages = some_readings(2 * HELD)
    kafka.freeze()
    _publish(mosquitto, messages[:HELD])
    _wait_inflight(routerd, HELD)
    mosquitto.restart(forgets=True)
    routerd.wait_event("the broker lost our session: what it had queued is gone")
    assert routerd.metric("routerd_mqtt_sessions_lost_total", route="telemetry") == 1
    kafka.thaw()
    wait_running(routerd)
    _publish(mosquitto, messages[HELD:])
    kafka.records.wait_until_count("telemetry", 2 * HELD)
    _wait_inflight(routerd, 0)
    # Their acknowledgements belong to a connection that is gone: none may leave on the new one.
    assert status_of(routerd, "telemetry")["late_acknowledgements"] == HELD
    assert routerd.metric("routerd_messages_dropped_total") == 0
    assert routerd.stop() == 0
    assert judge(messages, kafka.records.read("telemetry")).is_clean
    assert mosquitto.log.count("Error") == mosquitto.log.count("rotocol") == 0


def test_what_fails_after_its_session_was_lost_is_dropped_by_name(
    start_mosquitto: StartMosquitto, kafka: Kafka, topic: str, start_routerd: StartRouterd
) -> None:
    kafka.create_topic(topic, 1, config={"max.message.bytes": "1000"})
    mosquitto = start_mosquitto(persistence=True)
    routerd = start_routerd(head(mosquitto.url, kafka.bootstrap) + telemetry(f'"kafka:{topic}"'))
    wait_running(routerd)
    _publish(mosquitto, some_readings(1, size=5000))
    wait_until(lambda: status_of(routerd, "telemetry")["state"] == "failed", "it stands")
    mosquitto.restart(forgets=True)
    wait_until(
        lambda: routerd.metric("routerd_messages_dropped_total", reason="session_lost") == 1,
        "the message is dropped by name",
    )
    wait_running(routerd)
    assert any("session_lost" in str(line) for line in routerd.troubles())
    assert routerd.stop() == 0


def _publish(mosquitto: Mosquitto, messages: list[tuple[str, bytes]]) -> None:
    with Publisher(mosquitto.port) as publisher:
        assert len(publisher.publish(messages)) == len(messages)


def _wait_inflight(routerd: Routerd, count: int) -> None:
    wait_until(lambda: routerd.metric("routerd_inflight_messages") == count, f"{count} in flight")
