"""Program: clients that send to /in. `HOST PORT CLIENTS SENDS FRAMES`.

Each sends `FRAMES` frames at once, `SENDS` times, in turn with the others, and then a ping. It is
over when the last of them has its pong: a server answers what it reads in order.
"""

import resource
import sys
import time

from tests.bench import sockets
from tests.bench.program import say, wait_for_go


def _main() -> None:
    host, *numbers = sys.argv[1:]
    port, count, sends, frames = map(int, numbers)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    clients = [sockets.connect((host, port), "/in") for _ in range(count)]
    piece = b"".join(sockets.masked(b"%08d" % number + b"x" * 92) for number in range(frames))
    say(ready=1)
    wait_for_go()
    began = time.monotonic()
    for _ in range(sends):
        for client in clients:
            client.sendall(piece)
    for client in clients:
        client.sendall(sockets.PING)
    for client in clients:
        sockets.read_pong(client)
    say(began=began, ended=time.monotonic())
    wait_for_go()


if __name__ == "__main__":
    _main()
