"""The parts of a packet that is not trusted: lengths, flags, topics, and what is wrong there."""
# ruff: noqa: PLR2004 - the numbers are those of MQTT's packet format

from typing import Final, NamedTuple

from routerd.connectors.mqtt.link import PUBACK, PUBREC
from routerd.errors import DeliveryFailed, Unavailable

PUBLISH: Final = 0x30
PUBREL: Final = 0x62
PUBREL_WITHOUT_ID = "a PUBREL has no packet identifier (MQTT-2.2.1-3)"
OTHER: Final = -1
"""In the table of first bytes: not for the hot loop."""
_SHOWN = 80
"""Bytes of a topic."""
_CLIENTS = "only a client sends"
_PUBLISHED = "answers nothing that we published"
_NAMES = (
    ("a packet of type 0", "MQTT does not know"),
    ("a CONNECT", _CLIENTS),
    ("a CONNACK", ""),
    ("a PUBLISH", ""),
    ("a PUBACK", _PUBLISHED),
    ("a PUBREC", _PUBLISHED),
    ("a PUBREL", ""),
    ("a PUBCOMP", _PUBLISHED),
    ("a SUBSCRIBE", _CLIENTS),
    ("a SUBACK", ""),
    ("an UNSUBSCRIBE", _CLIENTS),
    ("an UNSUBACK", "answers nothing that we asked for"),
    ("a PINGREQ", _CLIENTS),
    ("a PINGRESP", ""),
    ("a DISCONNECT", ""),
    ("an AUTH", "we asked for no method of"),
)
"""For each type of packet: its name, and why a broker has no business to send it."""


class TooLarge(NamedTuple):
    """A PUBLISH that is not buffered: its topic, token, retain flag, and size of the packet."""

    topic: bytes
    token: int
    is_retained: int
    size: int


def too_large(size: int, *, most: int) -> DeliveryFailed:
    """Why a packet of so many bytes is not routed."""
    return DeliveryFailed(
        f"its packet has {size} bytes, and `max_packet` is {most}: raise it", reason="too_large"
    )


def find_topic_fault(topic: bytes) -> str:
    """What is wrong with the topic of a PUBLISH, or nothing."""
    try:
        text = topic.decode()
    except UnicodeDecodeError:
        return f"topic {shown(topic)} is not UTF-8 (MQTT-1.5.4-1)"
    if not text:
        # An alias would stand for it, but we announced that we take none.
        return "a PUBLISH has an empty topic"
    if "\0" in text or "+" in text or "#" in text:
        return f"topic {shown(topic)} has a character that no topic may have"
    return ""


def shown(topic: bytes) -> str:
    """A topic for people, cut short: a hostile one has 64 KiB."""
    text = topic[:_SHOWN].decode(errors="backslashreplace")
    return repr(text + "..." if len(topic) > _SHOWN else text)


def find_control_fault(first: int) -> str:
    """What is wrong with a packet other than PUBLISH, to judge by its first byte, or nothing.

    paho would answer some of these, or pass over them.
    """
    name, sender = _NAMES[first >> 4]
    if sender:
        return f"{name} comes, which {sender}"
    if first & 0x0F != (0x02 if first >> 4 == PUBREL >> 4 else 0):
        return f"{name} has reserved flags set (MQTT-2.1.3-1)"
    return ""


def find_packet_id(body: bytes) -> int:
    """The identifier that a packet's variable header starts with; 0: there is none."""
    return body[0] << 8 | body[1] if len(body) > 1 else 0


def first_bytes(*, takes_retained: bool) -> tuple[int, ...]:
    """For each first byte of a packet: the token of a PUBLISH without its identifier."""
    table = [OTHER] * 256
    for flags in range(16):
        is_retained, qos = flags & 1, flags >> 1 & 3
        if qos < 3 and (takes_retained or not is_retained):
            table[PUBLISH | flags] = (0, PUBACK, PUBREC)[qos]
    return tuple(table)


def long_length(data: bytes, start: int) -> tuple[int, int]:
    """The remaining length of the packet at `start`, and where its variable header starts.

    That is beyond the end of `data` if not all of the length is there.
    """
    length = 0
    for index in range(4):
        at = start + 1 + index
        if at >= len(data):
            return 0, len(data) + 1
        length |= (data[at] & 127) << 7 * index
        if data[at] < 128:
            return length, at + 1
    raise malformed("a remaining length of more than 4 bytes")


def overrun() -> Unavailable:
    """A length lies."""
    return malformed("a field reaches beyond the end of its packet")


def malformed(what: str) -> Unavailable:
    """What ends the connection, said in full."""
    return Unavailable(f"the broker broke the MQTT protocol: {what}")


def before_connack(*, is_publish: bool) -> Unavailable:
    """Something came before CONNACK (MQTT-3.2.0-1)."""
    return malformed(f"{'a PUBLISH' if is_publish else 'something else'} before CONNACK")
