"""Program: publishes to a broker as fast as its window allows. `PORT COUNT QOS SIZE WINDOW`.

The frames are encoded before it begins, so that it takes little of the CPU that it shares.
"""

import socket
import sys
import time

from tests.bench.mqtt_bytes import PUBACK_BYTES, connect, message
from tests.bench.program import say, wait_for_go

_CHUNK = 200
_PACKET_IDS = 60_000  # of the 65535: a multiple of every chunk, so that chunks can come again


def _main() -> None:
    port, count, qos, size, window = map(int, sys.argv[1:])
    chunks = _encode(min(count, _PACKET_IDS), qos=qos, size=size)
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(connect("bench-publisher"))
    connection.recv(4)
    say(ready=1)
    wait_for_go()
    began = time.monotonic()
    _publish(connection, chunks, count=count, window=window if qos else sys.maxsize)
    say(began=began, ended=time.monotonic())
    wait_for_go()  # stay connected: what the kernel still holds must reach the broker


def _encode(count: int, *, qos: int, size: int) -> list[bytes]:
    return [
        b"".join(
            message(index, size, qos=qos, packet_id=index + 1)
            for index in range(begin, min(begin + _CHUNK, count))
        )
        for begin in range(0, count, _CHUNK)
    ]


def _publish(connection: socket.socket, chunks: list[bytes], *, count: int, window: int) -> None:
    sent = acknowledged_bytes = turn = 0
    waits_for_acks = window != sys.maxsize
    while sent < count or (waits_for_acks and acknowledged_bytes < count * PUBACK_BYTES):
        while sent < count and sent - acknowledged_bytes // PUBACK_BYTES < window:
            connection.sendall(chunks[turn % len(chunks)])
            turn += 1
            sent += _CHUNK
        if waits_for_acks:
            got = len(connection.recv(65_536))
            if not got:
                raise ConnectionResetError("the broker closed the publisher's connection")
            acknowledged_bytes += got


if __name__ == "__main__":
    _main()
