"""What `/readyz` and `/status.json` say, as plain JSON values; and who is alive, who is ready.

Scripts rely on the names of these fields: add to them, change none.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import trio

from routerd.admin.history import History
from routerd.status import (
    ConnectionStatus,
    DaemonStatus,
    ListenerStatus,
    RouteStatus,
    SinkStatus,
    Standing,
    summed,
)

HEARTBEAT_LIMIT_SECONDS: Final = 2.0

Facts = dict[str, object]


def is_alive(status: DaemonStatus) -> bool:
    """Whether the event loop turned lately."""
    return heartbeat_age(status) < HEARTBEAT_LIMIT_SECONDS


def heartbeat_age(status: DaemonStatus) -> float:
    """Seconds since the newest heartbeat."""
    return max(0.0, time.monotonic() - status.last_heartbeat)


def is_ready(routes: Sequence[RouteStatus]) -> bool:
    """Whether all of `routes` run; without one, nothing does."""
    return bool(routes) and all(route.state == "running" for route in routes)


def readiness(routes: Sequence[RouteStatus]) -> Facts:
    """The answer of `/readyz` for these routes."""
    return {"ready": is_ready(routes), "routes": [_condition(route) for route in routes]}


def status_facts(status: DaemonStatus, history: History) -> Facts:
    """The answer of `/status.json`: everything that is known, for people and scripts."""
    return {
        "version": status.version,
        "started_at": moment(status.started_at),
        "uptime_seconds": round(max(0.0, time.time() - status.started_at), 3),
        "ready": is_ready(status.routes),
        "loop_lag_seconds": _finite(history.loop_lag),
        "heartbeat_age_seconds": round(heartbeat_age(status), 3),
        "listening": dict(status.listening),
        "connections": [_connection(connection) for connection in status.connections],
        "routes": [
            {**route_facts(route), "delivered_per_second": history.rate(index)}
            for index, route in enumerate(status.routes)
        ],
        **edge_facts(status.listeners),
    }


def edge_facts(listeners: Sequence[ListenerStatus]) -> dict[str, dict[str, int]]:
    """Clients and members now by path and by group; and why clients are gone or not let in."""
    return {
        "ws_connections": summed(each.connections for each in listeners),
        "group_members": summed(each.count_members() for each in listeners),
        "ws_closed": _by_reason(each.closed for each in listeners),
        "ws_refused": _by_reason(each.refused for each in listeners),
        "ws_unmatched": summed(each.unmatched for each in listeners),
        "ws_undecodable": summed(each.undecodable for each in listeners),
    }


def route_facts(route: RouteStatus) -> Facts:
    """One route of `/status.json`."""
    return {
        **_condition(route),
        "source": route.source,
        "sinks": [_sink(sink) for sink in route.sinks],
        "promise": route.promise,
        "mqtt_connected": route.mqtt_connected,
        "restarts": route.restarts,
        "last_error": route.last_error,
        "next_try": None if route.next_try_at is None else moment(route.next_try_at),
        "standing": None if route.standing is None else _standing(route, route.standing),
        **_counts(route),
    }


def moment(seconds: float) -> str:
    """Seconds since 1970 as RFC 3339 in UTC."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _finite(bound: float | None) -> float | None:
    """A bucket's bound; JSON has no infinity."""
    return None if bound is None or math.isinf(bound) else bound


def _condition(route: RouteStatus) -> Facts:
    reason, since = route.reason, route.since
    if route.standing is not None:
        reason, since = f"it stands at a message: {route.standing.error}", route.standing.since
    return {
        "name": route.name,
        "state": route.state,
        "reason": reason,
        "since": moment(since),
        "waits_for": route.waiting,
    }


def _counts(route: RouteStatus) -> Facts:
    oldest = route.oldest()
    return {
        "received": route.received,
        "settled": {
            "delivered": route.delivered,
            "dead_lettered": route.dead_lettered,
            "dropped": sum(route.dropped.values()),
            "returned": route.returned,
        },
        "dropped": dict(route.dropped),
        "inflight": route.inflight,
        "inflight_limit": route.inflight_limit,
        "inflight_bytes": route.inflight_bytes,
        "inflight_bytes_limit": route.inflight_bytes_limit,
        "oldest_inflight_age_seconds": (
            None if oldest is None else round(max(0.0, trio.current_time() - oldest), 3)
        ),
        "late_acknowledgements": route.late_acks,
        "sessions_lost": route.sessions_lost,
        "reordered": route.reordered,
    }


def _by_reason(counts: Iterable[Mapping[tuple[str, str], int]]) -> dict[str, int]:
    """On all paths together: the metrics have them one by one."""
    return summed({reason: count} for each in counts for (_, reason), count in each.items())


def _connection(connection: ConnectionStatus) -> Facts:
    return {
        "key": connection.key,
        "address": connection.address,
        "trouble": connection.trouble(),
    }


def _sink(sink: SinkStatus) -> Facts:
    return {
        "address": sink.address,
        "required": sink.required,
        "delivered": sink.counts.delivered,
        "failed": sink.counts.failed,
        "missed": dict(sink.counts.missed),
    }


def _standing(route: RouteStatus, standing: Standing) -> Facts:
    return {
        "address": route.source,
        "topic": standing.address,
        "size": standing.size,
        "error": standing.error,
        "drop_reason": standing.reason,
        "since": moment(standing.since),
    }
