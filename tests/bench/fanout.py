"""Suite: one publisher, all members of a group."""

from contextlib import ExitStack
from functools import partial

from tests.bench import usage
from tests.bench.cases import ROUTERD, Case, Scale
from tests.bench.figures import Run
from tests.bench.program import Program
from tests.rig.daemon import Routerd

SPARSE, BUSY = 1, 16
"""Broadcasts on their way at a time."""
_MEMBERS = (100, 1000, 5000)
_QUICK_MEMBERS = 1000
_QUICK_DELIVERIES = 50_000
_TABLE = """
[ws]
listen = "127.0.0.1:0"
limits = { connections_per_address = 100_000, handshake_rate = 100_000 }

[admin]
listen = "127.0.0.1:0"

[[route]]
name = "broadcast"
from = "ws:/pub"
to = "group:/sub"
"""


def scenario(members: int, window: int) -> str:
    """The name of a row."""
    return f"fan-out to {members:,}, {window} at a time"


def suite(_stack: ExitStack, scale: Scale) -> list[Case]:
    """WebSocket to group."""
    is_quick = scale.deliveries < _QUICK_DELIVERIES
    cases = []
    for members in _MEMBERS:
        if is_quick and members > _QUICK_MEMBERS:
            continue
        for window in (SPARSE, BUSY):
            deliveries = scale.deliveries if window == SPARSE else scale.busy_deliveries
            broadcasts = max(20, deliveries // members)
            measure = partial(_measure, members=members, broadcasts=broadcasts, window=window)
            cases.append(Case(scenario(members, window), ROUTERD, measure))
    return cases


def _measure(*, members: int, broadcasts: int, window: int) -> Run:
    with Routerd(_TABLE) as daemon:
        assert daemon.child is not None
        host, port = daemon.ws_address
        with Program("members", host, port, members, broadcasts, window) as house:
            house.answer(timeout=60)
            cpu_before = usage.cpu_seconds(daemon.child.pid)
            house.go()
            answer = house.answer(timeout=120)
            cpu = usage.cpu_seconds(daemon.child.pid) - cpu_before
            resident, peak = usage.memory_mb(daemon.child.pid)
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
