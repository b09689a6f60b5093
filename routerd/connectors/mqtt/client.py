"""paho's client, as both ways of reading use it: what we tell the broker, what it answers.

A client lives as long as one connection. paho never makes a socket, never reconnects and
never reads a clock here: sockets are given to it, and the source owns everything that takes
time.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import paho.mqtt.client as mqtt
from paho.mqtt import MQTTException
from paho.mqtt.client import error_string
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from routerd.connectors.mqtt.link import CLOSED
from routerd.errors import Unavailable

if TYPE_CHECKING:
    import socket

    from paho.mqtt.client import SocketLike
    from paho.mqtt.reasoncodes import ReasonCode

    from routerd.connectors.mqtt.settings import MqttFilter, MqttSettings, MqttSourceSpec


_UNTOLD = {
    b"\x01": (0x84, "Unsupported protocol version"),
    b"\x02": (0x85, "Client identifier not valid"),
}
"""Return code of a CONNACK -> the same in MQTT 5, for those that paho tells no callback of."""


@dataclass
class Connack:
    """The broker's answer to CONNECT.

    Attributes:
        code: an MQTT 5 reason code, also where the broker speaks 3.1.1.
        reason: the same in words.
        session_expiry: seconds that the broker grants; None: what we asked for.
        reference: another server, if it names one.
    """

    code: int
    reason: str
    is_session_present: bool
    session_expiry: int | None = None
    reference: str = ""


@dataclass
class Heard:
    """What the broker said on one connection; filled in by paho's callbacks.

    Attributes:
        suback: packet identifier, and a reason code for each filter.
        farewell: the reason code of a DISCONNECT, the same in words, and another server if it
            names one.
        fault: how it broke the protocol in a way that paho lets pass.
    """

    connack: Connack | None = None
    suback: tuple[int, list[int]] | None = None
    farewell: tuple[int, str, str] | None = None
    fault: str = ""


class GivenSocketClient(mqtt.Client):
    """A client on a socket that it is given.

    `_create_socket` is private to paho; it is the method that we replace, because paho has no
    other way to take a socket, and because its `connect` would send CONNECT from whichever
    thread made the connection. The version of paho is pinned, and `tests/test_mqtt_paho.py`
    goes red when this method, or what paho does with its result, changes.
    """

    given: SocketLike | None = None
    _connection: socket.socket | None = None

    def make_websocket(self, connection: socket.socket) -> SocketLike:
        """Shakes hands on a connection as paho does it: blocks, and sends nothing of MQTT."""
        self._connection = connection
        return super()._create_socket()

    def _create_socket(self) -> SocketLike:
        if self.given is None:
            raise RuntimeError("the client was given no socket")
        return self.given

    def _create_socket_connection(self) -> socket.socket:
        """For `make_websocket`: what paho makes itself is open for ever if its handshake fails."""
        if self._connection is None:
            raise RuntimeError("the client was given no connection")
        return self._connection


def open_client(
    settings: MqttSettings, spec: MqttSourceSpec, *, heard: Heard, manual_ack: bool = False
) -> GivenSocketClient:
    """A client that has no socket yet. Its callbacks only write down what they hear.

    An exception in a callback would make paho handle the same packet again at the next read.
    """
    is_v5 = settings.version == "5"
    client = GivenSocketClient(
        CallbackAPIVersion.VERSION2,
        client_id=spec.session,
        clean_session=None if is_v5 else not spec.session,
        protocol=mqtt.MQTTv5 if is_v5 else mqtt.MQTTv311,
        transport="websockets" if settings.scheme in {"ws", "wss"} else "tcp",
        # Else a refused CONNACK makes paho connect again, blocking, on our thread.
        reconnect_on_failure=False,
        manual_ack=manual_ack,
    )
    if settings.username is not None:
        password = settings.password.reveal() if settings.password else None
        client.username_pw_set(settings.username, password)

    def on_connect(
        _client: mqtt.Client,
        _userdata: object,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if heard.connack is not None:
            heard.fault = "a second CONNACK (MQTT-3.2.0-2)"
            return
        heard.connack = Connack(
            int(reason.value),
            str(reason),
            flags.session_present,
            getattr(properties, "SessionExpiryInterval", None),
            getattr(properties, "ServerReference", ""),
        )

    def on_subscribe(
        _client: mqtt.Client,
        _userdata: object,
        packet_id: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        if heard.suback is not None:
            heard.fault = "a second SUBACK"
            return
        heard.suback = (packet_id, [int(reason.value) for reason in reasons])

    def on_disconnect(
        _client: mqtt.Client,
        _userdata: object,
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        # paho may call this twice for one connection.
        if flags.is_disconnect_packet_from_server and heard.farewell is None:
            reference = getattr(properties, "ServerReference", "")
            heard.farewell = (int(reason.value), str(reason), reference)

    client.on_connect = on_connect
    client.on_subscribe = on_subscribe
    client.on_disconnect = on_disconnect
    return client


def hear(client: mqtt.Client) -> Unavailable | None:
    """Has paho read one packet, or as much of it as there is; why that was the last one, if so."""
    try:
        result = client.loop_read()
    except (MQTTException, ValueError, LookupError, struct.error) as exc:
        # paho would handle the same packet again: this connection is over.
        return Unavailable(f"the broker sent what paho can't read: {exc}")
    if result == MQTTErrorCode.MQTT_ERR_CONN_LOST:
        return Unavailable(CLOSED)
    if result != MQTTErrorCode.MQTT_ERR_SUCCESS:
        return Unavailable(f"the broker broke the MQTT protocol: {error_string(result)}")
    return None


def hear_refusal(heard: Heard, body: bytes) -> None:
    """Notes a CONNACK of MQTT 3.1.1 that paho keeps to itself, as it would connect again."""
    if heard.connack is None and body[1:2] in _UNTOLD:
        heard.connack = Connack(*_UNTOLD[body[1:2]], is_session_present=False)


def send_connect(
    client: mqtt.Client, settings: MqttSettings, spec: MqttSourceSpec, *, inflight: int
) -> None:
    """Sends CONNECT for a session that the broker keeps.

    Topic aliases are not announced, since the lane does not know them, nor a maximum packet
    size, since the broker would throw larger messages away where nobody sees it.
    """
    if settings.version != "5":
        client.connect(settings.host, settings.port, settings.keepalive)
        return
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = min(inflight, 65535)
    if spec.session:
        properties.SessionExpiryInterval = settings.session_expiry
    client.connect(
        settings.host,
        settings.port,
        settings.keepalive,
        # Said every time: paho's default would wipe the session on the first connect of a process.
        clean_start=not spec.session,
        properties=properties,
    )


def send_subscribe(client: mqtt.Client, filters: tuple[MqttFilter, ...], *, is_v5: bool) -> int:
    """Sends one SUBSCRIBE for all filters; its packet identifier.

    Retain Handling 1: retained messages come when a subscription is new, not at each connect.
    """
    if is_v5:
        options = [(entry.filter, _options(entry)) for entry in filters]
        _, packet_id = client.subscribe(options)
    else:
        _, packet_id = client.subscribe([(entry.filter, int(entry.qos)) for entry in filters])
    return packet_id or 0


def _options(entry: MqttFilter) -> SubscribeOptions:
    return SubscribeOptions(entry.qos, retainHandling=2 if entry.drops_retained else 1)
