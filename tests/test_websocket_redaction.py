"""A daemon that asks for tokens, at its most talkative: nobody reads one in what it says."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from playwright.sync_api import Browser

from tests.entry_tokens import STATIC, digest, write_files
from tests.raw_websocket import TEXT, connect, frame, request
from tests.rig.daemon import Routerd

pytestmark = pytest.mark.slow

TABLE = """
[ws]
listen = "127.0.0.1:0"
auth = {{ tokens = "{folder}/tokens.toml", cookie = "sid", query = "tok" }}
[ws.paths."/room/{{name}}"]
allow = {{ name = "{{@claim.room}}" }}
[admin]
listen = "127.0.0.1:0"
[[route]]
name = "said"
from = "ws:/room/{{name}}"
to = "log:{{@claim.sub}} {{@header.cookie}} {{@header.sec-websocket-protocol}} {{@path}}{{.}}"
"""


async def show(port: int, token: str, *, path: str = "/room/a", says: bytes = b"") -> int | None:
    """What somebody is answered who has the token in every place."""
    client = await connect(port)
    value = token.encode()
    lines = (
        b"Authorization: Bearer " + value,
        b"Cookie: x=y; sid=" + value,
        b"Sec-WebSocket-Protocol: a, bearer." + value,
    )
    await client.send(request(f"{path}?tok={token}", *lines))
    status, head = await client.read_answer()
    assert b"CANARY" not in head
    if says:
        await client.send(frame(TEXT, says))
    await client.aclose()
    return status


async def test_no_token_is_in_the_log_the_metrics_or_the_status(
    tmp_path: Path, start_routerd: Callable[..., Routerd]
) -> None:
    write_files(tmp_path)
    start = lambda: start_routerd(  # noqa: E731 - for the thread alone
        TABLE.format(folder=tmp_path), arguments=["--log-level", "debug"]
    )
    daemon = await trio.to_thread.run_sync(start)
    port = daemon.ws_address[1]

    assert await show(port, STATIC, says=b'{"n":1}') == 101
    await trio.to_thread.run_sync(lambda: daemon.wait_event('dashboard x=y a /room/a{"n":1}'))
    assert await show(port, "CANARY-wrong") == 401
    assert await show(port, STATIC, path="/room/c") == 403
    assert await show(port, STATIC, path="/nowhere") == 404

    tokens = tmp_path / "tokens.toml"
    tokens.write_text(f'[[token]]\nsha256 = "{digest("CANARY-new")}"\nclaims = {{ room = "a" }}\n')
    daemon.signal(signal.SIGHUP)
    await trio.to_thread.run_sync(lambda: _wait_reload(daemon, 1))
    assert await show(port, STATIC) == 401
    assert await show(port, "CANARY-new") == 101
    tokens.write_text('[[token]]\nsha256 = "CANARY"\n')
    daemon.signal(signal.SIGHUP)
    await trio.to_thread.run_sync(lambda: _wait_reload(daemon, 2))
    assert await show(port, "CANARY-new") == 101

    said = [daemon.get(path).text for path in ("/metrics", "/status.json", "/")]
    assert 'routerd_ws_refused_total{path="/room/{name}",reason="token"} 2.0' in said[0]
    assert 'routerd_ws_refused_total{path="/room/{name}",reason="not_allowed"} 1.0' in said[0]
    assert "CANARY" not in "".join(said)
    assert daemon.child is not None
    assert "CANARY" not in daemon.child.stderr + daemon.child.stdout
    assert daemon.events("reload refused, what was there stays")


def _wait_reload(daemon: Routerd, count: int) -> None:
    event = "reloaded files; the table's own reload comes with a later version"
    daemon.wait_event(event, count=count)


JAVASCRIPT = """([url, protocols]) => new Promise((resolve) => {
  const socket = new WebSocket(url, protocols);
  socket.onmessage = (event) => resolve(`${socket.protocol}: ${event.data}`);
  socket.onerror = () => resolve("error");
  socket.onopen = () => socket.send("hello");
})"""


def test_a_browser_comes_in_by_a_subprotocol_and_hears_nothing_of_its_token(
    tmp_path: Path, start_routerd: Callable[..., Routerd], browser: Browser
) -> None:
    write_files(tmp_path)
    table = (
        TABLE.format(folder=tmp_path)
        .partition("[[route]]")[0]
        .replace("[admin]", 'origins = ["*"]\n[admin]')
    )
    route = '[[route]]\nname = "r"\nfrom = "ws:/room/{name}"\nto = "group:/room/{name}"\n'
    daemon = start_routerd(table + route)
    url = f"ws://127.0.0.1:{daemon.ws_address[1]}/room/a"
    page = browser.new_page()
    page.goto("http://{}:{}/livez".format(*daemon.admin_address))

    def ask(*protocols: str) -> str:
        return str(page.evaluate(JAVASCRIPT, [url, list(protocols)]))

    assert ask("routerd.v1", f"bearer.{STATIC}") == "routerd.v1: hello"
    assert ask("routerd.v1", "bearer.wrong") == "error"
    assert ask(f"bearer.{STATIC}") == "error"  # the browser misses one that was chosen
    page.close()
