"""As much of an MQTT broker as one subscriber sees: for load that no real broker could make."""

import socket
from collections.abc import Iterable

from tests.bench.mqtt_bytes import MQTT_5, PINGREQ, PUBACK, SUBSCRIBE, split
from tests.bench.program import say

_VERSION_BYTE = 6  # of a CONNECT's body
_PUBACK_HEAD = b"\x40\x02"


class FakeBroker:
    """Listens, says its port, and takes the first client through CONNECT and SUBSCRIBE."""

    def __init__(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(60)
        say(port=listener.getsockname()[1])
        self.connection, _ = listener.accept()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.version = 0
        self._rest = b""
        while not self._has_subscribed(self._packets(self._read())):
            pass

    def take_acks(self) -> int:
        """Blocks until the client sends something; how many PUBACKs that was."""
        return self.count_acks(self._read())

    def count_acks(self, data: bytes) -> int:
        """How many PUBACKs end in `data`, what came before it included."""
        data = self._rest + data
        whole = len(data) - len(data) % 4
        is_plain = data[0:whole:4].count(_PUBACK_HEAD[0]) == whole // 4 == data[1:whole:4].count(2)
        if is_plain:  # as nearly always: nothing but PUBACKs, and no Python for each of them
            self._rest = data[whole:]
            return whole // 4
        self._rest = b""
        return sum(first == PUBACK for first, _ in self._packets(data))

    def _read(self) -> bytes:
        data = self.connection.recv(262_144)
        if not data:
            raise ConnectionResetError("the subject closed its connection")
        return data

    def _packets(self, data: bytes) -> list[tuple[int, bytes]]:
        packets, self._rest = split(self._rest + data)
        for first, _ in packets:
            if first == PINGREQ:
                self.connection.sendall(b"\xd0\x00")
        return packets

    def _has_subscribed(self, packets: Iterable[tuple[int, bytes]]) -> bool:
        for first, body in packets:
            is_five = self.version == MQTT_5
            if first & 0xF0 == 0x10:
                self.version = body[_VERSION_BYTE]
                is_five = self.version == MQTT_5
                self.connection.sendall(b"\x20\x03\0\0\0" if is_five else b"\x20\x02\0\0")
            elif first == SUBSCRIBE:
                granted = bytes([body[-1] & 0x03])
                answer = body[:2] + (b"\0" if is_five else b"") + granted
                self.connection.sendall(bytes([0x90, len(answer)]) + answer)
                return True
        return False
