"""Suite: what is added to a message's way at 500 messages a second."""

import http
from contextlib import ExitStack, closing
from functools import partial

from tests.bench import usage
from tests.bench.bridges import BRIDGES, Bridge, Job
from tests.bench.cases import ROUTERD, SIZE, STEADY_RATE, Case, Scale
from tests.bench.figures import Run
from tests.bench.program import Answer, Program
from tests.bench.to_kafka import Cluster, new_topic
from tests.rig.daemon import Routerd
from tests.rig.mockkafka import MockKafka
from tests.rig.mosquitto import Mosquitto
from tests.rig.process import Child
from tests.rig.waiting import wait_until

TO_MEMBER = "500/s: member later than subscriber"
TO_KAFKA = "500/s: PUBLISH to PUBACK, mock Kafka"
BARE = "bare producer"
SECOND = "second subscriber"
_INFLIGHT = 2000
_TABLE = """
[mqtt]
url = "mqtt://127.0.0.1:{port}"
client_id = "bench"

[ws]
listen = "127.0.0.1:0"
limits = { connections_per_address = 100_000, handshake_rate = 100_000 }

[admin]
listen = "127.0.0.1:0"

[[route]]
name = "live"
from = "mqtt:latency/one"
to = "group:/sub"
"""


def suite(stack: ExitStack, scale: Scale) -> list[Case]:
    """MQTT to a group's member, and MQTT to Kafka."""
    kafka = stack.enter_context(MockKafka())
    count = scale.steady
    to_kafka = [
        Case(TO_KAFKA, subject, partial(_measure_to_kafka, kafka, bridge, count=count))
        for subject, bridge in BRIDGES.items()
    ]
    return [
        Case(TO_MEMBER, ROUTERD, partial(_measure_to_member, count=count)),
        Case(TO_MEMBER, SECOND, partial(_measure_second, count=count)),
        *to_kafka,
        Case(TO_KAFKA, BARE, partial(_measure_bare, kafka, count=count)),
    ]


def _measure_to_member(*, count: int) -> Run:
    with (
        Mosquitto(lines=["set_tcp_nodelay true"]) as broker,
        Routerd(_TABLE.format(port=broker.port)) as daemon,
    ):
        assert daemon.child is not None
        wait_until(lambda: daemon.get("/readyz").status == http.HTTPStatus.OK, "the route runs")
        with Program("beside", broker.port, count, STEADY_RATE, *daemon.ws_address) as load:
            load.answer(timeout=60)
            return _measure(load, daemon.child, count=count)


def _measure_second(*, count: int) -> Run:
    with (
        Mosquitto(lines=["set_tcp_nodelay true"]) as broker,
        Program("beside", broker.port, count, STEADY_RATE) as load,
    ):
        load.answer(timeout=60)
        return _measure(load, load.child, count=count)


def _measure_to_kafka(kafka: Cluster, bridge: Bridge, *, count: int) -> Run:
    topic, arrivals = new_topic(kafka)
    with closing(arrivals), Program("paced", count, STEADY_RATE, SIZE) as load:
        port = int(load.answer(timeout=10)["port"])
        job = Job(port, kafka.bootstrap, topic, qos=1, inflight=_INFLIGHT)
        with bridge(job) as child:
            load.answer(timeout=60)
            return _measure(load, child, count=count)


def _measure_bare(kafka: Cluster, *, count: int) -> Run:
    topic, arrivals = new_topic(kafka)
    with (
        closing(arrivals),
        Program("bare", kafka.bootstrap, topic, count, STEADY_RATE) as load,
    ):
        load.answer(timeout=60)
        return _measure(load, load.child, count=count)


def _measure(load: Program, child: Child, *, count: int) -> Run:
    cpu_before = usage.cpu_seconds(child.pid)
    load.go()
    answer = load.answer(timeout=30 + 2 * count / STEADY_RATE)
    cpu = usage.cpu_seconds(child.pid) - cpu_before
    return _as_run(answer, cpu, child, count=count)


def _as_run(answer: Answer, cpu: float, child: Child, *, count: int) -> Run:
    arrived = int(answer["arrived"])
    resident, peak = usage.memory_mb(child.pid)
    return Run(
        expected=count,
        arrived=arrived,
        rate=arrived / (answer["ended"] - answer["began"]),
        cpu_us=cpu / max(arrived, 1) * 1e6,
        resident_mb=resident,
        peak_mb=peak,
        p50_ms=answer["p50_ms"],
        p99_ms=answer["p99_ms"],
    )
