"""What every wire format can do, and what their errors are called."""

from typing import Protocol


class Undecodable(Exception):
    """A frame is none of this codec's. Its sender is told no details."""


class BadType(Exception):
    """A text names no type of this codec; the message says what to write instead."""


Content = tuple[str | None, bytes, bool | None]
"""What a frame says: its type, None where the codec knows none; its payload; and whether that was
sent as text, None if the format doesn't say. One with names would take as long as all the rest.
"""


class Codec(Protocol):
    """One wire format. Has no state: all listeners share it."""

    @property
    def has_types(self) -> bool:
        """Whether a message has a type in it; what is sent needs one then."""

    def read_type(self, text: str) -> str:
        """The type that `#TYPE` of an address means.

        Raises:
            BadType: it means none.
        """

    def decode(self, data: bytes, *, is_text: bool) -> Content:
        """Takes the data of one whole message apart.

        Raises:
            Undecodable: it can't be.
        """

    def encode(self, kind: str | None, payload: bytes, *, is_text: bool | None) -> bytes:
        """One frame, ready to be written.

        Args:
            kind: the type; None only where the codec has none.
            payload: as it came, or as a route's `body` made it.
            is_text: whether it came as text; None: nobody knows.

        Raises:
            DeliveryFailed: this codec can't carry it.
        """
