"""A message on its way through a route, and what its sender was.

Hot: a route makes one `Message` for each message and nothing else. What is known of many
messages at once (when they were read, who acknowledges them) belongs to their `Batch`.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec


class Origin(Protocol):
    """Who sent a message, where the source knows: a WebSocket session."""

    @property
    def session(self) -> str:
        """Unique among the sessions of this process; `{@session}`."""

    @property
    def peer(self) -> str:
        """The address that it came from, with its port; `{@peer}`."""

    @property
    def path(self) -> bytes:
        """The path that it connected to, as it was sent, without the query; `{@path}`."""

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters of the handshake, decoded; `{@query.x}`."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the handshake, names in lower case; `{@header.x}`."""

    @property
    def claims(self) -> Mapping[str, object]:
        """What its token says of it; `{@claim.x}`."""


class Message(msgspec.Struct, gc=False):
    """One message. Not changed after its source put it, but for `document` and `time`.

    Attributes:
        address: where it came from as the source's raw bytes: an MQTT topic, a WebSocket
            path. Caches are keyed by it.
        payload: the bytes as they came, or as the route's `body` made them.
        token: what its source needs to acknowledge it, e.g. a packet identifier; 0: nothing.
        is_text: whether a WebSocket client sent it as text; None where the source has no
            such notion.
        origin: who sent it, where the source knows.
        type: what its sender calls this kind of message, a number in digits; `{@type}`.
        document: the decoded JSON payload as far as the route looks into it; set by the route.
        time: when it was received, seconds since 1970; set by the route if it is asked for.
    """

    address: bytes
    payload: bytes
    token: int = 0
    is_text: bool | None = None
    origin: Origin | None = None
    type: str | None = None
    document: object = None
    time: float = 0.0
