"""TLS contexts from the files that the table names.

Files are read again when they changed, so that a renewed certificate is used from the next
connection on.
"""

import ssl
from pathlib import Path

from routerd.errors import Rejected
from routerd.secrets import Secret


class ClientTls:
    """What a client needs to trust a server, and to be trusted by it.

    Args:
        ca: certificates to trust; None: the system's.
        cert: our own certificate chain, for servers that ask for one.
        cert_key: its key, if that is not in the same file.
        cert_key_password: of the key, if it has one.
    """

    def __init__(
        self,
        *,
        ca: Path | None = None,
        cert: Path | None = None,
        cert_key: Path | None = None,
        cert_key_password: Secret | None = None,
    ) -> None:
        self._ca = ca
        self._cert = cert
        self._cert_key = cert_key
        self._password = cert_key_password
        self._loaded: tuple[list[int], ssl.SSLContext] | None = None

    def context(self) -> ssl.SSLContext:
        """A context for the files as they are now. Blocks on files; may be called from threads.

        Raises:
            Rejected: a file can't be read, or is not what it should be.
        """
        files = [file for file in (self._ca, self._cert, self._cert_key) if file is not None]
        try:
            stamps = [file.stat().st_mtime_ns for file in files]
        except OSError as exc:
            raise Rejected(f"can't read {exc.filename}: {exc.strerror}") from exc
        if self._loaded is None or self._loaded[0] != stamps:
            self._loaded = (stamps, self._load())
        return self._loaded[1]

    def _load(self) -> ssl.SSLContext:
        context = _trusting(self._ca)
        if self._cert is not None:
            # Never the prompt that OpenSSL shows for a key with a password: a daemon has nobody
            # to ask.
            password = self._password.reveal() if self._password else ""
            try:
                context.load_cert_chain(self._cert, self._cert_key, password)
            except OSError as exc:  # ssl.SSLError is one
                key = f" with key {self._cert_key}" if self._cert_key else ""
                raise Rejected(f"can't use certificate {self._cert}{key}: {explain(exc)}") from exc
        return context


def _trusting(ca: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as exc:
        raise Rejected(
            f"can't use CA file {ca}: {explain(exc)}; name a file of CA certificates"
        ) from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A renegotiation would make a write wait for a read, which a paused reader never does.
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def explain(exc: OSError) -> str:
    """What OpenSSL means, for those cases in which it doesn't say so."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return exc.verify_message
    if not isinstance(exc, ssl.SSLError):
        return exc.strerror or str(exc)
    match exc.reason:
        case None:
            return "no certificate and key in PEM, or the key's password is missing or wrong"
        case "KEY_VALUES_MISMATCH":
            return "the key belongs to another certificate"
        case "NO_CERTIFICATE_OR_CRL_FOUND" | "NO_START_LINE":
            return "there is no certificate in PEM in it"
        case reason:
            return reason.replace("_", " ").lower()
