"""The lane on a socket pair: what one read takes, what a flush leaves, how TLS differs."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

import pytest

from routerd.connectors.mqtt.client import Heard, open_client
from routerd.connectors.mqtt.filters import Wanted
from routerd.connectors.mqtt.lane import (
    LARGEST_READ,
    MESSAGES_PER_READ,
    SMALLEST_READ,
    Lane,
    PahoSocket,
)
from routerd.connectors.mqtt.link import CLOSED, PUBACK, PUBREC
from routerd.connectors.mqtt.settings import MqttFilter, MqttSettings, MqttSourceSpec
from routerd.errors import Unavailable
from tests.mqtt_frames import PINGRESP, publish
from tests.rig.certs import Certs

Transport = Literal["tcp", "tls"]
BOTH = pytest.mark.parametrize("transport", ["tcp", "tls"])
SPEC = MqttSourceSpec((MqttFilter("#"),), "s")


@dataclass
class Pair:
    """A lane, and the broker's end of its connection, which blocks."""

    lane: Lane
    broker: socket.socket


@contextmanager
def open_pair(transport: Transport, certs: Certs) -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    if transport == "tls":
        ours, theirs = shake_hands(ours, theirs, certs)
    ours.setblocking(False)
    heard = Heard()
    client = open_client(MqttSettings("mqtt", "mqtt", "h", 1), SPEC, heard=heard)
    client.given = paho_socket = PahoSocket(ours.fileno())
    with ours, theirs:
        wanted = Wanted(SPEC.filters)
        yield Pair(
            Lane(ours, client, paho_socket, heard, is_v5=True, max_packet=1 << 20, wanted=wanted),
            theirs,
        )


def shake_hands(
    ours: socket.socket, theirs: socket.socket, certs: Certs
) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Both sides of a TLS handshake in one thread."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certs.server.cert, certs.server.key)
    client = ssl.create_default_context(cafile=certs.ca)
    a = client.wrap_socket(ours, server_hostname="localhost", do_handshake_on_connect=False)
    b = server.wrap_socket(theirs, server_side=True, do_handshake_on_connect=False)
    a.setblocking(False)
    b.setblocking(False)
    for _ in range(4):
        for side in (a, b):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    b.setblocking(True)
    return a, b


@BOTH
def test_one_read_ends_and_says_that_there_is_more(transport: Transport, certs: Certs) -> None:
    with open_pair(transport, certs) as pair:
        pair.broker.setblocking(False)
        sent = 0
        frame = publish("t", b"x" * 1000)
        with suppress(BlockingIOError, ssl.SSLWantWriteError):
            while sent < 400:
                sent += pair.broker.send(frame) == len(frame)
        found, reads = 0, 0
        while found < sent - 1:
            burst = pair.lane.read()
            assert burst.size <= LARGEST_READ
            found += len(burst.messages)
            reads += 1
            assert pair.lane.has_more or found >= sent - 1
        assert reads > 1


@BOTH
def test_reads_are_sized_by_what_messages_there_are(transport: Transport, certs: Certs) -> None:
    with open_pair(transport, certs) as pair:
        for _ in range(3):
            pair.broker.sendall(publish("t", b"") * 2000)
            pair.lane.read()
            while pair.lane.has_more:
                pair.lane.read()
        assert pair.lane._read_size == max(SMALLEST_READ, MESSAGES_PER_READ * 6)  # noqa: SLF001


@BOTH
def test_nothing_to_read_is_an_empty_burst(transport: Transport, certs: Certs) -> None:
    with open_pair(transport, certs) as pair:
        assert pair.lane.read().messages == []
        assert not pair.lane.has_more


@BOTH
def test_what_came_before_the_end_is_given_first(transport: Transport, certs: Certs) -> None:
    with open_pair(transport, certs) as pair:
        pair.broker.sendall(publish("t", b"last"))
        if isinstance(pair.broker, ssl.SSLSocket):
            with suppress(ssl.SSLError, OSError):
                pair.broker.settimeout(0)
                pair.broker.unwrap()  # close_notify
        pair.broker.shutdown(socket.SHUT_WR)
        assert [message.payload for message in pair.lane.read().messages] == [b"last"]
        with pytest.raises(Unavailable, match=f"^{CLOSED}$"):
            pair.lane.read()


def test_messages_in_front_of_a_control_packet_are_not_lost_at_the_end(certs: Certs) -> None:
    with open_pair("tls", certs) as pair:
        pair.broker.sendall(publish("t", b"a") + PINGRESP + publish("t", b"b"))
        pair.broker.shutdown(socket.SHUT_WR)
        assert [message.payload for message in pair.lane.read().messages] == [b"a", b"b"]


@BOTH
def test_a_flush_leaves_what_the_system_does_not_take(transport: Transport, certs: Certs) -> None:
    tokens = [PUBACK | (number % 65535 + 1) for number in range(300_000)]
    with open_pair(transport, certs) as pair:
        pair.lane.acknowledge(tokens)
        assert not pair.lane.flush()
        pair.lane.acknowledge([PUBREC | 7])  # behind what waits to be offered again
        pair.broker.settimeout(5)
        expected = b"".join(token.to_bytes(4, "big") for token in [*tokens, PUBREC | 7])
        received = b""
        while len(received) < len(expected):
            received += pair.broker.recv(1 << 20)
            pair.lane.flush()
        assert received == expected
        assert pair.lane.unsent == 0


@BOTH
def test_a_flush_to_nobody_is_unavailable(transport: Transport, certs: Certs) -> None:
    with open_pair(transport, certs) as pair:
        pair.broker.close()
        said = {
            "tcp": "the connection to the broker broke: Broken pipe",
            "tls": "the TLS connection to the broker failed: eof occurred in violation of protocol",
        }
        pair.lane.ping()
        with suppress(Unavailable):
            pair.lane.flush()  # TLS may take one more
        pair.lane.ping()
        with pytest.raises(Unavailable, match=f"^{said[transport]}$"):
            pair.lane.flush()


@BOTH
def test_leaving_reads_away_what_comes_until_the_end(transport: Transport, certs: Certs) -> None:
    with open_pair(transport, certs) as pair:
        pair.broker.sendall(publish("t", b"x" * 1000) * 20)
        pair.lane.ping()
        pair.lane.flush()
        pair.lane.close_sending()
        pair.broker.settimeout(5)
        assert pair.broker.recv(10) == b"\xc0\x00"
        assert pair.broker.recv(10) == b""
        assert pair.lane.discard()
        while pair.lane.discard():
            pair.broker.close()


def test_acknowledgements_are_packets_in_order(certs: Certs) -> None:
    with open_pair("tcp", certs) as pair:
        pair.lane.acknowledge([PUBACK | 1, PUBREC | 0x1234, PUBACK | 65535])
        pair.lane.flush()
        assert pair.broker.recv(100) == b"\x40\x02\0\x01\x50\x02\x12\x34\x40\x02\xff\xff"


def test_the_end_is_raised_again_and_again(certs: Certs) -> None:
    with open_pair("tcp", certs) as pair:
        pair.broker.sendall(publish("t", packet_id=3, qos=3))
        pair.lane.read()
        assert pair.lane.has_more  # not to be waited for
        for _ in range(2):
            with pytest.raises(Unavailable, match="QoS 3"):
                pair.lane.read()
