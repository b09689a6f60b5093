"""How a client that speaks `routerd.ack.v1` hears what is sent to its group."""

from collections.abc import Sequence

from routerd.connectors.websocket.acks.words import as_message
from routerd.connectors.websocket.writer import Writer
from routerd.feed import Frame


class Marker:
    """Marks broadcasts as messages of others, once for all members of a listener.

    A group gives every member the same object, one after the other, so the last one is enough.
    """

    def __init__(self) -> None:
        self._frames: Sequence[Frame] = ()
        self._marked: tuple[bytes, Sequence[Frame]] = b"", ()

    def mark(self, frames: Sequence[Frame]) -> tuple[bytes, Sequence[Frame]]:
        """These frames, marked; joined, and one by one."""
        if frames is not self._frames:
            marked = [Frame(as_message(one.data), one.feed, one.key) for one in frames]
            self._marked = b"".join([one.data for one in marked]), marked
            self._frames = frames
        return self._marked


class MarkedMember:
    """A client as a member of its group; an `interfaces.Member`."""

    __slots__ = ("_marker", "_writer")

    def __init__(self, writer: Writer, marker: Marker) -> None:
        self._writer = writer
        self._marker = marker

    def push(self, data: bytes, frames: Sequence[Frame]) -> None:
        """See `interfaces.Member.push`."""
        self._writer.push(*self._marker.mark(frames))

    def offer(self, data: bytes) -> bool:
        """An answer of a route's, to this client alone; as `Writer.offer`."""
        return self._writer.offer(as_message(data))
