"""What is known of every route: plain counters and states, written where things happen.

The metrics and the status page read them; nothing here knows of either. All of it lives on
the trio thread, so one synchronous pass sees a consistent picture.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from routerd.errors import DropReason
from routerd.receipt import SinkCounts

Label = TypeVar("Label")

RouteState = Literal["starting", "running", "backoff", "failed", "stopped"]
"""`backoff` tries again by itself soon; `failed` stands at a message or a setting."""

DURATION_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
"""Upper bounds in seconds of `routerd_delivery_duration_seconds`."""


class Histogram:
    """Observations by bucket, counted for many messages at once.

    Attributes:
        counts: one for each bound, and one for what lies above them all; not cumulative.
        total: the sum of all observed values.
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, *, count: int = 1) -> None:
        """Counts `count` observations of `value`."""
        self.counts[bisect_left(self.bounds, value)] += count
        self.total += value * count


@dataclass(frozen=True)
class Standing:
    """The message at which a route stands, for the person who mends it.

    Attributes:
        address: where it came from, as text.
        size: payload bytes.
        error: why it can't be delivered.
        since: seconds since 1970.
        reason: what it would be counted as if it were dropped; `unroutable` says that no sink has
            refused it, but that the table can't route it: only another table helps.
    """

    address: str
    size: int
    error: str
    since: float
    reason: DropReason = "rejected"


@dataclass
class SinkStatus:
    """One sink of one route: its address as written, and its counts."""

    address: str
    required: bool
    counts: SinkCounts = field(default_factory=SinkCounts)


@dataclass
class RouteStatus:
    """One route. `received == delivered + dead_lettered + dropped + returned + inflight`, always.

    Attributes:
        source: the address, or addresses, as written.
        inflight_limit: most messages unconfirmed at a time.
        waits_for: what its source waits for, in words; empty if nothing.
        sinks_wait_for: connection -> the same of its required sinks, whatever its source does.
        reason: why it is in its state, in words; empty if there is nothing to say.
        since: when it came into this state, seconds since 1970.
        mqtt_connected: None for a route without MQTT.
        sessions_lost: how often the broker had forgotten the session that it kept for the route.
        late_acks: acknowledgements that came after their connection had closed.
        reordered: messages that a refused batch made arrive after their successors.
        oldest: `trio.current_time()` of the oldest message in flight, or None.
    """

    name: str
    source: str
    sinks: list[SinkStatus]
    inflight_limit: int = 2000
    inflight_bytes_limit: int = 64 << 20
    promise: str = ""
    received: int = 0
    delivered: int = 0
    dead_lettered: int = 0
    returned: int = 0
    dropped: dict[DropReason, int] = field(default_factory=dict)
    inflight: int = 0
    inflight_bytes: int = 0
    durations: Histogram = field(default_factory=lambda: Histogram(DURATION_BUCKETS))
    restarts: int = 0
    sessions_lost: int = 0
    late_acks: int = 0
    reordered: int = 0
    mqtt_connected: bool | None = None
    life_state: RouteState = "starting"
    reason: str = ""
    waits_for: str = ""
    sinks_wait_for: dict[str, str] = field(default_factory=dict)
    since: float = field(default_factory=time.time)
    next_try_at: float | None = None
    last_error: str = ""
    standing: Standing | None = None
    oldest: Callable[[], float | None] = lambda: None

    @property
    def state(self) -> RouteState:
        """A route that stands at a message has failed, whatever its source does."""
        if self.standing is not None and self.life_state != "stopped":
            return "failed"
        return self.life_state

    @property
    def waiting(self) -> str:
        """What it waits for, in words; empty if nothing."""
        sinks = [f"{connection}: {what}" for connection, what in self.sinks_wait_for.items()]
        return "; ".join([*filter(None, [self.waits_for]), *sinks])

    def enter(
        self, state: RouteState, *, reason: str = "", next_try_at: float | None = None
    ) -> None:
        """Records that the route's source is in `state` now."""
        if state != self.life_state or reason != self.reason:
            self.since = time.time()
        self.life_state, self.reason, self.next_try_at = state, reason, next_try_at
        self.waits_for = ""
        if reason:
            self.last_error = reason

    def drop(self, count: int, reason: DropReason) -> None:
        """Counts messages that end here."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count

    @property
    def settled(self) -> int:
        """How many messages have ended, whichever way."""
        return self.delivered + self.dead_lettered + self.returned + sum(self.dropped.values())


@dataclass(frozen=True)
class ConnectionStatus:
    """One connection of the table.

    Attributes:
        key: its table: `mqtt`, `kafka.audit`, `ws`.
        address: where it leads, as a person would write it; without user names and passwords.
        trouble: what is wrong with it now, in words; empty as long as nothing is known against it.
    """

    key: str
    address: str
    trouble: Callable[[], str] = lambda: ""


@dataclass
class ListenerStatus:
    """One listener for WebSockets. A path is a pattern of the table, never what a client asked for.

    Attributes:
        key: its table, `ws` or `ws.NAME`.
        most: clients that it lets in at a time.
        connections: path -> clients now; every path of the table is there.
        closed: path and reason -> clients that are gone, `client` those that left by themselves.
        refused: path and reason -> handshakes that ended so; the path is empty where the table has
            none for it, or nobody came to look.
        unmatched: path -> messages of a type that no route takes; every path is there.
        undecodable: path -> frames that the codec can't read; every path is there.
        count_members: group address without captures -> members now.
        count_queued: path -> bytes that wait for clients that read too slowly; every path is there.
        certificate_ends: until when its certificate is good, seconds since 1970; None: no TLS.
    """

    key: str
    most: int = 0
    connections: Counter[str] = field(default_factory=Counter)
    closed: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    unmatched: Counter[str] = field(default_factory=Counter)
    undecodable: Counter[str] = field(default_factory=Counter)
    count_members: Callable[[], dict[str, int]] = dict
    count_queued: Callable[[], dict[str, int]] = dict
    certificate_ends: float | None = None

    def know(self, path: str) -> None:
        """The path can be connected to: it is counted, from 0 on."""
        for counter in (self.connections, self.unmatched, self.undecodable):
            counter.setdefault(path, 0)


@dataclass
class DaemonStatus:
    """The process and all of its routes.

    Attributes:
        started_at: seconds since 1970.
        connections: those of the table, as they were opened; the log is none.
        listening: what -> bound address, e.g. `ws` -> `127.0.0.1:8800`.
        loop_lag: how late the event loop's heartbeat came, in seconds.
        last_heartbeat: `time.monotonic()` of the newest heartbeat; old: the loop is stuck.
        listeners: those of WebSockets, as they were opened.
        is_reloaded: whether the last reload took every file; the start counts as one.
        reloaded_at: when one last did, seconds since 1970.
    """

    version: str
    routes: list[RouteStatus] = field(default_factory=list)
    started_at: float = field(default_factory=time.time)
    connections: list[ConnectionStatus] = field(default_factory=list)
    listening: dict[str, str] = field(default_factory=dict)
    loop_lag: Histogram = field(default_factory=lambda: Histogram(DURATION_BUCKETS))
    last_heartbeat: float = field(default_factory=time.monotonic)
    listeners: list[ListenerStatus] = field(default_factory=list)
    is_reloaded: bool = True
    reloaded_at: float = field(default_factory=time.time)


def summed(counts: Iterable[Mapping[Label, int]]) -> dict[Label, int]:
    """The counts of several listeners, which may have the same path."""
    total: Counter[Label] = Counter()
    for each in counts:
        for label, count in each.items():
            total[label] += count
    return dict(total)
