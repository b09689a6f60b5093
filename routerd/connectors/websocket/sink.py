"""Broadcasts: each message to everyone connected to the path that its address renders to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routerd.errors import DeliveryFailed
from routerd.feed import Feed
from routerd.memory import remember
from routerd.receipt import Receipt, SinkCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routerd.connectors.websocket.codecs.codec import Codec
    from routerd.feed import Slow
    from routerd.groups import GroupName, Groups
    from routerd.message import Message
    from routerd.scope import Renderer


class GroupSink:
    """One `group:` output of one route. Best effort: nobody waits for a member."""

    def __init__(
        self,
        render: Renderer[GroupName],
        *,
        groups: Groups,
        counts: SinkCounts,
        codec: Codec,
        kind: str | None,
        slow: Slow = "disconnect",
        key: Renderer[str] | None = None,
    ) -> None:
        """Publishes to `groups`.

        Args:
            render: gives a message's group.
            groups: of the listener.
            counts: of this sink.
            codec: encodes messages.
            kind: the type that all are sent as; None: that of each.
            slow: what becomes of members that don't keep up.
            key: with `latest`, of whose messages only the newest waits.
        """
        self._feed = Feed(slow, counts.missed)
        self._key = key
        self._render = render
        self._groups = groups
        self._counts = counts
        self._encode = codec.encode
        self._kind = kind
        self._cache: dict[bytes, GroupName] = {}

    @property
    def cached_addresses(self) -> int:
        """How many message addresses it remembers the groups of."""
        return len(self._cache)

    async def accept(self, messages: Sequence[Message]) -> Receipt:
        """Publishes each message, and resolves it at once; never waits."""
        receipt = Receipt(len(messages), self._counts)
        groups, cached = self._groups, self._cache
        encode, own_kind = self._encode, self._kind
        feed, render_key = self._feed, self._key
        delivered = 0
        for index, message in enumerate(messages):
            group = cached.get(message.address)
            try:
                if group is None:
                    group = self._find_group(message)
                if group in groups:  # an empty group costs no encoding
                    kind = message.type if own_kind is None else own_kind
                    frame = encode(kind, message.payload, is_text=message.is_text)
                    key = "" if render_key is None else render_key(message)
                    if not groups.publish(group, frame, feed=feed, key=key):
                        raise _too_much()
            except DeliveryFailed as error:
                receipt.failed(index, error)
            else:
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
