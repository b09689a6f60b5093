"""What the lane and the plain path rely on in paho, so that a change of paho shows here.

`GivenSocketClient` replaces one private method. Each rule says what paho must do with it and with
what it returns; the last test shows each rule a paho that was changed.
"""

import base64
from collections.abc import Callable
from hashlib import sha1
from importlib.metadata import version

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from routerd.connectors.mqtt.client import GivenSocketClient
from routerd.connectors.mqtt.watched import Watch
from tests.mqtt_frames import (
    PINGRESP,
    connack,
    disconnect,
    publish,
    pubrel,
    suback,
)


class RecordingSocket:
    """A socket without a network that notes what is done to it."""

    def __init__(self) -> None:
        self.inbox = b""
        self.sent = b""
        self.calls: list[str] = []
        self.reads: list[tuple[int, bytes]] = []

    def recv(self, size: int) -> bytes:
        taken, self.inbox = self.inbox[:size], self.inbox[size:]
        self.calls.append("recv")
        self.reads.append((size, taken))
        if not taken:
            raise BlockingIOError
        return taken

    def send(self, data: bytes | bytearray) -> int:
        self.calls.append("send")
        self.sent += data
        return len(data)

    def close(self) -> None:
        self.calls.append("close")

    def fileno(self) -> int:
        return 99

    def setblocking(self, flag: bool) -> None:
        self.calls.append("setblocking")


def connected(kind: type[GivenSocketClient]) -> tuple[GivenSocketClient, RecordingSocket]:
    sock = RecordingSocket()
    client = kind(
        CallbackAPIVersion.VERSION2,
        client_id="c",
        protocol=mqtt.MQTTv5,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    client.given = sock
    client.connect("nowhere.invalid", clean_start=False)
    return client, sock


# --- the rules


def connect_takes_the_given_socket_and_sends_connect_on_it(kind: type[GivenSocketClient]) -> None:
    client, sock = connected(kind)
    assert client.socket() is sock
    assert sock.sent[:1] == b"\x10"
    assert set(sock.calls) <= {"setblocking", "send"}


def a_read_never_goes_beyond_its_packet(kind: type[GivenSocketClient]) -> None:
    client, sock = connected(kind)
    packets = [connack(), suback(1, 1), publish("t", b"x" * 300, packet_id=1), PINGRESP]
    for packet in packets:
        sock.inbox, sock.reads = packet + b"\xff" * 1000, []
        assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
        assert sum(len(taken) for _, taken in sock.reads) == len(packet)
        assert [size for size, _ in sock.reads[:2]] == [1, 1]


def nothing_to_read_is_no_error(kind: type[GivenSocketClient]) -> None:
    client, sock = connected(kind)
    sock.inbox = connack()[:3]
    assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert "close" not in sock.calls


def a_packet_is_sent_before_the_call_returns(kind: type[GivenSocketClient]) -> None:
    client, sock = connected(kind)
    sock.sent = b""
    client.subscribe("t")
    assert sock.sent[:1] == b"\x82"
    sock.sent = b""
    client.ack(5, 1)
    assert sock.sent[:4] in {b"\x40\x02\0\x05", b"\x40\x03\0\x05", b"\x40\x04\0\x05"}


def the_last_packet_is_sent_before_the_socket_is_closed(kind: type[GivenSocketClient]) -> None:
    client, sock = connected(kind)
    sock.sent, sock.calls = b"", []
    client.disconnect()
    assert sock.sent[:1] == b"\xe0"
    assert sock.calls == ["send", "close"]


def a_server_s_disconnect_closes_and_no_more_is_read(kind: type[GivenSocketClient]) -> None:
    client, sock = connected(kind)
    sock.inbox = connack() + disconnect(0x8E)
    client.loop_read()
    assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert "close" in sock.calls
    assert client.loop_read() == MQTTErrorCode.MQTT_ERR_NO_CONN


def a_refused_connack_does_not_connect_again(kind: type[GivenSocketClient]) -> None:
    client, sock = connected(kind)
    sock.inbox, sock.sent = connack(0x87), b""
    assert client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS
    assert sock.sent == b""


def the_broker_s_keepalive_replaces_ours(kind: type[GivenSocketClient]) -> None:
    client, sock = connected(kind)
    sock.inbox = connack(properties=b"\x13\0\x07")
    client.loop_read()
    assert client.keepalive == 7


def an_unknown_pubrel_is_not_answered(kind: type[GivenSocketClient]) -> None:
    client, sock = connected(kind)
    sock.inbox, sock.sent = connack() + pubrel(9), b""
    client.loop_read()
    client.loop_read()
    assert sock.sent == b""  # `Plain` does it; twice would be wrong


RULES: list[Callable[[type[GivenSocketClient]], None]] = [
    connect_takes_the_given_socket_and_sends_connect_on_it,
    a_read_never_goes_beyond_its_packet,
    nothing_to_read_is_no_error,
    a_packet_is_sent_before_the_call_returns,
    the_last_packet_is_sent_before_the_socket_is_closed,
    a_server_s_disconnect_closes_and_no_more_is_read,
    a_refused_connack_does_not_connect_again,
    the_broker_s_keepalive_replaces_ours,
    an_unknown_pubrel_is_not_answered,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_paho_does_as_we_rely_on(rule: Callable[[type[GivenSocketClient]], None]) -> None:
    rule(GivenSocketClient)


def test_paho_is_the_version_that_was_read() -> None:
    assert version("paho-mqtt") == "2.2.0"


def test_the_method_that_we_replace_is_paho_s() -> None:
    assert "_create_socket" in vars(mqtt.Client)
    assert "_create_socket" in vars(GivenSocketClient)


# --- a paho that was changed


class CallsAnotherMethod(GivenSocketClient):
    """`_create_socket` was renamed."""

    def reconnect(self) -> MQTTErrorCode:
        return MQTTErrorCode(self._open_socket())  # type: ignore[attr-defined]


class WrapsTheSocket(GivenSocketClient):
    """What `_create_socket` returns is put into something else."""

    def _create_socket(self) -> RecordingSocket:
        wrapped = RecordingSocket()
        wrapped.send = super()._create_socket().send  # type: ignore[method-assign, assignment]
        return wrapped


class ReadsAhead(GivenSocketClient):
    """Reads come in large pieces."""

    def _sock_recv(self, bufsize: int) -> bytes:
        data: bytes = super()._sock_recv(max(bufsize, 4096))
        return data[:bufsize]


class TakesSilenceForTheEnd(GivenSocketClient):
    """A socket without data is a broken one."""

    def _sock_recv(self, bufsize: int) -> bytes:
        try:
            return bytes(super()._sock_recv(bufsize))
        except BlockingIOError:
            return b""


class SendsLater(GivenSocketClient):
    """Packets wait for `loop_write`."""

    def loop_write(self) -> MQTTErrorCode:
        return MQTTErrorCode.MQTT_ERR_SUCCESS


class AnswersEveryPubrel(GivenSocketClient):
    """An unknown message is confirmed, `manual_ack` or not."""

    def _handle_pubrel(self) -> MQTTErrorCode:
        super()._handle_pubrel()
        return MQTTErrorCode(self._send_pubcomp(9))


class KeepsItsOwnTime(GivenSocketClient):
    """The server's keepalive goes unheard."""

    def _handle_connack(self) -> MQTTErrorCode:
        before = self._keepalive
        result = MQTTErrorCode(super()._handle_connack())
        self._keepalive = before
        return result


@pytest.mark.parametrize(
    "changed",
    [
        CallsAnotherMethod,
        WrapsTheSocket,
        ReadsAhead,
        TakesSilenceForTheEnd,
        SendsLater,
        AnswersEveryPubrel,
        KeepsItsOwnTime,
    ],
)
def test_the_rules_notice_a_change_of_paho(changed: type[GivenSocketClient]) -> None:
    broken = []
    for rule in RULES:
        try:
            rule(changed)
        except (AssertionError, AttributeError):
            broken.append(rule)
    assert broken


# --- what is learnt from paho's reads


def test_the_watch_sees_each_packet_that_is_read_byte_by_byte() -> None:
    watch = Watch()
    for data in [b"\x20", b"\x03", b"\0\0\0", b"\xd0", b"\x00", b"\x62", b"\x02", b"\0", b"\x09"]:
        watch.see(data)
    assert watch.packets == [(0x20, b"\0\0\0"), (0xD0, b""), (0x62, b"\0\x09")]


def test_the_watch_keeps_no_more_than_the_start_of_a_packet() -> None:
    watch = Watch()
    for data in [b"\x32", b"\x80", b"\x08", b"x" * 500, b"x" * 524]:
        watch.see(data)
    assert watch.packets == [(0x32, b"xxxx")]


def test_the_watch_does_not_mind_a_length_that_paho_refuses() -> None:
    watch = Watch()
    for data in [b"\x30", b"\x80", b"\x80", b"\x80", b"\x80", b"\x01"]:
        watch.see(data)
    assert watch.packets == []


# --- the WebSocket handshake, which paho makes for the plain path


class HttpSocket(RecordingSocket):
    """Answers a WebSocket handshake as a broker does."""

    def send(self, data: bytes | bytearray) -> int:
        key = bytes(data).split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
        accept = base64.b64encode(sha1(key + GUID).digest())  # noqa: S324 - as RFC 6455 has it
        self.inbox = (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + b"what follows"
        )
        return super().send(data)

    def settimeout(self, seconds: float) -> None:
        self.calls.append(f"settimeout {seconds}")


GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def test_paho_shakes_hands_on_our_connection_and_says_nothing_of_mqtt() -> None:
    client = GivenSocketClient(
        CallbackAPIVersion.VERSION2, client_id="c", transport="websockets", protocol=mqtt.MQTTv5
    )
    client.ws_set_options(path="/mqtt", headers={"Host": "host:1", "Origin": "https://host:1"})
    client.connect_timeout = 7
    client.connect_async("nowhere.invalid", 1)
    sock = HttpSocket()
    made = client.make_websocket(sock)  # type: ignore[arg-type]
    assert made is not sock
    assert sock.sent.startswith(b"GET /mqtt HTTP/1.1\r\nHost: host:1\r\n")
    assert b"\r\nOrigin: https://host:1\r\n" in sock.sent
    assert b"\r\nSec-Websocket-Protocol: mqtt\r\n" in sock.sent
    assert sock.sent.endswith(b"\r\n\r\n")
    assert sock.calls[:2] == ["settimeout 7", "send"]  # else it might block for ever
    assert sock.inbox == b"what follows"
