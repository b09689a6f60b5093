"""MQTT packets as a broker sends them, right or wrong: bytes for tests."""

import struct

PINGRESP = b"\xd0\x00"
CONNECT, PUBACK, PUBREC, PUBCOMP, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 4, 5, 7, 8, 12, 14
"""Types of what a client sends, as `Peer.expect` takes them."""


def frame(first: int, body: bytes) -> bytes:
    """A packet whose length is right."""
    return bytes([first]) + varint(len(body)) + body


def varint(value: int) -> bytes:
    """A variable byte integer."""
    encoded = bytearray()
    while True:
        value, digit = divmod(value, 128)
        encoded.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(encoded)


def text(value: str | bytes) -> bytes:
    """A string with its length in front."""
    encoded = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(encoded)) + encoded


def connack(
    code: int = 0, *, is_present: bool = False, is_v5: bool = True, properties: bytes = b""
) -> bytes:
    body = bytes([is_present, code])
    return frame(0x20, body + block(properties) if is_v5 else body)


def suback(packet_id: int, *codes: int, is_v5: bool = True) -> bytes:
    head = struct.pack(">H", packet_id)
    return frame(0x90, head + (block() if is_v5 else b"") + bytes(codes))


def publish(
    topic: str | bytes,
    payload: bytes = b"",
    *,
    packet_id: int = 0,
    qos: int | None = None,
    is_retained: bool = False,
    is_again: bool = False,
    is_v5: bool = True,
    properties: bytes = b"",
) -> bytes:
    """A PUBLISH; QoS 1 if it has a packet identifier and nothing else is said."""
    qos = (1 if packet_id else 0) if qos is None else qos
    body = text(topic) + (struct.pack(">H", packet_id) if qos else b"")
    body += block(properties) if is_v5 else b""
    return frame(0x30 | is_again << 3 | qos << 1 | is_retained, body + payload)


def pubrel(packet_id: int) -> bytes:
    return frame(0x62, struct.pack(">H", packet_id))


def disconnect(code: int, properties: bytes = b"") -> bytes:
    return frame(0xE0, bytes([code]) + block(properties))


def block(properties: bytes = b"") -> bytes:
    """Properties with their length in front."""
    return varint(len(properties)) + properties


def user_property(name: str, value: str) -> bytes:
    return b"\x26" + text(name) + text(value)
