"""The demo's page in a real browser: what a person sees while brokers stop and routerd falls."""

import contextlib
import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute

from tests.demo_house import Demo, open_demo

HOSTILE = "<img src=x onerror=\"document.title='broken into'\">"
FIGURE = "id => Number(document.getElementById(id).textContent.replace(/\\D/g, ''))"


class Window:
    """One window on the demo, and everything in it that should not be."""

    def __init__(self, browser: Browser, url: str, *, width: int = 1280) -> None:
        self.host = urlsplit(url).netloc
        self.troubles: list[str] = []
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900})
        self.page.set_default_timeout(60_000)
        self.page.on("console", lambda said: self.troubles.append(f"{said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", lambda request: self._look(request.url))
        self.page.on("websocket", lambda socket: self._look_at_socket(socket.url))

    def _look(self, url: str) -> None:
        if urlsplit(url).netloc != self.host and urlsplit(url).scheme != "data":
            self.troubles.append(f"it asked another host: {url}")

    def _look_at_socket(self, url: str) -> None:
        if urlsplit(url).hostname != "127.0.0.1":
            self.troubles.append(f"it asked another host: {url}")

    def figure(self, name: str) -> int:
        number = self.page.evaluate(FIGURE, name)
        assert isinstance(number, int)
        return number

    def wait_figure(self, name: str, least: int) -> None:
        self.page.wait_for_function(
            f"([name, least]) => ({FIGURE})(name) >= least", arg=[name, least]
        )

    def wait_text(self, selector: str, text: str) -> None:
        self.page.locator(selector, has_text=text).first.wait_for()

    def say(self, text: str, *, name: str) -> None:
        self.page.fill("#name", name)
        self.page.fill("#text", text)
        self.page.press("#text", "Enter")

    def heard(self) -> list[str]:
        return self.page.locator("#messages .said").all_text_contents()

    def place_of(self, bus: str) -> str | None:
        return self.page.locator(f'[data-bus="{bus}"]').get_attribute("transform")

    def wait_moving(self, bus: str) -> None:
        self.page.wait_for_function(
            '([bus, place]) => document.querySelector(`[data-bus="${bus}"]`)'
            ".getAttribute('transform') !== place",
            arg=[bus, self.place_of(bus)],
        )

    def restarts(self) -> int:
        return int(self.page.inner_text('[data-route="telemetry"] .restarts'))


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """One for all tests of this file; none of them leaves it stopped."""
    with open_demo() as running:
        yield running


@contextlib.contextmanager
def open_window(browser: Browser, url: str, *, width: int = 1280) -> Iterator[Window]:
    window = Window(browser, url, width=width)
    try:
        window.page.goto(url)
        window.wait_text("#chat-state", "connected")
        yield window
        assert window.troubles == []
    finally:
        window.page.close()


@pytest.fixture
def window(browser: Browser, demo: Demo) -> Iterator[Window]:
    with open_window(browser, demo.url) as opened:
        yield opened


def test_two_windows_chat_and_kafka_has_it_too(
    browser: Browser, demo: Demo, window: Window
) -> None:
    with open_window(browser, demo.url) as other:
        window.say("hello from here", name="Ada")
        other.wait_text("#messages .said", "hello from here")
        other.say("and from there", name="Bob")
        for each in (window, other):
            each.wait_text("#messages .said", "and from there")
            assert each.heard()[-2:] == ["hello from here", "and from there"]
            each.wait_text('[data-topic="chat"] .value', "and from there")
        assert other.page.locator("#messages b").all_text_contents()[-2:] == ["Ada", "Bob"]


def test_a_room_is_in_the_address_and_hears_only_itself(
    browser: Browser, demo: Demo, window: Window
) -> None:
    with open_window(browser, f"{demo.url}?room=a%2Fb") as other:
        assert other.page.inner_text("#room") == "a/b"
        window.say("to the lobby", name="Ada")
        window.wait_text("#messages .said", "to the lobby")
        other.say("to the room", name="Bob")
        other.wait_text("#messages .said", "to the room")
        assert other.heard() == ["to the room"]


def test_what_people_write_stays_text(window: Window, browser: Browser, demo: Demo) -> None:
    with open_window(browser, demo.url) as other:
        other.say(HOSTILE, name="<b>Bob</b>")
        window.wait_text("#messages .said", HOSTILE)
        window.wait_text('[data-topic="chat"] .value', "onerror")
    assert window.page.locator("#messages b").last.inner_text() == "<b>Bob</b>"
    assert window.page.locator("main img, main b b").count() == 0
    assert window.page.title() == "routerd demo"


def test_text_that_is_no_json_is_shown_as_it_is(window: Window) -> None:
    for text in ("just words", '{"text": 5}', "null"):
        window.page.evaluate(
            "async text => { const { websocket } = await planned;"
            " const s = new WebSocket(`ws://${websocket}/chat/lobby`);"
            " s.onopen = () => { s.send(text); s.close(); }; }",
            text,
        )
        window.wait_text("#messages .said", text)
    assert window.page.locator("#messages b").count() == 0


def test_the_buses_move_and_one_can_be_followed(window: Window) -> None:
    window.page.wait_for_function("() => document.querySelectorAll('.bus').length === 36")
    for bus in ("bus-01", "bus-36"):
        window.wait_moving(bus)
    for bus in ("bus-07", "bus-11"):  # the second one in place of the first
        window.page.locator(f'[data-bus="{bus}"]').dispatch_event("click")
        window.wait_text("#follow", f"ws:/live/{bus}: 3 messages")
        assert '"number":' in window.page.inner_text("#followed")
    assert window.page.locator(".bus.chosen").count() == 1


def test_a_chat_that_was_cut_off_comes_back_by_itself(browser: Browser, demo: Demo) -> None:
    window = Window(browser, demo.url)
    sockets: list[WebSocketRoute] = []

    def lead_on(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.connect_to_server()

    window.page.route_web_socket("**/chat/lobby", lead_on)
    window.page.goto(demo.url)
    window.wait_text("#chat-state", "● connected")
    sockets[0].close()
    window.wait_text("#chat-state", "↻ connecting")
    window.wait_text("#chat-state", "● connected")
    window.say("back again", name="Ada")
    window.wait_text("#messages .said", "back again")
    assert len(sockets) == 2
    window.page.close()


@pytest.mark.parametrize("width", [360, 700, 1280])
def test_it_fits_the_width(browser: Browser, demo: Demo, width: int) -> None:
    with open_window(browser, demo.url, width=width) as window:
        window.say("w" * 400, name="n" * 40)
        window.wait_text("#messages .said", "w" * 400)
        window.wait_text('[data-topic="chat"] .value', "www")
        assert window.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.fixture
def foreign_page(tmp_path: Path) -> Iterator[str]:
    """A page of somebody else's on this machine."""
    (tmp_path / "index.html").write_text("<title>foreign</title>")
    serve = functools.partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


PRESS = """async ([url, type, mode]) => {
  const headers = { "Content-Type": type };
  const body = '{"action": "stop-kafka"}';
  try { return (await fetch(`${url}act`, { method: "POST", headers, body, mode })).type }
  catch { return "refused" }
}"""


def test_a_foreign_page_on_this_machine_presses_nothing(
    browser: Browser, demo: Demo, foreign_page: str
) -> None:
    page = browser.new_page()
    page.goto(foreign_page)
    assert page.evaluate(PRESS, [demo.url, "application/json", "cors"]) == "refused"
    # This one is sent, and its sender can't see the answer.
    assert page.evaluate(PRESS, [demo.url, "text/plain", "no-cors"]) == "opaque"
    page.close()
    assert demo.facts()["kafka"] is True


# --- stop and start


def test_kafka_stops_and_nothing_is_lost(window: Window) -> None:
    window.page.click("text=Stop Kafka")
    window.wait_text("#story", "Kafka is away")
    window.wait_figure("inflight", window.figure("inflight-limit"))
    arrived, published = window.figure("in-kafka"), window.figure("published")
    window.say("Kafka is away", name="Ada")
    window.wait_text("#messages .said", "Kafka is away")
    window.wait_figure("published", published + 100)
    window.wait_figure("confirmed", published + 100)
    window.wait_text("#story", "in the MQTT broker's queue")
    assert window.figure("in-kafka") == arrived
    window.wait_moving("bus-01")
    window.wait_text('[data-route="telemetry"] .why', "waits for kafka")

    confirmed = window.figure("confirmed")
    window.page.click("text=Start Kafka")
    window.wait_figure("in-kafka", confirmed)
    window.wait_text("#story", "All is well")
    window.wait_text('[data-topic="chat"] .value', "Kafka is away")
    assert window.figure("lost") == 0


def test_the_mqtt_broker_stops_and_nothing_is_lost(window: Window) -> None:
    window.page.click("text=Stop MQTT")
    window.wait_text("#story", "The MQTT broker is cut off")
    assert window.page.locator("#fall").is_disabled()
    published = window.figure("published")
    window.wait_figure("published", published + 20)  # what was under way is there by then
    confirmed = window.figure("confirmed")
    window.wait_figure("published", published + 100)
    assert window.figure("confirmed") == confirmed
    window.say("chat goes on", name="Ada")
    window.wait_text("#messages .said", "chat goes on")
    window.wait_text('[data-route="telemetry"]', "↻ tries again")

    published = window.figure("published")
    window.page.click("text=Start MQTT")
    window.wait_figure("confirmed", published)
    window.wait_figure("in-kafka", published)
    window.wait_text("#story", "All is well")
    assert window.figure("lost") == 0


def test_routerd_falls_and_nothing_is_lost(window: Window) -> None:
    window.wait_text('[data-route="telemetry"]', "● running")
    before = window.restarts()
    window.page.click("text=Let it fall")
    window.page.wait_for_function(
        "before => Number(document.querySelector('[data-route=\"telemetry\"] .restarts')"
        ".textContent) > before",
        arg=before,
    )
    window.wait_text('[data-route="telemetry"]', "● running")
    window.wait_figure("in-kafka", window.figure("confirmed"))
    window.wait_text("#story", "All is well")
    assert window.figure("lost") == 0
    window.wait_text('[data-route="chat"] .restarts', "0")


def test_at_the_end_the_summary_says_the_same(browser: Browser) -> None:
    with open_demo() as demo, open_window(browser, demo.url) as window:
        window.wait_figure("in-kafka", 50)
        for button in ("Stop Kafka", "Let it fall", "Stop MQTT"):
            window.page.click(f"text={button}")
            window.wait_figure("published", window.figure("published") + 50)
        window.page.goto("about:blank")
        demo.press_ctrl_c()
        code, summary = demo.end()
        assert (code, summary["lost"]) == (0, 0)
        assert summary["published"] == summary["confirmed"] == summary["in_kafka"]
