"""SIGTERM under load loses nothing and repeats nothing."""

import time
from collections.abc import Callable

import pytest

from tests.proofs.history import judge
from tests.proofs.publishing import Firehose
from tests.proofs.tables import head, telemetry
from tests.proofs.watching import wait_running
from tests.rig.certs import Certs
from tests.rig.daemon import Routerd
from tests.rig.kafka import Kafka
from tests.rig.mosquitto import Mosquitto

STOPS = 10
WINDOW = 200
"""Small, so that it is full and there is unread input whenever the signal comes."""


@pytest.mark.parametrize("transport", ["plain", "tls"])
def test_ten_stops_under_load_lose_and_repeat_nothing(
    transport: str,
    start_mosquitto: Callable[..., Mosquitto],
    certs: Certs,
    kafka: Kafka,
    topic: str,
    start_routerd: Callable[..., Routerd],
) -> None:
    kafka.create_topic(topic, 4)
    mosquitto = start_mosquitto(tls=certs)
    is_tls = transport == "tls"
    url = mosquitto.tls_url if is_tls else mosquitto.url
    table = head(url, kafka.bootstrap, mqtt=f'ca = "{certs.ca}"' if is_tls else "")
    routerd = start_routerd(table + telemetry(f'"kafka:{topic}"', more=f"inflight = {WINDOW}"))
    wait_running(routerd)
    with Firehose(mosquitto.port) as firehose:
        for _ in range(STOPS):
            time.sleep(0.7)
            assert routerd.stop() == 0
            assert routerd.troubles() == []
            routerd.start()
        firehose.stop()
    kafka.records.wait_until_count(topic, len(firehose.acknowledged), timeout=60)
    assert routerd.stop() == 0
    assert judge(firehose.acknowledged, kafka.records.read(topic)).is_clean
