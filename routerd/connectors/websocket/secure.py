"""A client's connection under TLS, for those who would write to its socket themselves.

OpenSSL works on memory here, and bytes go to and from the socket next to it. So a write never
waits, as with plain TCP, and one `Writer` with one queue serves both; trio's own `SSLStream` can
only write by waiting.
"""

import os
import ssl
from collections.abc import Sequence
from contextlib import suppress

import trio

from routerd.connectors.websocket.handshake import Refused
from routerd.connectors.websocket.reasons import Refusal

READ_BYTES = 1 << 16
_ENCRYPT_BYTES = 1 << 16
"""Most that is encrypted before the socket has taken what came before."""
MOST_OWED = 1 << 16
"""Bytes of TLS's own answers that wait for a client that asks for them and doesn't read."""


class SecureTransport:
    """One client's connection. `shake_hands` comes first; it takes what writes call a pipe.

    Attributes:
        socket: the TCP one.
    """

    def __init__(self, stream: trio.SocketStream, context: ssl.SSLContext) -> None:
        """Takes over `stream`, and greets with the certificate of `context`."""
        self.socket = stream.socket
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._unsent = b""
        self._is_open = False
        self._is_ending = False

    async def shake_hands(self) -> None:
        """The TLS handshake. Whoever calls it bounds its time.

        Raises:
            Refused: the client speaks no TLS, or none that we do.
            trio.BrokenResourceError: it left.
        """
        while not self._is_open:
            try:
                self._tls.do_handshake()
                self._is_open = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as exc:
                await self._explain(exc)
            if self._outgoing.pending:
                await self._stream.send_all(self._outgoing.read())
            if not self._is_open:
                received = await self._stream.receive_some(READ_BYTES)
                if not received:
                    raise trio.BrokenResourceError("the client left during the TLS handshake")
                self._incoming.write(received)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What the client has sent; empty at its end, with TLS's goodbye or without.

        After `send_eof` it is only good for waiting until the client is gone.
        """
        if self._is_ending:
            return bytes(await self._stream.receive_some(max_bytes))
        most = READ_BYTES if max_bytes is None else max_bytes
        data = self._decrypt(most)
        if data is not None:
            await trio.lowlevel.checkpoint()
        while data is None:
            received = await self._stream.receive_some(READ_BYTES)
            if received:
                self._incoming.write(received)
            else:
                self._incoming.write_eof()
            data = self._decrypt(most)
        return data

    async def send_eof(self) -> None:
        """Says that we send nothing any more, to TLS and to TCP."""
        self._is_ending = True
        if self._is_open:
            with suppress(ssl.SSLError):  # it would like to hear the client's goodbye
                self._tls.unwrap()
            self._flush()
        await self._stream.send_eof()

    # --- what a writer calls

    @property
    def is_behind(self) -> bool:
        """Whether the socket has not taken all that was encrypted; the next write tries again."""
        return bool(self._unsent)

    def write(self, data: bytes) -> int:
        """Encrypts and sends what the socket takes now; how much of `data` is on its way.

        Raises:
            BlockingIOError: it doesn't even take what came before.
            OSError: the client is gone.
        """
        if not self._is_open or self._is_ending:
            raise ssl.SSLError("not between TLS's handshake and its end")
        if not self._send_unsent():
            raise BlockingIOError
        whole, sent = memoryview(data), 0
        while sent < len(data):
            sent += self._tls.write(whole[sent : sent + _ENCRYPT_BYTES])
            if not self._send_unsent():
                break
        return sent

    def write_pieces(self, pieces: Sequence[bytes]) -> int:
        """As `write`, in as few TLS records as can be."""
        return self.write(b"".join(pieces))

    # --- in between

    def _decrypt(self, most: int) -> bytes | None:
        """What has come, up to `most` bytes; None: nothing yet, empty: nothing any more."""
        pieces = []
        try:
            while most > 0 and (piece := self._tls.read(most)):
                pieces.append(piece)
                most -= len(piece)
        except ssl.SSLWantReadError:
            if not pieces:
                self._flush()
                return None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            pass
        except ssl.SSLError as exc:
            if not pieces:
                raise trio.BrokenResourceError("what came is no TLS of this session") from exc
        self._flush()
        return b"".join(pieces)

    def _flush(self) -> None:
        """Sends TLS's own answers, such as new keys, as far as the client reads them."""
        if not self._outgoing.pending:
            return
        try:
            self._send_unsent()
        except OSError as exc:
            raise trio.BrokenResourceError("the client is gone") from exc
        if len(self._unsent) > MOST_OWED + _ENCRYPT_BYTES:
            raise trio.BrokenResourceError("the client asks for more than it reads")

    def _send_unsent(self) -> bool:
        """Whether the socket has taken everything that is encrypted."""
        if self._outgoing.pending:
            self._unsent += self._outgoing.read()
        if self._unsent:
            with suppress(BlockingIOError):
                # The number is asked for each time: a closed socket's may be another client's.
                sent = os.write(self.socket.fileno(), self._unsent)
                self._unsent = self._unsent[sent:]
        return not self._unsent

    async def _explain(self, exc: ssl.SSLError) -> None:
        """Why there will be no TLS: in an alert, or in plain words to who speaks plain HTTP."""
        refused = Refused(Refusal.NOT_TLS if exc.reason == "HTTP_REQUEST" else Refusal.TLS_FAILED)
        if refused.reason is Refusal.NOT_TLS:
            await self._stream.send_all(refused.encode())
        else:
            await self._stream.send_all(self._outgoing.read())
        raise refused from exc
