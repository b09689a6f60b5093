"""What a suite is made of, and how much of everything it does."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from tests.bench.figures import Run

ROUTERD = "routerd"
PEER = "mq-bridge"


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        runs: of each case; they are interleaved.
        messages: through a real broker.
        firehose: messages without a broker's limit.
        deliveries: to the members of a group.
        busy_deliveries: the same with many broadcasts at a time, where that is fast.
        steady: messages of the steady stream that latency is measured on.
        shouts: messages of WebSocket clients that are only taken.
        has_peers: whether WebSocket servers are measured beside their peers.
    """

    runs: int
    messages: int
    firehose: int
    deliveries: int
    busy_deliveries: int
    steady: int
    shouts: int
    has_peers: bool


FULL = Scale(
    runs=3,
    messages=80_000,
    firehose=400_000,
    deliveries=300_000,
    busy_deliveries=2_000_000,
    steady=5_000,
    shouts=1_000_000,
    has_peers=True,
)
QUICK = Scale(
    runs=1,
    messages=10_000,
    firehose=40_000,
    deliveries=20_000,
    busy_deliveries=100_000,
    steady=1_000,
    shouts=50_000,
    has_peers=False,
)
SIZE = 100
"""Bytes of a payload."""
STEADY_RATE = 500.0
"""Messages a second of the steady stream."""


@dataclass(frozen=True)
class Case:
    """One row of the table: `measure` makes one run of it."""

    scenario: str
    subject: str
    measure: Callable[[], Run]


Suite = Callable[[ExitStack, Scale], list[Case]]
"""Starts on the stack what all its runs share, e.g. Kafka, and says what to run."""
