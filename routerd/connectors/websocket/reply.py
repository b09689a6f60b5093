"""Answers: each message to the client alone that sent what it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from routerd.errors import DeliveryFailed
from routerd.receipt import Receipt, SinkCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routerd.connectors.websocket.session import Session
    from routerd.message import Message


class ReplySink:
    """A `reply:` output of a route that reads from the same listener. Best effort: never waits."""

    def __init__(self, *, counts: SinkCounts, kind: str | None) -> None:
        self._counts = counts
        self._kind = kind

    async def accept(self, messages: Sequence[Message]) -> Receipt:
        """Sends each to its sender, and resolves it at once."""
        receipt = Receipt(len(messages), self._counts)
        delivered = 0
        for index, message in enumerate(messages):
            session = cast("Session", message.origin)  # the checks see to that
            kind = message.type if self._kind is None else self._kind
            try:
                if not session.reply(kind, message.payload, is_text=message.is_text):
                    raise _gone()
            except DeliveryFailed as error:
                receipt.failed(index, error)
            else:
                delivered += 1
        if delivered:
            receipt.delivered(delivered)
        return receipt


def _gone() -> DeliveryFailed:
    return DeliveryFailed("the client that it would be an answer to has gone", reason="rejected")
