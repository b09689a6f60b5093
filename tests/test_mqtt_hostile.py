"""Whatever a broker sends, a connection ends with a sentence, and nothing wrong is acknowledged.

Each row is sent before CONNACK, instead of SUBACK, or once messages flow, over the lane and over
the plain path. In front of it a good message goes, behind it as well.
"""

from dataclasses import dataclass, field
from typing import Literal

import pytest
import trio
import trio.lowlevel

from routerd.connectors.mqtt.lane import LARGEST_READ
from routerd.errors import Rejected, Unavailable
from routerd.mailbox import Mailbox
from tests.mqtt_frames import (
    CONNECT,
    PINGRESP,
    PUBCOMP,
    SUBSCRIBE,
    connack,
    disconnect,
    frame,
    publish,
    pubrel,
    suback,
    text,
)
from tests.mqtt_house import MqttRoute, end_of, failure_of, start
from tests.scripted_broker import Peer, Transport, open_broker

BROKE = "the broker broke the MQTT protocol: "
GOOD = publish("good", b"x", packet_id=1)
REFERENCE = b"\x1c" + text("other:1883")

# Where paho itself judges, which it does on the plain path, its words are its own.
FLOWING: dict[str, tuple[bytes, str]] = {
    "topic beyond its packet": (frame(0x32, b"\0\x0aab\0\x05"), "broke the MQTT protocol"),
    "no topic length": (frame(0x30, b"\0"), "broke the MQTT protocol"),
    "empty PUBLISH": (frame(0x30, b""), "broke the MQTT protocol"),
    "no packet identifier": (frame(0x32, text("ab")), "broke the MQTT protocol"),
    "no properties": (frame(0x30, text("ab")), "broke the MQTT protocol"),
    "properties beyond their packet": (frame(0x30, text("a") + b"\x09"), "broke the MQTT"),
    "property length of five bytes": (
        frame(0x30, text("ab") + b"\x80\x80\x80\x80\x01"),
        "broke the MQTT protocol",
    ),
    "packet identifier 0": (publish("ab", qos=1), "packet identifier 0"),
    "QoS 3": (publish("ab", packet_id=5, qos=3), "broke the MQTT protocol"),
    "empty topic": (publish("", b"x", packet_id=5), "empty topic"),
    "topic with +": (publish("a/+", packet_id=5), "no topic may have"),
    "topic with #": (publish("#", packet_id=5), "no topic may have"),
    "topic with NUL": (publish("a\0", packet_id=5), "no topic may have"),
    "topic not UTF-8": (publish(b"\xff", packet_id=5), "not UTF-8"),
    "topic with a surrogate": (publish(b"\xed\xa0\x80", packet_id=5), "not UTF-8"),
    "topic alias": (publish("", packet_id=5, properties=b"\x23\0\x01"), "broke the MQTT protocol"),
    "unknown property": (publish("a", properties=b"\x7f\x01"), "broke the MQTT protocol"),
    "property of CONNACK": (publish("a", properties=b"\x11\0\0\0\x01"), "broke the MQTT protocol"),
    "property twice": (publish("a", properties=b"\x01\x01\x01\x01"), "broke the MQTT protocol"),
    "property cut off": (publish("a", properties=b"\x02\0\0"), "broke the MQTT protocol"),
    "remaining length of five bytes": (b"\x30\x80\x80\x80\x80\x01", "broke the MQTT protocol"),
    "type 0": (frame(0x00, b""), "broke the MQTT protocol"),
    "CONNECT": (frame(0x10, text("MQTT") + b"\x05\0\0\0\0\0\0"), "broke the MQTT protocol"),
    "second CONNACK": (connack(), "a second CONNACK"),
    "second CONNACK that refuses": (connack(0x87), "broke the MQTT protocol"),
    "CONNACK with flags": (b"\x21" + connack()[1:], "broke the MQTT protocol"),
    "empty CONNACK": (frame(0x20, b""), "broke the MQTT protocol"),
    "PUBACK": (frame(0x40, b"\0\x05"), "a PUBACK comes, which answers nothing"),
    "PUBREC": (frame(0x50, b"\0\x05"), "a PUBREC comes, which answers nothing"),
    "PUBCOMP": (frame(0x70, b"\0\x05"), "a PUBCOMP comes, which answers nothing"),
    "empty PUBREL": (frame(0x62, b""), "broke the MQTT protocol"),
    "PUBREL of one byte": (frame(0x62, b"\x05"), "broke the MQTT protocol"),
    "PUBREL with packet identifier 0": (pubrel(0), "a PUBREL has no packet identifier"),
    "PUBREL without its flags": (frame(0x60, b"\0\x05"), "reserved flags"),
    "SUBSCRIBE": (frame(0x82, b"\0\x01\0" + text("a") + b"\x01"), "broke the MQTT protocol"),
    "SUBACK that nobody waits for": (suback(77, 1), " SUBACK"),
    "empty SUBACK": (frame(0x90, b""), "broke the MQTT protocol"),
    "UNSUBSCRIBE": (frame(0xA2, b"\0\x01\0" + text("a")), "broke the MQTT protocol"),
    "UNSUBACK": (frame(0xB0, b"\0\x01\0\0"), "an UNSUBACK comes, which answers nothing"),
    "PINGREQ": (frame(0xC0, b""), "a PINGREQ comes, which only a client sends"),
    "PINGRESP with a body": (frame(0xD0, b"x"), "broke the MQTT protocol"),
    "PINGRESP with flags": (frame(0xD1, b""), "reserved flags"),
    "AUTH": (frame(0xF0, b"\x18\0"), "broke the MQTT protocol"),
    "empty AUTH": (frame(0xF0, b""), "broke the MQTT protocol"),
    "empty DISCONNECT": (frame(0xE0, b""), "the broker ended the connection"),
    "DISCONNECT: shutting down": (disconnect(0x8B), "Server shutting down (0x8b)"),
    "DISCONNECT: receive maximum": (disconnect(0x93), "Receive maximum exceeded (0x93)"),
    "DISCONNECT: too large": (disconnect(0x95), "Packet too large (0x95)"),
    "DISCONNECT: administrative": (disconnect(0x98), "Administrative action (0x98)"),
    "DISCONNECT: taken over": (disconnect(0x8E), "another client connected as 'the-session'"),
    "DISCONNECT: not authorized": (disconnect(0x87), "Not authorized (0x87)"),
    "DISCONNECT: elsewhere": (disconnect(0x9C, REFERENCE), "names another server, other:1883"),
    "DISCONNECT: unknown reason": (disconnect(0x7E), "broke the MQTT protocol"),
    "DISCONNECT: property of another": (disconnect(0x8B, b"\x23\0\x01"), "broke the MQTT protocol"),
}
NEEDS_A_PERSON = {"DISCONNECT: not authorized", "DISCONNECT: elsewhere"}

BEFORE_CONNACK: dict[str, tuple[bytes, str]] = {
    "a PUBLISH": (GOOD, "a PUBLISH before CONNACK"),
    "SUBACK": (suback(1, 1), "something else before CONNACK; is it an MQTT broker?"),
    "PINGRESP": (PINGRESP, "something else before CONNACK; is it an MQTT broker?"),
    "AUTH": (frame(0xF0, b"\x18\0"), "does not answer CONNECT: "),
    "DISCONNECT": (disconnect(0x8B), "Server shutting down"),
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\n" + b"X: y\r\n" * 20, "does not answer CONNECT: "),
    "TLS alert": (b"\x15\x03\x03\0\x02\x02\x28", "does not answer CONNECT: "),
    "CONNACK cut short": (frame(0x20, b"\0"), "broke the MQTT protocol"),
    "CONNACK with half a property": (frame(0x20, b"\0\0\x03\x21\0"), "broke the MQTT protocol"),
    "CONNACK with a lying property length": (frame(0x20, b"\0\0\x7f\x21"), "broke the MQTT"),
    "CONNACK with a property twice": (connack(properties=b"\x21\0\x05" * 2), "broke the MQTT"),
    "CONNACK with an unknown code": (connack(0x55), "broke the MQTT protocol"),
    "CONNACK of MQTT 3.1.1": (connack(1, is_v5=False), 'set version = "3.1.1" in [mqtt]'),
    "CONNACK: unsupported version": (connack(0x84), 'set version = "3.1.1" in [mqtt]'),
    "CONNACK: bad password": (connack(0x86), "Bad user name or password (0x86); check [mqtt]"),
    "CONNACK: not authorized": (connack(0x87), "Not authorized (0x87); check [mqtt]"),
    "CONNACK: busy": (connack(0x89), "Server busy (0x89)"),
    "CONNACK: moved": (connack(0x9D, properties=REFERENCE), "another server, other:1883"),
}
REFUSALS = {
    "CONNACK of MQTT 3.1.1",
    "CONNACK: unsupported version",
    "CONNACK: bad password",
    "CONNACK: not authorized",
    "CONNACK: moved",
}


@dataclass
class Ending:
    """How one life of a route ended."""

    failure: Unavailable | Rejected | None = None
    received: list[bytes] = field(default_factory=list)
    peer: Peer | None = None


PATHS = pytest.mark.parametrize("transport", ["tcp", "ws"])


async def end_while_flowing(transport: Transport, *frames: bytes) -> Ending:
    """Sends frames on an open connection, and waits for the route to give it up."""
    ending = Ending()
    async with open_broker(transport) as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings())
        mailbox = Mailbox(route.status)

        async def talk() -> None:
            peer = ending.peer = await broker.accept()
            await peer.welcome()
            await peer.send(*frames)
            # A route that acknowledged or answered would do it before it closes.
            assert await peer.says_nothing_but_closes()
            peer.close()

        nursery.start_soon(talk)
        ending.failure = await failure_of(route, mailbox=mailbox)
        while route.status.inflight > len(ending.received):
            ending.received += [one.payload for one in (await mailbox.take()).messages]
    return ending


@PATHS
@pytest.mark.parametrize("row", FLOWING)
async def test_a_broken_packet_ends_the_connection_with_a_sentence(
    row: str, transport: Transport
) -> None:
    packet, sentence = FLOWING[row]
    ending = await end_while_flowing(transport, GOOD, packet, GOOD)
    assert isinstance(ending.failure, Rejected if row in NEEDS_A_PERSON else Unavailable)
    assert sentence in str(ending.failure)
    assert ending.received[:1] == [b"x"]  # what came before it is not lost


@PATHS
@pytest.mark.parametrize("row", BEFORE_CONNACK)
async def test_a_wrong_answer_to_connect_ends_it_with_a_sentence(
    row: str, transport: Transport
) -> None:
    packet, sentence = BEFORE_CONNACK[row]
    async with open_broker(transport) as broker, trio.open_nursery() as nursery:

        async def talk() -> None:
            peer = await broker.accept()
            await peer.expect(CONNECT)
            await peer.send(packet)
            assert await peer.says_nothing_but_closes()
            peer.close()

        nursery.start_soon(talk)
        failure = await failure_of(MqttRoute(broker.settings()))
    assert isinstance(failure, Rejected if row in REFUSALS else Unavailable)
    assert sentence in str(failure)


@PATHS
@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 99])
async def test_a_refusal_of_mqtt_3_is_told_too(code: int, transport: Transport) -> None:
    sentences = {
        1: 'Unsupported protocol version (0x84); set version = "5" in [mqtt]',
        2: "Client identifier not valid (0x85)",
        3: "Server unavailable (0x88)",
        4: "Bad user name or password (0x86)",
        5: "Not authorized (0x87)",
        99: "Unspecified error (0x80)",
    }
    async with open_broker(transport) as broker, trio.open_nursery() as nursery:

        async def talk() -> None:
            peer = await broker.accept()
            await peer.expect(CONNECT)
            await peer.send(connack(code, is_v5=False))
            await peer.wait_closed()
            peer.close()

        nursery.start_soon(talk)
        session = "" if code == 2 else "the-session"
        route = MqttRoute(broker.settings(version="3.1.1"), session=session)
        failure = await failure_of(route)
    assert sentences[code] in str(failure)
    assert isinstance(failure, Unavailable if code in {3, 99} else Rejected)
    assert broker.accepted == 1  # no second try by paho


SUBACKS: dict[str, tuple[list[int], type[Exception], str]] = {
    "too few codes": ([], Unavailable, "a SUBACK for something else"),
    "too many codes": ([1, 1], Unavailable, "a SUBACK for something else"),
    "unknown code": ([0x70], Unavailable, "broke the MQTT protocol"),
    "not authorized": ([0x87], Rejected, "refuses route 'fake' the filter '#' (0x87)"),
    "unspecified": ([0x80], Rejected, "refuses route 'fake' the filter '#' (0x80)"),
    "quota": ([0x97], Unavailable, "its quota is used up"),
    "no wildcards": ([0xA2], Rejected, "it has no wildcard subscriptions"),
}


@PATHS
@pytest.mark.parametrize("row", SUBACKS)
async def test_a_wrong_suback_ends_it_with_a_sentence(row: str, transport: Transport) -> None:
    codes, kind, sentence = SUBACKS[row]
    async with open_broker(transport) as broker, trio.open_nursery() as nursery:

        async def talk() -> None:
            peer = await broker.accept()
            await peer.expect(CONNECT)
            await peer.send(connack())
            subscribe = await peer.expect(SUBSCRIBE)
            await peer.send(suback(int.from_bytes(subscribe[:2], "big"), *codes))
            await peer.wait_closed()
            peer.close()

        nursery.start_soon(talk)
        failure = await failure_of(MqttRoute(broker.settings()))
    assert isinstance(failure, kind)
    assert sentence in str(failure)


@PATHS
async def test_a_pubrel_is_always_answered_however_long_it_is(transport: Transport) -> None:
    reason = b"\x1f" + text("r" * 300)
    long_one = frame(0x62, b"\0\x07\x92" + b"\xaf\x02" + reason)
    async with open_broker(transport) as broker, trio.open_nursery() as nursery:
        nursery.start_soon(failure_of, MqttRoute(broker.settings()))
        peer = await broker.accept()
        await peer.welcome()
        await peer.send(pubrel(5), long_one)
        assert await peer.acknowledged(2, PUBCOMP) == [5, 7]
        nursery.cancel_scope.cancel()


@pytest.mark.slow
@pytest.mark.parametrize(("transport", "writes"), [("tcp", 200), ("ws", 4)])
async def test_a_flood_of_small_answers_leaves_others_their_turns(
    transport: Transport, writes: int
) -> None:
    turns = 0
    async with open_broker(transport) as broker, trio.open_nursery() as nursery:
        nursery.start_soon(failure_of, MqttRoute(broker.settings()))
        peer = await broker.accept()
        await peer.welcome()

        async def take_turns() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        async def flood() -> None:
            for _ in range(writes):
                await peer.send(PINGRESP * 5000)
            await peer.send(pubrel(5))

        nursery.start_soon(take_turns)
        nursery.start_soon(flood)
        assert await peer.acknowledged(1, PUBCOMP) == [5]
        nursery.cancel_scope.cancel()
    assert turns > writes * 5000 * len(PINGRESP) / LARGEST_READ


MQTT_3: dict[str, tuple[bytes, str]] = {
    "DISCONNECT": (frame(0xE0, b""), "broke the MQTT protocol"),
    "AUTH": (frame(0xF0, b"\x18\0"), "an AUTH comes"),
    "CONNACK of MQTT 5": (connack(), "broke the MQTT protocol"),
    "SUBACK that nobody waits for": (suback(77, 1, is_v5=False), " SUBACK"),
    "packet identifier 0": (publish("a", qos=1, is_v5=False), "packet identifier 0"),
    "QoS 3": (publish("a", packet_id=5, qos=3, is_v5=False), "broke the MQTT protocol"),
    "topic beyond its packet": (frame(0x32, b"\0\x0aab\0\x05"), "broke the MQTT protocol"),
    "empty topic": (publish("", packet_id=5, is_v5=False), "broke the MQTT protocol"),
    "PUBREL with a reason": (frame(0x62, b"\0"), "broke the MQTT protocol"),
}


@PATHS
@pytest.mark.parametrize("row", MQTT_3)
async def test_mqtt_3_is_no_more_trusted(row: str, transport: Transport) -> None:
    packet, sentence = MQTT_3[row]
    async with open_broker(transport) as broker, trio.open_nursery() as nursery:
        life = start(nursery, MqttRoute(broker.settings(version="3.1.1")))
        peer = await broker.accept()
        await peer.welcome(is_v5=False)
        await peer.send(packet)
        assert await peer.says_nothing_but_closes()
        failure = await end_of(life)
        peer.close()
    assert isinstance(failure, Unavailable)
    assert sentence in str(failure)


@PATHS
async def test_half_a_packet_is_forgotten_with_its_connection(transport: Transport) -> None:
    whole = publish("t", b"x" * 1000, packet_id=1)
    async with open_broker(transport) as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings())
        first = start(nursery, route)
        peer = await broker.accept()
        await peer.welcome()
        await peer.send(whole[:500])
        peer.reset()
        assert isinstance(await end_of(first), Unavailable)
        second = start(nursery, route)
        peer = await broker.accept()
        await peer.welcome(is_present=True)
        await peer.send(whole)
        assert await second.take(1) == [b"x" * 1000]
        nursery.cancel_scope.cancel()
    assert route.status.received == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", [0x30, 0xD0, 0x90])
async def test_a_packet_that_never_ends_is_not_kept(kind: int) -> None:
    head = bytes([kind]) + b"\xff\xff\xff\x7f" + text("endless") + b"\0"
    async with open_broker() as broker, trio.open_nursery() as nursery:
        route = MqttRoute(broker.settings(max_packet=1024))
        outcome: list[Exception | None] = []

        async def run() -> None:
            outcome.append(await failure_of(route))
            nursery.cancel_scope.cancel()

        nursery.start_soon(run)
        peer = await broker.accept()
        await peer.welcome()
        await peer.send(head)
        try:
            for _ in range(32):
                await peer.send(bytes(1 << 20))
        except trio.BrokenResourceError:
            pass
        peer.close()
        await trio.sleep_forever()
    sentences = {0x30: "the broker closed the connection"}
    default = "a packet of 268435460 bytes that is no PUBLISH"
    assert sentences.get(kind, default) in str(outcome[0])


async def test_the_routes_beside_it_do_not_notice() -> None:
    version: Literal["5"] = "5"
    async with open_broker() as broker, trio.open_nursery() as nursery:
        healthy = MqttRoute(broker.settings(version=version), session="healthy")
        nursery.start_soon(failure_of, healthy)
        peer = await broker.accept()
        await peer.welcome()
        for packet, _ in list(FLOWING.values())[:5]:
            nursery.start_soon(failure_of, MqttRoute(broker.settings(), session="sick"))
            sick = await broker.accept()
            await sick.welcome()
            await sick.send(packet)
            await sick.wait_closed()
            sick.close()
        await peer.send(pubrel(5))
        assert await peer.acknowledged(1, PUBCOMP) == [5]
        nursery.cancel_scope.cancel()
