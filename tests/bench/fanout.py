"""Suite: one publisher, all members of a group."""

from contextlib import ExitStack
from functools import partial

from tests.bench import usage
from tests.bench.cases import ROUTERD, Case, Scale
from tests.bench.figures import Run
from tests.bench.program import Program
from tests.bench.servers import SERVERS

SPARSE, BUSY = 1, 16
"""Broadcasts on their way at a time."""
_MEMBERS = (10, 100, 1000, 5000)
_QUICK_MEMBERS = (100, 1000)


def scenario(members: int, window: int) -> str:
    """The name of a row."""
    return f"fan-out to {members:,}, {window} at a time"


def suite(_stack: ExitStack, scale: Scale) -> list[Case]:
    """WebSocket to group."""
    cases = []
    for members in _MEMBERS if scale.has_peers else _QUICK_MEMBERS:
        for window in (SPARSE, BUSY):
            for subject in SERVERS if scale.has_peers else (ROUTERD,):
                is_fast = subject == ROUTERD and window == BUSY
                deliveries = scale.busy_deliveries if is_fast else scale.deliveries
                broadcasts = max(20, deliveries // max(members, 100))
                measure = partial(_measure, subject, members, broadcasts, window=window)
                cases.append(Case(scenario(members, window), subject, measure))
    return cases


def _measure(subject: str, members: int, broadcasts: int, *, window: int) -> Run:
    with (
        SERVERS[subject]() as server,
        Program("members", *server.address, members, broadcasts, window) as house,
    ):
        house.answer(timeout=60)
        cpu_before = usage.cpu_seconds(server.pid)
        house.go()
        answer = house.answer(timeout=120)
        cpu = usage.cpu_seconds(server.pid) - cpu_before
        resident, peak = usage.memory_mb(server.pid)
    arrived = int(answer["arrived"])
    return Run(
        expected=members * broadcasts,
        arrived=arrived,
        rate=arrived / (answer["ended"] - answer["began"]),
        cpu_us=cpu / max(arrived, 1) * 1e6,
        resident_mb=resident,
        peak_mb=peak,
        p50_ms=answer["p50_ms"],
        p99_ms=answer["p99_ms"],
    )
