"""What became of the messages that a sink was handed: each resolved exactly once."""

from dataclasses import dataclass, field

import trio

from routerd.errors import DeliveryFailed


@dataclass
class SinkCounts:
    """What one sink of one route came to so far; read by the metrics.

    Attributes:
        missed: of a broadcast: reason -> messages, once for each member that missed one.
    """

    delivered: int = 0
    failed: int = 0
    missed: dict[str, int] = field(default_factory=dict)


class Receipt:
    """The answer of a sink to one `accept`, filled in while confirmations come.

    Not thread-safe: a sink resolves it on the trio thread.

    Attributes:
        pending: how many messages are not resolved yet.
        failures: index in the accepted list -> why. Empty when all went well.
    """

    __slots__ = ("_counts", "_resolved", "failures", "pending")

    def __init__(self, size: int, counts: SinkCounts) -> None:
        self.pending = size
        self.failures: dict[int, DeliveryFailed] = {}
        self._counts = counts
        self._resolved: trio.Event | None = None

    def delivered(self, count: int = 1) -> None:
        """Resolves `count` messages as confirmed.

        Raises:
            RuntimeError: more were resolved than accepted; a bug of the sink.
        """
        self._counts.delivered += count
        self._resolve(count)

    def failed(self, index: int, error: DeliveryFailed) -> None:
        """Resolves the message at `index` as failed.

        Raises:
            RuntimeError: it had failed already, or more were resolved than accepted.
        """
        if index in self.failures:
            raise RuntimeError(f"message {index} failed twice: {error}")
        self.failures[index] = error
        self._counts.failed += 1
        self._resolve(1)

    async def wait(self) -> None:
        """Returns when every message is resolved. No checkpoint if that is so already."""
        if self.pending:
            if self._resolved is None:
                self._resolved = trio.Event()
            await self._resolved.wait()

    def _resolve(self, count: int) -> None:
        self.pending -= count
        if self.pending <= 0:
            if self.pending < 0:
                raise RuntimeError("a sink resolved more messages than it accepted")
            if self._resolved is not None:
                self._resolved.set()
