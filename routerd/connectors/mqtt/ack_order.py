"""The order in which one connection's messages are acknowledged: that in which they came.

MQTT-4.6.0-2. What the table does not want is acknowledged too, in its turn among those that are
still in flight. Knows nothing of packets.
"""

from collections import deque
from collections.abc import Sequence

from routerd.mailbox import Batch


class AckOrder:
    """What was put and what was settled since the connection began, by position."""

    def __init__(self) -> None:
        self._put = 0
        self._settled = 0
        self._skipped: deque[tuple[int, int]] = deque()

    def skip(self, skipped: Sequence[tuple[int, int]]) -> None:
        """Notes messages that nobody will settle.

        Args:
            skipped: how many messages that will be `put` now come before each, and its token.
        """
        self._skipped += [(self._put + at, token) for at, token in skipped if token]

    def put(self, count: int) -> None:
        """So many messages are in flight from here on."""
        self._put += count

    def settle(self, batches: Sequence[Batch]) -> list[int]:
        """The tokens that may be sent now that these batches are settled, in order.

        Without batches: those that no message in flight comes before.
        """
        tokens = [message.token for batch in batches for message in batch.messages]
        skipped = self._skipped
        first, self._settled = self._settled, self._settled + len(tokens)
        offset = -first
        while skipped and skipped[0][0] <= self._settled:
            position, token = skipped.popleft()
            tokens.insert(position + offset, token)
            offset += 1
        return [token for token in tokens if token]
