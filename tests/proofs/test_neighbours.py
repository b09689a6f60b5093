"""What goes wrong in one route is not noticed in the others."""

import json
from collections.abc import Callable

from tests.proofs.history import judge, some_readings
from tests.proofs.tables import head, telemetry
from tests.proofs.watching import status_of, wait_running, wait_state
from tests.rig.daemon import Routerd
from tests.rig.kafka import Kafka
from tests.rig.mosquitto import Mosquitto
from tests.rig.mqttpub import Publisher
from tests.rig.waiting import wait_until

ROUTES, EACH, WINDOW = 50, 400, 100

DEAD = """
[kafka.dead]
bootstrap_servers = "127.0.0.1:1"
"""


def test_fifty_full_routes_do_not_notice_the_broken_ones(
    mosquitto: Mosquitto,
    start_kafka: Callable[..., Kafka],
    start_routerd: Callable[..., Routerd],
) -> None:
    kafka = start_kafka(acls=True)
    for name in ("good", "secret"):
        kafka.create_topic(name, 4)
    kafka.permit("good")
    broken = {"unknown": '"kafka:nowhere"', "forbidden": '"kafka:secret"'}
    table = head(mosquitto.url, kafka.bootstrap) + DEAD
    for name, to in broken.items():
        table += telemetry(to, name=name, filter_=f"{name}/{{device}}")
    audited = '["kafka:good", { address = "kafka.dead:audit", required = false }]'
    table += telemetry(audited, name="audited", filter_="audited/{device}")
    for number in range(ROUTES):
        more = f"inflight = {WINDOW}"
        table += telemetry(
            '"kafka:good"', name=f"r{number}", filter_=f"r{number}/{{device}}", more=more
        )
    routerd = start_routerd(table)
    wait_running(routerd)
    with Publisher(mosquitto.port) as publisher:
        for name in broken:
            assert len(publisher.publish([(f"{name}/d", b"x")] * 20)) == 20
        for name in broken:
            wait_state(routerd, name, "failed", timeout=60)
        payloads = [payload for _, payload in some_readings((ROUTES + 1) * EACH)]
        names = ["audited", *(f"r{number}" for number in range(ROUTES))]
        messages = [
            (f"{names[number % len(names)]}/d{payload.split(b':')[0].decode()}", payload)
            for number, payload in enumerate(payloads)
        ]
        kafka.freeze()
        assert len(publisher.publish(messages)) == len(messages)
        wait_until(lambda: _least_inflight(routerd) >= WINDOW, "every window is full")
        kafka.thaw()
    kafka.records.wait_until_count("good", len(messages), timeout=60)
    for name in names:
        _wait_settled(routerd, name)
        assert status_of(routerd, name)["restarts"] == 0
        assert status_of(routerd, name)["state"] == "running"
    for name in broken:
        status = status_of(routerd, name)
        assert (status["state"], status["restarts"]) == ("failed", 0)
        assert status["inflight"] == status["received"] > 0  # the rest still is with the broker
    assert "nowhere" in status_of(routerd, "unknown")["standing"]["error"]
    assert "secret" in status_of(routerd, "forbidden")["standing"]["error"]
    assert routerd.stop() == 0
    verdict = judge(messages, kafka.records.read("good"))
    assert (verdict.lost, verdict.duplicates, verdict.strangers) == ([], 0, 0)


def _least_inflight(routerd: Routerd) -> int:
    """Of the fifty."""
    routes: list[dict[str, int]] = json.loads(routerd.get("/status.json").text)["routes"]
    return min(route["inflight"] for route in routes if route["inflight_limit"] == WINDOW)


def _wait_settled(routerd: Routerd, name: str) -> None:
    wait_until(lambda: status_of(routerd, name)["inflight"] == 0, f"{name} has settled all")
