"""How messages end that no sink confirmed: given back, or dropped for a reason that is counted.

Each is counted once, and now and then said aloud. What is done to get one through is the
route's business.
"""

import logging

import trio

from routerd.errors import DeliveryFailed, DropReason
from routerd.mailbox import Batch
from routerd.message import Message
from routerd.status import RouteStatus

logger = logging.getLogger(__name__)

SAY_DROPS_EVERY = 60.0
"""Seconds between two log lines about dropped messages of one route, for each reason."""

_LONGEST_SHOWN = 256


class Endings:
    """Those of one route."""

    def __init__(self, status: RouteStatus) -> None:
        self._status = status
        self._said_at: dict[DropReason, float] = {}

    def failed(
        self, batch: Batch, message: Message, error: DeliveryFailed, *, is_current: bool
    ) -> None:
        """Accounts for a message of `batch` that failed for good.

        Args:
            batch: tells whether the message comes again.
            message: which one.
            error: why.
            is_current: the connection that it came on is the present one, and will acknowledge it.
        """
        if is_current:
            self._drop(message, error.reason, error)
        elif batch.source.gives_again(message):
            self._status.returned += 1
        else:
            is_lost = message.token and batch.source.has_session
            self._drop(message, "session_lost" if is_lost else error.reason, error)

    def unsettled(self, batch: Batch, reason: DropReason) -> None:
        """Accounts for a batch whose outcome nobody waits for any more.

        Args:
            batch: all of it.
            reason: for what its source has no memory of.
        """
        status = self._status
        without_memory = 0
        lost: list[Message] = []
        for message in batch.messages:
            if batch.source.gives_again(message):
                status.returned += 1
            elif message.token and batch.source.has_session:
                lost.append(message)
            else:
                without_memory += 1
        status.drop(without_memory, reason)
        if lost:
            status.drop(len(lost), "session_lost")
            logger.error(
                "messages lost: unconfirmed when the broker forgot our session "
                "route=%s count=%d first_from=%r",
                status.name, len(lost), shown(lost[0].address),
            )  # fmt: skip

    def _drop(self, message: Message, reason: DropReason, error: DeliveryFailed) -> None:
        status, now = self._status, trio.current_time()
        status.drop(1, reason)
        status.last_error = str(error)
        if now >= self._said_at.get(reason, float("-inf")) + SAY_DROPS_EVERY:
            self._said_at[reason] = now
            level = logging.ERROR if reason == "session_lost" else logging.WARNING
            logger.log(
                level, "message dropped route=%s reason=%s so_far=%d from=%r error=%r",
                status.name, reason, status.dropped[reason], shown(message.address), str(error),
            )  # fmt: skip


def shown(address: bytes) -> str:
    """An address as people read it, whatever its bytes; cut short, since it may have 64 KiB."""
    text = address[:_LONGEST_SHOWN].decode("utf-8", "backslashreplace")
    return text + "..." if len(address) > _LONGEST_SHOWN else text
