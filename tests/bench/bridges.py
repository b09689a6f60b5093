"""What is measured from MQTT to Kafka: routerd and mq-bridge, started with the same job."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import peers
from tests.bench.cases import PEER, ROUTERD
from tests.bench.mqtt_bytes import FILTER
from tests.rig.daemon import Routerd
from tests.rig.process import Child


@dataclass(frozen=True)
class Job:
    """Take what is published to `FILTER` at the broker and put it into one Kafka topic.

    Attributes:
        inflight: most messages unconfirmed at a time.
    """

    mqtt_port: int
    bootstrap: str
    topic: str
    qos: int
    inflight: int


Bridge = Callable[[Job], AbstractContextManager[Child]]
"""Runs a job from `with` to its end; may not have subscribed yet when it begins."""


@contextmanager
def _run_routerd(job: Job) -> Iterator[Child]:
    with Routerd(_TABLE.format(job=job)) as daemon:
        assert daemon.child is not None
        yield daemon.child


_TABLE = """
[mqtt]
url = "mqtt://127.0.0.1:{job.mqtt_port}"
client_id = "bench"

[kafka]
bootstrap_servers = "{job.bootstrap}"

[admin]
listen = "127.0.0.1:0"

[[route]]
name = "telemetry"
from = {{ address = "mqtt:bench/{{device}}/temperature", qos = {job.qos} }}
to = "kafka:{job.topic}"
key = "{{device}}"
inflight = {job.inflight}
"""


@contextmanager
def _run_mq_bridge(job: Job) -> Iterator[Child]:
    """The fastest of six settings tried on another machine, not tuned again for this one.

    It acknowledges after Kafka has, which is its default (`delayed_ack` off). The key of its
    records, and a header, is an id that it gives each message; no `partition_key` that we tried
    brought the MQTT topic into it.
    """
    route = {
        "input": {
            "mqtt": {
                "url": f"tcp://127.0.0.1:{job.mqtt_port}",
                "topic": FILTER,
                "qos": job.qos,
                "client_id": "bench",
                "clean_session": False,
                "protocol": "v5",
                "max_inflight": job.inflight,
                "queue_capacity": 100_000,
            }
        },
        "output": {
            "kafka": {
                "url": job.bootstrap,
                "topic": job.topic,
                "create_topic": False,
                "producer_options": [
                    ["linger.ms", "5"],
                    ["acks", "all"],
                    ["enable.idempotence", "true"],
                ],
            }
        },
        "batch_size": 4096,
        "concurrency": 4,
    }
    with tempfile.TemporaryDirectory(prefix="mq-bridge-") as folder:
        file = Path(folder) / "route.json"
        file.write_text(json.dumps(route))
        start = "import sys, mq_bridge; mq_bridge.Route.from_file(sys.argv[1]).run()"
        command: list[str | Path] = [peers.python(peers.MQ_BRIDGE), "-c", start, file]
        child = Child(command, name="mq-bridge", folder=Path(folder))
        try:
            yield child
        finally:
            child.kill()


BRIDGES: dict[str, Bridge] = {ROUTERD: _run_routerd, PEER: _run_mq_bridge}
