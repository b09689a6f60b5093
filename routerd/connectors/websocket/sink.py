"""Broadcasts: each message to everyone connected to the path that its address renders to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routerd.connectors.websocket.frames import encode
from routerd.errors import DeliveryFailed
from routerd.memory import remember
from routerd.receipt import Receipt, SinkCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routerd.groups import GroupName, Groups
    from routerd.message import Message
    from routerd.scope import Renderer


class GroupSink:
    """One `group:` output of one route. Best effort: nobody waits for a member."""

    def __init__(self, render: Renderer[GroupName], *, groups: Groups, counts: SinkCounts) -> None:
        self._render = render
        self._groups = groups
        self._counts = counts
        self._cache: dict[bytes, GroupName] = {}

    @property
    def cached_addresses(self) -> int:
        """How many message addresses it remembers the groups of."""
        return len(self._cache)

    async def accept(self, messages: Sequence[Message]) -> Receipt:
        """Publishes each message, and resolves it at once; never waits."""
        receipt = Receipt(len(messages), self._counts)
        groups, cached = self._groups, self._cache
        delivered = 0
        for index, message in enumerate(messages):
            group = cached.get(message.address)
            if group is None:
                try:
                    group = self._find_group(message)
                except DeliveryFailed as error:
                    receipt.failed(index, error)
                    continue
            if group in groups:  # an empty group costs no encoding
                frame = encode(message.payload, is_text=message.is_text)
                if not groups.publish(group, frame):
                    receipt.failed(index, _too_much())
                    continue
            delivered += 1
        if delivered:
            receipt.delivered(delivered)
        return receipt

    def _find_group(self, message: Message) -> GroupName:
        group = self._render(message)
        if self._render.is_static:
            remember(self._cache, message.address, group)
        return group


def _too_much() -> DeliveryFailed:
    why = "more is sent to the group than can be written to its members"
    return DeliveryFailed(why, reason="overloaded")
