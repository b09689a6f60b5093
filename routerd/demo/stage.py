"""The demo from start to end: brokers up, daemon up, devices on, and a summary that counts."""

import json
import os
import shutil
import signal
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import click
import trio

from routerd import daemon, log
from routerd.config.load import load_table
from routerd.config.models import Table
from routerd.demo.devices import DEVICES, Devices
from routerd.demo.kafka import count_records, open_kafka, read_keys_and_values
from routerd.demo.mqtt import free_port, open_broker
from routerd.status import DaemonStatus

TOPICS = ["telemetry", "chat"]
WS_PORT = 8800
ADMIN_PORT = 9464


def run_demo(seconds: float | None) -> int:
    """Runs the demo until Ctrl-C, or for so many seconds.

    Returns:
        The exit code: 0 only if every reading that the broker confirmed is in Kafka.
    """
    log.configure(level="warning")
    with ExitStack() as brokers:
        kafka = brokers.enter_context(open_kafka(TOPICS))
        mqtt_port = brokers.enter_context(open_broker())
        os.environ["ROUTERD_DEMO_MQTT"] = f"mqtt://127.0.0.1:{mqtt_port}"
        os.environ["ROUTERD_DEMO_KAFKA"] = kafka
        os.environ["ROUTERD_DEMO_WS"] = f"127.0.0.1:{_port_or_free(WS_PORT)}"
        os.environ["ROUTERD_DEMO_ADMIN"] = f"127.0.0.1:{_port_or_free(ADMIN_PORT)}"
        table = load_table(_table_path())
        devices = Devices(mqtt_port)
        try:
            trio.run(_perform, table, devices, seconds, mqtt_port, kafka)
        finally:
            devices.close()
        return _summary(devices, kafka)


async def _perform(
    table: Table, devices: Devices, seconds: float | None, mqtt_port: int, kafka: str
) -> None:
    stopping = trio.Event()

    async def run(*, task_status: trio.TaskStatus[DaemonStatus]) -> None:
        await daemon.run(table, stopping=stopping, task_status=task_status)

    async with trio.open_nursery() as signals:
        signals.start_soon(_stop_on_signal, stopping, signals.cancel_scope)
        async with trio.open_nursery() as nursery:
            status: DaemonStatus = await nursery.start(run)
            _say_where_to_look(status, mqtt_port, kafka, seconds)
            await _wait_running(status)
            with trio.move_on_after(float("inf") if seconds is None else seconds):
                await _publish_until(stopping, status, devices)
            click.echo("\nstopping, and reading back from Kafka ...")
            await _wait_confirmed(devices)
            await _wait_quiet(status)
            stopping.set()
        signals.cancel_scope.cancel()


async def _publish_until(stopping: trio.Event, status: DaemonStatus, devices: Devices) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(devices.publish_forever)
        if sys.stdout.isatty():
            nursery.start_soon(_show_rates, status, devices)
        await stopping.wait()
        nursery.cancel_scope.cancel()


async def _stop_on_signal(stopping: trio.Event, scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            if stopping.is_set():
                scope.cancel()
            stopping.set()


async def _wait_running(status: DaemonStatus) -> None:
    """Lets every route subscribe: what is published before is nobody's. For at most 10 seconds."""
    with trio.move_on_after(10):
        while any(r.state != "running" for r in status.routes):  # noqa: ASYNC110 - only a fact
            await trio.sleep(0.05)


async def _wait_confirmed(devices: Devices) -> None:
    """Lets the broker confirm what was published, for at most 5 seconds."""
    with trio.move_on_after(5):
        while devices.confirmed < devices.published:  # noqa: ASYNC110 - paho's thread knows
            await trio.sleep(0.05)


async def _wait_quiet(status: DaemonStatus) -> None:
    """Lets what the broker confirmed come through, for at most 5 seconds."""
    with trio.move_on_after(5):
        received = -1
        # Nobody knows what else is under way, so silence has to do.
        while received != (received := sum(r.received for r in status.routes)):  # noqa: ASYNC110
            await trio.sleep(0.3)


async def _show_rates(status: DaemonStatus, devices: Devices) -> None:
    """One line, renewed every second, no longer than the terminal is wide."""
    telemetry = status.routes[0]
    before = 0
    while True:
        await trio.sleep(1)
        delivered = telemetry.delivered
        members = sum(status.ws_connections().values())
        line = (
            f"{delivered - before:4d} messages/s   confirmed by MQTT {devices.confirmed}"
            f"   in Kafka {delivered}   in flight {telemetry.inflight}   browsers {members}"
        )
        width = shutil.get_terminal_size().columns - 1
        click.echo(f"\r{line[:width]:{width}}", nl=False)
        before = delivered


def _say_where_to_look(
    status: DaemonStatus, mqtt_port: int, kafka: str, seconds: float | None
) -> None:
    end = "Ctrl-C stops it." if seconds is None else f"It ends after {seconds:g} s, or by Ctrl-C."
    ws, admin = status.listening["ws"], status.listening["admin"]
    click.echo(
        f"""routerd demo: {DEVICES} thermometers -> MQTT -> routerd -> Kafka and browsers

  routes and states   http://{admin}/
  metrics             http://{admin}/metrics
  one thermometer     ws://{ws}/live/thermometer-07
  all of them         ws://{ws}/live
  a chat room         ws://{ws}/chat/lobby      (open it twice)
  MQTT broker         127.0.0.1:{mqtt_port}     sensors/NAME/temperature
  Kafka               {kafka}     topics: {", ".join(TOPICS)}

{end}
"""
    )


def _summary(devices: Devices, kafka: str) -> int:
    confirmed, published = devices.confirmed, devices.published
    total = count_records(kafka, TOPICS[0])
    kept = read_keys_and_values(kafka, TOPICS[0])
    numbers = {json.loads(value)["number"] for _, value in kept}
    # The mock keeps 5 MiB a partition: after a long demo only the newest can be read back.
    distinct = len(numbers) + total - len(kept)
    lost = max(0, confirmed - distinct)
    click.echo(
        f"published {published}   confirmed by MQTT {confirmed}   read back from Kafka {distinct}"
        f"   lost {lost}   duplicates {total - distinct}"
    )
    return 0 if confirmed and not lost else 1


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
