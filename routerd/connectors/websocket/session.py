"""Who a client is, as far as templates may ask: the `Origin` of its messages."""

import secrets
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from routerd.connectors.websocket.codecs.codec import Codec
from routerd.connectors.websocket.handshake import Handshake

if TYPE_CHECKING:
    from routerd.connectors.websocket.acks.desk import Desk

NO_CLAIMS: Mapping[str, object] = MappingProxyType({})


class Session:
    """One client from its handshake on.

    What it said is decoded when somebody asks, which for most sessions is never.

    Attributes:
        session: no other session of this process has the same.
        peer: the address that it came from, with its port.
        claims: what its token says of it.
        codec: how what is sent to it is encoded.
        desk: where its messages are answered; None: it wants no answers.
    """

    __slots__ = (
        "_handshake", "_headers", "_query", "_send", "claims", "codec", "desk", "peer", "session"
    )  # fmt: skip

    def __init__(
        self,
        handshake: Handshake,
        *,
        peer: str,
        codec: Codec,
        send: Callable[[bytes], bool],
        claims: Mapping[str, object] = NO_CLAIMS,
    ) -> None:
        """One that has just come in.

        Args:
            handshake: what it asked for.
            peer: the address that it came from, with its port.
            codec: its listener's.
            send: writes a frame to it after all that was written before, and never waits; False:
                it is gone.
            claims: what its token says of it.
        """
        self.session = secrets.token_hex(8)
        self.peer = peer
        self.claims = claims
        self.codec = codec
        self.desk: Desk | None = None
        self._send = send
        self._handshake = handshake
        self._query: Mapping[str, str] | None = None
        self._headers: Mapping[str, str] | None = None

    def reply(self, kind: str | None, payload: bytes, *, is_text: bool | None) -> bool:
        """Sends a message to this client alone, and never waits. False: it is gone.

        Raises:
            DeliveryFailed: its codec can't carry it.
        """
        return self._send(self.codec.encode(kind, payload, is_text=is_text))

    @property
    def path(self) -> bytes:
        """As it was sent, still encoded, without the query."""
        return self._handshake.path

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters, decoded; of one given twice, the last."""
        if self._query is None:
            self._query = self._handshake.read_query()
        return self._query

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, names in lower case; those given twice joined by commas."""
        if self._headers is None:
            self._headers = self._handshake.read_headers()
        return self._headers
