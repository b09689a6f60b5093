"""The status page as its bytes: what it says, in which order, and that nothing in it is markup."""

import re
import time
from collections.abc import AsyncIterator
from html.parser import HTMLParser

import httpx
import pytest
import trio
from trio.testing import MockClock

from routerd.admin import open_admin
from routerd.admin.facts import status_facts
from routerd.admin.history import History
from routerd.admin.page import Page, sparkline
from routerd.receipt import SinkCounts
from routerd.status import (
    ConnectionStatus,
    DaemonStatus,
    ListenerStatus,
    RouteStatus,
    SinkStatus,
    Standing,
)

HARMLESS = "harmless"
HOSTILE = "\"><script>alert('1')</script>&amp;<!--"


class Reader(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[tuple[str, str]] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += " " if tag in {"td", "th", "p", "span"} else ""
        self.attributes.update((tag, name) for name, _value in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: bytes) -> Reader:
    reader = Reader()
    reader.feed(html.decode())
    reader.text = re.sub("[ \n]+", " ", reader.text)
    return reader


def a_route(name: str, source: str = "mqtt:sensors/{device}") -> RouteStatus:
    sinks = [
        SinkStatus("kafka:telemetry", required=True, counts=SinkCounts(7, 1)),
        SinkStatus("group:/live/{device}", required=False, counts=SinkCounts(5, 0)),
    ]
    route = RouteStatus(name, source, sinks, promise="at least once: PUBACK after kafka:telemetry")
    route.enter("running")
    return route


async def render(status: DaemonStatus) -> Reader:
    return read(await Page(status, History(status)).render())


async def shown(*routes: RouteStatus) -> str:
    return (await render(DaemonStatus("1.2.3", routes=[*routes]))).text


# --- what it says


async def test_all_that_is_known_of_a_route_is_there() -> None:
    route = a_route("telemetry")
    route.delivered, route.inflight, route.restarts = 1_234_567, 12, 3
    route.drop(4, "filtered")
    route.last_error, route.waits_for = "lost the broker", "the broker at b:1883"
    since = trio.current_time() - 4
    route.oldest = lambda: since
    text = await shown(route)
    for each in (
        "telemetry", "● running", "mqtt:sensors/{device}",
        "→ kafka:telemetry 7 delivered, 1 failed attempt ",
        "group:/live/{device} 5 delivered", "PUBACK after kafka:telemetry", "1\u202f234\u202f567",
        "12 of 2\u202f000", "4 s", "last trouble: lost the broker", "4 filtered",
        "waits for the broker at b:1883",
    ):  # fmt: skip
        assert each in text


async def test_a_route_that_stands_says_at_which_message_and_what_to_do() -> None:
    route = a_route("telemetry")
    route.standing = Standing("sensors/7", 1536, "the topic is missing: create it", 0.0)
    text = await shown(route, a_route("chat"))
    assert "1 of 2 routes needs you: telemetry." in text
    assert "Stands at a message of 1.5 KiB as it is to be sent, from sensors/7 since" in text
    assert "the topic is missing: create it" in text
    assert "offered again by itself, and the route goes on once it is taken" in text
    assert 'on_error = "drop"' in text


async def test_only_what_fails_at_a_sink_that_is_not_required_is_shown_as_lost() -> None:
    route = a_route("telemetry")
    for sink in route.sinks:
        sink.counts.failed = 4
    page = await render(DaemonStatus("1.2.3", routes=[route]))
    assert "kafka:telemetry 7 delivered, 4 failed attempts " in page.text
    assert "group:/live/{device} 5 delivered, 4 failed " in page.text
    assert page.tags.count("em") == 1
    assert {("i", "title"), ("em", "title")} <= page.attributes


async def test_what_slow_members_missed_stands_at_their_group() -> None:
    route = a_route("telemetry")
    route.sinks[1].counts.missed.update(oldest=0, gone=0)
    assert "missed" not in await shown(route)
    route.sinks[1].counts.missed.update(oldest=1000, gone=1)
    assert "group:/live/{device} 5 delivered, 1\u202f001 missed " in await shown(route)


async def test_a_window_that_its_bytes_fill_says_so() -> None:
    route = a_route("telemetry")
    route.inflight_bytes = 60 << 20
    assert "in flight: 60.0 MiB of 64.0 MiB" in await shown(route)


async def test_a_message_that_no_table_line_can_route_asks_for_another_table() -> None:
    route = a_route("telemetry")
    error = "`{.id}` has no value: it is missing or null"
    route.standing = Standing("sensors/7", 1, error, 0.0, reason="unroutable")
    text = await shown(route)
    assert "Stands at a message of 1 byte from sensors/7 since" in text  # as it came
    assert f"{error} What to do: only another table can route it." in text
    assert "Then restart routerd; the broker gives the message again." in text
    assert "offered again" not in text


async def test_a_route_that_stands_and_lost_its_broker_says_both() -> None:
    route = a_route("telemetry")
    route.standing = Standing("sensors/7", 1, "the topic is missing: create it", 0.0)
    route.enter("backoff", reason="b:1883 refused the connection", next_try_at=time.time() + 59.9)
    text = await shown(route)
    assert "the topic is missing: create it" in text
    assert "b:1883 refused the connection It is tried again by itself, next in 59 s." in text
    assert text.count("b:1883") == 1


async def test_a_route_that_is_tried_again_says_why_and_when() -> None:
    route = a_route("telemetry")
    route.enter("backoff", reason="b:1883 refused the connection", next_try_at=time.time() + 59.9)
    text = await shown(route, a_route("chat"))
    assert "1 of 2 routes is being tried again: telemetry." in text
    assert "b:1883 refused the connection" in text
    assert "tried again by itself, next in 59 s." in text


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ([], "No route has been opened yet."),
        (["running"], "The one route runs."),
        (["running", "running"], "All 2 routes run."),
        (["running", "starting"], "1 of 2 routes does not run: starting."),
        (["failed", "backoff", "failed"], "2 of 3 routes need you: failed, failed."),
        (["failed"], "1 of 1 routes needs you: failed."),
        (["failed"] * 5, "5 of 5 routes need you: failed, failed, failed and 2 more."),
        (
            ["backoff", "backoff", "running"],
            "2 of 3 routes are being tried again: backoff, backoff.",
        ),
    ],
)
async def test_the_first_sentence_says_whether_all_is_well(states: list[str], verdict: str) -> None:
    routes = []
    for state in states:
        routes.append(a_route(state))
        routes[-1].life_state = state  # type: ignore[assignment]
    assert verdict in await shown(*routes)


async def test_a_route_that_runs_and_waits_is_not_all_well() -> None:
    route = a_route("telemetry")
    route.sinks_wait_for["kafka"] = "no broker can be reached"
    text = await shown(route, a_route("chat"))
    assert "All run, 1 of 2 routes waits for something: telemetry." in text
    assert "waits for kafka: no broker can be reached" in text


async def test_those_in_trouble_come_first_and_the_rest_as_in_the_table() -> None:
    routes = [a_route(name) for name in ("a", "b", "c", "d", "e")]
    routes[3].enter("backoff", reason="x")
    routes[4].enter("failed", reason="y")
    html = await Page(DaemonStatus("1", routes=routes), History(DaemonStatus("1"))).render()
    assert re.findall(rb'<th scope="row">(\w)</th>', html) == [b"e", b"d", b"a", b"b", b"c"]


async def test_a_route_that_waits_comes_before_those_that_run_well() -> None:
    routes = [a_route("a"), a_route("b")]
    routes[1].waits_for = "the broker"
    html = await Page(DaemonStatus("1", routes=routes), History(DaemonStatus("1"))).render()
    assert re.findall(rb'<th scope="row">(\w)</th>', html) == [b"b", b"a"]


async def test_a_connection_that_no_route_waits_for_is_not_all_well_either() -> None:
    status = DaemonStatus("1", routes=[a_route("a"), a_route("b")])
    status.connections = [
        ConnectionStatus("kafka", "a:1"),
        ConnectionStatus("kafka.audit", "b:1", lambda: "no broker can be reached"),
    ]
    assert "All 2 routes run, but kafka.audit has trouble." in (await render(status)).text


def a_listener() -> ListenerStatus:
    listener = ListenerStatus("ws", count_members=lambda: {"group:/live": 7})
    listener.know("/chat/{room}")
    listener.connections["/chat/{room}"] = 1234
    listener.closed["/chat/{room}", "slow"] = 3
    listener.unmatched["/chat/{room}"] = 6
    listener.refused["", "not_found"] = 2
    return listener


async def test_connections_groups_and_paths_are_listed() -> None:
    status = DaemonStatus(
        "1.2.3",
        connections=[
            ConnectionStatus("mqtt", "mqtts://broker:8883"),
            ConnectionStatus("kafka", "kafka-1:9092", lambda: "no broker can be reached"),
        ],
        listeners=[a_listener()],
    )
    text = (await render(status)).text
    for each in (
        "mqtt mqtts://broker:8883 ● no trouble known",
        "kafka kafka-1:9092 ✕ no broker can be reached",
        "/chat/{room} 1\u202f234", "group:/live 7",
        "gone: 3 slow", "not let in: 2 not_found",
        "messages of a type that no route takes: 6 /chat/{room}",
    ):  # fmt: skip
        assert each in text


async def test_scripts_are_told_why_clients_are_gone() -> None:
    status = DaemonStatus("1.2.3", listeners=[a_listener(), a_listener()])
    facts = status_facts(status, History(status))
    assert facts["ws_connections"] == {"/chat/{room}": 2468}
    assert facts["group_members"] == {"group:/live": 14}
    assert facts["ws_closed"] == {"slow": 6}
    assert facts["ws_refused"] == {"not_found": 4}
    assert facts["ws_unmatched"] == {"/chat/{room}": 12}
    assert facts["ws_undecodable"] == {"/chat/{room}": 0}


# --- what it must not do


def hostile(text: str) -> DaemonStatus:
    """A status in which every text that comes from elsewhere is `text`."""
    routes = [a_route(text) for _ in range(4)]
    for route in routes:
        route.source = route.promise = route.waits_for = route.last_error = text
        route.sinks.append(SinkStatus(text, required=False))
        route.sinks_wait_for[text] = text
    routes[0].standing = Standing(text, 1, text, 0.0)
    routes[1].enter("failed", reason=text)
    routes[2].enter("backoff", reason=text)
    return DaemonStatus(
        text,
        routes=routes,
        connections=[ConnectionStatus(text, text, lambda: text)],
        listening={text: text},
        listeners=[hostile_listener(text)],
    )


def hostile_listener(text: str) -> ListenerStatus:
    listener = ListenerStatus(text, count_members=lambda: {text: 1})
    for counts in (listener.connections, listener.unmatched, listener.undecodable):
        counts[text] = 1
    for reasons in (listener.closed, listener.refused):
        reasons[text, text] = 1
    return listener


async def test_nothing_on_the_page_can_be_markup() -> None:
    calm, page = await render(hostile(HARMLESS)), await render(hostile(HOSTILE))
    assert page.tags == calm.tags
    assert page.attributes == calm.attributes
    assert page.text.count(HOSTILE) == calm.text.count(HARMLESS) >= 30


async def test_a_text_that_is_no_unicode_is_shown_all_the_same() -> None:
    status = hostile("\udcff")
    assert rb"\udcff" in await Page(status, History(status)).render()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    status = hostile(HARMLESS)
    async with (
        open_admin(status, host="127.0.0.1", port=0),
        httpx.AsyncClient(
            base_url=f"http://{status.listening['admin']}", trust_env=False
        ) as client,
    ):
        yield client


async def test_a_browser_is_told_to_run_nothing_but_what_routerd_ships(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'; ")
    assert "unsafe" not in policy
    assert re.findall("<script[^>]*>", answer.text) == ['<script src="page.js" defer>']
    assert "<style" not in answer.text
    assert " style=" not in answer.text


@pytest.mark.parametrize(
    ("name", "kind"), [("page.css", "text/css"), ("page.js", "text/javascript")]
)
async def test_style_and_script_are_there(http: httpx.AsyncClient, name: str, kind: str) -> None:
    answer = await http.get(f"/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    assert len(answer.content) > 500


async def test_nothing_is_taken_from_another_host(http: httpx.AsyncClient) -> None:
    for path in ("/", "/page.css", "/page.js"):
        text = (await http.get(path)).text
        assert not re.search(r"(src|href)=.?(https?:|//)|url\(|@import|fetch\(.http", text)


# --- what it costs


async def test_many_readers_are_shown_one_page(autojump_clock: MockClock) -> None:
    status = DaemonStatus("1.2.3", routes=[a_route("a")])
    page = Page(status, History(status))
    first = await page.render()
    assert await page.render() is first
    await trio.sleep(1.1)
    status.routes[0].delivered = 77
    assert b"77" in await page.render()


@pytest.mark.slow
async def test_500_routes_are_rendered_in_slices() -> None:
    status = DaemonStatus("1.2.3", routes=[a_route(f"route-{n}") for n in range(500)])
    page = Page(status, History(status))
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_turns)
        html = await page.render()
        nursery.cancel_scope.cancel()
    assert html.count(b'<tbody id="r') == 500
    assert turns >= 20


async def test_a_route_that_changes_meanwhile_is_shown_as_it_was_at_one_moment() -> None:
    status = DaemonStatus("1.2.3", routes=[a_route(f"route-{n}") for n in range(300)])
    page = Page(status, History(status))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fall_and_rise, status.routes)
        await trio.lowlevel.checkpoint()
        html = await page.render()
        nursery.cancel_scope.cancel()
    stands = html.count(b"<b>Stands at a message</b>")
    assert 0 < stands < 300
    assert html.count(b"\xe2\x9c\x95 failed</span>") == html.count(b">2 rejected<") == stands


async def fall_and_rise(routes: list[RouteStatus]) -> None:
    """At each turn every route comes to stand at a message, or goes on."""
    while True:
        for route in routes:
            falls = route.standing is None
            route.standing = Standing("a/b", 1, "no", 0.0) if falls else None
            route.dropped = {"rejected": 2} if falls else {}
        await trio.lowlevel.checkpoint()


# --- the sparkline


def test_nothing_draws_no_line() -> None:
    assert sparkline([]) == ""
    assert sparkline([0.0] * 90) == ""


def test_the_newest_is_at_the_right_and_the_most_at_the_top() -> None:
    assert sparkline([0.0, 5.0, 10.0]).split(" ") == ["261,29", "264,15", "267,1"]
    assert len(sparkline([1.0] * 90).split(" ")) == 90
    assert sparkline([1.0] * 90).startswith("0,1 ")


async def test_the_sparkline_says_its_height_in_words(autojump_clock: MockClock) -> None:
    status = DaemonStatus("1.2.3", routes=[a_route("a")])
    history = History(status)
    history.sample()
    for status.routes[0].delivered in (3000, 3010):
        await trio.sleep(2)
        history.sample()
    text = read(await Page(status, history).render()).text
    assert "messages a second in the last 3 minutes: at most 1\u202f500" in text
