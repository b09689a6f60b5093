"""A process that outlives pytest by a moment and kills what pytest has left running.

It reads lines `+GROUP` and `-GROUP` (process groups) from a pipe. The pipe ends when its
writer does, however that came about, kill -9 included; then every group still listed is killed.

PR_SET_PDEATHSIG would need no process, but it fires when the *thread* that forked ends, and
spares grandchildren.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable

_pipes: dict[int, int] = {}


def watch(group: int) -> None:
    """Has the process group killed when this process ends."""
    _tell(f"+{group}\n")


def forget(group: int) -> None:
    """Takes `watch` back: the group is gone, its number may be used again."""
    _tell(f"-{group}\n")


def _tell(line: str) -> None:
    own = os.getpid()  # a forked child needs a reaper of its own
    if own not in _pipes:
        _pipes[own] = _start()
    os.write(_pipes[own], line.encode())


def _start() -> int:
    """The writing end of a new reaper's pipe; it is not inherited by what else is started."""
    reading, writing = os.pipe()
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-S", "-E", __file__],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, reading, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        ],
        setsid=True,
    )
    os.close(reading)
    return writing


def _reap(lines: Iterable[str]) -> None:
    groups: set[int] = set()
    for line in lines:
        number = int(line[1:])
        if line.startswith("+"):
            groups.add(number)
        else:
            groups.discard(number)
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    _reap(sys.stdin)
