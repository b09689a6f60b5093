"""A client's TLS: what it trusts, what it shows, and files that change or are wrong."""

import os
import ssl
from pathlib import Path

import pytest

from routerd.errors import Rejected
from routerd.secrets import Secret
from routerd.tls import ClientTls
from tests.rig.certs import Certs


@pytest.fixture
def locked_key(certs: Certs) -> Path:
    """The client's key, encrypted with the password `open sesame`."""
    return certs.client.lock("open sesame")


def test_trusts_the_system_without_a_ca() -> None:
    context = ClientTls().context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_trusts_only_the_ca_of_the_table(certs: Certs) -> None:
    context = ClientTls(ca=certs.ca).context()
    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_renegotiation_can_not_make_a_write_wait_for_a_read() -> None:
    assert ClientTls().context().options & ssl.OP_NO_RENEGOTIATION


def test_the_context_is_kept_while_the_files_are(certs: Certs) -> None:
    tls = ClientTls(ca=certs.ca)
    assert tls.context() is tls.context()


def test_a_renewed_file_is_read_again(certs: Certs, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(certs.ca.read_bytes())
    tls = ClientTls(ca=ca)
    before = tls.context()
    os.utime(ca, ns=(1, 1))
    assert tls.context() is not before


def test_shows_a_certificate_with_its_key_in_another_file(certs: Certs) -> None:
    ClientTls(ca=certs.ca, cert=certs.client.cert, cert_key=certs.client.key).context()


def test_shows_a_certificate_with_its_key_in_the_same_file(certs: Certs, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(certs.client.key.read_bytes() + certs.client.cert.read_bytes())
    ClientTls(cert=both).context()


def test_opens_a_key_with_its_password(certs: Certs, locked_key: Path) -> None:
    ClientTls(
        cert=certs.client.cert, cert_key=locked_key, cert_key_password=Secret("open sesame")
    ).context()


@pytest.mark.parametrize("password", [None, Secret("wrong")])
def test_a_key_that_stays_locked_is_refused_and_asks_nobody(
    certs: Certs, locked_key: Path, password: Secret | None
) -> None:
    tls = ClientTls(cert=certs.client.cert, cert_key=locked_key, cert_key_password=password)
    with pytest.raises(Rejected) as refusal:
        tls.context()
    assert str(refusal.value) == (
        f"can't use certificate {certs.client.cert} with key {locked_key}: "
        "no certificate and key in PEM, or the key's password is missing or wrong"
    )


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    with pytest.raises(Rejected, match=f"can't read {missing}: No such file or directory"):
        ClientTls(ca=missing).context()


def test_a_ca_that_is_none_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    with pytest.raises(
        Rejected, match=f"can't use CA file {wrong}: there is no certificate in PEM"
    ):
        ClientTls(ca=wrong).context()


def test_a_key_that_belongs_to_another_certificate_is_named(certs: Certs) -> None:
    with pytest.raises(Rejected, match="the key belongs to another certificate"):
        ClientTls(cert=certs.client.cert, cert_key=certs.server.key).context()
