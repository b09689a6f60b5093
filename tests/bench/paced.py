"""Program: a broker that sends a steady stream and times each PUBACK. `COUNT RATE SIZE`.

One process and one clock: from the PUBLISH leaving here to its PUBACK, which is routerd's way in,
Kafka's confirmation and the way back.
"""

import select
import sys
import time

from tests.bench.fakebroker import FakeBroker
from tests.bench.figures import percentile
from tests.bench.mqtt_bytes import message
from tests.bench.pacing import Schedule
from tests.bench.program import say, wait_for_go

_WARM_UP = 100
_PATIENCE = 10.0


def _main() -> None:
    count, rate, size = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    broker = FakeBroker()
    _stream(broker, _WARM_UP, rate, size=size)
    say(warm=1)
    wait_for_go()
    began = time.monotonic()
    took = _stream(broker, count, rate, size=size)
    say(
        began=began,
        ended=time.monotonic(),
        arrived=len(took),
        p50_ms=percentile(took, 0.5) * 1000,
        p99_ms=percentile(took, 0.99) * 1000,
    )
    wait_for_go()


def _stream(broker: FakeBroker, count: int, rate: float, *, size: int) -> list[float]:
    """Seconds from each PUBLISH to its PUBACK, ordered. PUBACKs come in the order sent."""
    frames = [
        message(index, size, qos=1, packet_id=index % 65_535 + 1, version=broker.version)
        for index in range(count)
    ]
    sent: list[float] = []
    took: list[float] = []
    schedule = Schedule(count, rate)
    while len(took) < count:
        while schedule.take_if_due():
            sent.append(time.monotonic())
            broker.connection.sendall(frames[len(sent) - 1])
        if select.select([broker.connection], [], [], schedule.wait(_PATIENCE))[0]:
            acknowledged = broker.take_acks()
            now = time.monotonic()
            took += [now - then for then in sent[len(took) : len(took) + acknowledged]]
        elif schedule.is_over:
            break
    return sorted(took)


if __name__ == "__main__":
    _main()
