"""`cert`, `cert_key` and `cert_key_password` of a listener, read and tried."""

from routerd.certificate import CertificateFiles
from routerd.errors import Rejected
from routerd.section import Section

CERTIFICATE_KEYS = ("cert", "cert_key", "cert_key_password")


def read_certificate(listener: Section) -> CertificateFiles | None:
    """The files of `listener`, loaded once to see that they fit together; None without any."""
    cert = listener.file("cert")
    cert_key = listener.file("cert_key")
    password = listener.secret("cert_key_password")
    given = [key for key in CERTIFICATE_KEYS if key in listener]
    if given and "cert" not in given:
        listener.problem(given[0], f"`{given[0]}` of {listener.label} needs `cert` beside it")
    found = {"cert": cert, "cert_key": cert_key, "cert_key_password": password}
    if cert is None or any(found[key] is None for key in given):
        return None
    files = CertificateFiles(cert, cert_key, password)
    try:
        if trouble := files.load().trouble():
            listener.warn("cert", f"`cert` of {listener.label}: {trouble}; renew it")
    except Rejected as exc:
        listener.problem(
            "cert", f"`cert` of {listener.label}: {exc}; name a certificate and its key"
        )
    return files
