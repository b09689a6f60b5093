"""The `mqtt` scheme: one session, and one connection, for each route that reads from a broker."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

import trio

from routerd.connectors.mqtt.client import GivenSocketClient, Heard, open_client
from routerd.connectors.mqtt.connect import open_socket
from routerd.connectors.mqtt.filters import Wanted
from routerd.connectors.mqtt.lane import Lane, PahoSocket
from routerd.connectors.mqtt.link import Link
from routerd.connectors.mqtt.plain import open_plain
from routerd.connectors.mqtt.session import SessionMemory
from routerd.connectors.mqtt.settings import MqttSettings, MqttSourceSpec
from routerd.connectors.mqtt.source import MqttSource
from routerd.findings import listed
from routerd.interfaces import Connection, RouteContext, Sink, Source
from routerd.receipt import SinkCounts
from routerd.status import ConnectionStatus, DaemonStatus, RouteStatus
from routerd.tls import ClientTls

MOST_THREADS = 16
"""Threads that one broker may have busy with DNS and handshakes, however many routes it has."""


class MqttConnector:
    """See `interfaces.Connector`."""

    @asynccontextmanager
    async def open(
        self, settings: object, *, total_inflight: int, status: DaemonStatus
    ) -> AsyncIterator["MqttConnection"]:
        """See `interfaces.Connector.open`. Connects nowhere: each route does that itself."""
        found = cast("MqttSettings", settings)
        connection = MqttConnection(found)
        status.connections.append(
            ConnectionStatus(found.key, found.address, connection.describe_trouble)
        )
        yield connection


class MqttConnection(Connection):
    """One `[mqtt]` table; see `interfaces.Connection`."""

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
        self._tls = ClientTls(
            ca=settings.ca,
            cert=settings.cert,
            cert_key=settings.cert_key,
            cert_key_password=settings.cert_key_password,
        )
        self._limiter = trio.CapacityLimiter(MOST_THREADS)
        self._routes: list[RouteStatus] = []

    def open_source(self, spec: object, route: RouteContext) -> Callable[[], Source]:
        """See `interfaces.Connection.open_source`."""
        route.status.mqtt_connected = False
        self._routes.append(route.status)
        memory = SessionMemory()
        # The only place that chooses: the lane reads a byte stream, which WebSocket is not.
        open_link = self._open_plain if self._settings.scheme in {"ws", "wss"} else self._open_lane
        return partial(
            MqttSource, self._settings, cast("MqttSourceSpec", spec), route, memory, open_link
        )

    def open_sink(self, spec: object, route: RouteContext, counts: SinkCounts) -> Sink:
        """Publishing comes with a later version."""
        raise NotImplementedError("routes can't send to MQTT yet")

    def describe_trouble(self) -> str:
        """How many of its sessions are not connected, in words; empty if all are."""
        away = [route.name for route in self._routes if not route.mqtt_connected]
        if not away:
            return ""
        names = listed(away, mark="")
        return f"{len(away)} of {len(self._routes)} sessions not connected: {names}"

    async def _open_lane(
        self, settings: MqttSettings, spec: MqttSourceSpec, heard: Heard
    ) -> tuple[GivenSocketClient, Link]:
        tls = self._tls.context if settings.scheme == "mqtts" else None
        client = open_client(settings, spec, heard=heard)
        sock = await open_socket(settings.host, settings.port, tls=tls, limiter=self._limiter)
        client.given = paho_socket = PahoSocket(sock.fileno())
        lane = Lane(
            sock,
            client,
            paho_socket,
            heard,
            is_v5=settings.version == "5",
            max_packet=settings.max_packet,
            wanted=Wanted(spec.filters),
        )
        return client, lane

    async def _open_plain(
        self, settings: MqttSettings, spec: MqttSourceSpec, heard: Heard
    ) -> tuple[GivenSocketClient, Link]:
        tls = self._tls.context if settings.scheme == "wss" else None
        return await open_plain(settings, spec, heard, tls=tls, limiter=self._limiter)
