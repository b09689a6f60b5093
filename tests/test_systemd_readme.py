"""The README's way from a checkout to a running service, and that service under a real systemd.

Its commands are run as they stand there, on a systemd of the test's own, by root: `sudo` is the
only one that is no real one. What the unit forbids is really forbidden here.
"""

import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.proofs.history import Publication, judge, some_readings
from tests.rig.certs import Certs
from tests.rig.mockkafka import MockKafka
from tests.rig.mosquitto import Mosquitto
from tests.rig.mqttpub import Publisher
from tests.rig.ports import free_port
from tests.rig.systemd import Systemd
from tests.rig.waiting import wait_until

pytestmark = [pytest.mark.debian, pytest.mark.mosquitto, pytest.mark.slow]

PROJECT = Path(__file__).parent.parent
LOGIN = ("routerd", "a secret")
TYPED = "sudo install -D -m 0600 /dev/stdin /etc/routerd/credentials/mqtt "
DROP_IN = "/run/systemd/system/routerd.service.d/test.conf"
TABLE = """
[mqtt]
url = "{mqtt}"
client_id = "plant"
username = "routerd"
password = {{ credential = "mqtt" }}
[kafka]
bootstrap_servers = "{kafka}"
[ws]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:{port}"
[daemon]
drain_timeout = "8s"
[[route]]
name = "telemetry"
from = "mqtt:sensors/{{device}}/temperature"
to = ["kafka:telemetry", "group:/live/{{device}}"]
key = "{{device}}"
"""


@dataclass(frozen=True)
class House:
    """Where somebody has followed the README, and what is around it.

    Attributes:
        project: the checkout; systemd sees it, too.
        said: what the README's commands wrote.
    """

    systemd: Systemd
    mosquitto: Mosquitto
    kafka: MockKafka
    project: Path
    said: str

    def table(self, topic: str) -> str:
        """The README's table, with another topic."""
        return (
            (self.project / "routes.toml").read_text().replace("kafka:telemetry", f"kafka:{topic}")
        )

    def restart(self, table: str, *settings: str) -> None:
        """Starts the service anew, with a table and with further settings of `[Service]`."""
        (self.project / "table").write_text(table)
        (self.project / "drop-in").write_text("\n".join(["[Service]", *settings, ""]))
        self.systemd.run(
            f"install -m 0644 table /etc/routerd/routes.toml\ninstall -D drop-in {DROP_IN}\n"
            "systemctl daemon-reload\nsystemctl reset-failed\nsystemctl restart routerd",
            folder=str(self.project),
        )

    def wait_running(self) -> None:
        """Returns when its route runs."""
        self.wait_property("StatusText", "1 of 1 routes run")

    def property(self, name: str) -> str:
        """What `systemctl show` says of the service."""
        return self.systemd.property("routerd", name)

    def wait_property(self, name: str, value: str) -> None:
        """Returns when it says this."""
        wait_until(lambda: self.property(name) == value, f"{name} is {value}", timeout=30)

    def get(self, path: str) -> str:
        """GETs a path of the admin listener."""
        found = re.search(r"127\.0\.0\.1:\d+", self.table("").partition("[admin]")[2])
        assert found is not None
        with urllib.request.urlopen(f"http://{found[0]}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def publish(self, messages: list[Publication]) -> None:
        """Returns when the broker has all of them."""
        with Publisher(self.mosquitto.port, login=LOGIN) as publisher:
            assert len(publisher.publish(messages)) == len(messages)


def readme_commands() -> str:
    """All commands of the README's section on systemd; the password is typed into one of them."""
    text = (PROJECT / "README.md").read_text()
    section = text.partition("## As a systemd service")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    commands = "".join(blocks)
    assert TYPED in commands
    return commands.replace(TYPED, f"echo '{LOGIN[1]}' | {TYPED}")


def checkout(folder: Path) -> Path:
    """What git knows of the project, or will."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=PROJECT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    project = checkout(tmp_path_factory.mktemp("project"))
    with Mosquitto(users=dict([LOGIN])) as mosquitto, MockKafka() as kafka:
        kafka.create_topic("telemetry", 1)
        table = TABLE.format(mqtt=mosquitto.url, kafka=kafka.bootstrap, port=free_port())
        (project / "routes.toml").write_text(table)
        with Systemd(project) as systemd:
            said = systemd.run(f"set -x\n{readme_commands()}", folder=str(project), timeout=300)
            yield House(systemd, mosquitto, kafka, project, said)


@pytest.fixture
def topic(house: House, topic: str) -> str:
    house.kafka.create_topic(topic, 1)
    return topic


@pytest.fixture
def service(house: House, topic: str) -> House:
    """The service as the README starts it."""
    house.restart(house.table(topic))
    house.wait_running()
    return house


def test_the_readme_leads_from_a_checkout_to_a_running_service(house: House) -> None:
    assert "Active: active (running)" in house.said
    assert house.property("UnitFileState") == "enabled"
    house.wait_running()
    house.publish(some_readings(1))
    house.kafka.records.wait_until_count("telemetry", 1)


def test_prometheus_gets_every_metric_of_the_process(service: House) -> None:
    metrics = service.get("/metrics")
    documented = (PROJECT / "docs" / "operating.md").read_text()
    names = set(re.findall(r"`(process_\w+)`", documented))
    assert len(names) == 6
    assert [name for name in sorted(names) if f"\n{name} " not in metrics] == []


def test_nothing_that_the_unit_forbids_is_ever_called(house: House, topic: str) -> None:
    house.restart(house.table(topic), "SystemCallErrorNumber=kill")
    house.wait_running()
    house.publish(some_readings(100))
    house.kafka.records.wait_until_count(topic, 100)
    for path in ("/", "/livez", "/readyz", "/status.json", "/metrics"):
        assert house.get(path)
    house.systemd.run("systemctl stop routerd")
    assert house.property("Result") == "success"


def test_a_stalled_daemon_is_started_again_and_loses_nothing(house: House, topic: str) -> None:
    house.restart(house.table(topic), "WatchdogSec=1")
    house.wait_running()
    messages = some_readings(200)
    house.publish(messages[:100])
    house.systemd.run("systemctl kill --signal=STOP routerd")
    house.publish(messages[100:])
    house.wait_property("NRestarts", "1")
    house.wait_running()
    house.kafka.records.wait_until_count(topic, 200)
    assert judge(messages, house.kafka.records.read(topic)).lost == []
    assert "Watchdog timeout" in house.systemd.run("journalctl -u routerd")


def test_a_reload_has_the_service_read_a_renewed_certificate(
    house: House, topic: str, certs: Certs
) -> None:
    """Its key is readable for a group, as docs/tls.md has it."""

    def renew() -> str:
        pair = certs.issue("localhost", folder=house.project)
        house.systemd.run(
            "install -m 0644 localhost.pem /etc/routerd/fullchain.pem\n"
            "install -m 0640 -g users localhost.key /etc/routerd/privkey.pem",
            folder=str(house.project),
        )
        return pair.serial

    renew()
    tls = 'cert = "fullchain.pem"\ncert_key = "privkey.pem"\n'
    house.restart(house.table(topic).replace("[ws]\n", f"[ws]\n{tls}"), "SupplementaryGroups=users")
    house.wait_running()
    process, serial = house.property("MainPID"), renew()
    house.systemd.run("systemctl reload routerd")
    wait_until(
        lambda: f"serial={serial}" in house.systemd.run("journalctl -u routerd"), "it is shown"
    )
    assert (house.property("MainPID"), house.property("ActiveState")) == (process, "active")


@pytest.fixture
def draining(house: House, topic: str) -> Iterator[House]:
    """A service that is being stopped, which takes it longer than the unit allows."""
    house.restart(house.table(topic), "TimeoutStopSec=2", "Restart=no")
    house.wait_running()
    house.kafka.freeze()
    try:
        house.publish(some_readings(10))
        wait_until(
            lambda: 'inflight_messages{route="telemetry"} 10' in house.get("/metrics"),
            "all are in flight",
        )
        house.systemd.run("systemctl stop --no-block routerd")
        house.wait_property("StatusText", "draining, 10 messages left unconfirmed")
        yield house
    finally:
        house.kafka.thaw()


def test_a_drain_is_given_its_time(draining: House) -> None:
    draining.wait_property("ActiveState", "inactive")
    assert draining.property("Result") == "success"


def test_a_drain_that_hangs_is_killed(draining: House) -> None:
    draining.systemd.run("systemctl kill --signal=STOP routerd")
    draining.wait_property("ActiveState", "failed")
    assert draining.property("Result") == "timeout"


def test_a_bad_table_is_in_the_journal_as_an_error_and_not_tried_again(
    service: House, topic: str
) -> None:
    with pytest.raises(RuntimeError, match="journalctl"):
        service.restart(service.table(topic) + "colour = 1\n")
    assert [service.property(name) for name in ("SubState", "ExecMainStatus")] == ["failed", "78"]
    errors = service.systemd.run("journalctl -u routerd -p err -t routerd -o cat")
    assert "unknown key `colour`" in errors
