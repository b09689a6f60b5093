"""Certificates that a table names are loaded once while it is checked."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from routerd.certificate import CertificateFiles
from routerd.config.load import load_table
from routerd.connectors.mqtt.settings import MqttSettings
from routerd.connectors.websocket.settings import ListenerSettings
from routerd.errors import ConfigError
from tests.rig.certs import Certs, Identity

REST = """
[kafka]
bootstrap_servers = "127.0.0.1:9092"
[[route]]
name = "r"
from = "mqtt:a"
to = "kafka:t"
"""


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certs:
    return Certs(tmp_path_factory.mktemp("certs"))


def write(folder: Path, keys: str) -> Path:
    path = folder / "routes.toml"
    path.write_text(f'[mqtt]\nurl = "mqtts://localhost"\nclient_id = "id"\n{keys}{REST}')
    return path


def test_certificates_that_fit_together_are_taken(tmp_path: Path, certs: Certs) -> None:
    client = certs.client
    keys = f'ca = "{certs.ca}"\ncert = "{client.cert}"\ncert_key = "{client.key}"\n'

    settings = load_table(write(tmp_path, keys)).connections["mqtt"].settings

    assert isinstance(settings, MqttSettings)
    assert (settings.ca, settings.cert, settings.cert_key) == (certs.ca, client.cert, client.key)
    assert (settings.scheme, settings.port) == ("mqtts", 8883)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path, certs: Certs) -> None:
    keys = f'cert = "{certs.client.cert}"\ncert_key = "{certs.server.key}"\n'

    with pytest.raises(ConfigError) as refused:
        load_table(write(tmp_path, keys))

    (problem,) = refused.value.problems
    assert problem.line == 4
    assert problem.sentence.startswith("`cert` of [mqtt]: can't use certificate ")


# --- what a listener shows


def listen(folder: Path, pair: Identity) -> Path:
    path = folder / "routes.toml"
    path.write_text(
        f'[ws]\nlisten = "127.0.0.1:0"\ncert = "{pair.cert}"\ncert_key = "{pair.key}"\n'
        '[[route]]\nname = "r"\nfrom = "ws:/a"\nto = "group:/a"\n'
    )
    return path


def test_a_listeners_pair_is_taken(tmp_path: Path, certs: Certs) -> None:
    table = load_table(listen(tmp_path, certs.server))
    settings = table.connections["ws"].settings
    assert isinstance(settings, ListenerSettings)
    assert settings.certificate == CertificateFiles(certs.server.cert, certs.server.key)
    assert table.warnings == ()


def test_a_listeners_pair_that_does_not_belong_together_is_refused(
    tmp_path: Path, certs: Certs
) -> None:
    pair = Identity(certs.server.cert, certs.client.key)
    with pytest.raises(ConfigError) as refused:
        load_table(listen(tmp_path, pair))
    (problem,) = refused.value.problems
    assert problem.line == 3
    assert problem.sentence == (
        f"`cert` of [ws]: can't use certificate {pair.cert} with key {pair.key}: the key belongs "
        "to another certificate; name a certificate and its key"
    )


def test_a_listeners_certificate_that_has_expired_is_a_warning(
    tmp_path: Path, certs: Certs
) -> None:
    ends = datetime(2020, 1, 1, tzinfo=UTC)
    old = certs.issue("localhost", ends=ends, folder=tmp_path)
    (warning,) = load_table(listen(tmp_path, old)).warnings
    assert warning.line == 3
    assert warning.sentence == (
        "`cert` of [ws]: it expired on 2020-01-01, and clients refuse it; renew it"
    )
