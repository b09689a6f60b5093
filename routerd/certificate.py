"""The certificate that a listener shows: read from its files, and tried before it is used.

A renewed one is loaded into a context of its own, so that a bad pair never touches the one in use.
"""

import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from routerd.errors import Rejected
from routerd.secrets import Secret
from routerd.tls import explain

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME, which `ssl` has no name for."""


@dataclass(frozen=True)
class Certificate:
    """A pair of certificate and key that belong together.

    Attributes:
        context: greets clients with it.
        serial: of the certificate, as other programs show it.
        not_before: from when on it is good, seconds since 1970.
        not_after: until when.
    """

    context: ssl.SSLContext
    serial: str
    not_before: float
    not_after: float

    def trouble(self) -> str:
        """What clients will mind at this time, in words; empty if nothing."""
        now = time.time()
        if now >= self.not_after:
            return f"it expired on {self.last_day}, and clients refuse it"
        if now < self.not_before:
            return f"it is not good before {_day(self.not_before)}, if the clock is right"
        return ""

    @property
    def last_day(self) -> str:
        """As people write it."""
        return _day(self.not_after)


@dataclass(frozen=True)
class CertificateFiles:
    """Where a listener's certificate is.

    Attributes:
        cert: the chain, its own certificate first.
        cert_key: its key, if that is not in the same file.
        password: of the key, if it has one.
    """

    cert: Path
    cert_key: Path | None = None
    password: Secret | None = None

    def load(self) -> Certificate:
        """What is in the files now. Blocks on them; may be called from threads.

        Raises:
            Rejected: they can't be read or don't belong together. An expired one is no reason.
        """
        self._look()
        try:
            client = self._client()  # first, since OpenSSL then says which of the files is wrong
            context = self._context()
            shown = _shown_by(context, client)
        except OSError as exc:  # ssl.SSLError is one
            raise Rejected(f"can't use {self}: {explain(exc)}") from exc
        return Certificate(
            context,
            serial=str(shown["serialNumber"]),
            not_before=ssl.cert_time_to_seconds(str(shown["notBefore"])),
            not_after=ssl.cert_time_to_seconds(str(shown["notAfter"])),
        )

    def __str__(self) -> str:
        key = f" with key {self.cert_key}" if self.cert_key else ""
        return f"certificate {self.cert}{key}"

    def _look(self) -> None:
        """Raises Rejected for one that can't be read: OpenSSL doesn't say which."""
        for file in filter(None, (self.cert, self.cert_key)):
            try:
                with file.open("rb") as opened:
                    opened.read(1)
            except OSError as exc:
                raise Rejected(f"can't read {file}: {exc.strerror}") from exc

    def _context(self) -> ssl.SSLContext:
        """What greets clients."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        # Never the prompt that OpenSSL shows for a key with a password: nobody could answer it.
        password = self.password.reveal() if self.password else ""
        context.load_cert_chain(self.cert, self.cert_key, password)
        return context

    def _client(self) -> ssl.SSLContext:
        """What trusts this certificate for its own sake, whatever its dates."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
        context.load_verify_locations(self.cert)
        return context


def _shown_by(server: ssl.SSLContext, client: ssl.SSLContext) -> Mapping[str, object]:
    """The certificate that a client of `server` sees, in a handshake within memory.

    It is the public way to a certificate's dates, and shows that the pair is good for TLS.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for end in ends * 2:  # TLS 1.3 takes two turns of the client and one of the server
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return ends[0].getpeercert() or {}


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
