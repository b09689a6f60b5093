"""A listener's certificate: read from files that may be wrong, and what is known of it."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from routerd.certificate import CertificateFiles
from routerd.errors import Rejected
from routerd.secrets import Secret
from tests.rig.certs import Certs

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
END = datetime(2020, 3, 1, tzinfo=UTC)


def files(certs: Certs) -> CertificateFiles:
    return CertificateFiles(certs.server.cert, certs.server.key)


def test_a_good_pair_is_taken(certs: Certs) -> None:
    found = files(certs).load()
    assert found.trouble() == ""
    assert found.serial == certs.server.serial
    assert found.context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert found.context.options & ssl.OP_NO_RENEGOTIATION


def test_the_key_may_be_in_the_same_file(certs: Certs, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(certs.server.key.read_bytes() + certs.server.cert.read_bytes())
    assert CertificateFiles(both).load().serial == certs.server.serial


def test_a_locked_key_is_opened_by_its_password_and_nobody_is_asked(certs: Certs) -> None:
    locked = certs.server.lock("open sesame")
    good = CertificateFiles(certs.server.cert, locked, Secret("open sesame"))
    assert good.load().serial == certs.server.serial
    for password in (None, Secret("wrong")):
        with pytest.raises(Rejected, match="the key's password is missing or wrong"):
            CertificateFiles(certs.server.cert, locked, password).load()


def test_one_that_has_expired_is_taken_and_says_so(certs: Certs, tmp_path: Path) -> None:
    old = certs.issue("localhost", begins=BEGIN, ends=END, folder=tmp_path)
    found = CertificateFiles(old.cert, old.key).load()
    assert (found.not_before, found.not_after) == (BEGIN.timestamp(), END.timestamp())
    assert found.trouble() == "it expired on 2020-03-01, and clients refuse it"


def test_one_that_is_not_good_yet_is_taken_and_says_so(certs: Certs, tmp_path: Path) -> None:
    early = certs.issue("localhost", begins=datetime(2999, 1, 1, tzinfo=UTC), folder=tmp_path)
    found = CertificateFiles(early.cert, early.key).load()
    assert found.trouble() == "it is not good before 2999-01-01, if the clock is right"


def test_a_bad_file_is_named_with_what_is_wrong(certs: Certs, tmp_path: Path) -> None:
    cert, key = certs.server.cert, certs.server.key
    garbage, empty, missing = tmp_path / "garbage", tmp_path / "empty", tmp_path / "missing"
    garbage.write_bytes(bytes(range(256)))
    empty.touch()
    half = tmp_path / "half"
    half.write_bytes(cert.read_bytes()[:300])
    for pair, what in (
        ((cert, certs.client.key), f"{cert} with key {certs.client.key}: the key belongs to"),
        ((garbage, key), f"{garbage} with key {key}: there is no certificate in PEM"),
        ((empty, key), f"{empty} with key {key}: there is no certificate in PEM"),
        ((half, key), f"{half} with key {key}: "),
        ((cert, garbage), f"{cert} with key {garbage}: no certificate and key in PEM"),
        ((cert, None), f"{cert}: no certificate and key in PEM"),
        ((missing, key), f"can't read {missing}: No such file"),
        ((cert, missing), f"can't read {missing}: No such file"),
        ((tmp_path, key), f"can't read {tmp_path}: Is a directory"),
    ):
        with pytest.raises(Rejected) as refused:
            CertificateFiles(*pair).load()
        assert what in str(refused.value)
