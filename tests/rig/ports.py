"""Free loopback ports, for programs that can't be told to pick one and say which."""

import random
import socket
from pathlib import Path

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_SPAN = 12_000
_taken: set[int] = set()


def free_port() -> int:
    """A port that nothing listens on, never given before in this process.

    It lies below the range that the kernel gives to outgoing connections, so that a broker
    which is down for a while finds its port still free.
    """
    top = _lowest_ephemeral()
    while True:
        port = random.randrange(top - _SPAN, top)
        if port not in _taken and _is_free(port):
            _taken.add(port)
            return port


def _lowest_ephemeral() -> int:
    try:
        return max(int(_EPHEMERAL.read_text().split()[0]), 1024 + _SPAN)
    except OSError:  # not Linux
        return 32_768


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
