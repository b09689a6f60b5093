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
from routerd.admin.history import History
from routerd.admin.page import Page, sparkline
from routerd.receipt import SinkCounts
from routerd.status import ConnectionStatus, DaemonStatus, RouteStatus, SinkStatus, Standing

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
        "telemetry", "● running", "mqtt:sensors/{device}", "kafka:telemetry", "1 failed",
        "group:/live/{device}", "PUBACK after kafka:telemetry", "1\u202f234\u202f567",
        "12 of 2\u202f000", "4 s", "last error: lost the broker", "4 filtered",
        "waits for the broker at b:1883",
    ):  # fmt: skip
        assert each in text


async def test_a_route_that_stands_says_at_which_message_and_what_to_do() -> None:
    route = a_route("telemetry")
    route.standing = Standing("sensors/7", 1536, "the topic is missing: create it", 0.0)
    route.next_try_at = time.time() + 59.9
    text = await shown(route, a_route("chat"))
    assert "1 of 2 routes needs you: telemetry." in text
    assert "Stands at a message of 1.5 KiB from sensors/7 since" in text
    assert "the topic is missing: create it" in text
    assert "every 60 s, next in 59 s, and goes on" in text
    assert 'on_error = "drop"' in text


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


async def test_connections_groups_and_paths_are_listed() -> None:
    status = DaemonStatus(
        "1.2.3",
        connections=[
            ConnectionStatus("mqtt", "mqtts://broker:8883"),
            ConnectionStatus("kafka", "kafka-1:9092", lambda: "no broker can be reached"),
        ],
        ws_connections=lambda: {"/chat/{room}": 1234},
        group_members=lambda: {"group:/live": 7},
        ws_closed=lambda: {"4408": 3},
        ws_refused=lambda: {"404": 2},
    )
    text = (await render(status)).text
    for each in (
        "mqtt mqtts://broker:8883 ● no trouble known",
        "kafka kafka-1:9092 ✕ no broker can be reached",
        "/chat/{room} 1\u202f234", "group:/live 7",
        "3 closed by us with 4408", "2 refused with 404",
    ):  # fmt: skip
        assert each in text


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
        ws_connections=lambda: {text: 1},
        group_members=lambda: {text: 1},
        ws_closed=lambda: {text: 1},
        ws_refused=lambda: {text: 1},
    )


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


# --- the sparkline


def test_nothing_draws_no_line() -> None:
    assert sparkline([]) == ""
    assert sparkline([0.0] * 90) == ""


def test_the_newest_is_at_the_right_and_the_most_at_the_top() -> None:
    assert sparkline([0.0, 5.0, 10.0]).split(" ") == ["264,29", "267,15", "270,1"]
    assert len(sparkline([1.0] * 90).split(" ")) == 90
    assert sparkline([1.0] * 90).startswith("0,1 ")
