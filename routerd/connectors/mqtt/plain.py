"""MQTT through paho's public API, for what the lane can't carry: WebSocket.

The making of the socket is the exception, as for the lane: paho's `connect` blocks, and sends
CONNECT from the same call. So the connection is ours, a thread has paho shake hands on it, and
paho is given what that came to on the trio thread.

Two things can't be helped here: a packet is in memory before its size is known, and paho
confirms a QoS 2 message left over in a session (PUBREC) before any sink has it.
"""

import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress

import paho.mqtt.client as mqtt
import trio

from routerd.connectors.mqtt.client import (
    GivenSocketClient,
    Heard,
    hear,
    hear_refusal,
    open_client,
)
from routerd.connectors.mqtt.connect import broken, connecting, has_hung_up, open_socket
from routerd.connectors.mqtt.filters import Wanted
from routerd.connectors.mqtt.handshake import shake_hands
from routerd.connectors.mqtt.link import PUBACK, PUBREC, Burst
from routerd.connectors.mqtt.packets import (
    PUBREL,
    PUBREL_WITHOUT_ID,
    before_connack,
    find_control_fault,
    find_packet_id,
    find_topic_fault,
    malformed,
    too_large,
)
from routerd.connectors.mqtt.settings import MqttSettings, MqttSourceSpec
from routerd.connectors.mqtt.watched import CollectingSocket, WebSocket
from routerd.errors import Rejected, Unavailable
from routerd.message import Message

MESSAGES_PER_READ = 64
"""About 2 ms' work of paho."""
LARGEST_FRAME = 4096
"""Bytes of a WebSocket frame that we send: paho masks them one by one."""

_PINGREQ = b"\xc0\x00"
_CONNACK = 0x20
_PUBLISH = 0x30
_PUBCOMP = b"\x70\x02"
_QOS_OF_TOKEN = {PUBACK: 1, PUBREC: 2}


async def open_plain(
    settings: MqttSettings,
    spec: MqttSourceSpec,
    heard: Heard,
    *,
    tls: Callable[[], ssl.SSLContext] | None,
    limiter: trio.CapacityLimiter,
) -> tuple[GivenSocketClient, "Plain"]:
    """Connects, as far as it sends nothing of MQTT.

    Raises:
        Unavailable, Rejected: as `connect.open_socket` does.
    """
    client = open_client(settings, spec, heard=heard, manual_ack=True)
    sock = await open_socket(settings.host, settings.port, tls=tls, limiter=limiter)
    try:
        with connecting(settings.host, settings.port):
            made = await shake_hands(client, sock, settings, limiter=limiter)
    except BaseException:
        sock.close()
        raise
    return client, Plain(
        made, sock, client, heard, max_packet=settings.max_packet, wanted=Wanted(spec.filters)
    )


class Plain:
    """A `Link` over what paho makes."""

    def __init__(
        self,
        made: WebSocket,
        sock: socket.socket,
        client: GivenSocketClient,
        heard: Heard,
        *,
        max_packet: int,
        wanted: Wanted,
    ) -> None:
        self.has_more = False
        self._made = made
        self._sock = sock
        self._client = client
        self._heard = heard
        self._max_packet = max_packet
        self._wanted = wanted
        self._burst = Burst()
        self._has_packet = False
        self._released: set[int] = set()
        self._end: Unavailable | Rejected | None = None
        self._sending = b""
        sock.setblocking(False)
        client.given = self._paho = CollectingSocket(made, sock.fileno())
        client.on_message = self._on_message

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._sock.fileno()

    # --- in

    def read(self) -> Burst:
        """All that has arrived, or about 2 ms' work of it."""
        if self._end is not None:
            raise self._end
        burst = self._burst = Burst()
        taken = 0
        self.has_more = True
        for _ in range(MESSAGES_PER_READ):
            self._hear()
            before, taken = taken, len(burst.messages) + len(burst.skipped)
            if self._end is not None:
                break  # the next read raises it
            # What TLS has decrypted already makes no descriptor readable.
            if taken == before and not self._has_decrypted:
                self.has_more = False
                break
        return burst

    def read_packet(self) -> None:
        """As `read`, but never beyond CONNACK: paho takes one packet a call."""
        burst = self._burst = Burst()
        self._hear()
        while not self._has_packet and self._end is None and self._has_decrypted:
            self._hear()
        if self._end is not None:
            raise self._end
        is_publish = bool(burst.messages or burst.skipped)
        if self._has_packet and (is_publish or self._heard.connack is None):
            raise before_connack(is_publish=is_publish)

    @property
    def _has_decrypted(self) -> bool:
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def _hear(self) -> None:
        """Lets paho read one packet, or as much of it as there is."""
        self._released.clear()
        answered = len(self._paho.outbox)
        end: Unavailable | Rejected | None = hear(self._client)
        if self._paho.failure is not None:
            end = broken(self._paho.failure)
        elif end is None and self._paho.is_closed:
            end = Unavailable("the broker ended the connection")
        packets, self._paho.watch.packets = self._paho.watch.packets, []
        self._has_packet = bool(packets)
        for first, body in packets:
            end = self._add_to_answer(first, body) or end
            if end is not None and first == _CONNACK:
                hear_refusal(self._heard, body)
        if end is not None:
            del self._paho.outbox[answered:]  # paho answers some packets that no broker may send
        self._end = end

    def _add_to_answer(self, first: int, body: bytes) -> Unavailable | None:
        """Does what paho leaves out for a packet that it has read."""
        if first & 0xF0 != _PUBLISH and (fault := find_control_fault(first)):
            return malformed(fault)
        # One that paho knows is answered when the sinks have its message; a broker would wait
        # for ever for one that it doesn't.
        if first == PUBREL and (packet_id := find_packet_id(body)) not in self._released:
            if not packet_id:
                return malformed(PUBREL_WITHOUT_ID)
            self._paho.outbox += _PUBCOMP + body[:2]
        return malformed(self._heard.fault) if self._heard.fault else None

    def _on_message(self, _client: mqtt.Client, _userdata: object, taken: mqtt.MQTTMessage) -> None:
        """Takes a message over. Never raises: paho would handle the packet again."""
        try:
            topic = taken.topic.encode()
        except UnicodeDecodeError:
            self._heard.fault = "a topic is not UTF-8 (MQTT-1.5.4-1)"
            return
        if fault := find_topic_fault(topic):
            self._heard.fault = fault
            return
        if taken.qos and not taken.mid:
            self._heard.fault = "a PUBLISH has packet identifier 0 (MQTT-2.2.1-3)"
            return
        if taken.qos > 1:
            self._released.add(taken.mid)
        self._take(topic, bytes(taken.payload), taken)

    def _take(self, topic: bytes, payload: bytes, taken: mqtt.MQTTMessage) -> None:
        burst = self._burst
        token = (0, PUBACK, PUBREC)[taken.qos] | (taken.mid if taken.qos else 0)
        size = len(topic) + len(payload)
        if not self._wanted.takes(topic):
            burst.skip(token, stray=topic)
        elif taken.retain and not self._wanted.takes_retained(topic):
            burst.skip(token)
        else:
            if size > self._max_packet:
                burst.problems[len(burst.messages)] = too_large(size, most=self._max_packet)
                payload = b""
            burst.messages.append(Message(topic, payload, token))
            burst.size += len(payload)

    # --- out

    def acknowledge(self, tokens: Sequence[int]) -> None:
        """Queues acknowledgements, in order."""
        for token in tokens:
            self._client.ack(token & 0xFFFF, _QOS_OF_TOKEN[token & 0xFFFF_0000])

    def ping(self) -> None:
        """Queues a PINGREQ; of its own accord paho would judge silence, read or not."""
        self._paho.outbox += _PINGREQ

    @property
    def unsent(self) -> int:
        """Bytes that are queued."""
        return len(self._paho.outbox)

    def flush(self) -> bool:
        """Sends what the system takes now; whether all of it is sent."""
        outbox = self._paho.outbox
        try:
            while outbox:
                # A frame begun must be offered again unchanged until it is gone as a whole.
                self._sending = self._sending or bytes(outbox[:LARGEST_FRAME])
                if not self._made.send(self._sending):
                    return False
                del outbox[: len(self._sending)]
                self._sending = b""
        except (BlockingIOError, InterruptedError, ssl.SSLWantWriteError):
            return False
        except OSError as exc:
            raise broken(exc) from exc
        return True

    # --- leaving

    def has_hung_up(self) -> bool:
        """Whether the broker has left."""
        return has_hung_up(self._sock)

    def close_sending(self) -> None:
        """Says that nothing more will be sent; what arrives can still be read away."""
        # On an SSLSocket this also ends decryption: what is read from here on is not looked at.
        with suppress(OSError):  # it may be gone already
            self._sock.shutdown(socket.SHUT_WR)

    def discard(self) -> bool:
        """Reads some input away; False once the broker has closed its side."""
        try:
            return bool(self._sock.recv(1 << 16))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        """Closes the socket. What was not flushed is lost."""
        trio.lowlevel.notify_closing(self._sock)
        self._sock.close()
