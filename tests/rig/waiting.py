"""Waiting, with a limit, for something that another process does.

The only sleeps of the rig are here. What is waited for is always said, so that a time-out
reads like a sentence.
"""

import socket
import time
from collections.abc import Callable

_PAUSE = 0.01


def wait_until(is_so: Callable[[], bool], what: str, *, timeout: float = 10.0) -> None:
    """Blocks until `is_so()` is true.

    Raises:
        TimeoutError: it was not within `timeout` seconds; says `what`.
    """
    deadline = time.monotonic() + timeout
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s in vain: {what}")
        time.sleep(_PAUSE)


def accepts(port: int, *, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections on `port`."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
