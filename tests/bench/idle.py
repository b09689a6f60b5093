"""Suite: what a client costs that is connected and says nothing."""

from contextlib import ExitStack
from functools import partial

from tests.bench import usage
from tests.bench.cases import ROUTERD, Case, Scale
from tests.bench.figures import Run
from tests.bench.program import Program
from tests.bench.servers import SERVERS

FEW, MANY = 100, 5100
_QUICK_MANY = 1100


def scenario(clients: int) -> str:
    """The name of a row."""
    return f"{clients:,} idle clients"


def suite(_stack: ExitStack, scale: Scale) -> list[Case]:
    """Members whom nobody tells anything."""
    return [
        Case(scenario(clients), subject, partial(_measure, subject, clients))
        for clients in (FEW, MANY if scale.has_peers else _QUICK_MANY)
        for subject in (SERVERS if scale.has_peers else (ROUTERD,))
    ]


def _measure(subject: str, clients: int) -> Run:
    with SERVERS[subject]() as server, Program("members", *server.address, clients, 1, 1) as house:
        house.answer(timeout=60)
        resident, peak = usage.memory_mb(server.pid)
    return Run(expected=clients, arrived=clients, resident_mb=resident, peak_mb=peak)
