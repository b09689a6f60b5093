"""The pages of etc/examples in a real browser, with their tables in a real routerd behind them."""

import contextlib
import functools
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.example_house import EXAMPLES, example
from tests.rig.daemon import Routerd
from tests.rig.ports import free_port

HOSTILE = "<img src=x onerror=\"document.title='broken into'\">"
PAGES = {"chat": "8800", "chatroom": "7701"}
"""The port that each page's script names."""

KEEP_STATES = """globalThis.states = [];
addEventListener("DOMContentLoaded", () => {
  const state = document.getElementById("state");
  new MutationObserver(() => states.push(state.textContent)).observe(state, { childList: true });
});"""


class Site:
    """A folder of pages that `python3 -m http.server` serves, and routerd behind one of them."""

    def __init__(self, name: str, pages: ThreadingHTTPServer, folder: Path) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{pages.server_port}/{name}.html"
        self.port = free_port()
        script = folder / f"{name}.js"
        script.write_text(script.read_text().replace(PAGES[name], str(self.port)))
        table = example(f"{name}.toml").replace(":8000", f":{pages.server_port}")
        self.daemon = Routerd(table.replace("127.0.0.1:0", f"127.0.0.1:{self.port}", 1))


class Window:
    """One window, and everything in it that should not be."""

    def __init__(
        self,
        browser: Browser,
        site: Site,
        *,
        query: str = "",
        width: int = 1280,
        chance: float | None = None,
    ) -> None:
        self.site = site
        self.hosts = {urlsplit(site.url).netloc, f"127.0.0.1:{site.port}"}
        self.troubles: list[str] = []
        self.page: Page = browser.new_page(viewport={"width": width, "height": 700})
        self.page.on("console", lambda said: self.troubles.append(said.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", lambda request: self._look(request.url))
        self.page.on("websocket", lambda socket: self._look(socket.url))
        if chance is not None:
            self.page.add_init_script(f"Math.random = () => {chance}")
        self.page.add_init_script(KEEP_STATES)
        self.page.goto(site.url + query)

    def _look(self, url: str) -> None:
        if urlsplit(url).netloc not in self.hosts and urlsplit(url).scheme != "data":
            self.troubles.append(f"it asked another host: {url}")

    def enter(self, room: str, *, name: str) -> None:
        self.page.fill("#name", name)
        self.page.fill("#room", room)
        self.page.click("text=Come in")
        self.page.locator("#people li", has_text="you").get_by_text(name, exact=True).wait_for()

    def say(self, text: str) -> None:
        self.page.locator("#state.open").wait_for()
        self.page.fill("#text", text)
        self.page.press("#text", "Enter")

    def wait_said(self, text: str) -> None:
        self.page.locator("#messages p").get_by_text(text, exact=True).first.wait_for()

    def wait_told(self, text: str) -> None:
        self.page.locator("#messages .told", has_text=text).first.wait_for()

    def wait_people(self, *names: str) -> None:
        """Until these and no others are there, in this order."""
        self.page.wait_for_function(
            "names => names === [...document.querySelectorAll('#people .who')]"
            ".map(who => who.textContent).join('|')",
            arg="|".join(names),
        )

    def wait_state(self, state: str) -> None:
        """Until it has said so of its connection, perhaps a while ago."""
        self.page.wait_for_function("state => states.includes(state)", arg=state)

    def said(self) -> list[str]:
        return self.page.locator("#messages p").all_text_contents()


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[ThreadingHTTPServer]:
    """What `python3 -m http.server` does."""
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    serving = functools.partial(quiet, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), serving) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def open_site(name: str, folder: Path) -> Iterator[Site]:
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    with serve(folder) as pages:
        site = Site(name, pages, folder)
        with site.daemon:
            yield site


@pytest.fixture(scope="module")
def chatroom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One whose Kafka is away, which no page notices."""
    with open_site("chatroom", tmp_path_factory.mktemp("chatroom")) as site:
        yield site


OpenWindow = Callable[..., Window]


@pytest.fixture
def open_window(browser: Browser) -> Iterator[OpenWindow]:
    """Opens one, as often as the test likes; nothing strange may have happened in any."""
    opened: list[Window] = []

    def open_one(site: Site, **options: object) -> Window:
        opened.append(Window(browser, site, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for window in opened:
        window.page.close()
    assert [trouble for window in opened for trouble in window.troubles] == []


def test_two_windows_in_one_room_and_one_in_another(
    chatroom: Site, open_window: OpenWindow
) -> None:
    ada, bob, eve = (open_window(chatroom) for _ in range(3))
    ada.enter("two and one", name="Ada")
    bob.enter("two and one", name="Bob")
    eve.enter("elsewhere", name="Eve")
    ada.say("hello Bob")
    bob.wait_said("hello Bob")
    bob.say("hello Ada")
    eve.say("anybody here?")
    for window, heard in ((ada, 2), (bob, 2), (eve, 1)):
        window.wait_said("anybody here?" if window is eve else "hello Ada")
        assert len(window.said()) == heard
    assert ada.page.locator("#messages .mine .who").all_text_contents() == ["Ada"]
    assert bob.page.locator("#messages li:not(.told) .who").all_text_contents() == ["Ada", "Bob"]


def test_who_is_there_is_seen_by_all_and_by_those_who_come_later(
    chatroom: Site, open_window: OpenWindow
) -> None:
    ada, bob = open_window(chatroom), open_window(chatroom)
    ada.enter("presence", name="Ada")
    bob.enter("presence", name="Bob")
    ada.wait_told("Bob came")
    ada.wait_people("Ada", "Bob")
    bob.wait_people("Bob", "Ada")  # oneself first
    bob.page.click("text=Leave")
    ada.wait_told("Bob left")
    ada.wait_people("Ada")
    bob.page.go_back()  # into the room again
    ada.wait_people("Ada", "Bob")
    bob.wait_people("Bob", "Ada")


def test_names_rooms_and_texts_are_never_html(chatroom: Site, open_window: OpenWindow) -> None:
    mallory = open_window(chatroom)
    mallory.enter(HOSTILE, name="<b onfocus=x>M</b>")
    ada = open_window(chatroom, query=f"?room={quote(HOSTILE)}")
    ada.page.fill("#name", "Ada")
    ada.page.click("text=Come in")
    mallory.wait_told("Ada came")
    mallory.say(HOSTILE)
    ada.wait_said(HOSTILE)
    ada.page.evaluate(  # what no page of ours sends
        "([url, message]) => { const socket = new WebSocket(url); socket.onopen = () => {"
        " socket.send(JSON.stringify({event_id: 'chat', payload: JSON.stringify({message})}));"
        " setTimeout(() => socket.close(), 300); } }",
        [room_url(chatroom, HOSTILE) + f"?name={quote(HOSTILE)}", {"html": HOSTILE}],
    )
    ada.page.locator("#messages p", has_text='{"html":').wait_for()
    ada.wait_told(f"{HOSTILE[:40]}… left")
    for window in (ada, mallory):
        assert window.page.locator("img, b").count() == 0
        assert window.page.title() == HOSTILE
    assert "<b onfocus=x>M</b>" in ada.page.locator("#people").inner_text()


def room_url(site: Site, room: str) -> str:
    return f"ws://127.0.0.1:{site.port}/room/{quote(room, safe='')}"


def test_a_page_comes_back_after_a_restart_and_says_what_it_may_have_missed(
    browser: Browser, tmp_path: Path
) -> None:
    with open_site("chatroom", tmp_path) as site:
        ada, bob = (Window(browser, site, chance=chance) for chance in (0.1, 0.3))
        ada.enter("lobby", name="Ada")
        bob.enter("lobby", name="Bob")
        site.daemon.stop()
        ada.wait_state("the server restarts; again in 1 s")
        bob.wait_state("the server restarts; again in 2 s")  # not all at once
        assert ada.page.is_disabled("#send")
        ada.wait_people()
        site.daemon.start()
        ada.wait_told("You were away for")
        ada.wait_people("Ada", "Bob")
        ada.say("back again")
        bob.wait_said("back again")
        for window in (ada, bob):
            window.page.close()


def test_it_fits_any_width(chatroom: Site, open_window: OpenWindow) -> None:
    window = open_window(chatroom)
    window.enter("r" * 100, name="n" * 40)
    window.say("w" * 400)
    window.wait_said("w" * 400)
    for width in (1280, 700, 320):
        window.page.set_viewport_size({"width": width, "height": 600})
        window.page.locator("#state.open").wait_for()
        assert window.page.evaluate("document.documentElement.scrollWidth") <= width
        assert window.page.evaluate("document.documentElement.scrollHeight") <= 600


CONNECT = """async ([url, says]) => new Promise((resolve) => {
  const socket = new WebSocket(url);
  socket.onclose = () => resolve("refused");
  socket.onmessage = async (event) => {
    const { event_id, payload } = JSON.parse(await event.data.text());
    if (event_id === "welcome") socket.send(says);
    if (event_id === "chat") resolve(new URL(socket.url).pathname);
  };
})"""


def test_rooms_of_odd_names_are_apart_in_a_browser_too(
    chatroom: Site, open_window: OpenWindow
) -> None:
    rooms = ["a/b", "a", "ä %2F?#&"]
    windows = [open_window(chatroom) for _ in rooms]
    for window, room in zip(windows, rooms, strict=True):
        window.enter(room, name="Ada")
        window.say(f"in {room}")
    for window, room in zip(windows, rooms, strict=True):
        window.wait_said(f"in {room}")
        assert window.said() == [f"in {room}"]
        assert window.page.inner_text("#title") == room


def test_a_room_that_no_browser_can_ask_for_is_refused_at_the_door(
    chatroom: Site, open_window: OpenWindow
) -> None:
    window = open_window(chatroom, query="?room=..")
    window.page.fill("#name", "Ada")
    for room in ("..", "."):
        window.page.fill("#room", room)
        window.page.click("text=Come in")
        assert window.page.locator("#room:invalid").count() == 1
        assert window.page.is_hidden("#inside")


ASKED = {
    "/room/": "/room/",
    "/room/a%2Fb": "/room/a%2Fb",
    f"/room/{'x' * 4096}": f"/room/{'x' * 4096}",
    "/room/..": "refused",  # the browser makes it /
    "/room/%2e%2e": "refused",
    "/room/a/../..": "refused",
}


def test_what_a_browser_asks_for_is_a_room_or_refused(chatroom: Site, browser: Browser) -> None:
    listener, window = Window(browser, chatroom), Window(browser, chatroom)
    listener.enter("lobby", name="Ada")
    says = '{"event_id":"chat","payload":"{\\"message\\":\\"hi\\"}"}'
    for path, asked in ASKED.items():
        url = f"ws://127.0.0.1:{chatroom.port}{path}"
        assert window.page.evaluate(CONNECT, [url, says]) == asked
    listener.say("end")
    listener.wait_said("end")
    assert listener.said() == ["end"]
    for each in (listener, window):
        each.page.close()


def test_the_blogs_chat_has_a_page_too(
    browser: Browser, open_window: OpenWindow, tmp_path: Path
) -> None:
    with open_site("chat", tmp_path) as site:
        one, other = open_window(site), open_window(site, width=320)
        other.page.locator("#state.open").wait_for()
        one.say("hellö")
        other.wait_said("hellö")
        other.say(HOSTILE)
        for window in (one, other):
            window.wait_said(HOSTILE)
            assert window.said() == ["hellö", HOSTILE]
            assert window.page.locator("img").count() == 0
            assert window.page.title() == "Chat"
            assert window.page.evaluate("document.documentElement.scrollWidth") <= 1280
        for window in (one, other):  # before the daemon goes, which is no trouble
            window.page.close()


@pytest.mark.parametrize("name", PAGES)
def test_page_table_and_readme_name_the_same_ports(name: str) -> None:
    readme = (EXAMPLES / "README.md").read_text("utf-8")
    script = (EXAMPLES / f"{name}.js").read_text("utf-8")
    table = (EXAMPLES / f"{name}.toml").read_text("utf-8")
    assert re.findall(r"^const PORT = (\d+);", script, re.MULTILINE) == [PAGES[name]]
    assert f'[ws]\nlisten = "127.0.0.1:{PAGES[name]}"' in table
    assert set(re.findall(r"http\.server .* (\d+)$", readme, re.MULTILINE)) == {"8000"}
    assert f"http://127.0.0.1:8000/{name}.html" in readme
    assert 'origins = ["http://127.0.0.1:8000", "http://localhost:8000"]' in table
