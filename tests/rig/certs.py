"""A certificate authority of one's own, with server and client certificates as PEM files."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import trustme
from cryptography import x509  # trustme brings it
from cryptography.hazmat.primitives import serialization


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, as files."""

    cert: Path
    key: Path

    @property
    def serial(self) -> str:
        """As OpenSSL shows it."""
        number = x509.load_pem_x509_certificate(self.cert.read_bytes()).serial_number
        text = f"{number:X}"
        return text.zfill(len(text) + len(text) % 2)

    def lock(self, password: str) -> Path:
        """Another file with the key, encrypted."""
        key = serialization.load_pem_private_key(self.key.read_bytes(), password=None)
        path = self.key.with_suffix(".locked")
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(password.encode()),
            )
        )
        return path


class Certs:
    """A test CA in `folder`.

    `ca` is the file to trust, `server` is good for localhost and 127.0.0.1, `client` has the
    common name `device`. A second `Certs` is a stranger to the first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.ca))
        self.server = self.issue("localhost", "127.0.0.1")
        self.client = self.issue("device")

    def issue(
        self,
        *names: str,
        begins: datetime | None = None,
        ends: datetime | None = None,
        folder: Path | None = None,
    ) -> Identity:
        """A new certificate for host names or addresses; the first is also its common name.

        Args:
            names: those.
            begins: from when on it is good; None: long ago.
            ends: until when; None: for long.
            folder: where its files are written, over others of that name; None: the CA's.
        """
        leaf = self._authority.issue_cert(
            *names, common_name=names[0], not_before=begins, not_after=ends
        )
        folder = folder or self._folder
        identity = Identity(folder / f"{names[0]}.pem", folder / f"{names[0]}.key")
        identity.cert.unlink(missing_ok=True)
        for blob in leaf.cert_chain_pems:
            blob.write_to_path(str(identity.cert), append=True)
        leaf.private_key_pem.write_to_path(str(identity.key))
        return identity
