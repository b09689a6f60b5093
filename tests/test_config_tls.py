"""Certificates that a table names are loaded once while it is checked."""

from pathlib import Path

import pytest

from routerd.config.load import load_table
from routerd.connectors.mqtt.settings import MqttSettings
from routerd.errors import ConfigError
from tests.rig.certs import Certs

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
