"""What a process has used of the machine: CPU time and memory, read from /proc."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_GROUP, _FIRST_TIME, _LAST_TIME = 2, 11, 15  # fields of stat, counted behind the program's name


def cpu_seconds(group: int) -> float:
    """User and system time of a process group: all threads, children that have ended included."""
    ticks = 0
    for fields in _all_stats():
        if int(fields[_GROUP]) == group:
            ticks += sum(map(int, fields[_FIRST_TIME:_LAST_TIME]))
    return ticks / _TICKS_PER_SECOND


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident now, and the most it ever was (VmRSS, VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = {name: value for name, _, value in (line.partition(":") for line in status)}
    return _mb(kib["VmRSS"]), _mb(kib["VmHWM"])


def _mb(value: str) -> float:
    return int(value.split(maxsplit=1)[0]) * 1024 / 1e6


def _all_stats() -> Iterator[list[str]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):  # it has just ended
                yield (folder / "stat").read_text().rpartition(")")[2].split()
