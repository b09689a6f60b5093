"""The devices: buses that publish where they are over MQTT at QoS 1, and lose nothing either.

A reading stays with its bus until the broker has confirmed it, whatever becomes of the network
meanwhile; see `ledger` for why the next one waits for that.
"""

import contextlib
import socket
from collections import deque
from collections.abc import Sequence
from typing import Final

import paho.mqtt.client as mqtt
import trio
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from routerd.demo.city import LINES, Bus
from routerd.demo.ledger import Account, Ledger

ROUND: Final = 0.5
"""Seconds in which each bus makes one reading."""
MOST_UNCONFIRMED: Final = 5000
"""Readings that the buses keep; with so many they make no new ones."""

_RETRY: Final = 0.5
_LOOK_EVERY: Final = 0.5
_HOST: Final = "127.0.0.1"
_SESSION_EXPIRY: Final = 3600


class _Sender:
    """One bus, and the readings that it keeps; the first of them may be on its way."""

    def __init__(self, bus: Bus, account: Account) -> None:
        self.bus = bus
        self.account = account
        self.readings: deque[bytes] = deque()
        self.is_waiting = False
        self.topic = f"city/{bus.line.name}/{bus.name}/position"


class Devices:
    """All buses behind one MQTT connection, as behind a gateway.

    Everything happens on the trio thread: paho is given the socket when there is something.
    """

    def __init__(self, port: int, buses: Sequence[Bus], ledger: Ledger) -> None:
        self._port = port
        self._ledger = ledger
        self._senders = [_Sender(bus, ledger.accounts[bus.name]) for bus in buses]
        self._waiting: dict[int, _Sender] = {}
        self._is_connected = False
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id="demo-buses", protocol=mqtt.MQTTv5
        )
        self._client.max_inflight_messages_set(len(buses))
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_publish = self._confirmed
        self._client.on_socket_close = _say_closing

    @property
    def is_full(self) -> bool:
        """Whether the buses keep so much that they make no new readings."""
        return self._ledger.published - self._ledger.confirmed >= MOST_UNCONFIRMED

    async def drive(self) -> None:
        """Makes the readings of all buses, evenly over each round, until cancelled."""
        began = trio.current_time()
        at_once = len(LINES)
        groups = [self._senders[i : i + at_once] for i in range(0, len(self._senders), at_once)]
        while True:
            for group in groups:
                if not self.is_full:
                    for sender in group:
                        self._read(sender, trio.current_time() - began)
                await trio.sleep(ROUND / len(groups))

    async def converse(self) -> None:
        """Keeps the connection to the broker, and what is not confirmed under way on it."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = _SESSION_EXPIRY
        try:
            while True:
                # Over loopback neither of the two can take long.
                with contextlib.suppress(OSError):
                    self._client.connect(
                        _HOST, self._port, clean_start=False, properties=properties
                    )
                await self._listen()
                await trio.sleep(_RETRY)
        finally:
            self._client.disconnect()

    async def _listen(self) -> None:
        """Serves one connection to its end."""
        while (connection := self._client.socket()) is not None:
            with trio.move_on_after(_LOOK_EVERY), contextlib.suppress(trio.ClosedResourceError):
                await trio.lowlevel.wait_readable(connection)
                self._client.loop_read()
            if self._client.want_write():
                self._client.loop_write()
            self._client.loop_misc()

    def _read(self, sender: _Sender, seconds: float) -> None:
        """Makes one reading, and sends it if none of this bus is under way."""
        position = sender.bus.locate(seconds)
        sender.readings.append(
            b'{"number":%d,"x":%.1f,"y":%.1f,"bearing":%d}'
            % (sender.account.published, position.x, position.y, position.bearing)
        )
        sender.account.published += 1
        self._send(sender)

    def _send(self, sender: _Sender) -> None:
        if self._is_connected and sender.readings and not sender.is_waiting:
            sender.is_waiting = True
            # What can't be sent now, or isn't confirmed, paho sends again on the next connection.
            info = self._client.publish(sender.topic, sender.readings[0], qos=1)
            self._waiting[info.mid] = sender

    # --- what paho calls

    def _connected(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._is_connected = not reason.is_failure
        for sender in self._senders:
            self._send(sender)

    def _disconnected(self, *_details: object) -> None:
        self._is_connected = False

    def _confirmed(
        self,
        _client: mqtt.Client,
        _userdata: object,
        packet: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        sender = self._waiting.pop(packet)
        sender.is_waiting = False
        if not reason.is_failure:
            sender.readings.popleft()
            sender.account.confirmed += 1
            self._send(sender)


def _say_closing(_client: mqtt.Client, _userdata: object, connection: object) -> None:
    """Whoever waits for the socket must not wait for another one with its number."""
    if isinstance(connection, socket.socket):
        trio.lowlevel.notify_closing(connection)
