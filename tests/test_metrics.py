"""The metrics: every family of the design, its labels, and sums that always hold."""

import random
from collections.abc import Iterable
from typing import get_args

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_open_metrics,
)
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from routerd.errors import DropReason
from routerd.metrics import StatusCollector, expose, open_registry
from routerd.receipt import SinkCounts
from routerd.status import (
    ConnectionStatus,
    DaemonStatus,
    ListenerStatus,
    RouteState,
    RouteStatus,
    SinkStatus,
    Standing,
)

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"

DESIGN = {
    "routerd_messages_received_total": {"route"},
    "routerd_messages_settled_total": {"route", "outcome"},
    "routerd_messages_dropped_total": {"route", "reason"},
    "routerd_messages_reordered_total": {"route"},
    "routerd_inflight_messages": {"route"},
    "routerd_inflight_limit": {"route"},
    "routerd_oldest_inflight_age_seconds": {"route"},
    "routerd_sink_messages_total": {"route", "sink", "outcome"},
    "routerd_sink_required": {"route", "sink"},
    "routerd_ws_dropped_total": {"route", "sink", "reason"},
    "routerd_ws_queued_bytes": {"path"},
    "routerd_delivery_duration_seconds_bucket": {"route", "le"},
    "routerd_delivery_duration_seconds_count": {"route"},
    "routerd_delivery_duration_seconds_sum": {"route"},
    "routerd_route_state": {"route", "state"},
    "routerd_route_restarts_total": {"route"},
    "routerd_mqtt_connected": {"route"},
    "routerd_mqtt_late_acknowledgements_total": {"route"},
    "routerd_mqtt_sessions_lost_total": {"route"},
    "routerd_connection_up": {"connection"},
    "routerd_ws_connections": {"path"},
    "routerd_ws_closed_total": {"path", "reason"},
    "routerd_ws_refused_total": {"path", "reason"},
    "routerd_ws_unmatched_total": {"path"},
    "routerd_ws_undecodable_total": {"path"},
    "routerd_group_members": {"group"},
    "routerd_tls_cert_not_after_timestamp_seconds": {"connection"},
    "routerd_reload_last_successful": set(),
    "routerd_reload_last_success_timestamp_seconds": set(),
    "routerd_event_loop_lag_seconds_bucket": {"le"},
    "routerd_event_loop_lag_seconds_count": set(),
    "routerd_event_loop_lag_seconds_sum": set(),
    "routerd_event_loop_tasks": set(),
    "routerd_event_loop_runnable_tasks": set(),
    "routerd_event_loop_queued_callbacks": set(),
    "routerd_build_info": {"version", "python"},
}


def a_route(name: str = "telemetry") -> RouteStatus:
    return RouteStatus(
        name,
        "mqtt:sensors/{device}",
        [
            SinkStatus("kafka:telemetry", required=True, counts=SinkCounts(7, 1)),
            SinkStatus("group:/live/{device}", required=False, counts=_group_counts()),
        ],
        mqtt_connected=True,
    )


def _group_counts() -> SinkCounts:
    return SinkCounts(5, 3, missed={"oldest": 0})


def a_listener() -> ListenerStatus:
    listener = ListenerStatus(
        "ws",
        count_members=lambda: {"group:/live": 2},
        count_queued=lambda: {"/chat/{room}": 1000},
    )
    listener.know("/chat/{room}")
    listener.connections["/chat/{room}"] = 4
    listener.closed["/chat/{room}", "slow"] = 3
    listener.refused["", "not_found"] = 5
    listener.refused["", "connections"] = 1
    listener.certificate_ends = 2e9
    return listener


def a_status(*routes: RouteStatus) -> DaemonStatus:
    return DaemonStatus(
        "1.2.3",
        routes=list(routes),
        connections=[
            ConnectionStatus("mqtt", "mqtt://broker:1883"),
            ConnectionStatus("kafka", "kafka-1:9092", lambda: "no broker can be reached"),
        ],
        listeners=[a_listener()],
    )


async def scrape(status: DaemonStatus) -> list[Sample]:
    exposition = await expose(open_registry(status), "")
    families = text_string_to_metric_families(exposition.body.decode())
    return [sample for family in families for sample in family.samples]


def value(samples: list[Sample], name: str, **labels: str) -> float:
    found = [each.value for each in samples if each.name == name and each.labels == labels]
    assert len(found) == 1, (name, labels, found)
    return found[0]


def values(samples: list[Sample], name: str, label: str) -> dict[str, float]:
    return {each.labels[label]: each.value for each in samples if each.name == name}


async def test_names_and_labels_are_those_of_the_design() -> None:
    found: dict[str, set[str]] = {}
    for sample in await scrape(a_status(a_route())):
        if sample.name.startswith("routerd_"):
            found.setdefault(sample.name, set(sample.labels))
    assert found == DESIGN


async def test_every_family_has_a_sentence_and_its_type() -> None:
    for family in open_registry(a_status(a_route())).collect():
        assert family.documentation
        assert family.type in {"counter", "gauge", "histogram"}


async def test_the_process_is_there_too() -> None:
    samples = await scrape(a_status())
    assert value(samples, "process_resident_memory_bytes") > 0
    assert "process_cpu_seconds_total" in {sample.name for sample in samples}


async def test_all_outcomes_and_reasons_are_there_before_anything_happened() -> None:
    samples = await scrape(a_status(a_route()))
    settled = values(samples, "routerd_messages_settled_total", "outcome")
    dropped = values(samples, "routerd_messages_dropped_total", "reason")
    assert settled == dict.fromkeys(["delivered", "dead_lettered", "dropped", "returned"], 0)
    assert dropped == dict.fromkeys(get_args(DropReason), 0)


async def test_counts_arrive_under_their_names() -> None:
    route = a_route()
    route.received, route.delivered, route.dead_lettered, route.returned = 100, 50, 20, 10
    route.inflight, route.restarts, route.late_acks, route.reordered = 13, 3, 4, 5
    route.sessions_lost = 2
    route.inflight_limit = 500
    route.drop(6, "filtered")
    route.drop(1, "shutdown")
    samples = await scrape(a_status(route))
    assert value(samples, "routerd_messages_received_total", route="telemetry") == 100
    settled = values(samples, "routerd_messages_settled_total", "outcome")
    assert settled == {"delivered": 50, "dead_lettered": 20, "dropped": 7, "returned": 10}
    assert values(samples, "routerd_messages_dropped_total", "reason")["filtered"] == 6
    assert value(samples, "routerd_inflight_messages", route="telemetry") == 13
    assert value(samples, "routerd_inflight_limit", route="telemetry") == 500
    assert value(samples, "routerd_route_restarts_total", route="telemetry") == 3
    assert value(samples, "routerd_mqtt_sessions_lost_total", route="telemetry") == 2
    late = value(samples, "routerd_mqtt_late_acknowledgements_total", route="telemetry")
    assert late == 4
    assert value(samples, "routerd_messages_reordered_total", route="telemetry") == 5


async def test_each_sink_has_its_own_outcomes() -> None:
    samples = await scrape(a_status(a_route()))
    found = {
        (each.labels["sink"], each.labels["outcome"]): each.value
        for each in samples
        if each.name == "routerd_sink_messages_total"
    }
    assert found == {
        ("kafka:telemetry", "delivered"): 7,
        ("kafka:telemetry", "failed"): 1,
        ("group:/live/{device}", "delivered"): 5,
        ("group:/live/{device}", "failed"): 3,
    }


async def test_each_sink_says_if_the_source_waits_for_it() -> None:
    samples = await scrape(a_status(a_route()))
    required = values(samples, "routerd_sink_required", "sink")
    assert required == {"kafka:telemetry": 1, "group:/live/{device}": 0}


async def test_two_sinks_with_one_address_are_one_series() -> None:
    route = a_route()
    route.sinks.append(SinkStatus("kafka:telemetry", required=False, counts=SinkCounts(2, 2)))
    samples = await scrape(a_status(route))
    labels = {"route": "telemetry", "sink": "kafka:telemetry", "outcome": "delivered"}
    assert value(samples, "routerd_sink_messages_total", **labels) == 9
    required = values(samples, "routerd_sink_required", "sink")
    assert required["kafka:telemetry"] == 1


async def test_what_slow_members_missed_is_counted_by_reason() -> None:
    route = a_route()
    route.sinks[1].counts.missed["replaced"] = 3
    twin = SinkCounts(missed={"replaced": 4})
    route.sinks.append(SinkStatus(route.sinks[1].address, required=False, counts=twin))
    samples = await scrape(a_status(route))
    missed = values(samples, "routerd_ws_dropped_total", "reason")
    assert missed == {"replaced": 7, "oldest": 0}


@pytest.mark.parametrize("state", get_args(RouteState))
async def test_exactly_one_state_is_1(state: RouteState) -> None:
    route = a_route()
    route.enter(state)
    states = values(await scrape(a_status(route)), "routerd_route_state", "state")
    assert states == {**dict.fromkeys(get_args(RouteState), 0), state: 1}


async def test_a_route_that_stands_at_a_message_has_failed() -> None:
    route = a_route()
    route.enter("running")
    route.standing = Standing("a/b", 3, "unknown topic", 0.0)
    states = values(await scrape(a_status(route)), "routerd_route_state", "state")
    assert states["failed"] == 1
    assert states["running"] == 0


async def test_the_duration_is_a_cumulative_histogram() -> None:
    route = a_route()
    route.durations.observe(0.0005, count=3)
    route.durations.observe(0.3, count=2)
    route.durations.observe(100.0)
    samples = await scrape(a_status(route))
    name = "routerd_delivery_duration_seconds"
    buckets = values(samples, f"{name}_bucket", "le")
    assert (buckets["0.001"], buckets["0.25"], buckets["0.5"]) == (3, 3, 5)
    assert (buckets["60.0"], buckets["+Inf"]) == (5, 6)
    assert value(samples, f"{name}_count", route="telemetry") == 6
    assert value(samples, f"{name}_sum", route="telemetry") == pytest.approx(100.6015)


async def test_the_age_of_the_oldest_message_is_read_at_the_scrape() -> None:
    busy, idle = a_route("busy"), a_route("idle")
    since = trio.current_time() - 5
    busy.oldest = lambda: since
    ages = values(
        await scrape(a_status(busy, idle)), "routerd_oldest_inflight_age_seconds", "route"
    )
    assert 5 <= ages["busy"] < 15
    assert ages["idle"] == 0


async def test_a_route_without_mqtt_says_nothing_of_mqtt() -> None:
    plain, lost = a_route("plain"), a_route("lost")
    plain.mqtt_connected, lost.mqtt_connected = None, False
    samples = await scrape(a_status(plain, lost, a_route("up")))
    assert values(samples, "routerd_mqtt_connected", "route") == {"lost": 0, "up": 1}


async def test_the_edges_are_labelled_with_patterns() -> None:
    samples = await scrape(a_status())
    assert value(samples, "routerd_ws_connections", path="/chat/{room}") == 4
    assert value(samples, "routerd_ws_unmatched_total", path="/chat/{room}") == 0
    assert value(samples, "routerd_ws_undecodable_total", path="/chat/{room}") == 0
    assert value(samples, "routerd_group_members", group="group:/live") == 2


async def test_who_is_gone_and_who_was_not_let_in_is_counted_by_path_and_reason() -> None:
    samples = await scrape(a_status())
    path = "/chat/{room}"
    assert value(samples, "routerd_ws_closed_total", path=path, reason="slow") == 3
    assert value(samples, "routerd_ws_refused_total", path="", reason="not_found") == 5


async def test_listeners_with_the_same_path_are_added_up() -> None:
    status = a_status()
    status.listeners = [a_listener(), a_listener()]
    samples = await scrape(status)
    path = "/chat/{room}"
    assert value(samples, "routerd_ws_connections", path=path) == 8
    assert value(samples, "routerd_ws_closed_total", path=path, reason="slow") == 6
    assert value(samples, "routerd_group_members", group="group:/live") == 4


async def test_a_connection_with_trouble_is_not_up() -> None:
    samples = await scrape(a_status())
    assert value(samples, "routerd_connection_up", connection="mqtt") == 1
    assert value(samples, "routerd_connection_up", connection="kafka") == 0
    assert 'version="1.2.3"' in (await expose(open_registry(a_status()), "")).body.decode()


async def test_open_metrics_is_given_to_those_who_ask() -> None:
    exposition = await expose(open_registry(a_status(a_route())), OPEN_METRICS)
    assert exposition.content_type.startswith("application/openmetrics-text; version=1.0.0")
    families = parse_open_metrics(exposition.body.decode())  # type: ignore[no-untyped-call]
    names = {family.name for family in families}
    assert "routerd_messages_received" in names
    assert exposition.body.count(b"# EOF") == 1


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/plain",
        "application/openmetrics-text; version=x; q=1",
        "application/openmetrics-text;;;version=",
        "text/plain; version=1.0.0; escaping=allow-utf-8",
        ", ,;=,\x00",
    ],
)
async def test_any_accept_header_gets_text(accept: str) -> None:
    exposition = await expose(open_registry(a_status(a_route())), accept)
    assert b"routerd_build_info" in exposition.body


@given(name=st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable()))
def test_any_route_name_survives_the_text(name: str) -> None:
    async def main() -> None:
        samples = await scrape(a_status(a_route(name)))
        assert value(samples, "routerd_messages_received_total", route=name) == 0

    trio.run(main)


async def test_500_routes_come_in_slices_and_whole() -> None:
    routes = [a_route(f"route-{index}") for index in range(500)]
    for index, route in enumerate(routes):
        route.received = index
    samples = await scrape(a_status(*routes))
    received = values(samples, "routerd_messages_received_total", "route")
    assert received == {f"route-{index}": index for index in range(500)}
    keys = [(each.name, tuple(sorted(each.labels.items()))) for each in samples]
    assert len(keys) == len(set(keys))


async def test_a_family_is_announced_once_however_many_slices_it_takes() -> None:
    routes = [a_route(f"route-{index}") for index in range(500)]
    for accept in ("", OPEN_METRICS):
        text = (await expose(open_registry(a_status(*routes)), accept)).body.decode()
        announced = [line for line in text.splitlines() if line.startswith("# ")]
        assert len(announced) == len(set(announced))


async def test_received_is_settled_and_in_flight_at_every_scrape_under_way() -> None:
    """The text is made in slices while messages flow; its numbers are from one moment."""
    routes = [a_route(f"route-{index}") for index in range(100)]
    registry = open_registry(a_status(*routes))
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_flow, routes)
            for _ in range(5):
                exposition = await expose(registry, "")
                _assert_sums(text_string_to_metric_families(exposition.body.decode()))
            nursery.cancel_scope.cancel()
    assert sum(route.received for route in routes) > 0


async def _flow(routes: list[RouteStatus]) -> None:
    dice = random.Random(4)
    while True:
        for route in routes:
            count = dice.randrange(1, 9)
            route.received += count
            route.inflight += count
            ended = dice.randrange(route.inflight + 1)
            route.inflight -= ended
            route.drop(ended // 2, "filtered")
            route.delivered += ended - ended // 2
        await trio.lowlevel.checkpoint()


def _assert_sums(families: Iterable[Metric]) -> None:
    sums: dict[str, float] = {}
    factors = {
        "routerd_messages_received_total": 1,
        "routerd_messages_settled_total": -1,
        "routerd_inflight_messages": -1,
    }
    for family in families:
        for sample in family.samples:
            if factor := factors.get(sample.name):
                route = sample.labels["route"]
                sums[route] = sums.get(route, 0) + factor * sample.value
    assert len(sums) == 100
    assert set(sums.values()) == {0}


async def test_one_look_at_the_status_runs_nothing_else() -> None:
    """A collector that awaited, or gave families lazily, could not keep the sums."""
    assert isinstance(StatusCollector(a_status()).collect(), list)
