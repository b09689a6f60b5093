"""docs/operating.md against the code: states, metrics, reasons, log lines, paths, exit codes."""

import ast
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import trio
from prometheus_client import Metric
from starlette.routing import Route

import routerd
from routerd import cli
from routerd.admin.app import build_app
from routerd.admin.history import History
from routerd.connectors.websocket.reasons import Ending, Refusal
from routerd.errors import DropReason
from routerd.log_lines import renderer
from routerd.metrics import open_registry
from routerd.receipt import SinkCounts
from routerd.status import (
    ConnectionStatus,
    DaemonStatus,
    ListenerStatus,
    RouteState,
    RouteStatus,
    SinkStatus,
)
from tests.docs_pages import ROOT, read, spans, table, tables

PAGE = read("operating.md")
PACKAGE = Path(routerd.__file__).parent
SAYS = {
    "info": ("info",),
    "warning": ("warning",),
    "error": ("error",),
    "exception": ("error",),
    "critical": ("critical",),
    "log": ("warning", "error"),
    "_say": ("warning",),
}
"""Method of a logger, or one that stands for it -> the levels of its lines."""
ALERTS = ROOT / "etc" / "prometheus" / "alerts.yml"


def first(column: str, *, beside: str) -> list[str]:
    """The code in the first cells of the table that begins with these two columns."""
    return [span for cell in table(PAGE, column, beside).column(column) for span in spans(cell)]


# --- states and metrics


def test_the_page_has_every_state() -> None:
    assert first("state", beside="means") == list(get_args(RouteState))


def test_the_page_has_every_reason() -> None:
    assert first("reason", beside="dropped because") == list(get_args(DropReason))


async def test_the_page_has_every_metric_with_its_labels() -> None:
    await trio.lowlevel.checkpoint()
    families = [one for one in open_registry(busy_status()).collect() if _is_ours(one)]

    rows = table(PAGE, "metric", "labels").rows

    written = {row["metric"].strip("`"): set(spans(row["labels"])) for row in rows}
    assert written == {_exposed(one): labels_of(one) for one in families}


async def test_the_page_has_every_metric_of_the_process() -> None:
    await trio.lowlevel.checkpoint()
    families = [one for one in open_registry(busy_status()).collect() if not _is_ours(one)]

    assert {span for span in spans(PAGE) if span.startswith("process_")} == set(
        map(_exposed, families)
    )


def busy_status() -> DaemonStatus:
    """A status with one of everything, so that every metric has a sample."""
    sink = SinkStatus("group:/a", required=False, counts=SinkCounts(missed={"oldest": 1}))
    route = RouteStatus("r", "mqtt:a", [sink], mqtt_connected=True)
    return DaemonStatus(
        "1",
        [route],
        connections=[ConnectionStatus("mqtt", "a")],
        listeners=[busy_listener()],
    )


def busy_listener() -> ListenerStatus:
    listener = ListenerStatus(
        "ws", count_members=lambda: {"group:/a": 1}, count_queued=lambda: {"/a": 1}
    )
    listener.know("/a")
    listener.certificate_ends = 0.0
    listener.closed["/a", Ending.SLOW.word] = listener.refused["", Refusal.NOT_FOUND.word] = 1
    return listener


def labels_of(family: Metric) -> set[str]:
    assert family.samples, family
    return {label for sample in family.samples for label in sample.labels}


def _is_ours(family: Metric) -> bool:
    return str(family.name).startswith("routerd_")


def _exposed(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else str(family.name)


def test_the_page_has_every_alert() -> None:
    rules = ALERTS.read_text("utf-8").splitlines() if ALERTS.exists() else []
    names = [line.partition("alert:")[2].strip() for line in rules if "alert:" in line]

    shown = [one for one in tables(PAGE) if one.columns[0] == "alert"]

    assert [span for one in shown for cell in one.column("alert") for span in spans(cell)] == names


# --- the log


def test_the_page_has_every_line_of_the_log_and_its_level() -> None:
    rows = table(PAGE, "line begins with", "level").rows
    written = {row["line begins with"].strip("`"): row["level"] for row in rows}
    unexplained = []
    used = set()
    for event, levels in set(said()):
        row = max((start for start in written if event.startswith(start)), key=len, default="")
        used.add(row)
        if written.get(row) != ", ".join(levels):
            unexplained.append((event, levels))

    assert unexplained == []
    assert set(written) - used == set()


def said() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every event that routerd logs at info or above, and the levels it has."""
    for path in PACKAGE.rglob("*.py"):
        if PACKAGE / "demo" not in path.parents:
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call):
                    yield from _said_by(node)


def _said_by(call: ast.Call) -> Iterator[tuple[str, tuple[str, ...]]]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
    is_logger = ast.unparse(call.func).startswith("logger.")
    if ast.unparse(call.func) == "logging.LogRecord":
        levels: tuple[str, ...] = ("warning",)
    elif is_logger or name == "_say":
        levels = SAYS.get(name, ())
    else:
        return
    for text in map(_text, call.args):
        if levels and text and not text.startswith("%s"):
            yield text.partition("=%")[0].rpartition(" ")[0] if "=%" in text else text, levels
            return


def _text(node: ast.expr) -> str:
    """What a constant says, or the beginning of an f-string."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            return text
        case _:
            return ""


def test_the_page_has_the_fields_of_a_line_of_json() -> None:
    record = logging.LogRecord("routerd", logging.INFO, "", 0, "x", (), None)
    fields = list(json.loads(renderer("json", is_terminal=False)(record)))

    written = PAGE.partition("`json` for machines: ")[2].partition(", and the values")[0]

    assert spans(written) == fields


# --- from outside


async def test_every_path_of_the_page_is_answered() -> None:
    status = busy_status()
    app = build_app(status, History(status))
    paths = {route.path for route in app.routes if isinstance(route, Route)}

    written = {span for span in first("path", beside="answers") if "?" not in span}

    assert written <= paths
    assert {"/", "/livez", "/readyz", "/metrics", "/status.json"} == written


def test_the_page_has_the_exit_codes() -> None:
    codes = table(PAGE, "exit code", "means").column("exit code")

    assert codes == ["0", str(cli.EXIT_FAILURE), "2", str(cli.EXIT_CONFIG)]
