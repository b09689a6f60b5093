"""The admin listener: hypercorn for HTTP, inside the daemon's own event loop, well fenced.

Not `hypercorn.trio.serve`: there, one connection's exception ends the whole listener, and a
client that doesn't read blocks the exit for ever, since hypercorn shields its writes. So the
accept loop is ours; hypercorn gets each connection alone, in a coat (`client.py`) that bounds
its writes and can be cut.
"""

import errno
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState
from starlette.applications import Starlette

from routerd.admin.app import build_app
from routerd.admin.client import Client
from routerd.admin.history import History
from routerd.errors import Rejected, leaves
from routerd.status import DaemonStatus

logger = logging.getLogger(__name__)

MAX_CLIENTS: Final = 32
_KEEP_ALIVE_SECONDS: Final = 30  # for the next request, or the whole head of the first
_HEAD_BYTES: Final = 16 << 10
_LEAVE_SECONDS: Final = 0.5
_FIRST_RETRY_SECONDS: Final = 0.5
_LAST_RETRY_SECONDS: Final = 60.0


@asynccontextmanager
async def open_admin(status: DaemonStatus, *, host: str, port: int) -> AsyncGenerator[None]:
    """Serves the status until left; leaving takes less than a second, whatever clients do.

    The bound address is in `status.listening["admin"]` meanwhile.

    Raises:
        Rejected: the address can't be bound.
    """
    history = History(status)
    async with open_http(build_app(status, history), host=host, port=port) as address:
        status.listening["admin"] = address
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(history.run, name="admin history")
                yield
                nursery.cancel_scope.cancel()
        finally:
            status.listening.pop("admin", None)


@asynccontextmanager
async def open_http(app: Starlette, *, host: str, port: int) -> AsyncGenerator[str]:
    """Serves any application as `open_admin` does, and gives the bound address.

    Raises:
        Rejected: the address can't be bound.
    """
    listeners = await _bind(host, port)
    clients = _Clients(app)
    async with trio.open_nursery() as nursery:
        accepting = trio.CancelScope()
        nursery.start_soon(_accept, listeners, clients, nursery, accepting, name="admin listener")
        try:
            yield _shown(*_address(listeners[0]))
        finally:
            accepting.cancel()
            with trio.move_on_after(_LEAVE_SECONDS, shield=True):
                await clients.leave()
            clients.cut()
            nursery.cancel_scope.cancel()


class _Clients:
    """Everyone who is connected; no misbehaviour of one reaches another."""

    def __init__(self, app: Starlette) -> None:
        self._app = ASGIWrapper(cast("ASGIFramework", app))
        self._config = _configure_hypercorn()
        self._context = WorkerContext(None)
        self._open: dict[Client, None] = {}  # oldest first
        self._left = trio.Event()

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection, to its end. Raises nothing but `Cancelled`."""
        self._make_room()
        client = Client(stream)
        self._open[client] = None
        # It asks the stream for `do_handshake`, and takes its absence for plain TCP.
        server = TCPServer(
            self._app, self._config, self._context, ConnectionState({}), client  # type: ignore[arg-type]
        )  # fmt: skip
        try:
            with client.scope:
                await server.run()
        except* Exception as group:  # noqa: BLE001 - hypercorn and h2 raise anything at bad input
            logger.debug("admin client failed error=%r", "; ".join(map(repr, leaves(group))))
        finally:
            self._open.pop(client, None)
            self._left.set()

    async def leave(self) -> None:
        """Ends idle connections and waits for the answers under way."""
        await self._context.terminated.set()
        while self._open:
            self._left = trio.Event()
            await self._left.wait()

    def cut(self) -> None:
        """Ends what is left, now."""
        for client in self._open:
            client.cut()

    def _make_room(self) -> None:
        """Cuts the oldest: stalled clients must not keep a probe from its answer."""
        while len(self._open) >= MAX_CLIENTS:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.cut()


async def _accept(
    listeners: list[trio.SocketListener],
    clients: _Clients,
    nursery: trio.Nursery,
    scope: trio.CancelScope,
) -> None:
    """Accepts until `scope` is cancelled. A listener that falls is opened again."""
    addresses = [_address(listener) for listener in listeners]
    delay = _FIRST_RETRY_SECONDS
    with scope:
        while True:
            opened_at = trio.current_time()
            try:
                await trio.serve_listeners(clients.serve, listeners, handler_nursery=nursery)
            except* Exception:  # watching must not take down what is watched
                logger.exception("admin listener fell retry_s=%.1f", delay)
            await trio.sleep(delay)
            was_healthy = trio.current_time() - opened_at > _LAST_RETRY_SECONDS
            delay = _FIRST_RETRY_SECONDS if was_healthy else min(2 * delay, _LAST_RETRY_SECONDS)
            listeners = await _bind_again(addresses)


def _configure_hypercorn() -> Config:
    config = Config()
    config.keep_alive_timeout = _KEEP_ALIVE_SECONDS
    config.h11_max_incomplete_size = _HEAD_BYTES
    config.include_server_header = False
    # A logger of ours, or hypercorn would write to stderr and stdout by itself.
    config.errorlog = logger
    config.accesslog = None
    return config


async def _bind(host: str, port: int) -> list[trio.SocketListener]:
    try:
        return await trio.open_tcp_listeners(port, host=host)
    except OSError as exc:
        mend = "free that address, or give" if exc.errno == errno.EADDRINUSE else "give"
        raise Rejected(
            f"[admin] can't listen on {_shown(host, port)}: {exc.strerror or exc}; "
            f"{mend} `listen` another one"
        ) from exc


async def _bind_again(addresses: list[tuple[str, int]]) -> list[trio.SocketListener]:
    """Listens on the same addresses once more; those that can't be had now are tried for ever."""
    listeners: list[trio.SocketListener] = []
    for host, port in addresses:
        while True:
            try:
                listeners += await _bind(host, port)
                break
            except Rejected as exc:
                logger.warning("admin listener is down error=%s", exc)
                await trio.sleep(_LAST_RETRY_SECONDS)
    return listeners


def _address(listener: trio.SocketListener) -> tuple[str, int]:
    host, port = listener.socket.getsockname()[:2]
    return host, port


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
