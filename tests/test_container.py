"""The container image: really built, really run, as it is deployed. See `tests/rig/image.py`."""

import http.client
import itertools
import re
import shlex
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
import trio_websocket
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from routerd import __version__
from routerd.config.models import AdminSettings, DaemonSettings
from tests.rig.container import TABLE_IN_IMAGE, Container
from tests.rig.embedded_mqtt import EmbeddedMqtt
from tests.rig.image import Image
from tests.rig.mockkafka import MockKafka
from tests.rig.mqttpub import Publisher
from tests.rig.ports import free_port
from tests.rig.waiting import wait_until

PROJECT = Path(__file__).parent.parent
LARGEST = 180_000_000
"""Bytes. 16 MB of them are `cryptography`, which checks the signatures of tokens."""
PYTHON_SLIM = 130_000_000
"""Bytes of `python:3.13-slim`, generously; that image itself can't be fetched by a test."""
ROOMS = """
[ws]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:ADMIN"
[[route]]
name = "chat"
from = "ws:/chat/{room}"
to = "group:/chat/{room}"
"""
DEVICES = """
[mqtt]
url = "URL"
client_id = "container"
[kafka]
bootstrap_servers = "BOOTSTRAP"
[[route]]
name = "telemetry"
from = "mqtt:sensors/{device}"
to = ["kafka:telemetry", "group:/live/{device}"]
key = "{device}"
"""
CERTIFICATES = """
import ssl
from confluent_kafka import Producer
print("python trusts", len(ssl.create_default_context().get_ca_certs()))
Producer({"security.protocol": "ssl", "debug": "security"})
"""
PIN = re.compile(r"^[a-z0-9-]+==[^\\\n]+", re.MULTILINE)
VERSION = re.compile(r"^[a-z0-9-]+==[\w.]+", re.MULTILINE)
Run = Callable[..., Container]


@pytest.fixture(scope="module")
def image(debian_program: Callable[[str], str]) -> Iterator[Image]:
    for name in ("buildah", "crun", "debootstrap"):
        debian_program(name)
    with Image() as built:
        yield built


@pytest.fixture
def run(image: Image) -> Iterator[Run]:
    """Runs containers of ROOMS, with an admin port of their own that the health check knows.

    Takes more of a table, and the arguments of `Container`.
    """
    running: list[Container] = []

    def start(table: str = "", **options: object) -> Container:
        port = str(free_port())
        options.setdefault("env", {"ROUTERD_ADMIN_PORT": port})
        text = ROOMS.replace("ADMIN", port) + table
        running.append(Container(image, text, **options))  # type: ignore[arg-type]
        running[-1].start()
        return running[-1]

    yield start
    for container in running:
        container.close(shows_log=True)


def healthy(container: Container, image: Image) -> bool:
    kind, *command = image.config["Healthcheck"]["Test"]
    assert kind == "CMD"  # exec form
    return container.execute(*command).returncode == 0


def status_of(container: Container) -> dict[str, str]:
    """What the kernel says of its first process."""
    lines = Path(f"/proc/{container.pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines)


# --- what is in it


def test_it_is_small(image: Image) -> None:
    assert image.size <= LARGEST
    assert image.size - image.base_size <= LARGEST - PYTHON_SLIM


def test_it_says_how_it_is_run(image: Image) -> None:
    config = image.config
    assert config["Entrypoint"] == ["routerd"]
    assert config["Cmd"] == ["--config", TABLE_IN_IMAGE]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", config["User"])
    assert config["StopSignal"] == "SIGTERM"
    assert set(config["ExposedPorts"]) == {"8800/tcp", "9464/tcp"}
    assert config["Labels"]["org.opencontainers.image.title"] == "routerd"
    assert config["Healthcheck"]["Timeout"] < config["Healthcheck"]["Interval"]
    assert f"ROUTERD_ADMIN_PORT={AdminSettings().port}" in config["Env"]


def test_it_holds_what_the_lock_file_names_and_routerd(image: Image) -> None:
    pins = map(Requirement, PIN.findall((PROJECT / "requirements.lock").read_text()))
    wanted = {
        pin.name: str(pin.specifier) for pin in pins if not pin.marker or pin.marker.evaluate()
    }
    (packages,) = image.root.glob("opt/routerd/lib/python3*/site-packages")
    found = [path.stem.partition("-")[::2] for path in packages.glob("*.dist-info")]
    assert {canonicalize_name(name): f"=={version}" for name, version in found} == {
        **wanted,
        "routerd": f"=={__version__}",
    }


def test_it_holds_nothing_of_the_project_but_the_package(image: Image) -> None:
    assert [path.name for path in (image.root / "opt").iterdir()] == ["routerd"]
    inside = {path.name for path in (image.root / "opt" / "routerd").rglob("*")}
    assert {"cli.py", "demo.toml"} <= inside
    assert not inside & {"pip", "hatchling", "conftest.py", ".git", "pyproject.toml", "Dockerfile"}
    assert not (image.root / "src").exists()


def test_all_of_it_is_roots_and_nobody_else_may_write_to_it(image: Image) -> None:
    for path in (image.root / "opt").rglob("*"):
        found = path.lstat()
        assert (found.st_uid, found.st_gid) == (0, 0), path
        assert stat.S_ISLNK(found.st_mode) or not found.st_mode & 0o6022, path


def test_the_lock_file_names_the_versions_that_the_tests_run_with() -> None:
    pins, tests_pins = (
        set(VERSION.findall((PROJECT / name).read_text()))
        for name in ("requirements.lock", "tests/requirements.lock")
    )
    assert pins < tests_pins, "run `tests/run --relock`"


def test_the_build_is_sent_what_it_copies_and_nothing_else() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (PROJECT / "Dockerfile").read_text(), re.M)
    first, *lines = re.findall(r"^[^#\n].*$", (PROJECT / ".dockerignore").read_text(), re.M)
    sent = [line.removeprefix("!") for line in lines if line.startswith("!")]
    assert first == "*"
    assert sorted(sent) == sorted(" ".join(copied).split())


def test_the_readme_runs_it_where_and_as_it_is_meant_to_be_run() -> None:
    text = (PROJECT / "README.md").read_text()
    [block] = re.findall(r"^```sh\n(docker build .*?)^```$", text, re.DOTALL | re.MULTILINE)
    build, run = (shlex.split(line) for line in block.replace("\\\n", "").splitlines())
    options = dict(itertools.pairwise(run))
    assert build == ["docker", "build", "-t", run[-1], "."]
    assert options["--volume"] == f"$PWD/routes.toml:{TABLE_IN_IMAGE}:ro"
    assert int(options["--stop-timeout"]) > DaemonSettings().drain_timeout
    assert {"--read-only", "--cap-drop", "--security-opt"} < set(run)


# --- that it runs


def test_it_runs_as_pid_1_without_root_or_privilege_and_its_disk_is_read_only(run: Run) -> None:
    container = run()
    status = status_of(container)
    assert status["NSpid"].split()[-1] == "1"
    assert set(status["Uid"].split()) == {"65532"}
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}
    for folder in ("/", "/tmp", "/var/tmp", "/opt/routerd"):  # noqa: S108 - it may not write there
        assert "Read-only" in container.execute("touch", f"{folder}/file").stderr


async def test_a_message_goes_all_the_way_and_sigterm_ends_it_cleanly(
    run: Run, embedded_mqtt: EmbeddedMqtt, mockkafka: MockKafka
) -> None:
    def prepare() -> Container:
        mockkafka.create_topic("telemetry")
        table = DEVICES.replace("URL", embedded_mqtt.url)
        container = run(table.replace("BOOTSTRAP", mockkafka.bootstrap))
        container.wait_logged("connected")
        return container

    def publish() -> None:
        with Publisher(embedded_mqtt.port_311) as publisher:
            assert publisher.publish([("sensors/7", b"21.5")]) == [0]

    def settle() -> None:
        mockkafka.records.wait_until_count("telemetry", 1)
        [record] = mockkafka.records.read("telemetry")
        assert (record.key, record.value) == (b"7", b"21.5")
        assert container.stop() == 0

    container = await trio.to_thread.run_sync(prepare)
    address = f"ws://127.0.0.1:{container.port('ws')}/live/7"
    async with trio_websocket.open_websocket_url(address) as browser:
        await trio.to_thread.run_sync(publish)
        assert await browser.get_message() == "21.5"
    await trio.to_thread.run_sync(settle)


def test_sigterm_waits_for_what_kafka_has_not_confirmed(
    run: Run, embedded_mqtt: EmbeddedMqtt, mockkafka: MockKafka
) -> None:
    mockkafka.create_topic("telemetry")
    table = DEVICES.replace("URL", embedded_mqtt.url)
    container = run(table.replace("BOOTSTRAP", mockkafka.bootstrap))
    container.wait_logged("connected")
    mockkafka.freeze()
    with Publisher(embedded_mqtt.port_311) as publisher:
        publisher.publish([("sensors/7", b"last")])
    wait_until(lambda: inflight(container) == 1, "the message is in flight")
    container.signal("TERM")
    container.wait_logged("inflight=1")
    mockkafka.thaw()
    assert container.wait() == 0
    mockkafka.records.wait_until_count("telemetry", 1)


def inflight(container: Container) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", container.port("admin"), timeout=5)
    connection.request("GET", "/metrics")
    metrics = connection.getresponse().read().decode()
    connection.close()
    found = re.search(r'^routerd_inflight_messages{route="telemetry"} (\d+)', metrics, re.M)
    return int(found[1]) if found else 0


def test_a_foreign_user_without_name_home_or_environment_may_run_it(run: Run) -> None:
    container = run(user=(4321, 8765), env={}, env_only=True)
    assert set(status_of(container)["Uid"].split()) == {"4321"}
    assert container.stop() == 0


def test_the_health_check_says_if_the_loop_runs(image: Image, run: Run) -> None:
    container = run()
    assert healthy(container, image)
    container.signal("STOP")
    assert not healthy(container, image)
    container.signal("CONT")
    assert healthy(container, image)


def test_the_health_check_fails_where_nobody_listens(image: Image, run: Run) -> None:
    assert not healthy(run(env={"ROUTERD_ADMIN_PORT": str(free_port())}), image)


def test_a_bad_table_ends_it_with_78_and_says_why(image: Image) -> None:
    container = Container(image, "[nonsense]\n")
    try:
        container.launch()
        assert container.wait() == 78
        assert f"{TABLE_IN_IMAGE}:1: " in container.log
    finally:
        container.close()


def test_it_checks_a_table_like_any_other_command(image: Image) -> None:
    container = Container(image, ROOMS.replace("ADMIN", "0"), arguments=["check", TABLE_IN_IMAGE])
    try:
        container.launch()
        assert container.wait() == 0
    finally:
        container.close()


def test_python_and_librdkafka_find_the_certificates_of_public_authorities(run: Run) -> None:
    answer = run().execute("python3", "-c", CERTIFICATES)
    found = re.search(r"python trusts (\d+)", answer.stdout)
    assert found is not None
    assert int(found[1]) > 100
    assert '"/etc/ssl/certs/ca-certificates.crt"' in answer.stderr
