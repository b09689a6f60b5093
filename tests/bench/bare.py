"""Program: what Kafka's client alone takes to confirm a stream. `BOOTSTRAP TOPIC COUNT RATE`.

The yardstick for `paced`: the same settings and keys as routerd's, from `produce` to the delivery
report. Without keys it would fill one partition's batches and be done sooner.
"""

import itertools
import sys
import threading
import time

from confluent_kafka import KafkaError, Message, Producer

from tests.bench.cases import SIZE
from tests.bench.figures import percentile
from tests.bench.pacing import Schedule
from tests.bench.program import say, wait_for_go

_PATIENCE = 10.0
_PAYLOAD = b"x" * SIZE


def _main() -> None:
    bootstrap, topic, count, rate = sys.argv[1:]
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "partitioner": "murmur2_random",
        }
    )
    _stream(producer, topic, count=100, rate=float(rate))
    say(warm=1)
    wait_for_go()
    began = time.monotonic()
    took = _stream(producer, topic, count=int(count), rate=float(rate))
    say(
        began=began,
        ended=time.monotonic(),
        arrived=len(took),
        p50_ms=percentile(took, 0.5) * 1000,
        p99_ms=percentile(took, 0.99) * 1000,
    )
    wait_for_go()


def _stream(producer: Producer, topic: str, *, count: int, rate: float) -> list[float]:
    took: list[float] = []
    schedule = Schedule(count, rate)
    keys = itertools.cycle([b"device-%02d" % number for number in range(20)])
    is_over = threading.Event()
    poller = threading.Thread(target=_poll_until, args=(producer, is_over))
    poller.start()
    while not schedule.is_over:
        if schedule.take_if_due():
            _produce(producer, topic, next(keys), took)
        time.sleep(schedule.wait(0.01))
    deadline = time.monotonic() + _PATIENCE
    while len(producer) and time.monotonic() < deadline:
        time.sleep(0.001)
    is_over.set()
    poller.join()
    return sorted(took)


def _poll_until(producer: Producer, is_over: threading.Event) -> None:
    """A thread: the only way to hear of a delivery at once."""
    while not is_over.is_set():
        producer.poll(0.1)


def _produce(producer: Producer, topic: str, key: bytes, took: list[float]) -> None:
    began = time.monotonic()

    def take(error: KafkaError | None, _message: Message) -> None:
        if error is None:
            took.append(time.monotonic() - began)

    producer.produce(topic, _PAYLOAD, key, on_delivery=take)


if __name__ == "__main__":
    _main()
