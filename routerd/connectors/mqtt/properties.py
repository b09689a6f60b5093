"""The properties of an MQTT 5 PUBLISH: checked, not used.

They are checked since a block whose parts don't add up is the first sign of a stream that
has lost its place, and since a topic alias must not pass unnoticed.
"""
# ruff: noqa: PLR2004 - the numbers are those of MQTT's packet format

from routerd.connectors.mqtt.packets import malformed, overrun

MOST_KNOWN = 1000
"""Blocks that are remembered as sound; beyond that all of them are forgotten."""
LARGEST_KNOWN = 256
"""Bytes of such a block."""
TOPIC_ALIAS = 0x23

_SIZES = {0x01: 1, 0x02: 4}  # payload format, message expiry
_LENGTHS = {0x03: 1, 0x08: 1, 0x09: 1, 0x26: 2}  # id -> how many length-prefixed fields follow
_SUBSCRIPTION_IDENTIFIER = 0x0B
_REPEATABLE = {0x26, _SUBSCRIPTION_IDENTIFIER}


class KnownProperties:
    """The blocks of one connection: most senders send the same few again and again."""

    def __init__(self) -> None:
        self._blocks: set[bytes] = set()

    def end_of(self, data: bytes, at: int, stop: int) -> int:
        """Where the payload starts, for a PUBLISH whose properties start at `at`."""
        length = shift = 0
        while True:
            byte = data[at]
            at += 1
            length |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
            if shift > 21:
                raise malformed("the length of properties has more than 4 bytes")
        end = at + length
        if end > stop:
            raise overrun()
        block = data[at:end]
        if block not in self._blocks:
            self._learn(block)
        return end

    def _learn(self, block: bytes) -> None:
        fault = find_fault(block)
        if fault:
            raise malformed(f"the properties of a PUBLISH {fault}")
        if len(block) <= LARGEST_KNOWN:
            if len(self._blocks) >= MOST_KNOWN:
                self._blocks.clear()
            self._blocks.add(block)


def find_fault(block: bytes) -> str:
    """What is wrong with a PUBLISH's properties (without their length), or nothing."""
    seen: set[int] = set()
    at = 0
    try:
        while at < len(block):
            name = block[at]
            if name == TOPIC_ALIAS:
                return "have a topic alias, though we take none (MQTT-3.3.2-9)"
            if name in seen and name not in _REPEATABLE:
                return f"have property {name:#04x} twice"
            seen.add(name)
            at = _after_value(block, name, at + 1)
            if at < 0:
                return f"have property {name:#04x}, which no PUBLISH may have"
    except IndexError:
        return "end in the middle of one"
    return "" if at == len(block) else "end in the middle of one"


def _after_value(block: bytes, name: int, at: int) -> int:
    """Where the next property starts; negative for one that a PUBLISH can't have."""
    if name in _SIZES:
        return at + _SIZES[name]
    if name == _SUBSCRIPTION_IDENTIFIER:
        for _ in range(4):
            at += 1
            if block[at - 1] < 128:
                return at
        return -1
    for _ in range(_LENGTHS.get(name, 0)):
        at += 2 + (block[at] << 8 | block[at + 1])
    return at if name in _LENGTHS else -1
