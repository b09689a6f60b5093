"""etc/examples/ack-client.js in a real browser, against the real program."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page

from tests.docs_pages import ROOT
from tests.rig.daemon import Routerd
from tests.rig.mockkafka import MockKafka
from tests.rig.ports import free_port

CLIENT = ROOT / "etc" / "examples" / "ack-client.js"
MOST_LINES = 50
TABLE = """
[ws]
listen = "127.0.0.1:{port}"
origins = ["{page}"]
[kafka]
bootstrap_servers = "{kafka}"
[admin]
listen = "127.0.0.1:0"
[[route]]
name = "chat"
from = "ws:/chat/{{room}}"
to = ["kafka:chat", "group:/chat/{{room}}"]
payload = "json"
"""
PAGE = """<!doctype html><script type="module">
import { AckClient } from "/ack-client.js";
window.heard = [];
const url = `ws://127.0.0.1:${location.hash.slice(1)}/chat/lobby`;
window.client = new AckClient(url, (text) => heard.push(text));
</script>"""

StartRouterd = Callable[..., Routerd]


def test_it_is_short_enough_to_be_read() -> None:
    lines = [line.strip() for line in CLIENT.read_text("utf-8").splitlines()]
    assert len([line for line in lines if line and not line.startswith("//")]) <= MOST_LINES


@dataclass
class Chat:
    """A daemon whose Kafka keeps what is said, and a window with a client in it."""

    kafka: MockKafka
    routerd: Routerd
    page: Page

    def kept(self) -> list[bytes | None]:
        return [record.value for record in self.kafka.records.read("chat")]


@pytest.fixture
def site() -> Iterator[str]:
    """The origin of a server that has the page and the client."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_script = self.path.endswith(".js")
            body = CLIENT.read_bytes() if is_script else PAGE.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript" if is_script else "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def chat(
    browser: Browser, mockkafka: MockKafka, start_routerd: StartRouterd, site: str
) -> Iterator[Chat]:
    mockkafka.create_topic("chat", 1)
    port = free_port()
    routerd = start_routerd(TABLE.format(port=port, page=site, kafka=mockkafka.bootstrap))
    page = browser.new_page()
    page.goto(f"{site}/#{port}")
    page.wait_for_function("window.client !== undefined")
    yield Chat(mockkafka, routerd, page)
    page.close()


def test_what_it_publishes_is_in_kafka_or_refused_in_words(chat: Chat) -> None:
    start(chat, "Promise.all([1, 2, 3].map((number) => client.publish(String(number))))")
    assert result(chat) == [None] * 3
    assert chat.kept() == [b"1", b"2", b"3"]
    chat.page.wait_for_function("heard.length === 3")
    assert chat.page.evaluate("heard") == ["1", "2", "3"]
    start(chat, "client.publish('no JSON').catch((error) => error.message)")
    assert result(chat) == "nack 4 final chat: unroutable: the payload is not JSON"


def test_what_has_no_answer_is_sent_again_after_a_restart(chat: Chat) -> None:
    start(chat, "client.publish('1')")
    assert result(chat) is None
    chat.routerd.kill()
    start(chat, "client.publish('2').then(() => 'it has it')")
    chat.routerd.start()
    assert result(chat) == "it has it"
    assert chat.kept() == [b"1", b"2"]


def start(chat: Chat, promise: str) -> None:
    chat.page.evaluate(f"() => {{ window.done = []; {promise}.then((it) => done.push(it)); }}")


def result(chat: Chat) -> object:
    """What the promise came to; unlike `evaluate`, this doesn't wait for ever."""
    chat.page.wait_for_function("done.length === 1", timeout=20_000)
    return chat.page.evaluate("done[0]")
