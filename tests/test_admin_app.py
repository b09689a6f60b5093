"""What each path of the admin listener answers, over real sockets."""

import json
import os
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from routerd.admin import open_admin
from routerd.receipt import SinkCounts
from routerd.status import ConnectionStatus, DaemonStatus, RouteStatus, SinkStatus, Standing


def a_route(name: str = "telemetry") -> RouteStatus:
    route = RouteStatus(
        name,
        "mqtt:sensors/{device}",
        [
            SinkStatus("kafka:telemetry", required=True, counts=SinkCounts(7, 1)),
            SinkStatus("group:/live/{device}", required=False, counts=SinkCounts(5, 3)),
        ],
        promise="at least once: PUBACK after kafka:telemetry",
    )
    route.enter("running")
    return route


@pytest.fixture
def status() -> DaemonStatus:
    return DaemonStatus(
        "1.2.3",
        routes=[a_route("telemetry"), a_route("chat")],
        connections=[ConnectionStatus("kafka", "kafka-1:9092", lambda: "away")],
    )


@pytest.fixture
async def http(status: DaemonStatus) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        open_admin(status, host="127.0.0.1", port=0),
        httpx.AsyncClient(
            base_url=f"http://{status.listening['admin']}", trust_env=False
        ) as client,
    ):
        yield client


# --- /livez


async def test_a_beating_heart_is_alive(http: httpx.AsyncClient) -> None:
    answer = await http.get("/livez")
    assert answer.status_code == 200
    assert answer.json()["alive"] is True


async def test_an_old_heartbeat_is_not(http: httpx.AsyncClient, status: DaemonStatus) -> None:
    status.last_heartbeat = time.monotonic() - 2.5
    answer = await http.get("/livez")
    assert answer.status_code == 503
    assert answer.json()["alive"] is False
    assert answer.json()["heartbeat_age_seconds"] >= 2.5


async def test_broken_routes_do_not_make_it_dead(
    http: httpx.AsyncClient, status: DaemonStatus
) -> None:
    for route in status.routes:
        route.enter("failed")
    assert (await http.get("/livez")).status_code == 200


# --- /readyz


async def test_ready_when_every_route_runs(http: httpx.AsyncClient, status: DaemonStatus) -> None:
    answer = await http.get("/readyz")
    assert answer.status_code == 200
    found = answer.json()
    assert found["ready"] is True
    assert [route["name"] for route in found["routes"]] == ["telemetry", "chat"]
    assert set(found["routes"][0]) == {"name", "state", "reason", "since", "waits_for"}


async def test_one_route_that_waits_makes_it_unready_and_says_why(
    http: httpx.AsyncClient, status: DaemonStatus
) -> None:
    status.routes[1].enter("backoff", reason="b:1883 refused the connection")
    status.routes[1].waits_for = "the broker at b:1883"
    answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    chat = answer.json()["routes"][1]
    assert (chat["state"], chat["reason"]) == ("backoff", "b:1883 refused the connection")
    assert chat["waits_for"] == "the broker at b:1883"


async def test_some_routes_can_be_asked_for(http: httpx.AsyncClient, status: DaemonStatus) -> None:
    status.routes[1].enter("failed")
    assert (await http.get("/readyz?route=telemetry")).status_code == 200
    assert (await http.get("/readyz?route=chat")).status_code == 503
    both = await http.get("/readyz?route=telemetry&route=chat&route=chat")
    assert both.status_code == 503
    assert len(both.json()["routes"]) == 2


@pytest.mark.parametrize("query", ["route=nope", "route=", "route=chat&route=nope", "route=%00"])
async def test_an_unknown_route_is_named(http: httpx.AsyncClient, query: str) -> None:
    answer = await http.get(f"/readyz?{query}")
    assert answer.status_code == 404
    assert answer.json()["error"].startswith("no route is named ")


async def test_without_a_route_nothing_is_ready(
    http: httpx.AsyncClient, status: DaemonStatus
) -> None:
    status.routes.clear()
    assert (await http.get("/readyz")).status_code == 503


# --- /metrics


async def test_metrics_are_text_that_prometheus_reads(http: httpx.AsyncClient) -> None:
    answer = await http.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    names = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {"routerd_messages_received", "routerd_route_state", "routerd_build_info"} <= names


async def test_open_metrics_to_those_who_ask(http: httpx.AsyncClient) -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    answer = await http.get("/metrics", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


# --- /status.json


async def test_the_status_has_all_facts(http: httpx.AsyncClient, status: DaemonStatus) -> None:
    route = status.routes[0]
    route.received, route.delivered, route.inflight, route.restarts = 10, 5, 2, 1
    route.drop(3, "filtered")
    route.last_error = "lost the broker"
    since = trio.current_time() - 4
    route.oldest = lambda: since
    found = (await http.get("/status.json")).json()
    assert found["version"] == "1.2.3"
    assert found["uptime_seconds"] >= 0
    assert 0 <= found["heartbeat_age_seconds"] < 60
    assert found["loop_lag_seconds"] is None
    assert found["listening"] == {"admin": status.listening["admin"]}
    assert found["connections"] == [{"key": "kafka", "address": "kafka-1:9092", "trouble": "away"}]
    telemetry = found["routes"][0]
    assert telemetry["source"] == "mqtt:sensors/{device}"
    assert telemetry["promise"] == "at least once: PUBACK after kafka:telemetry"
    assert (telemetry["received"], telemetry["inflight"], telemetry["inflight_limit"]) == (
        10,
        2,
        2000,
    )
    assert telemetry["settled"] == {"delivered": 5, "dead_lettered": 0, "dropped": 3, "returned": 0}
    assert telemetry["dropped"] == {"filtered": 3}
    assert telemetry["oldest_inflight_age_seconds"] >= 4
    assert (telemetry["restarts"], telemetry["last_error"]) == (1, "lost the broker")
    assert telemetry["standing"] is None
    assert telemetry["sinks"][0] == {
        "address": "kafka:telemetry",
        "required": True,
        "delivered": 7,
        "failed": 1,
        "missed": {},
    }


async def test_a_route_that_stands_says_at_which_message(
    http: httpx.AsyncClient, status: DaemonStatus
) -> None:
    route = status.routes[0]
    route.standing = Standing("sensors/7", 12, "topic `telemetry` doesn't exist", 1_700_000_000.0)
    route.next_try_at = 1_700_000_060.0
    found = (await http.get("/status.json")).json()["routes"][0]
    assert found["state"] == "failed"
    assert found["next_try"] == "2023-11-14T22:14:20.000Z"
    assert found["reason"].startswith("it stands at a message: topic `telemetry`")
    assert found["since"] == "2023-11-14T22:13:20.000Z"
    assert found["standing"] == {
        "address": "mqtt:sensors/{device}",
        "topic": "sensors/7",
        "size": 12,
        "error": "topic `telemetry` doesn't exist",
        "drop_reason": "rejected",
        "since": "2023-11-14T22:13:20.000Z",
    }


async def test_a_topic_that_is_no_unicode_is_shown_all_the_same(
    http: httpx.AsyncClient, status: DaemonStatus
) -> None:
    status.routes[0].standing = Standing(os.fsdecode(b"a\xff\n\x00"), 1, "no", 0.0)
    found = json.loads((await http.get("/status.json")).content)
    assert found["routes"][0]["standing"]["topic"] == "a\udcff\n\x00"
    assert (await http.get("/")).status_code == 200


# --- everything else


@pytest.mark.parametrize("path", ["/nope", "/livez/", "/metrics%2F", "/%ff%00", "/..%2f"])
async def test_other_paths_are_404_in_json(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"].startswith("nothing is at /")


@pytest.mark.parametrize("path", ["/", "/page.js", "/livez", "/readyz", "/metrics", "/status.json"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
async def test_only_get_and_head(http: httpx.AsyncClient, path: str, method: str) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == 405
    assert sorted(answer.headers["allow"].split(", ")) == ["GET", "HEAD"]
    assert "error" in answer.json()


@pytest.mark.parametrize("path", ["/", "/page.js", "/livez", "/readyz", "/metrics", "/status.json"])
async def test_head_is_get_without_a_body(http: httpx.AsyncClient, path: str) -> None:
    head = await http.head(path)
    assert head.status_code == 200
    assert head.content == b""
    assert int(head.headers["content-length"]) > 0


async def test_nothing_is_cached_and_the_server_is_not_named(http: httpx.AsyncClient) -> None:
    for path in (
        "/",
        "/page.css",
        "/page.js",
        "/livez",
        "/readyz",
        "/metrics",
        "/status.json",
        "/nope",
    ):
        headers = (await http.get(path)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers
