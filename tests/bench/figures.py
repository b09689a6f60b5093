"""One measured run, and the runs of one row summed up. No measuring and no printing here."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

RunFigure = Callable[["Run"], float | None]


@dataclass(frozen=True)
class Run:
    """What one run of one subject came to.

    Attributes:
        expected: messages (or deliveries) that should have arrived.
        arrived: those that did; more than `expected` means duplicates.
        rate: a second.
        cpu_us: CPU microseconds of the subject for each that arrived.
        resident_mb: its memory at the end, in MB.
        peak_mb: the most that it ever had.
        broker_us: CPU microseconds of the MQTT broker for each, where there is a real one.
        p50_ms: latency, where it is what is measured.
        p99_ms: as `p50_ms`.
        trouble: why there are no figures; empty if there are.
    """

    expected: int = 0
    arrived: int = 0
    rate: float | None = None
    cpu_us: float | None = None
    resident_mb: float | None = None
    peak_mb: float | None = None
    broker_us: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    trouble: str = ""

    @property
    def is_complete(self) -> bool:
        """Nothing missing, nothing twice."""
        return not self.trouble and self.arrived == self.expected


@dataclass(frozen=True)
class Spread:
    """The median of some runs, and how far they lie apart."""

    median: float
    low: float
    high: float


@dataclass
class Row:
    """All runs of one subject in one scenario."""

    scenario: str
    subject: str
    runs: list[Run] = field(default_factory=list)

    @property
    def trouble(self) -> str:
        """Why the last of its runs that went wrong did so."""
        return next((run.trouble for run in reversed(self.runs) if run.trouble), "")

    @property
    def complete(self) -> list[Run]:
        """The runs whose figures count."""
        return [run for run in self.runs if run.is_complete]

    def spread(self, figure: RunFigure) -> Spread | None:
        """Of the complete runs; of all that have the figure if none was complete."""
        return _spread([figure(run) for run in self.complete or self.runs])


def _spread(values: Sequence[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Spread(statistics.median(known), min(known), max(known))


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` of the ordered ones do not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
