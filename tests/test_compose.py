"""`etc/compose.yaml` and what it mounts, as far as that goes without pulling an image.

docker-compose reads it, and each program behind it runs on what it would be given.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka.admin import AdminClient, NewTopic

from routerd.config.load import load_table
from tests.rig.daemon import Routerd
from tests.rig.kafka import java_command
from tests.rig.kafka_settings import CLUSTER_ID
from tests.rig.mockkafka import MockKafka
from tests.rig.mqttpub import Publisher
from tests.rig.ports import free_port
from tests.rig.process import Child
from tests.rig.programs import find_program
from tests.rig.waiting import accepts, wait_until

ETC = Path(__file__).parent.parent / "etc"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ETC / "compose.yaml").read_text())["services"]
TABLE = ETC / "compose" / "routes.toml"


def mounts(service: str) -> dict[str, Path]:
    """Where in the container -> the project's file."""
    pairs = [volume.split(":") for volume in SERVICES[service]["volumes"]]
    return {pair[1]: ETC / pair[0] for pair in pairs if pair[0].startswith("./")}


def kafka_properties() -> dict[str, str]:
    """What Kafka's image makes of its environment: https://hub.docker.com/r/apache/kafka."""
    environment = SERVICES["kafka"]["environment"]
    return {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in environment.items()
    }


def test_docker_compose_takes_it_as_the_readme_calls_it(
    debian_program: Callable[[str], str],
) -> None:
    text = (ETC.parent / "README.md").read_text()
    [options] = re.findall(r"^docker compose (.+) up --build$", text, re.MULTILINE)
    command = [debian_program("docker-compose"), *shlex.split(options), "config"]
    done = subprocess.run(
        command, cwd=ETC.parent, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(yaml.safe_load(done.stdout)["services"]) == set(SERVICES)


def test_every_file_that_it_mounts_is_there_and_read_only() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            assert volume.startswith("./") == volume.endswith(":ro")
        for path in mounts(name).values() if "volumes" in service else ():
            assert path.is_file(), path


def test_its_ports_are_open_on_loopback_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 5
    assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in published)


def test_routerd_has_no_privilege_and_time_to_drain() -> None:
    routerd = SERVICES["routerd"]
    assert (routerd["read_only"], routerd["cap_drop"]) == (True, ["ALL"])
    assert routerd["security_opt"] == ["no-new-privileges:true"]
    grace = float(routerd["stop_grace_period"].removesuffix("s"))
    assert grace > load_table(TABLE).daemon.drain_timeout


def test_its_table_reaches_what_the_other_services_listen_on() -> None:
    table = load_table(TABLE)
    assert mounts("routerd") == {"/etc/routerd/routes.toml": TABLE}
    assert 'url = "mqtt://mosquitto:1883"' in TABLE.read_text()
    assert "\nlistener 1883\n" in (ETC / "compose" / "mosquitto.conf").read_text()
    [bootstrap] = re.findall(r'bootstrap_servers = "(.+)"', TABLE.read_text())
    assert f"INSIDE://{bootstrap}" in kafka_properties()["advertised.listeners"]
    [topics] = re.findall(r"for topic in (.+); do", SERVICES["kafka-topics"]["command"][0])
    wanted = {sink.text for route in table.routes for sink in route.sinks if sink.required}
    assert {f"kafka:{topic}" for topic in topics.split()} == wanted | {"kafka:chat"}


def test_its_table_warns_of_nothing_but_the_open_status_page() -> None:
    [warning] = load_table(TABLE).warnings
    assert "`listen` of [admin]" in warning.sentence


@pytest.mark.slow
@pytest.mark.mosquitto
def test_what_waits_in_its_mosquitto_outlives_restarts(
    start_routerd: Callable[..., Routerd], mockkafka: MockKafka, tmp_path: Path
) -> None:
    port = free_port()
    table = TABLE.read_text().replace("mosquitto:1883", f"127.0.0.1:{port}")
    table = table.replace("kafka:9094", mockkafka.bootstrap)
    mockkafka.create_topic("telemetry")
    with mosquitto(port, tmp_path):
        routerd = start_routerd(re.sub(r"0\.0\.0\.0:\d+", "127.0.0.1:0", table))
        wait_until(lambda: routerd.get("/readyz").status == 200, "it has subscribed")
        routerd.stop()
        with Publisher(port) as publisher:
            messages = [(f"sensors/{n}/temperature", b"20") for n in range(1500)]
            assert len(publisher.publish(messages)) == 1500
    with mosquitto(port, tmp_path):
        routerd.start()
        mockkafka.records.wait_until_count("telemetry", 1500)


@contextmanager
def mosquitto(port: int, folder: Path) -> Iterator[None]:
    """The broker of compose.yaml, with another port and another folder."""
    conf = (ETC / "compose" / "mosquitto.conf").read_text()
    conf = conf.replace("listener 1883", f"listener {port} 127.0.0.1")
    conf = conf.replace("/mosquitto/data/", f"{folder}/")
    if os.geteuid() == 0:
        conf += "user root\n"  # else it gives root up and can't save
    (folder / "mosquitto.conf").write_text(conf)
    command = [find_program("mosquitto"), "-c", str(folder / "mosquitto.conf")]
    broker = Child(command, name="mosquitto", folder=folder)
    try:
        broker.wait_ready(lambda: accepts(port), timeout=10)
        yield
        assert broker.terminate() == 0
    finally:
        broker.kill()


@pytest.mark.slow
@pytest.mark.kafka
def test_its_kafka_starts_and_takes_the_topics(tmp_path: Path) -> None:
    inside, outside, controller = free_port(), free_port(), free_port()
    moved = {"9094": inside, "9092": outside, "9093": controller}
    lines = [f"{name}={value}" for name, value in kafka_properties().items()]
    text = re.sub(r"\b909[234]\b", lambda found: str(moved[found[0]]), "\n".join(lines))
    text = text.replace("/var/lib/kafka/data", str(tmp_path / "data")).replace(
        "//kafka:", "//localhost:"
    )
    (tmp_path / "server.properties").write_text(text + "\n")
    java = java_command()
    tool = [*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID]
    settings = str(tmp_path / "server.properties")
    subprocess.run([*tool, "-c", settings], check=True, capture_output=True, timeout=60)
    broker = Child([*java, "kafka.Kafka", settings], name="kafka", folder=tmp_path)
    try:
        broker.wait_ready(lambda: accepts(inside) and accepts(outside), timeout=60)
        for port in (inside, outside):
            admin = AdminClient({"bootstrap.servers": f"localhost:{port}"})
            admin.create_topics([NewTopic(f"t{port}", 4)])[f"t{port}"].result(30)
    finally:
        broker.kill()


def test_its_prometheus_takes_its_files(
    debian_program: Callable[[str], str], tmp_path: Path
) -> None:
    for inside, file in mounts("prometheus").items():
        shutil.copy(file, tmp_path / Path(inside).name)
    command = [debian_program("promtool"), "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 rule files found" in done.stdout


def test_its_prometheus_asks_routerd_and_is_told_where() -> None:
    text = (ETC / "compose" / "prometheus.yml").read_text()
    [job] = yaml.safe_load(text)["scrape_configs"]
    [port] = re.findall(r'\[admin\]\nlisten = "0\.0\.0\.0:(\d+)"', TABLE.read_text())
    assert (job["job_name"], job["static_configs"]) == (
        "routerd",
        [{"targets": [f"routerd:{port}"]}],
    )
