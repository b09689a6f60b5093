"""A message that Kafka refuses stands by itself: nothing else suffers, and it heals by itself."""

from collections.abc import Callable

from tests.proofs.history import judge, some_readings
from tests.proofs.tables import head, telemetry
from tests.proofs.watching import status_of, wait_running, wait_state
from tests.rig.daemon import Routerd
from tests.rig.kafka import Kafka
from tests.rig.mosquitto import Mosquitto
from tests.rig.mqttpub import Publisher

POISON = ("sensors/d7/temperature", b"7:poison" + b" " * 5000)


def test_a_route_stands_at_a_poisoned_message_until_the_topic_takes_it(
    mosquitto: Mosquitto, kafka: Kafka, topic: str, start_routerd: Callable[..., Routerd]
) -> None:
    kafka.create_topic(topic, 1, config={"max.message.bytes": "2000"})
    routerd = start_routerd(
        head(mosquitto.url, kafka.bootstrap)
        + telemetry(f'"kafka:{topic}"', more='on_error = "stop"')
    )
    wait_running(routerd)
    messages = [*some_readings(50), POISON, *some_readings(50, start=50)]
    with Publisher(mosquitto.port) as publisher:
        assert len(publisher.publish(messages)) == 101
        status = wait_state(routerd, "telemetry", "failed")
        assert status["standing"]["topic"] == POISON[0]
        assert status["standing"]["size"] == len(POISON[1])
        assert "large" in status["standing"]["error"].lower()
        kafka.set_topic_config(topic, "max.message.bytes", "100000")
        wait_state(routerd, "telemetry", "running", timeout=90)
        later = some_readings(20, start=100)
        assert len(publisher.publish(later)) == 20
    kafka.records.wait_until_count(topic, 121)
    status = status_of(routerd, "telemetry")
    assert (status["restarts"], status["mqtt_connected"], status["standing"]) == (0, True, None)
    assert len(routerd.events("mqtt connected")) == 1
    assert routerd.stop() == 0
    verdict = judge([*messages, *later], kafka.records.read(topic))
    assert (verdict.lost, verdict.duplicates, verdict.strangers) == ([], 0, 0)
