"""The command line: run, check, demo, and what their exit codes mean."""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Literal

import click
import trio

from routerd import __version__, daemon, log
from routerd.config import report
from routerd.config.load import load_table
from routerd.config.models import Table
from routerd.errors import ConfigError, Rejected, leaves
from routerd.log_lines import LogFormat
from routerd.units import parse_duration

logger = logging.getLogger(__name__)

EXIT_CONFIG = 78
"""sysexits.h: a person must mend the table; a service manager should not try again."""
EXIT_FAILURE = 1


def _seconds(text: str) -> float:
    """A duration of the command line; click shows what is wrong with it."""
    try:
        return parse_duration(text)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from exc


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="routerd", message="%(prog)s %(version)s")
@click.option(
    "--config", "config", type=click.Path(path_type=Path, readable=False), help="The routing table."
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json", "journal"]),
    help="One event a line. Default: journal under systemd, else text.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
)
@click.pass_context
def main(
    context: click.Context,
    config: Path | None,
    log_format: LogFormat | None,
    log_level: log.LogLevel,
) -> None:
    """Route messages from MQTT and WebSocket to Kafka and WebSocket groups.

    \b
    routerd --config routes.toml    run until SIGTERM or SIGINT
    routerd check routes.toml       say what is wrong with a table, or what it promises
    routerd demo                    see it work, brokers included

    Exit codes: 0 clean stop, 78 bad configuration, 1 anything else.
    """  # noqa: D301 - click wants the backspace itself
    if context.invoked_subcommand is not None:
        if config is not None:
            raise click.UsageError("--config runs the daemon; a command takes the file itself")
        return
    if config is None:
        click.echo(context.get_help())
        context.exit(2)
    sys.exit(_run_daemon(config, log_format, log_level))


@main.command()
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def check(file: Path, form: Literal["text", "json"]) -> None:
    """Say what is wrong with the table FILE, or what each of its routes promises.

    \b
    routerd check routes.toml
    routerd check --format json routes.toml

    Opens no connection. Exit code 0, or 78 with every problem as FILE:LINE: sentence.
    """  # noqa: D301 - click wants the backspace itself
    try:
        table = load_table(file)
    except ConfigError as error:
        if form == "json":
            click.echo(report.render_problems_json(str(file), error.problems))
        else:
            click.echo(report.render_problems(str(file), error.problems), err=True)
        sys.exit(EXIT_CONFIG)
    click.echo(report.render_json(table) if form == "json" else report.render_text(table))


@main.command()
@click.option(
    "--for",
    "duration",
    metavar="TIME",
    type=_seconds,
    help="End by itself, e.g. after 10s, and say what came through.",
)
def demo(duration: float | None) -> None:
    """Run everything at once: brokers, devices, routes, and a page to look at.

    \b
    routerd demo
    routerd demo --for 10s

    Needs the extra: pip install 'routerd[demo]'.
    """  # noqa: D301 - click wants the backspace itself
    try:
        from routerd.demo.stage import run_demo  # noqa: PLC0415 - its brokers are an extra
    except ModuleNotFoundError as exc:
        raise click.ClickException(
            f"the demo needs {exc.name}, which is not installed; pip install 'routerd[demo]'"
        ) from exc
    sys.exit(run_demo(duration))


def _run_daemon(config: Path, log_format: LogFormat | None, log_level: log.LogLevel) -> int:
    try:
        table = load_table(config)
    except ConfigError as error:
        click.echo(report.render_problems(str(config), error.problems), err=True)
        return EXIT_CONFIG
    log.configure(log_format, log_level)
    for warning in table.warnings:
        logger.warning("%s", warning.shown(str(config)))
    exit_code = 0
    try:
        trio.run(_run_until_signal, table)
    except* Rejected as group:
        for refused in leaves(group):
            logger.error("cannot start error=%r", str(refused))  # noqa: TRY400 - it says it all
        exit_code = EXIT_FAILURE
    return exit_code


async def _run_until_signal(table: Table) -> None:
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(_watch_signals, stopping)
        await daemon.run(table, stopping=stopping)
        nursery.cancel_scope.cancel()


async def _watch_signals(
    stopping: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            if number == signal.SIGHUP:
                logger.info("reload comes with a later version, nothing was changed signal=SIGHUP")
            elif stopping.is_set():
                logger.warning("stopped at once by a second signal")
                logging.shutdown()
                os._exit(EXIT_FAILURE)
            else:
                logger.info("stopping signal=%s", signal.Signals(number).name)
                stopping.set()
