"""The demo from start to end: brokers up, daemon up, buses on, and a summary that counts."""

import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import click
import trio

from routerd import daemon, log
from routerd.admin import open_http
from routerd.config.load import load_table
from routerd.config.models import Table
from routerd.demo.app import Show, build_app
from routerd.demo.kafka import TOPICS, Kafka, open_kafka
from routerd.demo.ledger import Ledger
from routerd.demo.mqtt import free_port, open_broker
from routerd.demo.scene import Scene
from routerd.status import DaemonStatus

PAGE_PORT: Final = 8801
WS_PORT: Final = 8800
ADMIN_PORT: Final = 9464

_SUBSCRIBE_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 3.0
_LAST_SECONDS: Final = 10.0


def run_demo(seconds: float | None) -> int:
    """Runs the demo until Ctrl-C, or for so many seconds.

    Returns:
        The exit code: 0 only if every reading that the broker confirmed is in Kafka.
    """
    log.configure(level="warning")
    with ExitStack() as brokers:
        kafka = brokers.enter_context(open_kafka())
        broker_port = brokers.enter_context(open_broker())
        ledger = trio.run(_perform, kafka, broker_port, seconds)
    return _summary(ledger)


async def _perform(kafka: Kafka, broker_port: int, seconds: float | None) -> Ledger:
    scene = Scene(kafka, broker_port)
    page_port = _port_or_free(PAGE_PORT)
    hosts = [f"127.0.0.1:{page_port}", f"localhost:{page_port}"]
    websocket = f"127.0.0.1:{_port_or_free(WS_PORT)}"
    table = _load_table(scene, hosts, websocket)
    app = build_app(Show(hosts, websocket, scene.facts, scene.act))
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_stop_on_signal, stopping, nursery.cancel_scope)
        await nursery.start(scene.run)
        async with open_http(app, host="127.0.0.1", port=page_port) as page:
            async with _run_daemon(table, scene):
                _say_where_to_look(scene, page, seconds)
                with trio.move_on_after(float("inf") if seconds is None else seconds):
                    await _drive_until(stopping, scene)
                stopping.set()
                click.echo("\nstopping; what is under way comes through first ...")
                scene.end()
                await _wait_settled(scene, _SETTLE_SECONDS)
            if not scene.is_settled:
                # A route may still wait for its next try, for up to a minute. A new routerd comes
                # at once, and is given all that the broker has kept.
                async with _run_daemon(table, scene):
                    await _wait_settled(scene, _LAST_SECONDS)
        nursery.cancel_scope.cancel()
    return scene.ledger


def _load_table(scene: Scene, page_hosts: Sequence[str], websocket: str) -> Table:
    """The demo's table, with the addresses of its brokers, its listeners and its page."""
    os.environ["ROUTERD_DEMO_MQTT"] = f"mqtt://127.0.0.1:{scene.to_routerd.port}"
    os.environ["ROUTERD_DEMO_KAFKA"] = scene.kafka.bootstrap
    os.environ["ROUTERD_DEMO_WS"] = websocket
    for number, host in enumerate(page_hosts, 1):
        os.environ[f"ROUTERD_DEMO_PAGE_{number}"] = f"http://{host}"
    os.environ["ROUTERD_DEMO_ADMIN"] = f"127.0.0.1:{_port_or_free(ADMIN_PORT)}"
    return load_table(_table_path())


@asynccontextmanager
async def _run_daemon(table: Table, scene: Scene) -> AsyncGenerator[None]:
    """Runs routerd as `routerd --config` would, and drains it at the end.

    Its routes are running, if they come to that within seconds: what the buses publish before
    anybody has subscribed is nobody's.
    """
    stopping = trio.Event()

    async def run(*, task_status: trio.TaskStatus[DaemonStatus]) -> None:
        await daemon.run(table, stopping=stopping, task_status=task_status)

    async with trio.open_nursery() as nursery:
        scene.status = await nursery.start(run)
        with trio.move_on_after(_SUBSCRIBE_SECONDS):
            while not scene.is_running:  # noqa: ASYNC110 - only a fact
                await trio.sleep(0.05)
        yield
        stopping.set()


async def _drive_until(stopping: trio.Event, scene: Scene) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.devices.drive)
        if sys.stdout.isatty():
            nursery.start_soon(_show_rates, scene)
        await stopping.wait()
        nursery.cancel_scope.cancel()


async def _stop_on_signal(stopping: trio.Event, scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            if stopping.is_set():
                scope.cancel()
            stopping.set()


async def _wait_settled(scene: Scene, seconds: float) -> None:
    """Lets what was published be confirmed and come through, for at most so many seconds."""
    with trio.move_on_after(seconds):
        while not scene.is_settled:  # noqa: ASYNC110 - three programs take part in it
            await trio.sleep(0.05)


async def _show_rates(scene: Scene) -> None:
    """One line, renewed every second, no longer than the terminal is wide."""
    ledger, before = scene.ledger, 0
    while True:
        await trio.sleep(1)
        arrived = ledger.in_kafka
        line = (
            f"{arrived - before:4d}/s   published {ledger.published}   confirmed by MQTT"
            f" {ledger.confirmed}   in Kafka {arrived}   lost {ledger.lost}"
        )
        width = shutil.get_terminal_size().columns - 1
        click.echo(f"\r{line[:width]:{width}}", nl=False)
        before = arrived


def _say_where_to_look(scene: Scene, page: str, seconds: float | None) -> None:
    elsewhere, port = "", page.rpartition(":")[2]
    if port != str(PAGE_PORT):
        elsewhere = f"\n  port {PAGE_PORT} is taken, perhaps by another demo; this one is on {port}"
    end = "Ctrl-C stops it." if seconds is None else f"It ends after {seconds:g} s, or by Ctrl-C."
    listening = scene.status.listening
    ws, admin, buses = listening["ws"], listening["admin"], len(scene.ledger.accounts)
    click.echo(
        f"""routerd demo: {buses} buses -> MQTT -> routerd -> Kafka and browsers

  open http://{page}/ in two windows{elsewhere}

  routes and states   http://{admin}/
  metrics             http://{admin}/metrics
  one bus             ws://{ws}/live/bus-07
  all of them         ws://{ws}/live
  a chat room         ws://{ws}/chat/lobby
  MQTT broker         127.0.0.1:{scene.to_devices.port}     city/LINE/BUS/position
  Kafka               {scene.kafka.bootstrap}     topics: {", ".join(TOPICS)}

{end}
"""
    )


def _summary(ledger: Ledger) -> int:
    click.echo(
        f"published {ledger.published}   confirmed by MQTT {ledger.confirmed}"
        f"   in Kafka {ledger.in_kafka}   lost {ledger.lost}   duplicates {ledger.duplicates}"
    )
    if ledger.under_way:
        click.echo(
            f"{ledger.under_way} more were confirmed and still under way when the demo ended, "
            "and its broker's queue with it"
        )
    return 0 if ledger.confirmed and not ledger.lost and not ledger.under_way else 1


def _port_or_free(port: int) -> int:
    """The port that the README names, or a free one if somebody has it."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            return port
    except OSError:
        return free_port()


def _table_path() -> Path:
    """`etc/demo.toml`: in a wheel it lies beside this file."""
    packed = Path(__file__).with_name("demo.toml")
    return packed if packed.exists() else Path(__file__).parents[2] / "etc" / "demo.toml"
