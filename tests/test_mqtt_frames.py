"""The splitter takes PUBLISH packets out of a stream, wherever reads cut it, and trusts nothing."""

import socket
from dataclasses import dataclass, field

import paho.mqtt.client as mqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from routerd.connectors.mqtt import frames
from routerd.connectors.mqtt import properties as properties_module
from routerd.connectors.mqtt.client import GivenSocketClient
from routerd.connectors.mqtt.filters import Wanted
from routerd.connectors.mqtt.frames import Splitter
from routerd.connectors.mqtt.link import PUBACK, PUBREC
from routerd.connectors.mqtt.settings import MqttFilter
from tests.mqtt_frames import PINGRESP, block, connack, frame, publish, pubrel, text, user_property

ALL = (MqttFilter("#"),)


@dataclass
class Split:
    """A splitter, and all that it gave for a stream."""

    is_v5: bool = True
    max_packet: int = 1 << 20
    filters: tuple[MqttFilter, ...] = ALL
    messages: list[tuple[bytes, bytes, int]] = field(default_factory=list)
    skipped: list[tuple[int, int]] = field(default_factory=list)
    strays: int = 0
    problems: dict[int, str] = field(default_factory=dict)
    control: list[bytes] = field(default_factory=list)
    size: int = 0
    goes_on: bool = True

    def __post_init__(self) -> None:
        self.splitter = Splitter(
            is_v5=self.is_v5,
            max_packet=self.max_packet,
            wanted=Wanted(self.filters),
            control=self._hear,
        )

    def feed(self, *chunks: bytes) -> "Split":
        for chunk in chunks:
            burst = self.splitter.feed(chunk)
            before = len(self.messages)
            self.messages += [(m.address, m.payload, m.token) for m in burst.messages]
            self.skipped += [(before + at, token) for at, token in burst.skipped]
            self.strays += burst.strays
            self.problems |= {before + at: str(error) for at, error in burst.problems.items()}
            self.size += burst.size
        return self

    @property
    def fault(self) -> str:
        return str(self.splitter.fault or "")

    @property
    def outcome(self) -> tuple[object, ...]:
        """All of it, to compare."""
        return (
            self.messages, self.skipped, self.strays, self.problems, self.control, self.size,
            self.fault,
        )  # fmt: skip

    def _hear(self, packet: bytes) -> bool:
        self.control.append(packet)
        return self.goes_on


EVERYTHING = b"".join([
    publish("a/b", b"one"),
    publish("a/b", b"two", packet_id=7),
    PINGRESP,
    publish("t", b"", packet_id=65535, properties=user_property("n", "v" * 200)),
    publish("größe", b"x" * 300, packet_id=2, is_again=True),
    publish("q", b"exactly", packet_id=9, qos=2),
    pubrel(9),
    publish("a/kept", b"old", packet_id=10, is_retained=True),
    publish("big", b"x" * 600, packet_id=11),
    publish("elsewhere", b"?", packet_id=12),
    publish("a/b", b"last", packet_id=13),
])  # fmt: skip
FILTERS = (
    MqttFilter("a/#", drops_retained=True),
    *map(MqttFilter, ("t", "größe", "q", "big")),
)


def test_takes_messages_in_order_and_hands_the_rest_over_in_its_place() -> None:
    split = Split(filters=FILTERS, max_packet=512).feed(EVERYTHING)
    assert split.messages == [
        (b"a/b", b"one", 0),
        (b"a/b", b"two", PUBACK | 7),
        (b"t", b"", PUBACK | 65535),
        ("größe".encode(), b"x" * 300, PUBACK | 2),
        (b"q", b"exactly", PUBREC | 9),
        (b"big", b"", PUBACK | 11),
        (b"a/b", b"last", PUBACK | 13),
    ]
    assert split.control == [PINGRESP, pubrel(9)]
    assert split.skipped == [(5, PUBACK | 10), (6, PUBACK | 12)]
    assert split.strays == 1
    size = len(publish("big", b"x" * 600, packet_id=11))
    assert split.problems == {5: f"its packet has {size} bytes, and `max_packet` is 512: raise it"}
    assert split.size == len(b"onetwoexactlylast") + 300
    assert split.fault == ""


def test_a_cut_anywhere_changes_nothing() -> None:
    whole = Split(filters=FILTERS, max_packet=512).feed(EVERYTHING)
    for at in range(len(EVERYTHING) + 1):
        cut = Split(filters=FILTERS, max_packet=512).feed(EVERYTHING[:at], EVERYTHING[at:])
        assert cut.outcome == whole.outcome, at


def test_byte_by_byte_changes_nothing() -> None:
    whole = Split(filters=FILTERS, max_packet=512).feed(EVERYTHING)
    bytewise = Split(filters=FILTERS, max_packet=512)
    bytewise.feed(*(EVERYTHING[at : at + 1] for at in range(len(EVERYTHING))))
    assert bytewise.outcome == whole.outcome


@given(data=st.data())
def test_a_broken_stream_breaks_alike_wherever_it_is_cut(data: st.DataObject) -> None:
    stream = bytearray(EVERYTHING)
    for _ in range(data.draw(st.integers(1, 3))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    is_v5 = data.draw(st.booleans())
    chunks = [bytes(stream[a:b]) for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = Split(is_v5, 512, FILTERS).feed(bytes(stream))
    pieces = Split(is_v5, 512, FILTERS).feed(*chunks)
    assert pieces.outcome == whole.outcome


@given(stream=st.binary(max_size=200), is_v5=st.booleans())
def test_noise_never_raises(stream: bytes, is_v5: bool) -> None:
    split = Split(is_v5).feed(stream)
    assert split.splitter.fault is None or "broke the MQTT protocol" in split.fault


# --- against paho's own decoding

TOPICS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0+#"), min_size=1, max_size=20
).filter(lambda topic: not topic.startswith("$"))  # which the filter # does not take
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=200)
PROPERTIES = st.lists(
    st.one_of(
        st.builds(user_property, TEXTS, TEXTS),
        st.integers(1, 127).map(lambda one: b"\x0b" + bytes([one])),
    ),
    max_size=4,
).flatmap(
    lambda repeated: st.sampled_from([b"", b"\x01\x01", b"\x02\0\0\0\x09", b"\x09" + text("id")])
    .map(lambda single: single + b"".join(repeated))
)  # fmt: skip


@st.composite
def packets(draw: st.DrawFn, *, is_v5: bool) -> bytes:
    """One PUBLISH; at QoS 2 with the PUBREL that makes paho give the message."""
    qos = draw(st.integers(0, 2))
    packet_id = draw(st.integers(1, 65535)) if qos else 0
    made = publish(
        draw(TOPICS),
        draw(st.binary(max_size=400)),
        packet_id=packet_id,
        qos=qos,
        is_retained=draw(st.booleans()),
        is_v5=is_v5,
        properties=draw(PROPERTIES) if is_v5 else b"",
    )
    return made + (pubrel(packet_id) if qos == 2 else b"")


def as_paho_reads(stream: bytes, *, is_v5: bool) -> list[tuple[bytes, bytes, int]]:
    found: list[tuple[bytes, bytes, int]] = []

    def take(_client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        token = (0, PUBACK, PUBREC)[message.qos] | message.mid
        found.append((message.topic.encode(), bytes(message.payload), token))

    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = GivenSocketClient(
            CallbackAPIVersion.VERSION2,
            client_id="c",
            protocol=mqtt.MQTTv5 if is_v5 else mqtt.MQTTv311,
            manual_ack=True,
        )
        client.given, client.on_message = ours, take
        client.connect("localhost")
        theirs.sendall(connack(is_v5=is_v5) + stream)
        theirs.shutdown(socket.SHUT_WR)
        while client.loop_read() == mqtt.MQTT_ERR_SUCCESS:
            pass
    return found


@given(data=st.data(), is_v5=st.booleans())
def test_reads_what_paho_reads(data: st.DataObject, is_v5: bool) -> None:
    stream = b"".join(data.draw(st.lists(packets(is_v5=is_v5), max_size=8)))
    at = data.draw(st.integers(0, len(stream)))
    split = Split(is_v5).feed(stream[:at], stream[at:])
    assert split.fault == ""
    assert split.messages == as_paho_reads(stream, is_v5=is_v5)


# --- what is not right

GOOD = publish("good", b"first", packet_id=1)
FAULTS_V5 = {
    "topic beyond its packet": (frame(0x32, b"\0\x0aab\0\x05") + GOOD, "beyond the end"),
    "topic beyond the stream": (frame(0x32, b"\xff\xffab\0\x05"), "beyond the end"),
    "QoS 0 topic beyond its packet": (frame(0x30, b"\0\x0aab") + GOOD, "beyond the end"),
    "no topic length": (frame(0x30, b"\0"), "beyond the end"),
    "empty packet": (frame(0x30, b"") + GOOD, "beyond the end"),
    "empty packet at the end": (frame(0x30, b""), "beyond the end"),
    "no packet identifier": (frame(0x32, text("ab")) + GOOD, "beyond the end"),
    "half a packet identifier": (frame(0x32, text("ab") + b"\0") + GOOD, "beyond the end"),
    "no property length": (frame(0x32, text("ab") + b"\0\x05") + GOOD, "beyond the end"),
    "no property length at the end": (frame(0x30, text("ab")), "beyond the end"),
    "properties beyond their packet": (frame(0x30, text("ab") + b"\x09") + GOOD, "beyond the end"),
    "long property length cut off": (frame(0x30, text("ab") + b"\x80") + GOOD, "beyond the end"),
    "property length of five bytes": (
        frame(0x30, text("ab") + b"\x80\x80\x80\x80\x01"),
        "more than 4 bytes",
    ),
    "packet identifier 0": (publish("ab", b"", qos=1), "packet identifier 0"),
    "packet identifier 0 at QoS 2": (publish("ab", b"", qos=2), "packet identifier 0"),
    "packet identifier 0, retained": (publish("ab", qos=1, is_retained=True), "identifier 0"),
    "QoS 3": (publish("ab", b"", packet_id=5, qos=3), "QoS 3"),
    "empty topic": (publish("", b"x", packet_id=5), "an empty topic"),
    "topic alias": (publish("ab", properties=b"\x23\0\x01"), "a topic alias"),
    "topic alias instead of a topic": (publish("", properties=b"\x23\0\x01"), "a topic alias"),
    "topic with +": (publish("a/+", b"x", packet_id=5), "a character that no topic may have"),
    "topic with #": (publish("a/#", b"x", packet_id=5), "a character that no topic may have"),
    "topic with NUL": (publish("a\0b", b"x", packet_id=5), "a character that no topic may have"),
    "topic not UTF-8": (publish(b"a\xffb", b"x", packet_id=5), "is not UTF-8"),
    "topic with a surrogate": (publish(b"\xed\xa0\x80", packet_id=5), "is not UTF-8"),
    "overlong topic": (publish(b"\xc0\xaf", packet_id=5), "is not UTF-8"),
    "unknown property": (publish("ab", properties=b"\x7f\x01"), "0x7f, which no PUBLISH may"),
    "property of CONNACK": (publish("ab", properties=b"\x21\0\x01"), "0x21, which no PUBLISH may"),
    "property twice": (publish("ab", properties=b"\x01\x01\x01\x01"), "property 0x01 twice"),
    "property cut off": (publish("ab", properties=b"\x02\0\0"), "end in the middle of one"),
    "property string cut off": (publish("ab", properties=b"\x03\0\x09a"), "in the middle of one"),
    "property string without length": (publish("ab", properties=b"\x03\0"), "in the middle of one"),
    "user property without value": (publish("ab", properties=b"\x26\0\x01a"), "in the middle"),
    "subscription identifier of 5 bytes": (
        publish("ab", properties=b"\x0b\x80\x80\x80\x80\x01"),
        "0x0b, which no PUBLISH may have",
    ),
    "remaining length of five bytes": (b"\x30\x80\x80\x80\x80\x01", "more than 4 bytes"),
    "the same in a packet of another type": (b"\xd0\xff\xff\xff\xff\x01", "more than 4 bytes"),
    "256 MiB that are no PUBLISH": (b"\x90\xff\xff\xff\x7f", "268435460 bytes that is no PUBLISH"),
    "a SUBACK over the limit": (
        frame(0x90, bytes(frames.CONTROL_LIMIT)),
        "bytes that is no PUBLISH",
    ),
}


@pytest.mark.parametrize("name", FAULTS_V5)
def test_a_broken_packet_ends_the_stream_and_spares_what_came_before(name: str) -> None:
    broken, sentence = FAULTS_V5[name]
    split = Split().feed(GOOD + broken + GOOD)
    assert split.messages == [(b"good", b"first", PUBACK | 1)]
    assert split.size == len(b"first")
    assert split.fault.startswith("the broker broke the MQTT protocol: ")
    assert sentence in split.fault
    assert Split().feed(*[bytes([byte]) for byte in GOOD + broken + GOOD]).outcome == split.outcome


def test_nothing_is_taken_after_a_fault() -> None:
    split = Split().feed(publish("ab", b"", qos=1), GOOD)
    assert split.messages == []
    assert "identifier 0" in split.fault


def test_properties_are_part_of_the_payload_in_mqtt_3() -> None:
    split = Split(is_v5=False).feed(publish("t", b"\x23\0\x01", packet_id=3, is_v5=False))
    assert split.messages == [(b"t", b"\x23\0\x01", PUBACK | 3)]


def test_a_property_block_of_more_than_127_bytes_is_no_payload() -> None:
    properties = user_property("name", "v" * 300)
    split = Split().feed(publish("t", b"payload", packet_id=3, properties=properties))
    assert split.messages == [(b"t", b"payload", PUBACK | 3)]


@pytest.mark.parametrize("cut", [3, 10, 70_000])
def test_a_packet_over_the_limit_is_passed_over_without_being_kept(cut: int) -> None:
    large = publish("large", b"x" * 100_000, packet_id=5, properties=user_property("a", "b"))
    split = Split(max_packet=1000).feed(large[:cut], large[cut:90_000], large[90_000:] + GOOD)
    assert split.messages == [(b"large", b"", PUBACK | 5), (b"good", b"first", PUBACK | 1)]
    assert split.problems == {
        0: f"its packet has {len(large)} bytes, and `max_packet` is 1000: raise it"
    }
    assert split.size == len(b"first")


def test_a_64_mib_packet_needs_no_memory() -> None:
    head = b"\x32\x80\x80\x80\x20" + text("large") + b"\0\x05"
    split = Split(max_packet=1000).feed(head)
    left = 64 * (1 << 20) - len(text("large")) - 2
    chunk = bytes(1 << 20)
    while left:
        split.feed(chunk[: min(left, len(chunk))])
        left -= min(left, len(chunk))
        assert split.splitter.missing <= 64 << 20
    assert split.feed(GOOD).messages == [
        (b"large", b"", PUBACK | 5),
        (b"good", b"first", PUBACK | 1),
    ]


def test_a_packet_over_the_limit_must_be_sound_where_we_look() -> None:
    large = publish("large", b"x" * 2000, packet_id=5, qos=3)
    assert "QoS 3" in Split(max_packet=1000).feed(large[:20]).fault


def test_what_follows_the_end_of_the_connection_is_not_read() -> None:
    split = Split(goes_on=False).feed(GOOD + PINGRESP + GOOD + PINGRESP)
    assert split.messages == [(b"good", b"first", PUBACK | 1)]
    assert split.control == [PINGRESP]


def test_it_says_how_much_can_be_read_without_reading_beyond_a_packet() -> None:
    split = Split()
    answer = connack(properties=b"\x21\0\x05")
    at = 0
    while at < len(answer):
        assert 0 < split.splitter.missing <= len(answer) - at
        assert at == 0 or split.splitter.is_within_packet
        size = split.splitter.missing
        split.feed(answer[at : at + size])
        at += size
    assert split.control == [answer]
    assert not split.splitter.is_within_packet


def test_what_is_remembered_of_topics_and_properties_has_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("routerd.memory.MOST_ADDRESSES", 10)
    monkeypatch.setattr(properties_module, "MOST_KNOWN", 10)
    split = Split()
    for number in range(100):
        name = f"t{number}"
        split.feed(publish(name, b"x", packet_id=1, properties=user_property("n", name)))
    assert [topic for topic, _, _ in split.messages] == [b"t%d" % number for number in range(100)]
    assert len(split.splitter._topics) <= 10  # noqa: SLF001 - a bound shows nowhere else
    assert len(split.splitter._properties._blocks) <= 10  # noqa: SLF001


def test_a_topic_is_one_object_however_often_it_comes() -> None:
    burst = Split().splitter.feed(publish("same", b"1") + publish("same", b"2"))
    assert burst.messages[0].address is burst.messages[1].address


def test_block_is_read_again_when_it_is_too_long_to_be_remembered() -> None:
    properties = user_property("n", "v" * properties_module.LARGEST_KNOWN)
    split = Split().feed(publish("t", b"1", properties=properties) * 2)
    assert len(split.messages) == 2
    assert block(properties)[2:] not in split.splitter._properties._blocks  # noqa: SLF001
