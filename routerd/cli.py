"""The command line: run, check, demo, and what their exit codes mean."""

import io
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal

import click
import trio
from click.core import ParameterSource

from routerd import __version__, daemon, log, usage
from routerd.config import report
from routerd.config.load import load_table
from routerd.config.models import Table
from routerd.errors import ConfigError, Rejected, leaves
from routerd.log import STDERR
from routerd.log_lines import LogFormat
from routerd.reload import Reloads
from routerd.terminal import columns_of, paint_for
from routerd.units import parse_duration

logger = logging.getLogger(__name__)

EXIT_CONFIG = 78
"""sysexits.h: a person must mend the table; a service manager should not try again."""
EXIT_FAILURE = 1

STDOUT = 1


def _seconds(text: str) -> float:
    """A duration of the command line; click shows what is wrong with it."""
    try:
        return parse_duration(text)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from exc


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=usage.OF_THE_PROGRAM,
)
@click.version_option(__version__, prog_name="routerd", message="%(prog)s %(version)s")
@click.option(
    "--config",
    "config",
    metavar="FILE",
    type=click.Path(path_type=Path, readable=False),
    help="Run this routing table.",
)
@click.option(
    "--log-format",
    metavar="FORMAT",
    type=click.Choice(["text", "json", "journal"]),
    help="text, json or journal, one event a line. Default: journal under systemd, else text.",
)
@click.option(
    "--log-level",
    metavar="LEVEL",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="The least that is logged: debug, info, warning or error.",
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
    routerd demo                    see it work: nothing else is needed
    routerd check routes.toml       what is wrong with a table, or what it does
    routerd --config routes.toml    run it; the log goes to stderr

    `routerd check --help` has a table to begin with. SIGTERM or Ctrl-C stops: what is in flight
    is delivered first. A second one stops at once.
    """  # noqa: D301 - click wants the backspace itself
    if context.invoked_subcommand is not None:
        _refuse_options_of_the_daemon(context)
        return
    if config is None:
        click.echo(context.get_help())
        context.exit(2)
    sys.exit(_run_daemon(config, log_format, log_level))


@main.command(
    short_help="Say what is wrong with a table, or what each route promises.",
    epilog=usage.OF_CHECK,
)
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@click.option(
    "--format",
    "form",
    metavar="FORMAT",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="text, or json for programs.",
)
def check(file: Path, form: Literal["text", "json"]) -> None:
    """Say what is wrong with the table FILE, or what each of its routes promises.

    \b
    routerd check routes.toml
    routerd check --format json routes.toml

    Opens no connection.
    """  # noqa: D301 - click wants the backspace itself
    try:
        table = load_table(file)
    except ConfigError as error:
        _say_problems(file, error, as_json=form == "json")
        sys.exit(EXIT_CONFIG)
    if form == "json":
        _print(report.render_json(table))
    else:
        columns, paint = columns_of(STDOUT), paint_for(STDOUT)
        _print(report.render_text(str(file), table, columns=columns, paint=paint))


@main.command(short_help="Run everything at once: brokers, devices, routes, and a page.")
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
    routerd demo                   until Ctrl-C; it prints where to look
    routerd demo --for 10s         ends by itself

    Needs the extra: pip install 'routerd[demo]'. Exit code 0 if messages went all the way, else 1.
    """  # noqa: D301 - click wants the backspace itself
    try:
        from routerd.demo.stage import run_demo  # noqa: PLC0415 - its brokers are an extra
    except ModuleNotFoundError as exc:
        raise click.ClickException(
            f"the demo needs {exc.name}, which is not installed; pip install 'routerd[demo]'"
        ) from exc
    sys.exit(run_demo(duration))


def _refuse_options_of_the_daemon(context: click.Context) -> None:
    for name in ("config", "log_format", "log_level"):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = "--" + name.replace("_", "-")
            raise click.UsageError(
                f"{option} is for running the daemon, and {context.invoked_subcommand} doesn't; "
                "leave it out"
            )


def _say_problems(
    file: Path, error: ConfigError, *, as_json: bool = False, in_journal: bool = False
) -> None:
    if as_json:
        _print(report.render_problems_json(str(file), error.problems))
        return
    text = report.render_problems(str(file), error.problems, paint=paint_for(STDERR))
    if in_journal:  # each line with the level of an error, lest `journalctl -p err` hide it
        text = "\n".join(f"<3>{line}" for line in text.splitlines())
    _print(text, to_stderr=True)
    if os.isatty(STDERR):  # scripts get the problems alone
        count = len(error.problems)
        _print(f"{count} problem{'s' * (count > 1)} to mend", to_stderr=True)


def _print(text: str, *, to_stderr: bool = False) -> None:
    """Prints text whose colours were decided on; nothing of it is too strange for the stream."""
    stream = sys.stderr if to_stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    try:
        click.echo(text, err=to_stderr, color=True)
    except BrokenPipeError:  # the reader has seen enough, as `head` does; click ends quietly
        raise
    except OSError as exc:
        name, fd = ("stderr", STDERR) if to_stderr else ("stdout", STDOUT)
        os.dup2(os.open(os.devnull, os.O_WRONLY), fd)  # lest the exit try it once more
        raise click.ClickException(f"can't write to {name}: {exc.strerror}") from exc


def _run_daemon(config: Path, log_format: LogFormat | None, log_level: log.LogLevel) -> int:
    try:
        table = load_table(config)
    except ConfigError as error:
        is_journal = (log_format or log.default_format()) == "journal"
        # A stderr that takes nothing must not turn the exit code into one that is tried again.
        with suppress(OSError, click.ClickException):
            _say_problems(config, error, in_journal=is_journal)
        return EXIT_CONFIG
    log.configure(log_format, log_level)
    for warning in table.warnings:
        logger.warning(
            "table warning file=%s line=%d warning=%r", config, warning.line, warning.sentence
        )
    exit_code = 0
    try:
        trio.run(_run_until_signal, table)
    except* Rejected as group:
        for refused in leaves(group):
            logger.error("cannot start error=%r", str(refused))  # noqa: TRY400 - it says it all
        exit_code = EXIT_FAILURE
    return exit_code


async def _run_until_signal(table: Table) -> None:
    stopping, reloads = trio.Event(), Reloads()
    async with trio.open_nursery() as nursery:
        await nursery.start(_watch_signals, stopping, reloads)
        await daemon.run(table, stopping=stopping, reloads=reloads)
        nursery.cancel_scope.cancel()


async def _watch_signals(
    stopping: trio.Event,
    reloads: Reloads,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            if number == signal.SIGHUP:
                reloads.ask()
            elif stopping.is_set():
                logger.warning("stopped at once by a second signal")
                logging.shutdown()
                os._exit(EXIT_FAILURE)
            else:
                logger.info("stopping signal=%s", signal.Signals(number).name)
                stopping.set()
