"""Suite: clients that send as fast as they can, to a server that only takes it."""

from contextlib import ExitStack, suppress
from functools import partial

from tests.bench import servers, usage
from tests.bench.cases import ROUTERD, Case, Scale
from tests.bench.figures import Run
from tests.bench.program import Program
from tests.bench.servers import SERVERS, Server
from tests.rig.waiting import wait_until

BUNCHED, SINGLE = 20, 1
"""Frames that a client sends at once."""
_CLIENTS = (1, 10, 100)
_SUBJECTS = (ROUTERD, servers.WEBSOCKETS, servers.WS)


def scenario(clients: int, frames: int) -> str:
    """The name of a row."""
    return f"from {clients:,}, {frames} frames at once" if frames > 1 else f"from {clients:,}"


def suite(_stack: ExitStack, scale: Scale) -> list[Case]:
    """WebSocket to nowhere."""
    cases = []
    for clients in _CLIENTS:
        for frames in (BUNCHED, SINGLE):
            count = scale.shouts if frames == BUNCHED else scale.shouts // 3
            each = count // clients // frames
            for subject in _SUBJECTS if scale.has_peers else (ROUTERD,):
                measure = partial(_measure, subject, clients, each, frames=frames)
                cases.append(Case(scenario(clients, frames), subject, measure))
    return cases


def _measure(subject: str, clients: int, sends: int, *, frames: int) -> Run:
    with (
        SERVERS[subject]() as server,
        Program("shouts", *server.address, clients, sends, frames) as crowd,
    ):
        crowd.answer(timeout=60)
        heard_before = server.heard()
        cpu_before = usage.cpu_seconds(server.pid)
        crowd.go()
        answer = crowd.answer(timeout=120)
        cpu = usage.cpu_seconds(server.pid) - cpu_before
        expected = clients * sends * frames
        arrived = _wait_heard(server, heard_before + expected) - heard_before
        resident, peak = usage.memory_mb(server.pid)
    return Run(
        expected=expected,
        arrived=arrived,
        rate=arrived / (answer["ended"] - answer["began"]),
        cpu_us=cpu / max(arrived, 1) * 1e6,
        resident_mb=resident,
        peak_mb=peak,
    )


def _wait_heard(server: Server, expected: int) -> int:
    """How many it has taken; what it answers pings before is still in its hands for a moment."""
    with suppress(TimeoutError):  # the row says how many are missing
        wait_until(lambda: server.heard() >= expected, "all is heard", timeout=2)
    return server.heard()
