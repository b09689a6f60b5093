"""received = settled + in flight, at every scrape, whatever comes and goes."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable

from tests.proofs.publishing import Firehose
from tests.proofs.tables import head, telemetry
from tests.proofs.watching import wait_running
from tests.rig.daemon import Routerd
from tests.rig.kafka import Kafka
from tests.rig.mosquitto import Mosquitto

SCRAPES = 200

ROUTES = {
    "plain": {},
    "filtered": {"more": '[route.when]\n"@topic" = { not = "sensors/d3/temperature" }\n'},
    "dropping": {"more": 'on_error = "drop"\n[route.body]\nx = "{.missing}"\n'},
}


def test_the_sum_holds_at_each_of_two_hundred_scrapes(
    start_mosquitto: Callable[..., Mosquitto],
    start_kafka: Callable[..., Kafka],
    start_routerd: Callable[..., Routerd],
) -> None:
    kafka, mosquitto = start_kafka(), start_mosquitto(persistence=True)
    kafka.create_topic("telemetry", 4)
    table = head(mosquitto.url, kafka.bootstrap)
    for name, settings in ROUTES.items():
        table += telemetry('"kafka:telemetry"', name=name, more=settings.get("more", ""))
    routerd = start_routerd(table)
    wait_running(routerd)
    stopping = threading.Event()
    trouble = threading.Thread(target=_make_trouble, args=(mosquitto, kafka, stopping))
    trouble.start()
    seen = 0
    try:
        for _ in range(SCRAPES):
            seen = max(seen, _check(routerd.get("/metrics").text))
            time.sleep(0.1)
    finally:
        stopping.set()
        trouble.join()
    assert seen > 1000
    assert routerd.metric("routerd_route_restarts_total") > 0
    assert routerd.metric("routerd_messages_dropped_total", reason="filtered") > 0
    assert routerd.metric("routerd_messages_dropped_total", reason="unroutable") > 0


def _check(scrape: str) -> int:
    """Asserts the sums of one scrape; how many messages were received."""
    totals: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for line in scrape.splitlines():
        sample, _, value = line.rpartition(" ")
        name, _, labels = sample.partition("{")
        if name.startswith("routerd_messages_") or name == "routerd_inflight_messages":
            route = labels.split('route="')[1].split('"')[0]
            totals[route][name] += float(value)
            if 'outcome="dropped"' in labels:
                totals[route]["dropped"] += float(value)
    assert len(totals) == len(ROUTES)
    for route, sums in totals.items():
        ended = sums["routerd_messages_settled_total"] + sums["routerd_inflight_messages"]
        assert sums["routerd_messages_received_total"] == ended, (route, dict(sums))
        assert sums["routerd_messages_dropped_total"] == sums["dropped"], (route, dict(sums))
    return int(sum(sums["routerd_messages_received_total"] for sums in totals.values()))


def _make_trouble(mosquitto: Mosquitto, kafka: Kafka, stopping: threading.Event) -> None:
    chance = random.Random(7)
    while not stopping.is_set():
        _publish_a_while(mosquitto, seconds=chance.uniform(0.5, 1.5))
        match chance.choice(["kafka", "mqtt", "lost"]):
            case "kafka":
                kafka.freeze()
                _publish_a_while(mosquitto, seconds=1.0)
                kafka.thaw()
            case "mqtt":
                mosquitto.restart()
            case "lost":
                mosquitto.restart(forgets=True)


def _publish_a_while(mosquitto: Mosquitto, *, seconds: float) -> None:
    with Firehose(mosquitto.port, rate=4000):
        time.sleep(seconds)
