"""What a source needs of a connection, whichever way its messages come: lane or plain paho.

Everything here is synchronous and never blocks: the source alone waits, so that the waiting,
the deadlines and the order of things are written once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from routerd.errors import DeliveryFailed
from routerd.message import Message

PUBACK = 0x4002_0000
"""A PUBACK packet as a number, but for its packet identifier (the low 16 bits)."""
PUBREC = 0x5002_0000
"""A PUBREC packet as a number, but for its packet identifier."""
CLOSED = "the broker closed the connection"
"""What a `read` raises that meets the end of the stream, and no words before it."""


@dataclass(slots=True, eq=False)
class Burst:
    """What one read gave.

    Attributes:
        messages: in the order in which they came. The token of each is the packet that
            acknowledges it, as a number; 0 at QoS 0.
        size: their payload bytes.
        problems: index -> why that message can't be routed.
        skipped: messages that the table does not want: how many `messages` came before each,
            and its token. To be acknowledged in its turn (MQTT-4.6.0-2).
        strays: how many of those no filter of the table matches; the others were retained.
        stray: the topic of the last of them.
    """

    messages: list[Message] = field(default_factory=list)
    size: int = 0
    problems: dict[int, DeliveryFailed] = field(default_factory=dict)
    skipped: list[tuple[int, int]] = field(default_factory=list)
    strays: int = 0
    stray: bytes = b""

    def skip(self, token: int, *, stray: bytes = b"") -> None:
        """Notes a message that is not wanted; `stray`: its topic, if no filter matches that."""
        self.skipped.append((len(self.messages), token))
        if stray:
            self.strays += 1
            self.stray = stray


class Link(Protocol):
    """One connection and the paho client on it.

    Attributes:
        has_more: whether the last `read` left something that `wait_readable` on the
            descriptor might not show: read again, after a checkpoint.
    """

    has_more: bool

    def fileno(self) -> int:
        """The descriptor to wait for."""

    def read(self) -> Burst:
        """All that has arrived, or about 2 ms' work of it; what paho shall hear, it has heard.

        Raises:
            Unavailable: the connection ended, or the broker broke the protocol.
        """

    def read_packet(self) -> None:
        """As `read`, but never beyond the packet that is being received."""

    def acknowledge(self, tokens: Sequence[int]) -> None:
        """Queues acknowledgements, in order."""

    def ping(self) -> None:
        """Queues a PINGREQ."""

    @property
    def unsent(self) -> int:
        """Bytes, or packets, that are queued."""

    def flush(self) -> bool:
        """Sends what the system takes now; whether all of it is sent.

        Raises:
            Unavailable: the connection ended.
        """

    def has_hung_up(self) -> bool:
        """Whether the broker has left, also where input that nobody reads hides it."""

    def close_sending(self) -> None:
        """Says that nothing more will be sent; what arrives can still be read away."""

    def discard(self) -> bool:
        """Reads some input away; False once the broker has closed its side."""

    def close(self) -> None:
        """Closes the socket. What was not flushed is lost."""
