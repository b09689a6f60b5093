"""A listener's certificate is replaced while the real daemon runs."""

import signal
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
from playwright.sync_api import Browser

from tests.raw_websocket import RawClient, connect
from tests.rig.certs import Certs, Identity
from tests.rig.daemon import Routerd

pytestmark = pytest.mark.slow

TABLE = """
[ws]
listen = "127.0.0.1:0"
cert = "{cert}"
cert_key = "{key}"

[ws.limits]
connections_per_address = 1000
handshake_rate = 1000

[admin]
listen = "127.0.0.1:0"

[[route]]
name = "echo"
from = "ws:/echo/{{room}}"
to = "group:/echo/{{room}}"
"""
RELOADED = "reloaded files; the table's own reload comes with a later version"
REFUSED = "reload refused, what was there stays"


SAY = """url => new Promise(resolve => {
    const socket = new WebSocket(url);
    let message = null;
    socket.onopen = () => socket.send("grüß dich");
    socket.onmessage = event => { message = event.data; socket.close(1000); };
    socket.onclose = event => resolve({message, code: event.code, wasClean: event.wasClean});
})"""


class Shop:
    """A routerd with TLS, whose files a test replaces."""

    def __init__(self, start_routerd: Callable[..., Routerd], certs: Certs, folder: Path) -> None:
        self._certs, self._folder = certs, folder
        self.files = self.renew()
        self.routerd = start_routerd(TABLE.format(cert=self.files.cert, key=self.files.key))
        self._reloads = 0

    def renew(self, *, ends: datetime | None = None) -> Identity:
        """Another certificate in the same files."""
        return self._certs.issue("localhost", "127.0.0.1", ends=ends, folder=self._folder)

    def reload(self) -> dict[str, object]:
        """Its summary, once it is done."""
        self.routerd.signal(signal.SIGHUP)
        self._reloads += 1
        return self.routerd.wait_event(RELOADED, count=self._reloads)

    async def come(self, number: int = 0) -> RawClient:
        """A client that is in a room of its own."""
        client = await connect(self.routerd.ws_address[1])
        await client.secure(ssl.create_default_context(cafile=self._certs.ca))
        return await client.open(f"/echo/{number}")


@pytest.fixture
def shop(start_routerd: Callable[..., Routerd], certs: Certs, tmp_path: Path) -> Shop:
    return Shop(start_routerd, certs, tmp_path)


def test_a_browser_says_something_by_wss(shop: Shop, browser: Browser) -> None:
    at = f"127.0.0.1:{shop.routerd.ws_address[1]}"
    context = browser.new_context(ignore_https_errors=True, permissions=["local-network-access"])
    page = context.new_page()
    page.route(
        f"https://{at}/", lambda route: route.fulfill(body="<p>hello", content_type="text/html")
    )
    page.goto(f"https://{at}/")
    heard = page.evaluate(SAY, f"wss://{at}/echo/browser")
    assert heard == {"message": "grüß dich", "code": 1000, "wasClean": True}
    context.close()
    assert shop.routerd.troubles() == []


def serial_of(client: RawClient) -> object:
    assert isinstance(client.stream, trio.SSLStream)
    return client.stream.getpeercert()["serialNumber"]


async def test_a_renewed_certificate_is_shown_to_who_comes_after_it(shop: Shop) -> None:
    first = shop.files.serial
    early = await shop.come(1)
    assert serial_of(early) == first
    second = shop.renew(ends=datetime(2999, 1, 1, tzinfo=UTC)).serial

    summary = await trio.to_thread.run_sync(shop.reload)

    assert (summary["taken"], summary["refused"], second != first) == (1, 0, True)
    late = await shop.come(2)
    assert serial_of(late) == second
    assert await early.echo(b"still here") == b"still here"
    assert shop.routerd.events("certificate in use")[-1]["serial"] == second
    ends = shop.routerd.metric("routerd_tls_cert_not_after_timestamp_seconds", connection="ws")
    assert ends == datetime(2999, 1, 1, tzinfo=UTC).timestamp()
    await early.aclose()
    await late.aclose()
    assert await trio.to_thread.run_sync(shop.routerd.stop) == 0
    assert shop.routerd.troubles() == []


async def test_a_bad_pair_is_refused_and_the_old_one_stays(shop: Shop, certs: Certs) -> None:
    cert, key = shop.files.cert, shop.files.key
    first, good = shop.files.serial, (cert.read_bytes(), key.read_bytes())
    client = await shop.come(1)
    tells = f"[ws] can't use certificate {cert} with key {key}: "
    for spoil, told in (
        (lambda: key.write_bytes(certs.client.key.read_bytes()), f"{tells}the key belongs to"),
        (lambda: cert.write_bytes(b"garbage"), f"{tells}there is no certificate in PEM"),
        (lambda: key.write_bytes(b"garbage"), f"{tells}no certificate and key in PEM"),
        (lambda: cert.write_bytes(good[0][:200]), tells),
        (cert.unlink, f"[ws] can't read {cert}: No such file or directory"),
        (key.unlink, f"[ws] can't read {key}: No such file or directory"),
        (lambda: shop.renew(ends=datetime(2020, 1, 1, tzinfo=UTC)), f"{tells}it expired on 2020"),
    ):
        cert.write_bytes(good[0])
        key.write_bytes(good[1])
        spoil()
        summary = await trio.to_thread.run_sync(shop.reload)
        assert (summary["taken"], summary["refused"]) == (0, 1)
        error = str(shop.routerd.events(REFUSED)[-1]["error"])
        assert error.startswith(told)
        assert error.endswith("; mend that and reload again")
        assert shop.routerd.metric("routerd_reload_last_successful") == 0
        other = await shop.come(2)
        assert serial_of(other) == first
        await other.aclose()

    assert await client.echo(b"still here") == b"still here"
    await client.aclose()
    second = shop.renew().serial
    await trio.to_thread.run_sync(shop.reload)
    assert shop.routerd.metric("routerd_reload_last_successful") == 1
    client = await shop.come(3)
    assert serial_of(client) == second
    await client.aclose()


async def test_all_who_come_during_reloads_get_in(shop: Shop) -> None:
    serials = set()

    async def come(number: int) -> None:
        client = await shop.come(number)
        serials.add(serial_of(client))
        assert await client.echo(b"%d" % number) == b"%d" % number
        await client.aclose()

    known = {shop.files.serial}
    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(come, number)
            if number % 25 == 10:
                known.add(shop.renew().serial)
                shop.routerd.signal(signal.SIGHUP)
            await trio.sleep(0.005)
    assert serials <= known
    assert len(serials) > 1
    assert shop.routerd.troubles() == []
