"""The WebSocket handshake of the plain path, which paho makes on a connection of ours."""

import socket
import ssl
from contextlib import suppress
from typing import cast

import trio

from routerd.connectors.mqtt.client import GivenSocketClient
from routerd.connectors.mqtt.connect import CONNECT_TIMEOUT
from routerd.connectors.mqtt.settings import MqttSettings
from routerd.connectors.mqtt.watched import WebSocket


async def shake_hands(
    client: GivenSocketClient,
    sock: socket.socket,
    settings: MqttSettings,
    *,
    limiter: trio.CapacityLimiter,
) -> WebSocket:
    """Has paho shake hands on a connection, in a thread, which is over when this returns.

    Raises:
        OSError: it came to nothing; `ssl.SSLError` if TLS says more.
    """
    client.ws_set_options(path=settings.path, headers=_headers(settings))
    client.connect_timeout = CONNECT_TIMEOUT
    client.connect_async(settings.host, settings.port)  # only notes the address
    failure: Exception | None = None
    made: list[WebSocket] = []

    async def wake_thread_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            if not made:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wake_thread_when_cancelled)
        try:
            found = await trio.to_thread.run_sync(client.make_websocket, sock, limiter=limiter)
            made.append(cast("WebSocket", found))
        except (OSError, ValueError, IndexError) as exc:  # the last two for what isn't HTTP
            failure = exc
        nursery.cancel_scope.cancel()
    if isinstance(failure, ssl.SSLError):
        raise failure  # says more: our certificate may be refused
    if failure is not None:
        raise ConnectionError(f"no WebSocket handshake: {failure}") from failure
    return made[0]


def _headers(settings: MqttSettings) -> dict[str, str]:
    """What paho would get wrong: the TLS below is not its own, and it brackets no IPv6 address."""
    is_tls = settings.scheme == "wss"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if settings.port != (443 if is_tls else 80):
        host = f"{host}:{settings.port}"
    return {"Host": host, "Origin": f"{'https' if is_tls else 'http'}://{host}"}
