"""Loading a table: the examples that we show people, and what comes of a table."""

import re
import socket
from pathlib import Path

import pytest

from routerd.config.load import load_table
from routerd.config.models import AdminSettings, DaemonSettings, Table
from routerd.connectors.kafka import properties
from routerd.connectors.mqtt.settings import MqttFilter, MqttSettings, MqttSourceSpec
from routerd.errors import ConfigError

ROOT = Path(__file__).parent.parent
MQTT = '[mqtt]\nurl = "mqtt://127.0.0.1"\nclient_id = "id"\n'
KAFKA = '[kafka]\nbootstrap_servers = "127.0.0.1:9092"\n'
WITH_PASSWORD = MQTT + 'username = "u"\npassword = { file = "password" }\n'
ROUTE = '[[route]]\nname = "r"\nfrom = "mqtt:a/{x}"\nto = "kafka:{x}"\n'


def load(tmp_path: Path, text: str) -> Table:
    path = tmp_path / "routes.toml"
    path.write_text(text, encoding="utf-8")
    return load_table(path)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text)
    return [problem.sentence for problem in refused.value.problems]


# --- what we show people

SHOWN = sorted([*(ROOT / "etc").glob("*.toml"), *(ROOT / "etc" / "examples").glob("*.toml")])


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTERD_DEMO_MQTT", "mqtt://127.0.0.1:1883")
    monkeypatch.setenv("ROUTERD_DEMO_KAFKA", "127.0.0.1:9092")
    monkeypatch.setenv("ROUTERD_DEMO_WS", "127.0.0.1:0")
    monkeypatch.setenv("ROUTERD_DEMO_ADMIN", "127.0.0.1:0")
    monkeypatch.setenv("ROUTERD_DEMO_PAGE_1", "http://127.0.0.1:8801")
    monkeypatch.setenv("ROUTERD_DEMO_PAGE_2", "http://localhost:8801")


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.name)
def test_every_table_in_etc_loads_without_a_warning(path: Path) -> None:
    table = load_table(path)

    assert table.routes
    assert not table.warnings


def blocks_of(path: Path) -> list[str]:
    return re.findall(r"^```toml\n(.*?)^```$", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", blocks_of(ROOT / "README.md"))
def test_every_table_in_the_readme_loads_without_a_warning(tmp_path: Path, block: str) -> None:
    assert not load(tmp_path, block).warnings


def test_the_readme_shows_a_table() -> None:
    assert blocks_of(ROOT / "README.md")


def test_the_annotated_table_has_every_key_of_a_route(tmp_path: Path) -> None:
    text = (ROOT / "etc" / "routes.toml").read_text("utf-8")
    (sentence,) = problems(tmp_path, MQTT + KAFKA + ROUTE + "zzzzz = 1\n")
    known = re.findall(r"`(\w+)`", sentence.split(";")[1])

    assert len(known) == 13
    missing = [key for key in known if not re.search(rf"^\[?\[?(route\.)?{key}\b", text, re.M)]
    assert missing == []


# --- what comes of a table


def test_defaults_are_those_that_carry_the_promise(tmp_path: Path) -> None:
    table = load(tmp_path, MQTT + KAFKA + ROUTE)

    route = table.routes[0]
    assert table.admin == AdminSettings("127.0.0.1", 9464, True)
    assert table.daemon == DaemonSettings(10.0)
    assert (route.inflight, route.inflight_bytes, route.max_destinations) == (2000, 64 << 20, 1000)
    assert (route.on_error, route.payload, route.key, route.body) == ("stop", None, None, None)
    assert route.source.spec == MqttSourceSpec((MqttFilter("a/+", 1, False),), "id-r")
    mqtt = table.connections["mqtt"].settings
    assert mqtt == MqttSettings("mqtt", "mqtt", "127.0.0.1", 1883, client_id="id")
    assert (mqtt.version, mqtt.session_expiry) == ("5", 7 * 86400)


def test_a_websocket_route_drops_what_it_cannot_route_by_default(tmp_path: Path) -> None:
    text = '[ws]\nlisten = "127.0.0.1:0"\n[[route]]\nname = "r"\nfrom = "ws:/"\nto = "group:/"\n'

    assert load(tmp_path, text).routes[0].on_error == "drop"


def test_relative_paths_start_from_the_folder_of_the_table(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    (tmp_path / "password").chmod(0o600)

    table = load(tmp_path, WITH_PASSWORD + KAFKA + ROUTE)

    mqtt = table.connections["mqtt"].settings
    assert isinstance(mqtt, MqttSettings)
    assert mqtt.password is not None
    assert mqtt.password.reveal() == "hunter2"
    assert not table.warnings


def test_a_secret_that_others_may_read_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    (tmp_path / "password").chmod(0o644)

    table = load(tmp_path, WITH_PASSWORD + KAFKA + ROUTE)

    (warning,) = table.warnings
    assert warning.line == 5
    assert "chmod 600" in warning.sentence
    assert "hunter2" not in warning.sentence


def test_a_filter_that_is_too_long_is_refused(tmp_path: Path) -> None:
    (sentence,) = problems(tmp_path, MQTT + KAFKA + ROUTE.replace("a/{x}", "{x}/" + "a" * 65_536))

    assert sentence.endswith(
        "an MQTT filter has at most 65535 bytes, this one has more; shorten it"
    )
    assert len(sentence) < 200


def test_a_session_whose_name_mqtt_cannot_carry_is_refused(tmp_path: Path) -> None:
    text = MQTT.replace('"id"', '"' + "i" * 65_534 + '"') + KAFKA + ROUTE

    (sentence,) = problems(tmp_path, text)

    assert "is over 65535 bytes, the most that MQTT carries; shorten them" in sentence


def test_a_text_of_a_connection_may_stand_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROUTERD_TEST", "3.1.1")

    table = load(tmp_path, MQTT + 'version = { env = "ROUTERD_TEST" }\n' + KAFKA + ROUTE)

    mqtt = table.connections["mqtt"].settings
    assert isinstance(mqtt, MqttSettings)
    assert mqtt.version == "3.1.1"


def test_a_table_is_checked_without_a_connection(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as peer:
        peer.setblocking(False)
        port = peer.getsockname()[1]
        text = MQTT.replace("127.0.0.1", f"127.0.0.1:{port}") + KAFKA.replace("9092", str(port))

        load(tmp_path, text + '[kafka.options]\n"compression.type" = "zstd"\n' + ROUTE)

        with pytest.raises(BlockingIOError):
            peer.accept()


def test_one_bad_route_of_many_is_reported_alone(tmp_path: Path) -> None:
    text = MQTT + KAFKA + "".join(ROUTE.replace('"r"', f'"r{n}"') for n in range(50))

    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text.replace('"r49"\nfrom = "mqtt:a/{x}"', '"r49"\nfrom = "mqtt:a#"'))

    (problem,) = refused.value.problems
    assert problem.line == text.count("\n") - 1


def test_librdkafka_is_asked_once_for_each_property_however_many_routes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    refusal = properties.refusal

    def counted(name: str, value: properties.Value) -> str:
        asked.append(name)
        return refusal(name, value)

    monkeypatch.setattr(properties, "refusal", counted)
    text = MQTT + KAFKA + '[kafka.options]\n"linger.ms" = 1\nacks = "all"\n'

    load(tmp_path, text + "".join(ROUTE.replace('"r"', f'"r{n}"') for n in range(50)))

    assert asked == ["linger.ms", "acks"]
