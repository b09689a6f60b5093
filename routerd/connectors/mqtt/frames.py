"""Takes PUBLISH packets out of an MQTT byte stream, many at a time; the hot loop of routerd.

No I/O and no time in here. Everything that isn't a PUBLISH goes, whole and in its place in
the stream, to whoever speaks with the broker. A broker is not trusted: every field is bounded
by its own packet, and what breaks the protocol ends the connection.
"""
# ruff: noqa: PLR2004 - the numbers are those of MQTT's packet format

from collections.abc import Callable
from typing import Final

from routerd.connectors.mqtt.filters import Wanted
from routerd.connectors.mqtt.link import PUBACK, PUBREC, Burst
from routerd.connectors.mqtt.packets import (
    PUBLISH,
    TooLarge,
    find_topic_fault,
    first_bytes,
    long_length,
    malformed,
    overrun,
    too_large,
)
from routerd.connectors.mqtt.properties import KnownProperties
from routerd.errors import Unavailable
from routerd.memory import remember
from routerd.message import Message

CONTROL_LIMIT = 64 * 1024
"""Bytes of the largest packet other than PUBLISH; nothing that we ask for is answered with more."""

_LONGEST_HEAD: Final = 5 + 2 + 65535 + 2  # fixed header, topic, packet identifier


class Splitter:
    """Splits the stream of one connection.

    What it gives does not depend on where reads cut the stream.

    Attributes:
        fault: how the broker broke the protocol; the connection must be closed.

    Args:
        is_v5: whether PUBLISH packets have properties.
        max_packet: a PUBLISH of more bytes than this is not buffered: it becomes a message
            without a payload, and a problem.
        wanted: what the route takes; the rest is skipped.
        control: called with each other packet; returns whether the connection goes on.
    """

    def __init__(
        self,
        *,
        is_v5: bool,
        max_packet: int,
        wanted: Wanted,
        control: Callable[[bytes], bool],
    ) -> None:
        self.fault: Unavailable | None = None
        self._is_v5 = is_v5
        self._max_packet = max_packet
        self._wanted = wanted
        self._control = control
        self._tokens = first_bytes(takes_retained=not wanted.drops_retained)
        self._topics: dict[bytes, bytes] = {}
        self._properties = KnownProperties()
        self._rest = bytearray()
        self._missing = 0
        self._skimmed: TooLarge | None = None

    @property
    def missing(self) -> int:
        """How many bytes can be read at least without reading beyond the current packet."""
        return self._missing or 2

    @property
    def is_within_packet(self) -> bool:
        """Whether the last byte fed was not the last one of its packet."""
        return self._missing > 0

    def feed(self, data: bytes) -> Burst:
        """The messages that `data` completes. What follows the connection's end is ignored."""
        burst = Burst()
        if self.fault is not None:
            return burst
        try:
            self._feed(data, burst)
        except IndexError:
            self.fault = overrun()
        except Unavailable as exc:
            self.fault = exc
        if self.fault is not None:  # `_split` did not come to its end
            burst.size = sum(len(message.payload) for message in burst.messages)
        return burst

    def _feed(self, data: bytes, burst: Burst) -> None:
        if self._skimmed is not None:
            data = self._skim(data, burst, self._skimmed)
            if not data:
                return
        elif len(data) < self._missing:
            self._rest += data
            self._missing -= len(data)
            return
        if self._rest:
            self._rest += data
            data = bytes(self._rest)
            self._rest.clear()
        self._missing = 0
        end = self._split(data, burst)
        if end < len(data):
            self._keep(data, end, burst)

    def _split(self, data: bytes, burst: Burst) -> int:  # noqa: PLR0912 - see below
        """Takes all whole packets; returns where the first incomplete one starts.

        One function, since a call costs as much as half of what is done to a message here.
        An index beyond its packet is found by comparing once, at the end: each read moves
        `at` beyond what it read. An index beyond `data` is an IndexError, to the same effect.
        """
        tokens, topics, is_v5, max_packet = (
            self._tokens,
            self._topics,
            self._is_v5,
            self._max_packet,
        )
        append = burst.messages.append
        start, size, end = 0, 0, len(data)
        while end - start > 1:
            length = data[start + 1]
            at = start + 2
            if length > 127:
                if at == end:
                    break
                high = data[at]
                at += 1
                length += (high - 1) << 7
                if high > 127:
                    length, at = long_length(data, start)
                    if at > end:
                        break
            stop = at + length
            if stop > end:
                break
            token = base = tokens[data[start]]
            if base < 0 or stop - start > max_packet:
                burst.size, size = burst.size + size, 0
                if not self._take_other(data, start, at, stop, burst):
                    return end
                start = stop
                continue
            topic_at = at + 2
            at = topic_at + (data[at] << 8 | data[at + 1])
            topic = data[topic_at:at]
            if base:
                token |= data[at] << 8 | data[at + 1]
                at += 2
            if is_v5:
                at = self._properties.end_of(data, at, stop) if data[at] else at + 1
            if at > stop:
                raise overrun()
            if base and token == base:
                raise malformed("a PUBLISH has packet identifier 0 (MQTT-2.2.1-3)")
            try:
                topic = topics[topic]
            except KeyError:
                if not self._learn_topic(topic):
                    burst.skip(token, stray=topic)
                    start = stop
                    continue
            append(Message(topic, data[at:stop], token))
            size += stop - at
            start = stop
        burst.size += size
        return start

    # --- what is not for the hot loop

    def _take_other(self, data: bytes, start: int, at: int, stop: int, burst: Burst) -> bool:
        """A packet that isn't a PUBLISH, or one that is retained or too large."""
        first = data[start]
        if first & 0xF0 != PUBLISH:
            if stop - start > CONTROL_LIMIT:
                raise malformed(f"a packet of {stop - start} bytes that is no PUBLISH")
            return self._control(data[start:stop])
        topic, token, at = self._head(data, first, at, stop)
        if stop - start > self._max_packet:
            self._end_too_large(TooLarge(topic, token, first & 1, stop - start), burst)
            return True
        if self._is_v5:
            at = self._properties.end_of(data, at, stop)
        if at > stop:
            raise overrun()
        if self._takes(topic, token, first & 1, burst):
            burst.messages.append(Message(topic, data[at:stop], token))
            burst.size += stop - at
        return True

    def _takes(self, topic: bytes, token: int, is_retained: int, burst: Burst) -> bool:
        """Whether the route wants a message; if not, it is noted as skipped."""
        if topic not in self._topics and not self._learn_topic(topic):
            burst.skip(token, stray=topic)
            return False
        if is_retained and not self._wanted.takes_retained(topic):
            burst.skip(token)
            return False
        return True

    def _head(self, data: bytes, first: int, at: int, stop: int) -> tuple[bytes, int, int]:
        """Topic and token of the PUBLISH whose variable header is at `at`, and what follows."""
        qos = first >> 1 & 3
        if qos == 3:
            raise malformed("a PUBLISH has QoS 3 (MQTT-3.3.1-4)")
        topic_at = at + 2
        at = topic_at + (data[at] << 8 | data[at + 1])
        after = at + 2 if qos else at
        if after > stop:
            raise overrun()
        if after > len(data):
            raise IndexError  # a slice would be silently short
        topic = data[topic_at:at]
        if not qos:
            return topic, 0, after
        packet_id = data[at] << 8 | data[at + 1]
        if not packet_id:
            raise malformed("a PUBLISH has packet identifier 0 (MQTT-2.2.1-3)")
        return topic, (PUBACK if qos == 1 else PUBREC) | packet_id, after

    def _keep(self, data: bytes, start: int, burst: Burst) -> None:
        """Keeps an incomplete packet, unless it is too large to be worth it."""
        rest = len(data) - start
        length, at = long_length(data, start)
        stop = at + length
        if at > len(data):
            self._missing = 1
        elif data[start] & 0xF0 != PUBLISH and stop - start > CONTROL_LIMIT:
            raise malformed(f"a packet of {stop - start} bytes that is no PUBLISH")
        elif stop - start > self._max_packet and data[start] & 0xF0 == PUBLISH:
            if self._start_skimming(data, start, at, stop):
                return
            # Not beyond its end, though _LONGEST_HEAD would do: it may be shorter than that.
            self._missing = min(stop - start, _LONGEST_HEAD) - rest
        else:
            self._missing = stop - len(data)
        self._rest += data[start:]

    def _start_skimming(self, data: bytes, start: int, at: int, stop: int) -> bool:
        """Whether enough of a too large PUBLISH is here to know its topic and its identifier."""
        try:
            topic, token, _ = self._head(data, data[start], at, stop)
        except IndexError:
            return False
        self._skimmed = TooLarge(topic, token, data[start] & 1, stop - start)
        self._missing = stop - len(data)
        return True

    def _skim(self, data: bytes, burst: Burst, packet: TooLarge) -> bytes:
        """Passes over the rest of a PUBLISH that is too large; returns what follows it."""
        skipped = min(len(data), self._missing)
        self._missing -= skipped
        if not self._missing:
            self._skimmed = None
            self._end_too_large(packet, burst)
        return data[skipped:]

    def _end_too_large(self, packet: TooLarge, burst: Burst) -> None:
        if self._takes(packet.topic, packet.token, packet.is_retained, burst):
            burst.problems[len(burst.messages)] = too_large(packet.size, most=self._max_packet)
            burst.messages.append(Message(packet.topic, b"", packet.token))

    def _learn_topic(self, topic: bytes) -> bool:
        """Checks a topic that was not seen lately; whether the route takes it at all."""
        if fault := find_topic_fault(topic):
            raise malformed(fault)
        if not self._wanted.takes(topic):
            return False
        remember(self._topics, topic, topic)
        return True
