"""Program: a broker without a limit. `COUNT QOS SIZE WINDOW WARM_UP`.

It sends `WARM_UP` messages to the first subscriber, and `COUNT` more when told to go. QoS 1
keeps at most `WINDOW` unacknowledged; QoS 0 is as fast as the subscriber reads.
"""

import sys
import time

from tests.bench.fakebroker import FakeBroker
from tests.bench.mqtt_bytes import message
from tests.bench.program import say, wait_for_go

_CHUNK = 100
_PACKET_IDS = 60_000


def _main() -> None:
    count, qos, size, window, warm_up = map(int, sys.argv[1:])
    broker = FakeBroker()
    chunks = _encode(qos, size, version=broker.version)
    _blast(broker, chunks, count=warm_up, window=window if qos else 0)
    say(warm=1)
    wait_for_go()
    began = time.monotonic()
    _blast(broker, chunks, count=count, window=window if qos else 0)
    say(began=began, ended=time.monotonic())
    wait_for_go()  # stay connected until the figures are taken


def _encode(qos: int, size: int, *, version: int) -> list[bytes]:
    return [
        b"".join(
            message(index, size, qos=qos, packet_id=index + 1, version=version)
            for index in range(begin, begin + _CHUNK)
        )
        for begin in range(0, _PACKET_IDS if qos else 10 * _CHUNK, _CHUNK)
    ]


def _blast(broker: FakeBroker, chunks: list[bytes], *, count: int, window: int) -> None:
    """All acknowledged on return. Packet ids begin anew with each call: none is in use then."""
    sent = acknowledged = 0
    send = broker.connection.sendall
    while sent < count or (window and acknowledged < count):
        while sent < count and (not window or sent - acknowledged <= window - _CHUNK):
            send(chunks[sent // _CHUNK % len(chunks)])
            sent += _CHUNK
        if window:
            acknowledged += broker.take_acks()


if __name__ == "__main__":
    _main()
