"""What routerd wants to come to, and whether the rows say that it did."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.bench import fanout, idle, inbound, latency, servers, to_kafka
from tests.bench.cases import PEER, ROUTERD
from tests.bench.figures import Row, RunFigure
from tests.bench.to_kafka import MOCK, REAL

_RESIDENT_MB = 60


class Rows:
    """The rows by what they are of."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = {(row.scenario, row.subject): row for row in rows}

    def median(self, scenario: str, figure: RunFigure, *, subject: str = ROUTERD) -> float | None:
        """None where there is no complete run: an incomplete one meets no target."""
        row = self._rows.get((scenario, subject))
        if row is None or not row.complete:
            return None
        spread = row.spread(figure)
        return spread.median if spread else None

    def highest(self, figure: RunFigure) -> float | None:
        """Of all of routerd's runs from MQTT to Kafka through a broker."""
        scenarios = [to_kafka.scenario(qos, kafka) for qos in (0, 1) for kafka in (MOCK, REAL)]
        rows = [self._rows[name, ROUTERD] for name in scenarios if (name, ROUTERD) in self._rows]
        spreads = [row.spread(figure) for row in rows]
        return max((spread.high for spread in spreads if spread is not None), default=None)


@dataclass(frozen=True)
class Target:
    """One thing wanted.

    Attributes:
        text: what, in words, with its number.
        unit: format of the value that it came to.
        value: what it came to; None if that was not measured.
        is_met: judges the value.
    """

    text: str
    unit: str
    value: Callable[[Rows], float | None]
    is_met: Callable[[float], bool]

    def verdict(self, rows: Rows) -> tuple[str, str]:
        """What it came to, and yes, no or -."""
        value = self.value(rows)
        if value is None:
            return "not measured", "-"
        return self.unit.format(value), "yes" if self.is_met(value) else "**no**"


def _rate(scenario: str) -> Callable[[Rows], float | None]:
    return lambda rows: rows.median(scenario, lambda run: run.rate)


def _cpu(scenario: str) -> Callable[[Rows], float | None]:
    return lambda rows: rows.median(scenario, lambda run: run.cpu_us)


def _of_peer(
    scenario: str, figure: RunFigure, *, peer_name: str = PEER
) -> Callable[[Rows], float | None]:
    """Our figure as a share of the peer's in the same run."""

    def share(rows: Rows) -> float | None:
        own = rows.median(scenario, figure)
        peer = rows.median(scenario, figure, subject=peer_name)
        return own / peer if own is not None and peer else None

    return share


def _over_bare(rows: Rows) -> float | None:
    own = rows.median(latency.TO_KAFKA, lambda run: run.p99_ms)
    bare = rows.median(latency.TO_KAFKA, lambda run: run.p99_ms, subject=latency.BARE)
    return own - bare if own is not None and bare is not None else None


def _per_idle_client(rows: Rows) -> float | None:
    few = rows.median(idle.scenario(idle.FEW), lambda run: run.resident_mb)
    many = rows.median(idle.scenario(idle.MANY), lambda run: run.resident_mb)
    if few is None or many is None:
        return None
    return (many - few) * 1000 / (idle.MANY - idle.FEW)


def _of_nchan(scenario: str, least: float) -> "Target":
    share = _of_peer(scenario, lambda run: run.rate, peer_name=servers.NCHAN)
    return Target(f"{scenario}: at least {least:g} of nchan's", "{:.2f}", share, _at_least(least))


def _at_least(limit: float) -> Callable[[float], bool]:
    return lambda value: value >= limit


def _at_most(limit: float) -> Callable[[float], bool]:
    return lambda value: value <= limit


_PER_SECOND, _MICROSECONDS, _MILLISECONDS = "{:,.0f}/s", "{:.1f} µs", "{:.2f} ms"
_QOS_1, _QOS_0 = to_kafka.scenario(1, MOCK), to_kafka.scenario(0, MOCK)
_REAL_1 = to_kafka.scenario(1, REAL)
_HOSE_1, _HOSE_0 = to_kafka.firehose_scenario(1), to_kafka.firehose_scenario(0)
_SPARSE, _BUSY = fanout.scenario(1000, fanout.SPARSE), fanout.scenario(1000, fanout.BUSY)
_LARGE, _LARGE_BUSY = fanout.scenario(5000, fanout.SPARSE), fanout.scenario(5000, fanout.BUSY)
_BUNCHED = inbound.scenario(100, inbound.BUNCHED)
_SINGLE = inbound.scenario(100, inbound.SINGLE)

TARGETS = [
    Target(
        f"{_REAL_1}: CPU at most 0.6 of {PEER}'s",
        "{:.2f}",
        _of_peer(_REAL_1, lambda run: run.cpu_us),
        _at_most(0.6),
    ),
    Target(
        f"{_REAL_1}: at least {PEER}'s rate",
        "{:.2f}",
        _of_peer(_REAL_1, lambda run: run.rate),
        _at_least(1),
    ),
    Target(f"{_QOS_1}: at most 8 µs", _MICROSECONDS, _cpu(_QOS_1), _at_most(8)),
    Target(f"{_QOS_1}: at least 40,000/s", _PER_SECOND, _rate(_QOS_1), _at_least(40_000)),
    Target(f"{_QOS_0}: at most 6 µs", _MICROSECONDS, _cpu(_QOS_0), _at_most(6)),
    Target(f"{_QOS_0}: at least 80,000/s", _PER_SECOND, _rate(_QOS_0), _at_least(80_000)),
    Target(f"{_HOSE_1}: at most 4 µs", _MICROSECONDS, _cpu(_HOSE_1), _at_most(4)),
    Target(f"{_HOSE_1}: at least 250,000/s", _PER_SECOND, _rate(_HOSE_1), _at_least(250_000)),
    Target(f"{_HOSE_0}: at least 250,000/s", _PER_SECOND, _rate(_HOSE_0), _at_least(250_000)),
    Target(f"{_SPARSE}: at least 130,000/s", _PER_SECOND, _rate(_SPARSE), _at_least(130_000)),
    Target(f"{_BUSY}: at least 800,000/s", _PER_SECOND, _rate(_BUSY), _at_least(800_000)),
    Target(f"{_LARGE}: at least 115,000/s", _PER_SECOND, _rate(_LARGE), _at_least(115_000)),
    _of_nchan(_SPARSE, 1),
    _of_nchan(_BUSY, 2.5),
    _of_nchan(_LARGE, 1),
    _of_nchan(_LARGE_BUSY, 1),
    Target(f"{_BUNCHED}: at least 500,000/s", _PER_SECOND, _rate(_BUNCHED), _at_least(500_000)),
    Target(
        f"{_SINGLE}: at least {servers.WEBSOCKETS}' rate",
        "{:.2f}",
        _of_peer(_SINGLE, lambda run: run.rate, peer_name=servers.WEBSOCKETS),
        _at_least(1),
    ),
    Target(
        f"{_SINGLE}: at most {servers.WEBSOCKETS}' CPU",
        "{:.2f}",
        _of_peer(_SINGLE, lambda run: run.cpu_us, peer_name=servers.WEBSOCKETS),
        _at_most(1),
    ),
    Target(
        f"each idle client beyond the first {idle.FEW}: at most 12 kB",
        "{:.1f} kB",
        _per_idle_client,
        _at_most(12),
    ),
    Target(
        f"{latency.TO_MEMBER}: p99 at most 2 ms",
        _MILLISECONDS,
        lambda rows: rows.median(latency.TO_MEMBER, lambda run: run.p99_ms),
        _at_most(2),
    ),
    Target(
        f"{latency.TO_KAFKA}: p99 at most 2 ms over the {latency.BARE}'s",
        _MILLISECONDS,
        _over_bare,
        _at_most(2),
    ),
    Target(
        f"through mosquitto to Kafka: at most {_RESIDENT_MB} MB resident at any time",
        "{:.0f} MB",
        lambda rows: rows.highest(lambda run: run.peak_mb),
        _at_most(_RESIDENT_MB),
    ),
]
