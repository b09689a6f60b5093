"""The certificate that a TLS listener shows, and its replacement on reload."""

import logging

import trio

from routerd.certificate import Certificate, CertificateFiles
from routerd.connectors.websocket.secure import SecureTransport
from routerd.errors import Rejected
from routerd.interfaces import Reloaded
from routerd.status import ListenerStatus

logger = logging.getLogger(__name__)


class Identity:
    """One listener's certificate in use, and the files that the next one comes from."""

    def __init__(
        self, certificate: Certificate, *, files: CertificateFiles, status: ListenerStatus
    ) -> None:
        """Shows `certificate` first. `status` is told until when one is good."""
        self._files = files
        self._status = status
        self._show(certificate)

    def greet(self, stream: trio.SocketStream) -> SecureTransport:
        """TLS for a client that has just come. It keeps this certificate to its end."""
        return SecureTransport(stream, self._shown.context)

    async def reload(self) -> Reloaded:
        """Takes what is in the files now, unless it is bad or clients would mind its dates."""
        try:
            found = await _load(self._files)
        except Rejected as exc:
            return self._refuse(str(exc))
        if trouble := found.trouble():
            return self._refuse(f"can't use {self._files}: {trouble}")
        self._show(found)
        return Reloaded(taken=1)

    def _refuse(self, why: str) -> Reloaded:
        return Reloaded(refused=(f"[{self._status.key}] {why}; mend that and reload again",))

    def _show(self, certificate: Certificate) -> None:
        self._shown = certificate
        self._status.certificate_ends = certificate.not_after
        logger.info(
            "certificate in use connection=%s file=%s serial=%s not_after=%s",
            self._status.key,
            self._files.cert,
            certificate.serial,
            certificate.last_day,
        )


async def open_identity(files: CertificateFiles, status: ListenerStatus) -> Identity:
    """The first certificate; also one that has expired, for the sake of other routes.

    Raises:
        Rejected: the files are not what they were when the table was checked.
    """
    try:
        return Identity(await _load(files), files=files, status=status)
    except Rejected as exc:
        raise Rejected(f"[{status.key}] {exc}") from exc


async def _load(files: CertificateFiles) -> Certificate:
    return await trio.to_thread.run_sync(files.load, abandon_on_cancel=True)
