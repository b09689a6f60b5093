"""What Prometheus is told of WebSocket listeners: `status.ListenerStatus` as metric families.

Several listeners may have the same path: their counts are added up.
"""

from collections.abc import Iterable, Mapping

from prometheus_client import Metric

from routerd.families import Kind, add
from routerd.status import ListenerStatus, summed


def listener_families(listeners: list[ListenerStatus]) -> Iterable[Metric]:
    """All families of these listeners."""
    yield _of_paths(
        "routerd_ws_connections", "gauge", "WebSocket clients connected.",
        summed(each.connections for each in listeners),
    )  # fmt: skip
    yield _by_reason(
        "routerd_ws_closed", "WebSocket clients that are gone, by why.",
        summed(each.closed for each in listeners),
    )  # fmt: skip
    yield _by_reason(
        "routerd_ws_refused", "WebSocket handshakes refused, by why.",
        summed(each.refused for each in listeners),
    )  # fmt: skip
    yield _of_paths(
        "routerd_ws_unmatched", "counter", "Messages of a type that no route takes.",
        summed(each.unmatched for each in listeners),
    )  # fmt: skip
    yield _of_paths(
        "routerd_ws_undecodable", "counter", "Frames that the listener's codec can't read.",
        summed(each.undecodable for each in listeners),
    )  # fmt: skip
    yield _of_paths(
        "routerd_ws_queued_bytes", "gauge", "What waits for clients that read too slowly.",
        summed(each.count_queued() for each in listeners),
    )  # fmt: skip
    ends = Metric(
        "routerd_tls_cert_not_after_timestamp_seconds",
        "Until when the certificate in use is good.",
        "gauge",
    )
    for each in listeners:
        if each.certificate_ends is not None:
            add(ends, each.certificate_ends, connection=each.key)
    yield ends
    members = Metric("routerd_group_members", "Members of a group.", "gauge")
    for group, count in summed(each.count_members() for each in listeners).items():
        add(members, count, group=group)
    yield members


def _of_paths(name: str, kind: Kind, help_text: str, counts: Mapping[str, int]) -> Metric:
    """A family with one sample a path."""
    family = Metric(name, help_text, kind)
    for path, count in counts.items():
        add(family, count, path=path)
    return family


def _by_reason(name: str, help_text: str, counts: Mapping[tuple[str, str], int]) -> Metric:
    """A counter with one sample for each path and reason that has occurred."""
    family = Metric(name, help_text, "counter")
    for (path, reason), count in counts.items():
        add(family, count, path=path, reason=reason)
    return family
