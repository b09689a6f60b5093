"""Suites: MQTT to Kafka, through mosquitto and without a broker's limit."""

import contextlib
import itertools
import time
from contextlib import ExitStack, closing
from functools import partial
from typing import Protocol

from confluent_kafka import KafkaException

from tests.bench import usage
from tests.bench.arrivals import Arrivals
from tests.bench.bridges import BRIDGES, Bridge, Job
from tests.bench.cases import SIZE, Case, Scale
from tests.bench.figures import Run
from tests.bench.program import Program
from tests.rig.kafka import Kafka
from tests.rig.mockkafka import MockKafka
from tests.rig.mosquitto import Mosquitto
from tests.rig.mqttpub import Publisher
from tests.rig.process import Child

MOCK = "mock Kafka"
REAL = "Apache Kafka"
_PARTITIONS = 4
_PUBLISHER_WINDOW = 2000
_FIREHOSE_WINDOW = 5000
_INFLIGHT = 2000
_FIREHOSE_INFLIGHT = 20_000
_WARM_UP = 1000
_SUBSCRIBED_WITHIN = 20.0
_numbers = itertools.count(1)


class Cluster(Protocol):
    """What the rig's two kinds of Kafka have in common."""

    bootstrap: str

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Returns when it is there."""


def scenario(qos: int, kafka: str) -> str:
    """The name of the rows through mosquitto."""
    return f"MQTT QoS {qos} -> {kafka}"


def firehose_scenario(qos: int) -> str:
    """The name of the rows without a broker."""
    return f"firehose QoS {qos} -> {MOCK}"


def mock(stack: ExitStack, scale: Scale) -> list[Case]:
    """Through mosquitto into the mock."""
    return _through_mosquitto(stack.enter_context(MockKafka()), MOCK, scale)


def real(stack: ExitStack, scale: Scale) -> list[Case]:
    """Through mosquitto into a real Apache Kafka, its code warmed up."""
    kafka = stack.enter_context(Kafka())
    cases = _through_mosquitto(kafka, REAL, scale)
    for bridge in BRIDGES.values():
        with contextlib.suppress(OSError, RuntimeError, KafkaException):  # its rows will say so
            _measure_through_mosquitto(kafka, bridge, qos=1, count=scale.messages // 4)
    return cases


def firehose(stack: ExitStack, scale: Scale) -> list[Case]:
    """From a program that is no broker into the mock."""
    kafka = stack.enter_context(MockKafka())
    return [
        Case(
            firehose_scenario(qos),
            subject,
            partial(_measure_firehose, kafka, bridge, qos=qos, count=scale.firehose),
        )
        for qos in (1, 0)
        for subject, bridge in BRIDGES.items()
    ]


def new_topic(kafka: Cluster) -> tuple[str, Arrivals]:
    """A topic of its own for one run, and its count."""
    name = f"bench-{next(_numbers)}"
    kafka.create_topic(name, _PARTITIONS)
    return name, Arrivals(kafka.bootstrap, name, partitions=_PARTITIONS)


def _through_mosquitto(kafka: Cluster, name: str, scale: Scale) -> list[Case]:
    return [
        Case(
            scenario(qos, name),
            subject,
            partial(_measure_through_mosquitto, kafka, bridge, qos=qos, count=scale.messages),
        )
        for qos in (1, 0)
        for subject, bridge in BRIDGES.items()
    ]


def _measure_through_mosquitto(kafka: Cluster, bridge: Bridge, *, qos: int, count: int) -> Run:
    topic, arrivals = new_topic(kafka)
    with closing(arrivals), Mosquitto(lines=["set_tcp_nodelay true", "sys_interval 0"]) as broker:
        job = Job(broker.port, kafka.bootstrap, topic, qos=qos, inflight=_INFLIGHT)
        with (
            bridge(job) as child,
            Program("publisher", broker.port, count, qos, SIZE, _PUBLISHER_WINDOW) as publisher,
        ):
            publisher.answer(timeout=30)
            _wait_subscribed(broker.port, arrivals)
            return _measure(publisher, child, arrivals, count=count, broker=broker.child)


def _measure_firehose(kafka: Cluster, bridge: Bridge, *, qos: int, count: int) -> Run:
    topic, arrivals = new_topic(kafka)
    with (
        closing(arrivals),
        Program("firehose", count, qos, SIZE, _FIREHOSE_WINDOW, _WARM_UP) as hose,
    ):
        port = int(hose.answer(timeout=10)["port"])
        job = Job(port, kafka.bootstrap, topic, qos=qos, inflight=_FIREHOSE_INFLIGHT)
        with bridge(job) as child:
            hose.answer(timeout=30)
            arrivals.wait_for(_WARM_UP)
            return _measure(hose, child, arrivals, count=count)


def _measure(
    load: Program,
    child: Child,
    arrivals: Arrivals,
    *,
    count: int,
    broker: Child | None = None,
) -> Run:
    """From the first message leaving the load program to the last one being in Kafka."""
    before = arrivals.wait_still()
    measured = [child] if broker is None else [child, broker]
    cpu_before = [usage.cpu_seconds(each.pid) for each in measured]
    load.go()
    _, ended = arrivals.wait_for(before + count)
    arrived = arrivals.wait_still() - before
    cpu = [
        (usage.cpu_seconds(each.pid) - before_it) / max(arrived, 1) * 1e6
        for each, before_it in zip(measured, cpu_before, strict=True)
    ]
    resident, peak = usage.memory_mb(child.pid)
    began = load.answer(timeout=10)["began"]
    return Run(
        expected=count,
        arrived=arrived,
        rate=arrived / (ended - began),
        cpu_us=cpu[0],
        broker_us=None if broker is None else cpu[1],
        resident_mb=resident,
        peak_mb=peak,
    )


def _wait_subscribed(port: int, arrivals: Arrivals) -> None:
    """Publishes until something comes through: nobody tells when a peer has subscribed.

    Raises:
        TimeoutError: nothing did.
    """
    deadline = time.monotonic() + _SUBSCRIBED_WITHIN
    with Publisher(port, client_id="bench-probe") as publisher:
        while not arrivals.count():
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing came through within {_SUBSCRIBED_WITHIN:g} s")
            publisher.publish([("bench/probe/temperature", b"probe")])
            time.sleep(0.2)
