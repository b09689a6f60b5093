"""The few MQTT packets that the load programs speak, and the messages that they all send."""

import struct

PUBLISH, PUBACK, SUBSCRIBE, PINGREQ = 0x30, 0x40, 0x82, 0xC0
PUBACK_BYTES = 4
MQTT_5 = 5
FILTER = "bench/+/temperature"
_TOPICS = [f"bench/device-{number:02d}/temperature" for number in range(20)]


def message(index: int, size: int, *, qos: int, packet_id: int = 0, version: int = 4) -> bytes:
    """The PUBLISH of the `index`th message, to one of 20 topics, with `size` bytes of payload."""
    return publish(
        _TOPICS[index % len(_TOPICS)],
        b"%012d" % index + b"x" * (size - 12),
        qos=qos,
        packet_id=packet_id,
        version=version,
    )


def publish(topic: str, payload: bytes, *, qos: int, packet_id: int = 0, version: int = 4) -> bytes:
    """A PUBLISH. No properties."""
    body = _text(topic)
    if qos:
        body += struct.pack(">H", packet_id)
    if version == MQTT_5:
        body += b"\0"
    return _packet(PUBLISH | qos << 1, body + payload)


def connect(client_id: str) -> bytes:
    """A CONNECT of MQTT 3.1.1 with a clean session and no keepalive."""
    return _packet(0x10, _text("MQTT") + b"\x04\x02\0\0" + _text(client_id))


def subscribe(topic_filter: str, qos: int) -> bytes:
    """A SUBSCRIBE of MQTT 3.1.1 with packet id 1."""
    return _packet(SUBSCRIBE, b"\0\1" + _text(topic_filter) + bytes([qos]))


def puback(packet_id: bytes) -> bytes:
    """A PUBACK for the two bytes of a packet id."""
    return b"\x40\x02" + packet_id


def split(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole packets of `data`, as first byte and body, and the rest."""
    packets = []
    at = 0
    while (head := _head(data, at)) is not None:
        begin, end = head
        if end > len(data):
            break
        packets.append((data[at], data[begin:end]))
        at = end
    return packets, data[at:]


def _head(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the body of the packet at `at` begins and ends; None while that isn't known."""
    length = shift = 0
    for place in range(at + 1, min(at + 5, len(data))):
        length |= (data[place] & 0x7F) << shift
        shift += 7
        if data[place] < 0x80:
            return place + 1, place + 1 + length
    return None


def _packet(first: int, body: bytes) -> bytes:
    length, digits = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        digits.append(digit | (0x80 if length else 0))
        if not length:
            return bytes([first]) + digits + body


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack(">H", len(encoded)) + encoded
