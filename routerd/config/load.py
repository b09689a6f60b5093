"""From a file to a checked `Table`, or to every problem that it has."""

from collections.abc import Sequence
from pathlib import Path

from routerd.checks import Reviews
from routerd.config.connections import Connections, checks_of, listens_on, read_connections
from routerd.config.document import Document, read_document
from routerd.config.models import AdminSettings, DaemonSettings, RouteModel, Table
from routerd.config.routes import read_routes
from routerd.errors import ConfigError
from routerd.findings import Findings
from routerd.problems import Problem
from routerd.section import Section

_ANY_HOST = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not bound
_HINTS = {
    "routes": "a route is written [[route]]",
    "websocket": "the WebSocket listener is [ws]",
    "websockets": "the WebSocket listener is [ws]",
    "http": "the metrics and the status page are [admin]",
    "metrics": "the metrics and the status page are [admin]",
    "group": "groups need no table; [ws] serves them all",
    "log": "a log: sink needs no table",
    "source": 'sources stand in the routes: from = "mqtt:FILTER"',
    "sink": 'sinks stand in the routes: to = "kafka:TOPIC"',
}


def load_table(path: Path) -> Table:
    """The routing table of a file. Opens no connection.

    Raises:
        ConfigError: with every problem that was found, in the order of lines.
    """
    document = read_document(path)
    findings = Findings(document.lines.find)
    root = Section(
        document.values, path=(), label="the file", findings=findings, folder=path.parent
    )
    root.hints = _HINTS
    connections = read_connections(root)
    admin = _admin(root)
    daemon = _daemon(root)
    _check_ports(root, connections, admin)
    routes = read_routes(root, connections)
    root.finish()
    _warn_of_long_tables(document, findings)
    if not findings.problems:  # else routes may be missing
        _review(connections, routes, findings)
    if findings.problems:
        raise ConfigError(sorted(set(findings.problems)))
    _warn_of_unused(connections, routes, findings)
    return Table(connections.models, admin, daemon, routes, tuple(sorted(set(findings.warnings))))


def _admin(root: Section) -> AdminSettings:
    default = AdminSettings()
    section = root.section("admin")
    if section is None:
        return default
    section.label = "[admin]"
    section.takes_references = True
    host, port = section.listen("listen", default=(default.host, default.port))
    enabled = section.flag("enabled", default=True)
    if enabled and host in _ANY_HOST:
        section.warn(
            "listen",
            "`listen` of [admin]: anyone who can reach this machine may read the status page; "
            "listen on 127.0.0.1 or protect the port",
        )
    section.finish(hints=dict.fromkeys(("host", "port", "bind"), 'write listen = "HOST:PORT"'))
    return AdminSettings(host, port, enabled)


def _daemon(root: Section) -> DaemonSettings:
    section = root.section("daemon")
    if section is None:
        return DaemonSettings()
    section.label = "[daemon]"
    section.takes_references = True
    timeout = section.duration("drain_timeout", least="0s", most="1h", default=10.0)
    section.finish()
    return DaemonSettings(timeout)


def _check_ports(root: Section, connections: Connections, admin: AdminSettings) -> None:
    """Reports two listeners that would bind the same port."""
    listeners = [("admin", admin.host, admin.port)] if admin.enabled else []
    for key, model in connections.models.items():
        address = listens_on(model)
        if address is not None:
            listeners.append((key, *address))
    bound: dict[int, list[tuple[str, str]]] = {}
    for key, host, port in listeners:
        others = bound.setdefault(port, [])
        clash = next((name for name, at in others if at == host or {at, host} & _ANY_HOST), None)
        if port and clash is not None:
            root.findings.problem(
                (*key.split("."), "listen"),
                f"[{key}] listens on port {port}, which [{clash}] has already; give one of them "
                "another `listen`",
            )
        others.append((key, host))


def _review(connections: Connections, routes: Sequence[RouteModel], findings: Findings) -> None:
    """Has each connection's checks look at what the routes use of it."""
    for key, model in connections.models.items():
        checks = checks_of(model)
        if isinstance(checks, Reviews):
            specs = [one.source.spec for one in routes if one.source.connection == key]
            sinks = (sink for route in routes for sink in route.sinks)
            specs += [sink.spec for sink in sinks if sink.connection == key]
            checks.review(model.settings, specs, path=tuple(key.split(".")), findings=findings)


def _warn_of_unused(
    connections: Connections, routes: Sequence[RouteModel], findings: Findings
) -> None:
    used = {route.source.connection for route in routes}
    used.update(sink.connection for route in routes for sink in route.sinks)
    for key, model in connections.models.items():
        if key not in used and model.settings is not None:  # without any, it has no table
            findings.warn(tuple(key.split(".")), f"no route uses [{key}]; remove it")


def _warn_of_long_tables(document: Document, findings: Findings) -> None:
    for line in document.lines.long_tables:
        findings.warnings.append(
            Problem(
                line,
                "a table in braces over several lines is new in TOML 1.1, other readers refuse "
                "it; write it on one line, or as [[route.to]] with a line for each key",
            )
        )
