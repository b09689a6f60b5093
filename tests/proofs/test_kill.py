"""Nothing that mosquitto had acknowledged is lost when routerd is killed."""

import random
import time
from collections.abc import Callable

import pytest

from tests.proofs.history import judge, some_readings
from tests.proofs.publishing import Firehose
from tests.proofs.tables import head, telemetry
from tests.proofs.watching import wait_running
from tests.rig.daemon import Routerd
from tests.rig.kafka import Kafka
from tests.rig.mosquitto import Mosquitto
from tests.rig.mqttpub import Publisher
from tests.rig.waiting import wait_until

StartRouterd = Callable[..., Routerd]
StartKafka = Callable[..., Kafka]

BEFORE, DURING = 500, 2000
KILLS, MESSAGES = 20, 50_000


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_frozen_kafka_and_a_kill_lose_nothing(
    version: str, mosquitto: Mosquitto, start_kafka: StartKafka, start_routerd: StartRouterd
) -> None:
    kafka = start_kafka()
    kafka.create_topic("telemetry", 4)
    table = head(mosquitto.url, kafka.bootstrap, version=version)
    routerd = start_routerd(table + telemetry('"kafka:telemetry"'))
    wait_running(routerd)
    messages = some_readings(BEFORE + DURING)
    with Publisher(mosquitto.port) as publisher:
        assert len(publisher.publish(messages[:BEFORE])) == BEFORE
        kafka.records.wait_until_count("telemetry", BEFORE)
        kafka.freeze()
        assert len(publisher.publish(messages[BEFORE:])) == DURING
    wait_until(lambda: routerd.metric("routerd_inflight_messages") > 0, "routerd took some")
    routerd.kill()
    kafka.thaw()
    routerd.start()
    kafka.records.wait_until_count("telemetry", BEFORE + DURING)
    assert routerd.stop() == 0
    verdict = judge(messages, kafka.records.read("telemetry"))
    assert (verdict.lost, verdict.inversions, verdict.strangers) == ([], 0, 0)


def test_twenty_kills_under_load_lose_nothing(
    mosquitto: Mosquitto, kafka: Kafka, topic: str, start_routerd: StartRouterd
) -> None:
    kafka.create_topic(topic, 4)
    table = head(mosquitto.url, kafka.bootstrap) + telemetry(f'"kafka:{topic}"')
    routerd = start_routerd(table)
    wait_running(routerd)
    chance = random.Random(20)
    with Firehose(mosquitto.port, rate=MESSAGES / 30, most=MESSAGES) as firehose:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.1, 1.5))
            routerd.kill()
            routerd.start()
        firehose.wait()
    wait_until(
        lambda: not judge(firehose.acknowledged, kafka.records.read(topic)).lost,
        "everything is in Kafka",
        timeout=60,
    )
    assert routerd.stop() == 0
    verdict = judge(firehose.acknowledged, kafka.records.read(topic))
    assert len(firehose.acknowledged) == MESSAGES
    assert (verdict.lost, verdict.inversions, verdict.strangers) == ([], 0, 0)
    # What can come twice is what was in flight: at most the window and one read, per kill.
    assert verdict.duplicates <= KILLS * 2 * 2000
