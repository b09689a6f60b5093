"""What Prometheus is told: `status.py` as metric families, and their text.

The counters themselves are plain integers in `status.py`; a scrape copies all of them in one
synchronous pass, so that `received = settled + in flight` holds in every one. Labels come
from the table, never from data.
"""

import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, get_args

import trio
from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from routerd.errors import DropReason
from routerd.families import Kind, add, add_histogram
from routerd.listener_metrics import listener_families
from routerd.status import DaemonStatus, RouteState, RouteStatus, summed

_SAMPLES_A_TURN: Final = 400  # about 2 ms of text, 3 ms as OpenMetrics
_EOF: Final = b"# EOF\n"


@dataclass(frozen=True)
class Exposition:
    """The answer to one scrape."""

    body: bytes
    content_type: str


class StatusCollector:
    """Gives prometheus-client the whole status. Must be called on the trio thread."""

    def __init__(self, status: DaemonStatus) -> None:
        self._status = status

    def collect(self) -> list[Metric]:
        """All families, from one look at the status: nothing else runs meanwhile."""
        status = self._status
        return [
            *_message_families(status.routes),
            *_route_families(status.routes),
            *_edge_families(status),
            *listener_families(status.listeners),
            *_reload_families(status),
            *_process_families(status),
        ]


@dataclass(frozen=True)
class _Slice:
    """A part of one family, as a registry of its own for the encoder."""

    metric: Metric

    def collect(self) -> list[Metric]:
        return [self.metric]


def open_registry(status: DaemonStatus) -> CollectorRegistry:
    """A registry of our own with the status and the process; prometheus-client's is global."""
    registry = CollectorRegistry()
    registry.register(StatusCollector(status))
    ProcessCollector(registry=registry)
    return registry


async def expose(registry: CollectorRegistry, accept: str) -> Exposition:
    """The text of one scrape, in the format that the `Accept` header prefers.

    The numbers are taken at once, without a checkpoint. The text of 500 routes takes 100 ms,
    so it is made in slices with a checkpoint after each. (A thread would be worse: it holds
    the interpreter 5 ms for each system call of the trio thread.)
    """
    encode, content_type = _choose_format(accept)
    families = list(registry.collect())
    parts: list[bytes] = []
    for family in families:
        for is_first, part in _slices(family):
            text = encode(_Slice(part)).removesuffix(_EOF)
            parts.append(text if is_first else _without_head(text))
            await trio.lowlevel.checkpoint()
    if content_type.startswith("application/openmetrics-text"):
        parts.append(_EOF)
    return Exposition(b"".join(parts), content_type)


def _choose_format(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):  # `version=x`: prometheus-client compares it as a number
        return choose_encoder("")


def _slices(family: Metric) -> Iterator[tuple[bool, Metric]]:
    for start in range(0, max(len(family.samples), 1), _SAMPLES_A_TURN):
        part = Metric(family.name, family.documentation, family.type)
        part.samples = family.samples[start : start + _SAMPLES_A_TURN]
        yield start == 0, part


def _without_head(text: bytes) -> bytes:
    """Without `# HELP` and `# TYPE`, which a family may have only once."""
    return text.split(b"\n", 2)[2]


def _message_families(routes: list[RouteStatus]) -> Iterable[Metric]:
    yield _of_routes(
        "routerd_messages_received", "counter", "Messages taken from the source.",
        routes, lambda route: route.received,
    )  # fmt: skip
    settled = Metric("routerd_messages_settled", "Messages that have ended, by how.", "counter")
    dropped = Metric("routerd_messages_dropped", "Messages dropped, by why.", "counter")
    for route in routes:
        for outcome, count in _outcomes(route):
            add(settled, count, route=route.name, outcome=outcome)
        for reason in get_args(DropReason):
            add(dropped, route.dropped.get(reason, 0), route=route.name, reason=reason)
    yield settled
    yield dropped
    yield _of_routes(
        "routerd_messages_reordered", "counter",
        "Messages that a refused batch made arrive after their successors.",
        routes, lambda route: route.reordered,
    )  # fmt: skip
    yield from _sink_families(routes)


def _outcomes(route: RouteStatus) -> Iterable[tuple[str, int]]:
    yield "delivered", route.delivered
    yield "dead_lettered", route.dead_lettered
    yield "dropped", sum(route.dropped.values())
    yield "returned", route.returned


def _sink_families(routes: list[RouteStatus]) -> Iterable[Metric]:
    offered = Metric("routerd_sink_messages", "Messages offered to a sink, by outcome.", "counter")
    required = Metric("routerd_sink_required", "1 if the source waits for this sink.", "gauge")
    missed = Metric("routerd_ws_dropped", "Messages that slow group members missed.", "counter")
    for route in routes:
        # Two sinks of a route may have one address; a label set must come only once.
        for address in dict.fromkeys(sink.address for sink in route.sinks):
            same = [sink for sink in route.sinks if sink.address == address]
            for outcome, count in (
                ("delivered", sum(each.counts.delivered for each in same)),
                ("failed", sum(each.counts.failed for each in same)),
            ):
                add(offered, count, route=route.name, sink=address, outcome=outcome)
            is_required = any(each.required for each in same)
            add(required, int(is_required), route=route.name, sink=address)
            for reason, count in summed(each.counts.missed for each in same).items():
                add(missed, count, route=route.name, sink=address, reason=reason)
    yield offered
    yield required
    yield missed


def _route_families(routes: list[RouteStatus]) -> Iterable[Metric]:
    now = trio.current_time()
    yield _of_routes(
        "routerd_inflight_messages", "gauge", "Messages that the source still waits for.",
        routes, lambda route: route.inflight,
    )  # fmt: skip
    yield _of_routes(
        "routerd_inflight_limit", "gauge", "Messages in flight at which the source is not read.",
        routes, lambda route: route.inflight_limit,
    )  # fmt: skip
    yield _of_routes(
        "routerd_oldest_inflight_age_seconds", "gauge",
        "Age of the oldest message in flight; 0 without one.",
        routes, lambda route: oldest_age(route, now),
    )  # fmt: skip
    duration = Metric("routerd_delivery_duration_seconds", "From received to settled.", "histogram")
    state = Metric("routerd_route_state", "1 for the state that the route is in.", "gauge")
    for route in routes:
        add_histogram(duration, route.durations, route=route.name)
        for each in get_args(RouteState):
            add(state, int(route.state == each), route=route.name, state=each)
    yield duration
    yield state
    yield _of_routes(
        "routerd_route_restarts", "counter", "How often the route fell after it had run.",
        routes, lambda route: route.restarts,
    )  # fmt: skip


def oldest_age(route: RouteStatus, now: float) -> float:
    """Seconds that the oldest message of `route` is in flight; 0 without one."""
    oldest = route.oldest()
    return 0.0 if oldest is None else max(0.0, now - oldest)


def _edge_families(status: DaemonStatus) -> Iterable[Metric]:
    up = Metric("routerd_connection_up", "0 while a connection is known to be of no use.", "gauge")
    for connection in status.connections:
        add(up, int(not connection.trouble()), connection=connection.key)
    yield up
    mqtt = [route for route in status.routes if route.mqtt_connected is not None]
    yield _of_routes(
        "routerd_mqtt_connected", "gauge", "1 while the route's MQTT session is connected.",
        mqtt, lambda route: int(route.mqtt_connected is True),
    )  # fmt: skip
    yield _of_routes(
        "routerd_mqtt_late_acknowledgements", "counter",
        "Acknowledgements that came after their connection had closed.",
        mqtt, lambda route: route.late_acks,
    )  # fmt: skip
    yield _of_routes(
        "routerd_mqtt_sessions_lost", "counter",
        "Sessions that the broker had forgotten, with all that it had queued.",
        mqtt, lambda route: route.sessions_lost,
    )  # fmt: skip


def _reload_families(status: DaemonStatus) -> Iterable[Metric]:
    good = Metric("routerd_reload_last_successful", "0 if the last reload refused a file.", "gauge")
    add(good, int(status.is_reloaded))
    yield good
    at = Metric(
        "routerd_reload_last_success_timestamp_seconds",
        "When a reload, or the start, last took every file.",
        "gauge",
    )
    add(at, status.reloaded_at)
    yield at


def _process_families(status: DaemonStatus) -> Iterable[Metric]:
    lag = Metric("routerd_event_loop_lag_seconds", "How late the heartbeat came.", "histogram")
    add_histogram(lag, status.loop_lag)
    yield lag
    loop = trio.lowlevel.current_statistics()
    for name, help_text, value in (
        ("routerd_event_loop_tasks", "Tasks of the event loop.", loop.tasks_living),
        ("routerd_event_loop_runnable_tasks", "Tasks that are ready to run.", loop.tasks_runnable),
        (
            "routerd_event_loop_queued_callbacks",
            "Callbacks from other threads that wait for the event loop.",
            loop.run_sync_soon_queue_size,
        ),
    ):
        family = Metric(name, help_text, "gauge")
        add(family, value)
        yield family
    build = Metric("routerd_build_info", "1; the labels say what runs here.", "gauge")
    add(build, 1, version=status.version, python=platform.python_version())
    yield build


def _of_routes(
    name: str,
    kind: Kind,
    help_text: str,
    routes: list[RouteStatus],
    value: Callable[[RouteStatus], float],
) -> Metric:
    """A family with one sample a route."""
    family = Metric(name, help_text, kind)
    for route in routes:
        add(family, value(route), route=route.name)
    return family
