"""Program: one publisher and many members of one group. `HOST PORT MEMBERS BROADCASTS WINDOW`.

The publisher sends to /pub with `WINDOW` broadcasts on their way at a time; the members are at
/sub and count bytes. A broadcast is over when as many bytes have come as all members should have.
"""

import resource
import select
import socket
import sys
import time

from tests.bench import sockets
from tests.bench.figures import percentile
from tests.bench.program import say, wait_for_go
from tests.bench.sockets import FRAME_BYTES

_STAMP_END = 22
_PATIENCE = 5.0


class House:
    """The members, read through one epoll."""

    def __init__(self, address: tuple[str, int], count: int) -> None:
        self._epoll = select.epoll()
        self.members: dict[int, socket.socket] = {}
        for _ in range(count):
            member = sockets.connect(address, "/sub")
            member.setblocking(False)
            self.members[member.fileno()] = member
            self._epoll.register(member.fileno(), select.EPOLLIN)
        self._within = dict.fromkeys(self.members, 0)
        self.bytes_read = 0
        self.took: list[int] = []

    def read(self, *, wait: float) -> bool:
        """Reads what is there; False if nothing came within `wait` seconds.

        The first frame of each read is timed; those behind it came at the same moment.
        """
        ready = self._epoll.poll(wait)
        for descriptor, _ in ready:
            data = self.members[descriptor].recv(65_536)
            if not data:
                raise ConnectionResetError("the server closed a member's connection")
            within = self._within[descriptor]
            if not within and len(data) >= _STAMP_END:
                self.took.append(time.monotonic_ns() - sockets.stamp(data))
            self._within[descriptor] = (within + len(data)) % FRAME_BYTES
            self.bytes_read += len(data)
        return bool(ready)

    def forget(self) -> None:
        """Begins to count anew."""
        self.bytes_read = 0
        self.took.clear()


def _main() -> None:
    host, *numbers = sys.argv[1:]
    port, count, broadcasts, window = map(int, numbers)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    house = House((host, port), count)
    publisher = sockets.connect((host, port), "/pub")
    _broadcast(house, publisher, broadcasts=3, window=1)
    house.forget()
    say(ready=1)
    wait_for_go()
    began = time.monotonic()
    ended = _broadcast(house, publisher, broadcasts=broadcasts, window=window)
    took = sorted(house.took) or [0]
    say(
        began=began,
        ended=ended,
        arrived=house.bytes_read // FRAME_BYTES,
        p50_ms=percentile(took, 0.5) / 1e6,
        p99_ms=percentile(took, 0.99) / 1e6,
    )
    wait_for_go()


def _broadcast(house: House, publisher: socket.socket, *, broadcasts: int, window: int) -> float:
    """Returns when the last byte came, or when nothing has come for some seconds."""
    bytes_each = len(house.members) * FRAME_BYTES
    begin_bytes = house.bytes_read
    sent = 0
    last = time.monotonic()
    while house.bytes_read - begin_bytes < broadcasts * bytes_each:
        over = (house.bytes_read - begin_bytes) // bytes_each
        while sent < min(broadcasts, over + window):
            publisher.sendall(sockets.stamped(time.monotonic_ns()))
            sent += 1
        if house.read(wait=0.5):
            last = time.monotonic()
        elif time.monotonic() - last > _PATIENCE:
            break
    return last


if __name__ == "__main__":
    _main()
