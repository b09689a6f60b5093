"""A certificate authority of one's own, with server and client certificates as PEM files."""

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, as files."""

    cert: Path
    key: Path


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

    def issue(self, *names: str) -> Identity:
        """A new certificate for host names or addresses; the first is also its common name."""
        leaf = self._authority.issue_cert(*names, common_name=names[0])
        identity = Identity(self._folder / f"{names[0]}.pem", self._folder / f"{names[0]}.key")
        identity.cert.unlink(missing_ok=True)
        for blob in leaf.cert_chain_pems:
            blob.write_to_path(str(identity.cert), append=True)
        leaf.private_key_pem.write_to_path(str(identity.key))
        return identity
