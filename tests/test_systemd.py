"""What routerd tells its service manager, and when."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from routerd import systemd
from routerd.status import DaemonStatus, RouteStatus, Standing
from routerd.systemd import Notifier, Service, open_notifier
from tests.proofs.history import some_readings
from tests.proofs.tables import head, telemetry
from tests.proofs.watching import wait_running
from tests.rig.daemon import Routerd
from tests.rig.embedded_mqtt import EmbeddedMqtt
from tests.rig.mqttpub import Publisher
from tests.rig.service_manager import ServiceManager
from tests.rig.waiting import wait_until

StartRouterd = Callable[..., Routerd]
NOWHERE = "127.0.0.1:1"
WEBSOCKET = """
[ws]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[[route]]
name = "chat"
from = "ws:/chat/{room}"
to = "group:/chat/{room}"
"""


@pytest.fixture
def manager() -> Iterator[ServiceManager]:
    with ServiceManager(watchdog_seconds=60) as listening:
        yield listening


def a_service(manager: ServiceManager, *routes: RouteStatus) -> Service:
    return Service(open_notifier(dict(manager.env)), DaemonStatus("1.2.3", routes=[*routes]))


def a_route(name: str) -> RouteStatus:
    route = RouteStatus(name, "mqtt:a", [])
    route.enter("running")
    return route


# --- the socket


def test_the_environment_is_taken_so_that_no_child_inherits_it() -> None:
    environ = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    notifier = open_notifier(environ)
    assert environ == {}
    assert notifier.pat_every == 30 / systemd._PATS_PER_TIMEOUT  # noqa: SLF001 - twice the need


@pytest.mark.parametrize(
    ("microseconds", "pid"), [("", ""), ("0", ""), ("x", ""), ("-1", ""), ("30000000", "1")]
)
def test_without_a_watchdog_of_ours_none_is_patted(microseconds: str, pid: str) -> None:
    found = open_notifier({"WATCHDOG_USEC": microseconds, "WATCHDOG_PID": pid})
    assert found.pat_every is None


@pytest.mark.parametrize("address", [None, "", "relative", "vsock:2:1"])
def test_without_a_socket_nothing_is_sent_and_nothing_said(
    address: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    open_notifier({} if address is None else {"NOTIFY_SOCKET": address}).send("READY=1")
    assert caplog.records == []


def test_an_abstract_socket_is_reached() -> None:
    name = f"routerd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        Notifier(f"@{name}").send("READY=1", "STATUS=x")
        assert listening.recv(100) == b"READY=1\nSTATUS=x"


def test_a_socket_that_is_gone_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier(str(tmp_path / "gone"))
    notifier.send("READY=1")
    notifier.send("WATCHDOG=1")
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_full_socket_is_not_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        notifier = Notifier(str(tmp_path / "deaf"))
        for _ in range(10_000):
            notifier.send("WATCHDOG=1")
    assert len(caplog.records) == 1


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[socket.socket]:
    """A service manager whose queue is full, at `busy`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "busy"))
        listening.setblocking(False)
        notifier = Notifier(str(tmp_path / "busy"))
        while notifier.send("X=1"):
            pass
        yield listening


def heard(listening: socket.socket) -> bytes:
    """All that waits in the queue."""
    found = b""
    with suppress(BlockingIOError):
        while True:
            found += listening.recv(1000) + b"\n"
    return found


async def test_that_it_is_ready_is_said_again_until_it_is_heard(
    busy: socket.socket, tmp_path: Path
) -> None:
    service = Service(Notifier(str(tmp_path / "busy")), DaemonStatus("1.2.3"))
    service.ready()
    service.beat()
    assert b"READY=1" not in heard(busy)
    service.beat()
    service.beat()
    assert heard(busy).count(b"READY=1") == 1


async def test_a_status_that_was_not_heard_is_said_again(
    busy: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "_LOOK_EVERY", 0)
    notifier = Notifier(str(tmp_path / "busy"))
    route = a_route("a")
    heard(busy)
    service = Service(notifier, DaemonStatus("1.2.3", routes=[route]))
    service.ready()
    while notifier.send("X=1"):
        pass
    route.enter("backoff", reason="it is away")
    service.beat()
    assert b"it is away" not in heard(busy)
    service.beat()
    service.beat()
    assert heard(busy).count(b"it is away") == 1


# --- what is said


async def test_ready_says_how_many_routes_run(manager: ServiceManager) -> None:
    a_service(manager, a_route("a"), a_route("b")).ready()
    assert manager.listen() == ["READY=1", "STATUS=2 of 2 routes run"]


async def test_the_status_names_what_is_worst_and_is_sent_when_it_changes(
    manager: ServiceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "_LOOK_EVERY", 0)
    waits, stands = a_route("waits"), a_route("stands")
    service = a_service(manager, a_route("well"), waits, stands)
    service.ready()
    service.beat()
    service.beat()
    assert manager.count("STATUS=") == 1
    waits.enter("backoff", reason="can't reach\nbroker:1883")
    service.beat()
    assert manager.status == "2 of 3 routes run; waits: backoff, can't reach broker:1883"
    stands.standing = Standing("sensors/7", 12, "the topic is missing", 0.0)
    service.beat()
    assert manager.status == "1 of 3 routes run; stands: failed, the topic is missing"


async def test_a_long_reason_is_cut(manager: ServiceManager) -> None:
    route = a_route("a")
    route.enter("backoff", reason="x" * 1000)
    a_service(manager, route).ready()
    assert len(manager.status) == 200


async def test_the_watchdog_is_patted_often_enough_and_not_at_every_beat(
    manager: ServiceManager, autojump_clock: MockClock
) -> None:
    service = a_service(manager)
    for _ in range(600):  # two minutes, the watchdog barks after one
        service.beat()
        manager.listen()
        await trio.sleep(0.2)
    assert 8 <= manager.count("WATCHDOG=1") <= 10


async def test_a_drain_asks_for_time_until_its_deadline_and_no_longer(
    manager: ServiceManager, autojump_clock: MockClock
) -> None:
    route = a_route("a")
    route.inflight = 7
    service = a_service(manager, route)
    service.stopping(drain_seconds=20)
    assert manager.listen() == [
        "STOPPING=1",
        "STATUS=draining, 7 messages left unconfirmed",
        "EXTEND_TIMEOUT_USEC=5000000",
    ]
    for _ in range(100):
        await trio.sleep(1)
        service.beat()
        manager.listen()  # a socket holds ten datagrams or so
    assert 20 <= manager.count("EXTEND_TIMEOUT_USEC=") <= 27


# --- the daemon itself


@pytest.mark.slow
def test_a_service_is_ready_when_its_listeners_are_bound_and_says_when_it_stops(
    manager: ServiceManager, start_routerd: StartRouterd
) -> None:
    routerd = start_routerd(WEBSOCKET, env=manager.env)
    manager.wait_for("READY=1")
    wait_until(lambda: manager.status == "1 of 1 routes run", "the status follows")
    host, port = routerd.ws_address
    with socket.create_connection((host, port)):
        pass
    manager.wait_for("WATCHDOG=1")
    assert routerd.stop() == 0
    assert manager.count("STOPPING=1") == 1
    assert manager.status.startswith("draining")


@pytest.mark.slow
def test_a_bad_table_is_never_ready(manager: ServiceManager, start_routerd: StartRouterd) -> None:
    routerd = Routerd("[[route]]", env=manager.env)
    try:
        routerd.launch()
        assert routerd.wait() == 78
        assert manager.count("READY=1") == 0
    finally:
        routerd.close()


@pytest.mark.slow
def test_a_port_that_is_taken_is_never_ready(manager: ServiceManager) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        table = WEBSOCKET.replace("127.0.0.1:0", f"127.0.0.1:{port}", 1)
        routerd = Routerd(table, env=manager.env)
        try:
            routerd.launch()
            assert routerd.wait() == 1
            assert manager.count("READY=1") == 0
        finally:
            routerd.close()


async def test_after_the_drains_deadline_nothing_is_claimed_of_what_was_left(
    manager: ServiceManager, autojump_clock: MockClock
) -> None:
    service = a_service(manager, a_route("a"))
    service.ready()
    service.stopping(drain_seconds=3)
    await trio.sleep(4)
    service.beat()
    assert manager.status == "ending; what was left unconfirmed is in the log"


@pytest.mark.slow
def test_a_watchdog_of_half_a_second_is_patted_in_time(start_routerd: StartRouterd) -> None:
    with ServiceManager(watchdog_seconds=0.5) as manager:
        start_routerd(WEBSOCKET, env=manager.env)
        manager.wait_for("WATCHDOG=1", count=10)


@pytest.mark.slow
def test_a_long_drain_asks_for_time(
    manager: ServiceManager, embedded_mqtt: EmbeddedMqtt, start_routerd: StartRouterd
) -> None:
    table = head(embedded_mqtt.url, NOWHERE) + telemetry('"kafka:telemetry"')
    routerd = start_routerd(table, env=manager.env)
    wait_running(routerd)
    with Publisher(embedded_mqtt.port_311) as publisher:
        assert len(publisher.publish(some_readings(10))) == 10
    wait_until(lambda: routerd.metric("routerd_inflight_messages") == 10, "all are in flight")
    routerd.signal(signal.SIGTERM)
    manager.wait_for("EXTEND_TIMEOUT_USEC=", count=3)
    assert "messages left unconfirmed" in manager.status
    routerd.signal(signal.SIGTERM)
    assert routerd.wait() == 1
